"""Logins that are replayed, relayed, reflected, damaged or out of order, at a real broker."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.frames import (
    Challenge,
    Goodbye,
    Hello,
    Notice,
    Ping,
    Proof,
    Refusal,
    Subscribe,
    Value,
    Welcome,
    control_value,
    encode,
    parse,
)
from daemoneye.bus.handshake import Claim, Introduction
from daemoneye.bus.orders import Admit, Credential, Ended
from daemoneye.errors import BusError, Refused, RemoteProtocolError
from daemoneye.framing import pack
from tests.bus.brokers import Running, broker_in_thread
from tests.hostile.support import Bystander, Caller, Relay
from tests.support import scaled

NONCE = bytes(range(32))


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    """A broker that another client uses all the while, and at the end has noticed nothing."""
    with broker_in_thread(tidy) as running, running.client("other") as other:
        with Bystander(other).undisturbed(within=1.0):
            yield running


@contextmanager
def turned_away(broker: Running, reason: str, times: int = 1) -> Iterator[None]:
    """Inside, so many are refused for this reason, and nobody new is let in."""
    door = broker.broker.door
    before, sessions = door.counted[reason], len(door.places)
    yield
    assert door.counted[reason] - before == times
    assert len(door.places) <= sessions


def last_word(caller: Caller) -> Refusal:
    """The refusal that ends it."""
    *_, refusal = caller.hear_all()
    assert isinstance(refusal, Refusal)
    assert refusal.detail.isprintable()
    return refusal


def challenged(caller: Caller, claim: Claim, nonce: bytes = NONCE) -> tuple[Introduction, Proof]:
    """Say hello; the client's side of it, and the proof that it would say now."""
    introduction = Introduction(claim, nonce)
    caller.say(introduction.hello())
    challenge = caller.hear()
    assert isinstance(challenge, Challenge)
    proof = introduction.receive(challenge)
    assert isinstance(proof, Proof)
    return introduction, proof


# ---- replayed -----------------------------------------------------------------------------------


def test_b27_a_recorded_login_proves_nothing(broker: Running) -> None:
    claim = Claim("raw", 1, broker.admit("raw"))
    with Caller(broker.path) as good:
        introduction, proof = challenged(good, claim)
        good.say(proof)
        assert isinstance(good.hear(), Welcome)
        recorded: list[Value] = [introduction.hello(), proof]
    with turned_away(broker, "bad-proof"), Caller(broker.path) as replayed:
        replayed.say(*recorded)
        assert last_word(replayed).reason == "bad-proof"


def test_b27_a_challenge_is_never_the_same(broker: Running) -> None:
    claim, nonces = Claim("raw", 1, broker.admit("raw")), set()
    for _ in range(20):
        with Caller(broker.path) as caller:
            caller.say(Introduction(claim, NONCE).hello())
            challenge = caller.hear()
            assert isinstance(challenge, Challenge)
            nonces.add(challenge.nonce)
    assert len(nonces) == 20


def test_b27_a_recorded_broker_is_not_believed(tidy: Path, broker: Running) -> None:
    """Its Challenge and Welcome, said again word for word to a client with another nonce."""
    key = broker.admit("raw")
    with Caller(broker.path) as good:
        introduction, proof = challenged(good, Claim("raw", 1, key))
        good.say(proof)
        welcome = good.hear()
        assert isinstance(welcome, Welcome)
    transcript = introduction._transcript
    assert transcript is not None
    recorded: list[Value] = [Challenge(transcript.broker_nonce, transcript.epoch), welcome]
    with pytest.raises(RemoteProtocolError, match="could not prove"):
        answered_by(tidy, Claim("raw", 1, key), lambda said: recorded.pop(0))


# ---- of another life ----------------------------------------------------------------------------


def test_b27_the_key_of_another_incarnation_does_not_open(broker: Running) -> None:
    old = broker.admit("procmond", "collector", kind="process", incarnation=1)
    broker.obey(Ended("procmond", 1, "signal:9"))
    new = broker.admit("procmond", "collector", kind="process", incarnation=2)
    for claim, reason in (
        (Claim("procmond", 1, old), "unknown-identity"),
        (Claim("procmond", 2, old), "bad-proof"),
        (Claim("procmond", 1, new), "unknown-identity"),
        (Claim("procmond", 3, new), "unknown-identity"),
        (Claim("procmond", 0, new), "protocol"),
    ):
        with turned_away(broker, reason), pytest.raises(Refused) as refused:
            introduce(broker.path, claim, scaled(5))
        assert refused.value.reason == reason
    introduce(broker.path, Claim("procmond", 2, new), scaled(5)).sock.close()


def test_b27_who_ends_between_hello_and_proof_is_not_let_in(broker: Running) -> None:
    key = broker.admit("procmond", "collector", kind="process", incarnation=1)
    with turned_away(broker, "unknown-identity"), Caller(broker.path) as late:
        _, proof = challenged(late, Claim("procmond", 1, key))
        broker.obey(Ended("procmond", 1, "stopped"))
        late.say(proof)
        assert last_word(late).reason == "unknown-identity"


# ---- relayed ------------------------------------------------------------------------------------


def test_b27_a_childs_key_is_good_in_its_own_process_only(broker: Running) -> None:
    """Everything passed on unchanged by another process; here that is any but the one admitted."""
    key = broker.admit("procmond", "collector", kind="process", incarnation=1, pid=os.getppid())
    relayed = broker.path.with_name("relay")
    with turned_away(broker, "wrong-process"), Relay(relayed, broker.path):
        with pytest.raises(Refused) as refused:
            introduce(relayed, Claim("procmond", 1, key), scaled(5))
    assert refused.value.reason == "wrong-process"
    assert "own" in refused.value.hint or "that process" in refused.value.hint


Change = Callable[[Value], Value]


def altered(change: Change, of_broker: bool) -> Callable[[int, bool, bytes], tuple[bytes, bool]]:
    """A relay that changes what one side says; words of the handshake come one at a time."""

    def tamper(number: int, said_by_broker: bool, data: bytes) -> tuple[bytes, bool]:
        if said_by_broker is not of_broker or not data:
            return data, True
        return pack(encode(change(control_value(parse(data[4:]))))), True

    return tamper


def with_(kind: type[Value], **fields: object) -> Change:
    """Change these fields of one kind of word."""
    return lambda value: replace(value, **fields) if isinstance(value, kind) else value  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    "change",
    [
        with_(Challenge, epoch=7),
        with_(Challenge, nonce=bytes(32)),
        with_(Welcome, role="agent"),
        with_(Welcome, role=""),
        with_(Welcome, mac=bytes(32)),
        with_(Welcome, mac=b""),
        lambda value: Welcome(bytes(32), "worker", 1 << 20, 5.0, 3),
    ],
    ids=["epoch", "nonce", "role", "no role", "mac", "no mac", "a Welcome at once"],
)
def test_b27_what_a_relay_changes_of_the_broker_is_noticed(broker: Running, change: Change) -> None:
    key = broker.admit("low", "worker")
    relayed = broker.path.with_name("relay")
    with Relay(relayed, broker.path, altered(change, of_broker=True)):
        with pytest.raises(BusError) as refused:
            introduce(relayed, Claim("low", 1, key), scaled(5))
    assert isinstance(refused.value, (Refused, RemoteProtocolError))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_(Hello, identity="other"), "bad-proof"),
        (with_(Hello, identity="high"), "bad-proof"),
        (with_(Hello, incarnation=2), "bad-proof"),
        (with_(Hello, nonce=NONCE), "bad-proof"),
        (with_(Hello, version=2), "wrong-version"),
        (with_(Hello, nonce=b""), "protocol"),
        (with_(Proof, mac=bytes(32)), "bad-proof"),
    ],
    ids=["identity", "a higher one", "incarnation", "nonce", "version", "no nonce", "mac"],
)
def test_b27_what_a_relay_changes_of_the_client_is_noticed(
    broker: Running, change: Change, reason: str
) -> None:
    key = broker.admit("low", "worker")
    broker.admit("high")
    relayed = broker.path.with_name("relay")
    with turned_away(broker, reason):
        with Relay(relayed, broker.path, altered(change, of_broker=False)):
            with pytest.raises(Refused) as refused:
                introduce(relayed, Claim("low", 1, key), scaled(5))
    assert refused.value.reason == reason


def test_b27_the_broker_of_another_instance_is_not_ours(tidy: Path, broker: Running) -> None:
    """A relay from the place of one instance to the broker of another: keys differ."""
    key = broker.admit("operator")
    (tidy / "two").mkdir(mode=0o700)
    with broker_in_thread(tidy / "two") as second:
        second.admit("operator")
        with Relay(tidy / "relay", second.path):
            with turned_away(second, "bad-proof"), pytest.raises(Refused) as refused:
                introduce(tidy / "relay", Claim("operator", 1, key), scaled(5))
    assert refused.value.reason == "bad-proof"


def test_b27_an_earlier_life_of_the_broker_is_another_broker(broker: Running) -> None:
    """The same key in two lives: what one said of a session proves nothing in the other."""
    credential = Credential("raw", "agent", bytes(32))
    broker.obey(Admit(credential))
    with Caller(broker.path) as caller:
        introduction = Introduction(Claim("raw", 1, credential.key), NONCE)
        caller.say(introduction.hello())
        challenge = caller.hear()
        assert isinstance(challenge, Challenge)
        earlier = Introduction(Claim("raw", 1, credential.key), NONCE)
        proof = earlier.receive(replace(challenge, epoch=challenge.epoch ^ 2))
        assert isinstance(proof, Proof)
        caller.say(proof)
        assert last_word(caller).reason == "bad-proof"


# ---- reflected ----------------------------------------------------------------------------------


def answered_by(directory: Path, claim: Claim, answer: Callable[[Value], Value]) -> None:
    """A client of ours connects to somebody who answers each of its words like that."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "false"))
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                while said := sock.recv(4096):  # one word at a time
                    sock.sendall(pack(encode(answer(control_value(parse(said[4:]))))))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            introduce(directory / "false", claim, scaled(5))
        finally:
            thread.join(scaled(5))
            (directory / "false").unlink()
            assert not thread.is_alive()


def test_b27_what_the_client_says_proves_no_broker(tidy: Path) -> None:
    """Its nonce comes back as the challenge, and its own mac as the broker's."""

    def reflect(said: Value) -> Value:
        if isinstance(said, Hello):
            return Challenge(said.nonce, 7)
        assert isinstance(said, Proof)
        return Welcome(said.mac, "", 1 << 20, 5.0, 3)

    with pytest.raises(RemoteProtocolError, match="could not prove"):
        answered_by(tidy, Claim("raw", 1, bytes(32)), reflect)


def test_b27_what_the_broker_says_proves_no_client(broker: Running) -> None:
    """Its nonce comes back as the client's own, and as the mac; so does a mac of its own."""
    key = broker.admit("raw")
    with Caller(broker.path) as good:
        welcome = good.prove(Claim("raw", 1, key))
    for mac_of in (lambda nonce: nonce, lambda nonce: welcome.mac):
        with turned_away(broker, "bad-proof"), Caller(broker.path) as caller:
            caller.say(Hello(1, "raw", 1, NONCE))
            challenge = caller.hear()
            assert isinstance(challenge, Challenge)
            caller.say(Proof(mac_of(challenge.nonce)))
            assert last_word(caller).reason == "bad-proof"


def test_b27_a_broker_cannot_be_made_to_answer_itself(broker: Running) -> None:
    """Two connections, each fed with what the broker said on the other."""
    broker.admit("raw")
    with turned_away(broker, "bad-proof", 2):
        with Caller(broker.path) as one, Caller(broker.path) as other:
            one.say(Hello(1, "raw", 1, NONCE))
            challenge = one.hear()
            assert isinstance(challenge, Challenge)
            other.say(Hello(1, "raw", 1, challenge.nonce))
            second = other.hear()
            assert isinstance(second, Challenge)
            one.say(Proof(second.nonce))
            other.say(Proof(challenge.nonce))
            assert last_word(one).reason == last_word(other).reason == "bad-proof"


# ---- damaged, and out of order ------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        lambda mac: mac[:-1],
        lambda mac: mac[1:],
        lambda mac: mac + b"\0",
        lambda mac: mac * 2,
        lambda mac: b"",
        lambda mac: bytes(32),
        lambda mac: bytes((mac[0] ^ 1, *mac[1:])),
        lambda mac: bytes((*mac[:-1], mac[-1] ^ 128)),
        lambda mac: mac.hex().encode(),
    ],
    ids=["short", "late", "long", "twice", "empty", "zeros", "first bit", "last bit", "hex"],
)
def test_b27_a_mac_is_right_or_wrong(broker: Running, damage: Callable[[bytes], bytes]) -> None:
    claim = Claim("raw", 1, broker.admit("raw"))
    with turned_away(broker, "bad-proof"), Caller(broker.path) as caller:
        _, proof = challenged(caller, claim)
        caller.say(Proof(damage(proof.mac)))
        assert last_word(caller).reason == "bad-proof"


HELLO = Hello(1, "raw", 1, NONCE)


@pytest.mark.parametrize(
    "words",
    [
        (Proof(bytes(32)),),
        (HELLO, HELLO),
        (HELLO, Challenge(NONCE, 7)),
        (HELLO, Welcome(bytes(32), "agent", 1 << 20, 5.0, 3)),
        (HELLO, Refusal("busy")),
        (Welcome(bytes(32), "agent", 1 << 20, 5.0, 3),),
        (Challenge(NONCE, 7),),
        (Refusal("busy"),),
        (Goodbye(),),
        (Ping(1),),
        (Subscribe(1, "#", request=1),),
        (HELLO, Subscribe(1, "#", request=1)),
        (pack(b""),),
        (pack(b"\xff"),),
        (HELLO, pack(b"\x08\x0a\x12\x01a")),
    ],
    ids=lambda words: ", ".join(
        each.hex() if isinstance(each, bytes) else type(each).__name__ for each in words
    ),
)
def test_b27_what_cannot_come_there_ends_it(
    broker: Running, words: tuple[Value | bytes, ...]
) -> None:
    broker.admit("raw")
    with turned_away(broker, "protocol"), Caller(broker.path) as caller:
        caller.say(*words)
        assert last_word(caller).reason == "protocol"


def test_b27_nothing_is_heard_after_a_refusal(broker: Running) -> None:
    claim = Claim("raw", 1, broker.admit("raw"))
    with turned_away(broker, "bad-proof"), Caller(broker.path) as caller:
        _, proof = challenged(caller, claim)
        caller.say(Proof(bytes(32)), proof, Subscribe(1, "#", request=1), Goodbye())
        (refusal,) = caller.hear_all()
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "bad-proof"


@pytest.mark.parametrize("word", [HELLO, Proof(bytes(32)), Challenge(NONCE, 7), Refusal("busy")])
def test_b27_words_of_the_handshake_end_a_session(broker: Running, word: Value) -> None:
    with Caller(broker.path) as caller:
        caller.prove(Claim("raw", 1, broker.admit("raw")))
        caller.say(word)
        (notice,) = caller.hear_all()
        assert isinstance(notice, Notice)
        assert notice.code == "protocol"
    assert broker.broker.cut_off["protocol"] == 1
