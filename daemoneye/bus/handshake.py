"""Both sides of proving who one is.  Pure.

    client                                     broker
      Hello(version, identity, incarnation, nonce) →
                         ← Challenge(nonce, epoch)         or Refusal, and the connection ends
      Proof(mac labelled "client") →
                         ← Welcome(mac labelled "broker", role, …)     or Refusal

A key of 32 bytes belongs to one identity (and, for a child, to one incarnation of it) and never
travels.  Each side proves that it has it by HMAC-SHA256 over everything that makes this exchange
this one: a label for the direction, the role, identity, incarnation, both nonces, the broker's
epoch.  Each part is preceded by its length, so no two transcripts are the same bytes.  Nonces are
fresh on both sides, so a recorded exchange proves nothing later.  The client's proof has an empty
role: it learns its role from the Welcome, whose proof covers it.

Random bytes and the pid the kernel reports are arguments.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from daemoneye.bus.frames import (
    PROTOCOL_VERSION,
    Carriage,
    Challenge,
    Hello,
    Proof,
    Refusal,
    Value,
    Welcome,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Credential
from daemoneye.errors import RemoteProtocolError

NONCE_BYTES = 32

_NONE = Carriage()
_NO_KEY = "no key is known for this identity and incarnation"

UNKNOWN_IDENTITY = "unknown-identity"
BAD_PROOF = "bad-proof"
WRONG_PROCESS = "wrong-process"
WRONG_VERSION = "wrong-version"
OUT_OF_ORDER = "protocol"
BUSY = "busy"
TOO_LATE = "timeout"

PASSING = frozenset({UNKNOWN_IDENTITY, BUSY, TOO_LATE})
"""Refusals that may be over in a moment: a child may arrive before the word that it was born."""


# ---- what both sides compute --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transcript:
    """What makes one exchange different from every other."""

    identity: str
    """Whom the client says it is."""
    incarnation: int
    """Which life of it."""
    client_nonce: bytes
    """From the Hello."""
    broker_nonce: bytes
    """From the Challenge."""
    epoch: int
    """This life of the broker."""

    def mac(self, key: bytes, label: str, role: str) -> bytes:
        """What only somebody with the key can say, in one direction, about one role."""
        parts = (
            label.encode(),
            role.encode(),
            self.identity.encode(),
            self.incarnation.to_bytes(8, "big"),
            self.client_nonce,
            self.broker_nonce,
            self.epoch.to_bytes(8, "big"),
        )
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(key, text, "sha256")

    def client_proof(self, key: bytes) -> bytes:
        """What the client sends."""
        return self.mac(key, "client", "")

    def broker_proof(self, key: bytes, role: str) -> bytes:
        """What the broker sends, and binds the role with."""
        return self.mac(key, "broker", role)


# ---- the broker's side --------------------------------------------------------------------------


class Keyring:
    """The credentials of everybody who may come in just now."""

    __slots__ = ("_clients", "_held")

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        self._clients: tuple[Credential, ...] = ()
        self._held: dict[tuple[str, int], Credential] = {}
        for each in credentials:
            self.admit(each)

    def admit(self, credential: Credential) -> None:
        """From now on this one may come; replaces what was known of the same incarnation."""
        self._held[credential.identity, credential.incarnation] = credential

    def withdraw(self, identity: str, incarnation: int) -> None:
        """That incarnation is over; harmless when it was not known."""
        self._held.pop((identity, incarnation), None)

    def replace_clients(self, clients: tuple[Credential, ...]) -> tuple[str, ...]:
        """From now on these are the named clients; whose right to be here ended with that."""
        before, self._clients = self._clients, clients
        for each in before:
            self.withdraw(each.identity, each.incarnation)
        for each in clients:
            self.admit(each)
        return tuple(each.identity for each in before if each not in clients)

    def find(self, identity: str, incarnation: int) -> Credential | None:
        """The credential for exactly this incarnation, else the one good for any."""
        held = self._held
        return held.get((identity, incarnation)) or held.get((identity, 0))

    def __len__(self) -> int:
        return len(self._held)


class State(Enum):
    """How far one side has come."""

    HELLO = auto()
    PROOF = auto()
    PROVEN = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a broker brings into each handshake."""

    epoch: int
    """This life of the broker."""
    limits: Limits
    """What a client is told of them: frames, large payloads and heartbeats."""
    descriptors: bool = False
    """Whether this machine passes descriptors of sealed memory."""

    def carriage_for(self, hello: Hello) -> Carriage:
        """How large payloads travel to and from a client that said this."""
        limits = self.limits
        passed = self.descriptors and limits.large_descriptors > 0 and hello.descriptors
        return Carriage(passed, limits.payload_bytes, limits.large_from_bytes)


class Reception:
    """One connection on its way in, as the broker sees it."""

    __slots__ = (
        "_nonce",
        "_terms",
        "_transcript",
        "carriage",
        "credential",
        "incarnation",
        "max_payload_bytes",
        "pid",
        "proof",
        "state",
    )

    def __init__(self, terms: Terms, nonce: bytes, pid: int) -> None:
        """`pid` is what the kernel says of the peer; 0 when it cannot tell."""
        self._terms = terms
        self._nonce = nonce
        self.pid = pid
        self.state = State.HELLO
        self.credential: Credential | None = None
        self.incarnation = 0
        self.carriage = Carriage()
        """How large payloads come from it, and go to it."""
        self.max_payload_bytes = 0
        """The largest payload that goes to it apart from its frame."""
        self.proof: Proof | None = None
        """What was proven, once it is: what stands in it beside the mac may be believed then."""
        self._transcript: Transcript | None = None

    def receive(self, value: Value, keyring: Keyring) -> Challenge | Welcome | Refusal:
        """What to send for what came.  After a Refusal the connection has to be closed."""
        if self.state is State.HELLO and isinstance(value, Hello):
            return self._challenge(value, keyring)
        if self.state is State.PROOF and isinstance(value, Proof):
            return self._welcome(value, keyring)
        return self._refuse(OUT_OF_ORDER, f"a {type(value).__name__} cannot come here")

    def _challenge(self, hello: Hello, keyring: Keyring) -> Challenge | Refusal:
        if hello.version != PROTOCOL_VERSION:
            return self._refuse(WRONG_VERSION, f"this broker speaks version {PROTOCOL_VERSION}")
        if len(hello.nonce) != NONCE_BYTES:
            return self._refuse(OUT_OF_ORDER, f"a nonce has {NONCE_BYTES} bytes")
        if not hello.incarnation:
            return self._refuse(OUT_OF_ORDER, "an incarnation is a number above zero")
        credential = keyring.find(hello.identity, hello.incarnation)
        if credential is None:
            return self._refuse(UNKNOWN_IDENTITY, _NO_KEY)
        if credential.pid and self.pid and credential.pid != self.pid:
            detail = f"process {self.pid} is not the one this key was given to"
            return self._refuse(WRONG_PROCESS, detail)
        self.credential, self.incarnation = credential, hello.incarnation
        self.carriage = self._terms.carriage_for(hello)
        self.max_payload_bytes = hello.max_payload_bytes
        self._transcript = Transcript(
            hello.identity, hello.incarnation, hello.nonce, self._nonce, self._terms.epoch
        )
        self.state = State.PROOF
        return Challenge(self._nonce, self._terms.epoch)

    def _welcome(self, proof: Proof, keyring: Keyring) -> Welcome | Refusal:
        assert self.credential is not None
        assert self._transcript is not None
        if keyring.find(self.credential.identity, self.incarnation) != self.credential:
            # It ended, or was given another key, between the Hello and the Proof.
            return self._refuse(UNKNOWN_IDENTITY, _NO_KEY)
        key, role = self.credential.key, self.credential.role
        if not hmac.compare_digest(proof.mac, self._transcript.client_proof(key)):
            return self._refuse(BAD_PROOF, "this is not the key of that identity")
        self.state = State.PROVEN
        self.proof = proof
        limits = self._terms.limits
        return Welcome(
            self._transcript.broker_proof(key, role),
            role,
            limits.frame_bytes,
            limits.heartbeat_interval,
            limits.missed_heartbeats,
            self.carriage,
        )

    def _refuse(self, reason: str, detail: str) -> Refusal:
        self.state = State.REFUSED
        return Refusal(reason, detail)


# ---- the client's side --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a client says it is, and what it can prove it with."""

    identity: str
    """A name the broker has a key for."""
    incarnation: int
    """Of a child: the number it was born with; of others: any, chosen at random."""
    key: bytes
    """32 bytes."""

    def __repr__(self) -> str:
        return f"Claim({self.identity!r}, {self.incarnation}, key=…)"


@dataclass(frozen=True, slots=True)
class Return:
    """The session that a client wants to go on with, over a new connection."""

    session: int = 0
    """Its number; 0: none."""
    received: int = 0
    """How many messages came in it, in all."""
    subscriptions: tuple[int, ...] = ()
    """Which of its subscriptions to keep."""


NO_RETURN = Return()
"""A client that has had no session."""


class Introduction:
    """One connection on its way in, as the client sees it."""

    __slots__ = ("_carriage", "_claim", "_nonce", "_return", "_transcript", "state")

    def __init__(
        self,
        claim: Claim,
        nonce: bytes,
        carriage: Carriage = _NONE,
        back_to: Return = NO_RETURN,
    ) -> None:
        """`carriage` is how large payloads may travel, as far as the client is concerned.

        `back_to` is the session to go on with.
        """
        self._return = back_to
        self._claim = claim
        self._carriage = carriage
        self._nonce = nonce
        self._transcript: Transcript | None = None
        self.state = State.HELLO

    @property
    def epoch(self) -> int:
        """Which life of the broker this is; 0 before its Challenge."""
        return self._transcript.epoch if self._transcript else 0

    def hello(self) -> Hello:
        """What to send first."""
        claim, carriage = self._claim, self._carriage
        return Hello(
            PROTOCOL_VERSION,
            claim.identity,
            claim.incarnation,
            self._nonce,
            carriage.descriptors,
            carriage.max_payload_bytes,
        )

    def receive(self, value: Value) -> Proof | Welcome | Refusal:
        """What to send for a Challenge; a Welcome or a Refusal as it came: it is over then.

        Raises RemoteProtocolError for anything out of order, and for a broker that does not have
        the key: whoever that is, it is not ours.
        """
        if isinstance(value, Refusal):
            self.state = State.REFUSED
            return value
        if self.state is State.HELLO and isinstance(value, Challenge):
            return self._prove(value)
        if self.state is State.PROOF and isinstance(value, Welcome):
            return self._judge(value)
        raise RemoteProtocolError(f"a {type(value).__name__} cannot come in a handshake here")

    def _prove(self, challenge: Challenge) -> Proof:
        if len(challenge.nonce) != NONCE_BYTES:
            raise RemoteProtocolError(f"the broker's nonce has {len(challenge.nonce)} bytes")
        claim = self._claim
        self._transcript = Transcript(
            claim.identity, claim.incarnation, self._nonce, challenge.nonce, challenge.epoch
        )
        self.state = State.PROOF
        back_to = self._return
        return Proof(
            self._transcript.client_proof(claim.key),
            back_to.session,
            back_to.received,
            back_to.subscriptions,
        )

    def _judge(self, welcome: Welcome) -> Welcome:
        assert self._transcript is not None
        expected = self._transcript.broker_proof(self._claim.key, welcome.role)
        if not hmac.compare_digest(welcome.mac, expected):
            raise RemoteProtocolError(
                "the broker could not prove that it knows our key",
                hint="another program answers at this address",
            )
        self.state = State.PROVEN
        return welcome
