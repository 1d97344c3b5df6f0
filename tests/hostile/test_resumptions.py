"""Sessions of others: naming one is not having it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.client.dialler import Connected, introduce
from daemoneye.bus.frames import Resumption, Subscribe, encode
from daemoneye.bus.handshake import NO_RETURN, Claim, Return
from daemoneye.errors import BusBroken, Refused
from daemoneye.framing import pack
from tests.bus.brokers import TICK, Running, assert_well, broker_in_thread, read_all
from tests.support import scaled, wait_for


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


@contextmanager
def enter(
    broker: Running, name: str, incarnation: int = 1, wanted: Return = NO_RETURN
) -> Iterator[Connected]:
    """A proven connection, which is closed afterwards."""
    connected = connect(broker, name, incarnation, wanted)
    with connected.sock:
        yield connected


def connect(
    broker: Running, name: str, incarnation: int = 1, wanted: Return = NO_RETURN
) -> Connected:
    key = broker.keys.get(name) or broker.admit(name)
    return introduce(broker.path, Claim(name, incarnation, key), scaled(5), wanted=wanted)


def subscribed(broker: Running, name: str) -> Connected:
    connected = connect(broker, name)
    connected.sock.sendall(pack(encode(Subscribe(1, "events.#", request=1))))
    (session,) = broker.broker.router.directory.named(name)
    wait_for(lambda: session.subscriptions, "the subscription")
    return connected


@pytest.mark.parametrize(("name", "incarnation"), [("mallory", 1), ("alice", 2)])
def test_a_session_number_of_somebody_else_is_worth_nothing(
    broker: Running, name: str, incarnation: int
) -> None:
    hers = subscribed(broker, "alice")
    wanted = Return(hers.resumed.session, 0, (1,))
    with hers.sock, enter(broker, name, incarnation, wanted) as theirs:
        assert theirs.resumed.resumption is Resumption.NONE
        assert theirs.resumed.session != hers.resumed.session
        directory = broker.broker.router.directory
        assert directory.numbered[hers.resumed.session].subscriptions
        assert not directory.numbered[theirs.resumed.session].subscriptions
        with broker.client() as bus:
            bus.publish(TICK, b"x")
        hers.sock.settimeout(scaled(5))
        assert hers.sock.recv(1 << 16)  # she has her connection, and hears


@pytest.mark.parametrize("number", [1, (1 << 63) - 1, (1 << 64) - 1])
def test_a_forged_number_is_a_new_session(broker: Running, number: int) -> None:
    with enter(broker, "alice", wanted=Return(number, 5, (1, 2))) as found:
        assert found.resumed.resumption is Resumption.NONE
    assert_well(broker)


def test_the_same_client_takes_its_session_from_its_own_other_connection(broker: Running) -> None:
    first = subscribed(broker, "alice")
    with first.sock, enter(broker, "alice", wanted=Return(first.resumed.session, 0, (1,))) as next_:
        assert next_.resumed.resumption is Resumption.COMPLETE
        assert next_.resumed.session == first.resumed.session
        assert len(broker.broker.router.directory.named("alice")) == 1
        read_all(first.sock)  # it was closed


@pytest.mark.parametrize("received", [1, 1 << 40, (1 << 64) - 1])
def test_who_says_that_more_came_than_was_written_begins_anew(
    broker: Running, received: int
) -> None:
    first = subscribed(broker, "alice")
    first.sock.close()
    wanted = Return(first.resumed.session, received, (1,))
    with enter(broker, "alice", wanted=wanted) as found:
        assert found.resumed.resumption is Resumption.NONE
    assert_well(broker)


def test_very_many_subscriptions_in_a_proof_are_past_the_early_limit(broker: Running) -> None:
    wanted = Return(1, 0, tuple(range(1, 100_001)))
    with pytest.raises((Refused, BusBroken)):
        connect(broker, "alice", wanted=wanted)
    assert broker.broker.router.directory.named("alice") == ()
    assert_well(broker)


def test_nothing_of_a_proof_is_believed_before_its_mac_is(broker: Running) -> None:
    hers = subscribed(broker, "alice")
    with hers.sock:
        claim = Claim("alice", 1, bytes(32))
        wanted = Return(hers.resumed.session, 0, ())
        with pytest.raises(Refused, match="key"):
            introduce(broker.path, claim, scaled(5), wanted=wanted)
        (session,) = broker.broker.router.directory.named("alice")
        assert session.subscriptions
        assert broker.broker._clients.of(session) is not None
