"""Proving who one is: both sides joined in memory, and everything that may be wrong with either."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemoneye.bus.frames import Carriage, Challenge, Goodbye, Hello, Proof, Refusal, Value, Welcome
from daemoneye.bus.handshake import (
    Claim,
    Introduction,
    Keyring,
    Reception,
    State,
    Terms,
    Transcript,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Credential
from daemoneye.errors import RemoteProtocolError

KEY = bytes(range(32))
OTHER_KEY = bytes(32)
PID = 4242
PROCMOND = Credential("procmond", "collector", KEY, kind="process", incarnation=3, pid=PID)
OPERATOR = Credential("operator", "agent", OTHER_KEY)
KEYRING = Keyring([PROCMOND, OPERATOR])
TERMS = Terms(7, Limits())
CLAIM = Claim("procmond", 3, KEY)


def reception(pid: int = PID, nonce: bytes = b"B" * 32) -> Reception:
    return Reception(TERMS, nonce, pid)


def introduce(claim: Claim, broker: Reception, keyring: Keyring = KEYRING) -> Value:
    """Let both talk until there is nothing to say; what the client heard last."""
    client = Introduction(claim, b"C" * 32)
    said: Value = client.hello()
    while True:
        heard = broker.receive(said, keyring)
        said = client.receive(heard)
        if not isinstance(said, Proof):
            return said


def test_who_has_the_key_is_welcome() -> None:
    broker = reception()
    welcome = introduce(CLAIM, broker)
    assert isinstance(welcome, Welcome)
    assert (welcome.role, welcome.max_frame_bytes) == ("collector", 1 << 20)
    assert broker.state is State.PROVEN
    assert broker.credential is PROCMOND
    assert broker.incarnation == 3


@pytest.mark.parametrize(
    ("broker_passes", "allowed", "client_passes", "passed"),
    [
        (True, 64, True, True),
        (True, 64, False, False),
        (True, 0, True, False),
        (False, 64, True, False),
    ],
)
def test_descriptors_travel_where_both_sides_pass_them(
    broker_passes: bool, allowed: int, client_passes: bool, passed: bool
) -> None:
    limits = Limits(payload_bytes=9, large_from_bytes=5, large_descriptors=allowed)
    broker = Reception(Terms(7, limits, broker_passes), b"B" * 32, PID)
    client = Introduction(CLAIM, b"C" * 32, Carriage(client_passes, 3))
    challenge = broker.receive(client.hello(), KEYRING)
    welcome = client.receive(broker.receive(client.receive(challenge), KEYRING))
    assert isinstance(welcome, Welcome)
    assert welcome.carriage == broker.carriage == Carriage(passed, 9, 5)
    assert broker.max_payload_bytes == 3


def test_an_operator_comes_in_any_incarnation_and_process() -> None:
    broker = reception(pid=1)
    assert isinstance(introduce(Claim("operator", 2**63 - 1, OTHER_KEY), broker), Welcome)
    assert broker.incarnation == 2**63 - 1


def test_a_platform_without_pids_lets_the_key_decide() -> None:
    assert isinstance(introduce(CLAIM, reception(pid=0)), Welcome)


@pytest.mark.parametrize(
    ("claim", "pid", "reason"),
    [
        (Claim("procmond", 3, OTHER_KEY), PID, "bad-proof"),
        (Claim("procmond", 4, KEY), PID, "unknown-identity"),
        (Claim("procmond", 2, KEY), PID, "unknown-identity"),
        (Claim("netmond", 3, KEY), PID, "unknown-identity"),
        (Claim("", 3, KEY), PID, "unknown-identity"),
        (Claim("operator", 3, KEY), PID, "bad-proof"),
        (Claim("procmond", 3, KEY), PID + 1, "wrong-process"),
    ],
)
def test_who_has_not_is_refused(claim: Claim, pid: int, reason: str) -> None:
    broker = reception(pid)
    refusal = introduce(claim, broker)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert broker.state is State.REFUSED


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (Hello(2, "procmond", 3, b"C" * 32), "wrong-version"),
        (Hello(0, "procmond", 3, b"C" * 32), "wrong-version"),
        (Hello(1, "procmond", 3, b"C" * 31), "protocol"),
        (Hello(1, "procmond", 3, b""), "protocol"),
        (Hello(1, "operator", 0, b"C" * 32), "protocol"),
        (Proof(b"m" * 32), "protocol"),
        (Goodbye(), "protocol"),
    ],
)
def test_a_first_word_that_cannot_be_is_refused(hello: Value, reason: str) -> None:
    reply = reception().receive(hello, KEYRING)
    assert isinstance(reply, Refusal)
    assert reply.reason == reason


def test_a_second_hello_is_refused() -> None:
    broker, hello = reception(), Introduction(CLAIM, b"C" * 32).hello()
    broker.receive(hello, KEYRING)
    assert isinstance(broker.receive(hello, KEYRING), Refusal)


def test_after_a_refusal_nothing_helps() -> None:
    broker = reception(PID + 1)
    hello = Introduction(CLAIM, b"C" * 32).hello()
    assert [type(broker.receive(hello, KEYRING)) for _ in range(2)] == [Refusal, Refusal]


@pytest.mark.parametrize("successor", [None, replace(PROCMOND, key=OTHER_KEY)])
def test_an_incarnation_that_ended_after_its_hello_is_not_let_in(
    successor: Credential | None,
) -> None:
    broker, client, keyring = reception(), Introduction(CLAIM, b"C" * 32), Keyring([PROCMOND])
    proof = client.receive(broker.receive(client.hello(), keyring))
    keyring.withdraw("procmond", 3)
    if successor is not None:
        keyring.admit(successor)
    reply = broker.receive(proof, keyring)
    assert isinstance(reply, Refusal)
    assert (reply.reason, broker.state) == ("unknown-identity", State.REFUSED)


def test_a_recorded_exchange_proves_nothing_to_a_new_challenge() -> None:
    client = Introduction(CLAIM, b"C" * 32)
    first = reception(nonce=b"B" * 32)
    proof = client.receive(first.receive(client.hello(), KEYRING))
    assert isinstance(proof, Proof)
    second = reception(nonce=b"D" * 32)
    second.receive(client.hello(), KEYRING)
    reply = second.receive(proof, KEYRING)
    assert isinstance(reply, Refusal)
    assert reply.reason == "bad-proof"


def test_the_proof_of_one_direction_is_not_that_of_the_other() -> None:
    transcript = Transcript("a", 1, b"C" * 32, b"B" * 32, 7)
    assert transcript.client_proof(KEY) != transcript.broker_proof(KEY, "")


@pytest.mark.parametrize(
    "other",
    [
        {"identity": "ab"},
        {"incarnation": 2},
        {"client_nonce": b"B" * 32},
        {"broker_nonce": b"C" * 32},
        {"epoch": 8},
    ],
)
def test_a_proof_is_bound_to_all_of_its_exchange(other: dict[str, object]) -> None:
    transcript = Transcript("a", 1, b"C" * 32, b"B" * 32, 7)
    changed = replace(transcript, **other)  # type: ignore[arg-type]  # fields by name
    assert changed.client_proof(KEY) != transcript.client_proof(KEY)


def test_parts_cannot_be_shifted_into_one_another() -> None:
    transcript = Transcript("a", 1, b"C" * 32, b"B" * 32, 7)
    longer = replace(transcript, identity="xa")
    assert longer.mac(KEY, "l", "") != transcript.mac(KEY, "l", "x")


@pytest.mark.parametrize(
    "reply",
    [
        Welcome(b"m" * 32, "collector", 1 << 20, 5.0, 3),
        Welcome(b"", "collector", 1 << 20, 5.0, 3),
    ],
)
def test_a_broker_without_the_key_is_not_believed(reply: Welcome) -> None:
    client = Introduction(CLAIM, b"C" * 32)
    client.receive(Challenge(b"B" * 32, 7))
    with pytest.raises(RemoteProtocolError, match="could not prove"):
        client.receive(reply)


def test_a_role_that_was_changed_on_the_way_is_not_believed() -> None:
    client, broker = Introduction(CLAIM, b"C" * 32), reception()
    proof = client.receive(broker.receive(client.hello(), KEYRING))
    welcome = broker.receive(proof, KEYRING)
    assert isinstance(welcome, Welcome)
    with pytest.raises(RemoteProtocolError, match="could not prove"):
        client.receive(replace(welcome, role="agent"))


@pytest.mark.parametrize("reply", [Welcome(b"", "", 0, 0.0, 3), Goodbye(), Challenge(b"short", 7)])
def test_a_client_refuses_what_cannot_come(reply: Value) -> None:
    with pytest.raises(RemoteProtocolError):
        Introduction(CLAIM, b"C" * 32).receive(reply)


def test_the_key_is_in_no_text() -> None:
    assert "key=…" in repr(CLAIM)
    assert repr(KEY) not in repr(CLAIM)


def test_an_incarnation_that_has_ended_is_unknown() -> None:
    keyring = Keyring([PROCMOND])
    keyring.withdraw("procmond", 3)
    keyring.withdraw("procmond", 3)
    assert keyring.find("procmond", 3) is None
    assert len(keyring) == 0


def test_named_clients_are_replaced_as_a_whole() -> None:
    stays, goes = Credential("stays", "observer", KEY), Credential("goes", "observer", KEY)
    changes = Credential("changes", "observer", KEY)
    keyring = Keyring([PROCMOND])
    assert keyring.replace_clients((stays, goes, changes)) == ()
    assert keyring.find("goes", 77) == goes
    changed = Credential("changes", "agent", KEY)
    assert keyring.replace_clients((stays, changed)) == ("goes", "changes")
    assert keyring.find("goes", 77) is None
    assert keyring.find("stays", 78) == stays
    assert keyring.find("changes", 79) == changed
    assert keyring.find("procmond", 3) == PROCMOND


# ---- the lobby ----------------------------------------------------------------------------------
