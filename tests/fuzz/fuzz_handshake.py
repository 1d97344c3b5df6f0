"""Who does not hold the key is never let in, whatever was overheard or others are made to say.

In memory the attacker has recorded exchanges of earlier connections, and may have the true client
answer any challenge but the one that is open, and the true broker any nonce but the one that is
awaited; passing on just those unchanged is a relay, and what holds against it is the process that
a child's key is good in.  `Siege` does the same, with rubbish, over sockets against a real broker.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from daemoneye.bus.access import Declared
from daemoneye.bus.broker.lobby import Lobby
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.endpoint import dial
from daemoneye.bus.frames import (
    Challenge,
    Hello,
    Proof,
    Refusal,
    Value,
    Welcome,
    control_value,
    encode,
    parse,
)
from daemoneye.bus.handshake import (
    Claim,
    Introduction,
    Keyring,
    Reception,
    State,
    Terms,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Credential
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import RemoteProtocolError
from daemoneye.framing import FrameCutter, pack
from tests.bus.brokers import Running
from tests.fuzz.corpus import FRAMES, FROM_CLIENTS, HANDSHAKE
from tests.fuzz.mutations import mutated
from tests.support import scaled

EPOCH = 77
PID, HER_PID = 4242, 666
KEY, OLD_KEY, OTHER_KEY = (bytes((n,)) * 32 for n in range(1, 4))
CHILD = Credential("procmond", "collector", KEY, kind="process", incarnation=3, pid=PID)
OPERATOR = Credential("operator", "agent", OTHER_KEY)
TERMS = Terms(EPOCH, Limits())
CLAIMS = (Claim("procmond", 3, KEY), Claim("operator", 9, OTHER_KEY))
OURS = "events.good.tick"
ROLES = ("agent", "collector", "worker", "")


def fuzz_handshake(dice: random.Random) -> None:
    """One round in memory."""
    dice.choice(_KINDS)(dice)


# ---- at the broker ------------------------------------------------------------------------------


@dataclass
class Overheard:
    """What an attacker may have besides her own words: no key, but all that went over sockets."""

    dice: random.Random
    hellos: list[Hello] = field(default_factory=list)
    proofs: list[bytes] = field(default_factory=list)
    welcomes: list[Welcome] = field(default_factory=list)
    nonces: list[bytes] = field(default_factory=list)

    def record(self, credential: Credential, incarnation: int, epoch: int) -> None:
        """A good exchange of an earlier connection (perhaps of an earlier life of the broker)."""
        client = Introduction(
            Claim(credential.identity, incarnation, credential.key), self.dice.randbytes(32)
        )
        broker = Reception(Terms(epoch, Limits()), self.dice.randbytes(32), credential.pid)
        keyring = Keyring([credential])
        hello = client.hello()
        challenge = broker.receive(hello, keyring)
        assert isinstance(challenge, Challenge)
        proof = client.receive(challenge)
        assert isinstance(proof, Proof)
        welcome = broker.receive(proof, keyring)
        assert isinstance(welcome, Welcome)
        assert client.receive(welcome) is welcome
        self.hellos.append(hello)
        self.proofs.append(proof.mac)
        self.welcomes.append(welcome)
        self.nonces += (hello.nonce, challenge.nonce)

    def mac(self, others: Sequence[bytes]) -> bytes:
        """Some mac: an old one of either side, a damaged one, one that somebody was made to say."""
        known = [*self.proofs, *(each.mac for each in self.welcomes), *others, *self.nonces]
        mac = self.dice.choice(known)
        choice = self.dice.randrange(6)
        return (mac, mac, mac[:-1], mac + b"\0", b"", self.dice.randbytes(32))[choice]

    def hello(self) -> Hello:
        """Some first word, of whoever and with whatever nonce."""
        dice = self.dice
        name, incarnation = dice.choice(
            (("procmond", 3), ("procmond", 2), ("procmond", 0), ("operator", 9), ("operator", 0),
             ("nobody", 1), ("", 0))
        )  # fmt: skip
        nonce = dice.choice((dice.randbytes(32), *self.nonces, b"", bytes(31), bytes(33)))
        return dice.choice((Hello(1, name, incarnation, nonce), *self.hellos))


def _overheard(dice: random.Random) -> Overheard:
    heard = Overheard(dice)
    heard.record(CHILD, 3, EPOCH)
    heard.record(OPERATOR, 9, EPOCH)
    heard.record(OPERATOR, 9, EPOCH - 1)
    heard.record(replace(CHILD, key=OLD_KEY, incarnation=2), 2, EPOCH)
    return heard


def _at_the_broker(dice: random.Random) -> None:
    """Frames in whatever order, in a process that no key was given to."""
    heard, keyring = _overheard(dice), Keyring([CHILD, OPERATOR])
    broker = Reception(TERMS, dice.randbytes(32), HER_PID)
    claim, nonce = dice.choice(CLAIMS), dice.randbytes(32)
    hello = Introduction(claim, nonce).hello()
    challenge: Challenge | None = None
    for _ in range(dice.randrange(1, 8)):
        if dice.random() < 0.1:
            value: Value = dice.choice(HANDSHAKE)
        elif challenge is None or dice.random() < 0.2:
            value = dice.choice((hello, hello, heard.hello()))
        else:
            value = Proof(heard.mac([_said_by_the_true_client(dice, claim, nonce, challenge)]))
        was = broker.state
        try:
            reply = broker.receive(control_value(parse(_damaged(dice, value))), keyring)
        except RemoteProtocolError:
            return  # the shell closes the connection
        assert broker.state is not State.PROVEN
        assert not isinstance(reply, Welcome)
        if isinstance(reply, Challenge):
            assert was is State.HELLO
            challenge = reply
        else:
            assert broker.state is State.REFUSED


def _said_by_the_true_client(
    dice: random.Random, claim: Claim, nonce: bytes, challenge: Challenge
) -> bytes:
    """The client's answer to a challenge that an attacker chose, but not to the open one as it is.

    The child may even be asked just that: its key is good in its own process only.
    """
    theirs, epoch = challenge.nonce, challenge.epoch
    if claim.identity == "operator":
        theirs, epoch = dice.choice(
            ((dice.randbytes(32), epoch), (theirs, epoch - 1), (theirs[::-1], epoch))
        )
    answer = Introduction(claim, nonce).receive(Challenge(theirs, epoch))
    assert isinstance(answer, Proof)
    return answer.mac


def _relayed(dice: random.Random) -> None:
    """Everything a child says is passed on unchanged, by another process: it is not let in."""
    client = Introduction(Claim("procmond", 3, KEY), dice.randbytes(32))
    broker = Reception(TERMS, dice.randbytes(32), HER_PID)
    refusal = broker.receive(client.hello(), Keyring([CHILD]))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "wrong-process"


def _damaged(dice: random.Random, value: Value) -> bytes:
    raw = encode(value)
    return mutated(dice, raw, FRAMES) if dice.random() < 0.3 else raw


# ---- at the client ------------------------------------------------------------------------------


def _at_the_client(dice: random.Random) -> None:
    """A broker without the key is not believed, whatever the true one was made to say."""
    heard = _overheard(dice)
    claim = dice.choice(CLAIMS)
    client = Introduction(claim, dice.randbytes(32))
    true_broker = Reception(TERMS, dice.randbytes(32), PID)
    true_challenge = true_broker.receive(client.hello(), Keyring([CHILD, OPERATOR]))
    assert isinstance(true_challenge, Challenge)
    true_role = CHILD.role if claim.identity == CHILD.identity else OPERATOR.role
    macs: list[bytes] = []
    for _ in range(dice.randrange(1, 8)):
        if dice.random() < 0.1:
            value: Value = dice.choice(HANDSHAKE)
        elif client.state is State.HELLO:
            value = dice.choice((true_challenge, _challenge(dice, heard, client.hello())))
        else:
            role = dice.choice([each for each in ROLES if each != true_role])
            value = replace(dice.choice(heard.welcomes), mac=heard.mac(macs), role=role)
        try:
            reply = client.receive(control_value(parse(_damaged(dice, value))))
        except RemoteProtocolError:
            return
        assert client.state is not State.PROVEN
        if isinstance(reply, Refusal):
            assert client.state is State.REFUSED
            return
        assert isinstance(reply, Proof)
        macs.append(reply.mac)  # to be reflected
        welcome = true_broker.receive(reply, Keyring([CHILD, OPERATOR]))
        if isinstance(welcome, Welcome):  # whose role is another one by the time it arrives
            macs = [welcome.mac] * 5


def _challenge(dice: random.Random, heard: Overheard, hello: Hello) -> Challenge:
    nonce = dice.choice((dice.randbytes(32), hello.nonce, *heard.nonces, b""))
    return Challenge(nonce, dice.choice((EPOCH, 0, (1 << 64) - 1)))


# ---- the lobby ----------------------------------------------------------------------------------


def _in_the_lobby(dice: random.Random) -> None:
    """However they come and go, no process and no crowd holds more places than it may."""
    limits = Limits(unauthenticated_connections=6, unauthenticated_per_process=3)
    lobby: Lobby[int] = Lobby(limits)
    here: dict[int, tuple[int, float]] = {}  # in order of arrival
    now = 0.0
    for key in range(60):
        now += dice.choice((0.0, 0.1, 1.0))
        choice = dice.random()
        if choice < 0.7:
            pid = dice.choice((0, 1, 1, 2, 3))
            here[key] = (pid, now)
            gone = lobby.enter(key, pid, now)
        elif choice < 0.8 and here:
            gone = [dice.choice(list(here))]
            lobby.leave(gone[0])
        elif choice < 0.9:
            gone = lobby.expire(now)
            late = [k for k, (_, at) in here.items() if at + limits.authentication_timeout <= now]
            assert gone == late
        else:
            one = lobby.make_room()
            gone = [] if one is None else [one]
        for each in gone:
            del here[each]
        assert list(lobby) == list(here)
        pids = [pid for pid, _ in here.values()]
        assert len(pids) <= 6
        assert all(pids.count(pid) <= 3 for pid in (1, 2, 3))
        first = next(iter(here.values()), None)
        due = None if first is None else first[1] + limits.authentication_timeout
        assert lobby.next_deadline() == due


_KINDS: tuple[Callable[[random.Random], None], ...] = (
    _at_the_broker, _at_the_broker, _at_the_client, _at_the_client, _relayed, _in_the_lobby,
)  # fmt: skip


# ---- over sockets -------------------------------------------------------------------------------


class Siege:
    """A real broker under attack, and a client that has to notice nothing of it."""

    def __init__(self, broker: Running) -> None:
        self.broker = broker
        broker.admit("procmond", "collector", kind="process", incarnation=3, pid=PID)
        self.her_key = broker.admit(
            "mallory", "worker", declared=Declared((TopicFilter("events.demo.#"),))
        )
        self.bus: BusClient = broker.client("watcher")
        self.events: Subscription = self.bus.subscribe("events.#")
        self.rounds = 0

    def close(self) -> None:
        self.events.close()
        self.bus.close()

    def assault(self, dice: random.Random) -> None:
        """One connection of hers, proven or not, and a round trip of ours."""
        if dice.random() < 0.3:
            self._misbehave(dice)
        else:
            self._force_the_door(dice)
        self._check()

    def _force_the_door(self, dice: random.Random) -> None:
        with dial(self.broker.path, scaled(5)) as sock:
            heard: list[Value] = []
            cutter = FrameCutter(4096)
            try:
                for piece in _words(dice):
                    sock.sendall(piece)
                    sock.setblocking(True)
                    sock.settimeout(0.002)
                    heard += _answers(cutter, sock.recv(4096))
            except OSError:
                pass  # nothing is said to half a frame, and who is turned away is hung up on
        assert not [each for each in heard if isinstance(each, Welcome)]

    def _misbehave(self, dice: random.Random) -> None:
        """She has a key of her own, and says what she may not and what nobody understands."""
        connected = introduce(self.broker.path, Claim("mallory", 5, self.her_key), scaled(5))
        with connected.sock as sock:
            sock.setblocking(True)
            sock.settimeout(scaled(5))
            for _ in range(dice.randrange(1, 9)):
                good = dice.choice(FROM_CLIENTS)
                frame = pack(mutated(dice, good, FRAMES) if dice.random() < 0.6 else good)
                try:
                    sock.sendall(mutated(dice, frame) if dice.random() < 0.1 else frame)
                except OSError:
                    return  # she was thrown out

    def _check(self) -> None:
        self.rounds += 1
        said = b"%d" % self.rounds
        self.bus.publish(OURS, said)
        while True:
            event = self.events.get(scaled(5))
            assert event is not None
            if event.publisher.name == "watcher":
                break
            assert event.publisher == ("mallory", "worker", os.getpid(), 5)
        assert (event.topic, event.payload) == (OURS, said)
        assert set(event.lost) <= {"expired"}  # hers: nobody else gives anything an end
        if self.rounds % 64 == 0:
            assert {each.identity for each in self.bus.clients()} <= {"watcher", "mallory"}


def _words(dice: random.Random) -> list[bytes]:
    heard = _overheard(dice)
    words = []
    for _ in range(dice.randrange(1, 4)):
        value = dice.choice((heard.hello(), Proof(heard.mac([])), *HANDSHAKE))
        whole = pack(_damaged(dice, value))
        words.append(mutated(dice, whole) if dice.random() < 0.2 else whole)
    return words


def _answers(cutter: FrameCutter, data: bytes) -> list[Value]:
    return [control_value(parse(raw)) for raw in cutter.feed(data)]
