"""Wills as both clients have them, against a real broker that may be killed."""

from __future__ import annotations

from functools import partial

import pytest

from daemoneye.bus.broker.session import Session
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.orders import Ended
from daemoneye.errors import AccessDenied, InvalidTopic, TooLarge
from tests.bus.brokers import BrokerProcess, Running
from tests.support import scaled, wait_for

GONE = "events.demo.gone"


def wills_of(broker: Running) -> int:
    return len(broker.broker.router.directory.wills._set)


def cut(broker: Running, name: str) -> None:
    """Cut the connection of this client."""
    for session in broker.broker.router.directory.named(name):
        client = broker.broker._clients.of(session)
        if client is not None:
            client.sock.shutdown(2)


def is_back(broker: Running, old: tuple[Session, ...]) -> bool:
    """Whether the client has another session, and its will is in it."""
    now = broker.broker.router.directory.named("source")
    return bool(now) and now != old and wills_of(broker) == 1


def came(events: Subscription) -> tuple[bytes, str]:
    event = events.get(scaled(5))
    assert event is not None
    assert event.correlation is not None
    return bytes(event.payload), dict(event.correlation.tags)["cause"]


def test_b22_a_reconnect_sends_no_will_and_a_clean_close_none(broker: Running) -> None:
    with broker.client("watching") as bus, bus.subscribe("events.#") as events:
        with broker.client("source") as source:
            source.set_will(GONE, {"gone": True})
            for _ in range(2):
                old = broker.broker.router.directory.named("source")
                cut(broker, "source")
                wait_for(partial(is_back, broker, old), "it to be back, with its will")
        assert events.get(3.0) is None


def test_a_client_that_is_cut_off_for_good_has_its_will_said(broker: Running) -> None:
    with (
        broker.client("watching") as bus,
        bus.subscribe("events.#") as events,
        broker.client("source") as source,
    ):
        source.set_will(GONE, b"1")
        source.set_will(GONE, b"2", retain=True)
        ended(broker, source)
        assert came(events) == (b"2", "signal:9")
        assert [row.topic for row in bus.retained("events.#")] == [GONE]


def ended(broker: Running, client: BusClient) -> None:
    """The supervisor says that it was killed; it lives, but is let in no more."""
    (session,) = broker.broker.router.directory.named("source")
    broker.obey(Ended("source", session.identity.incarnation, "signal:9"))


def test_a_will_that_was_taken_back_or_refused_is_not_said(broker: Running) -> None:
    with broker.collector() as source:
        with pytest.raises(AccessDenied):
            source.set_will("control.admin.x", b"")
        with pytest.raises(InvalidTopic):
            source.set_will("events.#", b"")
        with pytest.raises(TooLarge):
            source.set_will("events.process.tree", bytes(70_000))
        assert wills_of(broker) == 0
        source.set_will("events.process.tree", b"")
        assert wills_of(broker) == 1
        source.clear_will()
        assert wills_of(broker) == 0


def test_a_will_is_said_again_to_a_broker_that_was_started_anew(process: BrokerProcess) -> None:
    with process.client() as source, process.client() as bus:
        source.set_will(GONE, b"gone")
        process.kill()
        process.start()
        wait_for(lambda: source.connected and bus.connected, "them to be back")
        with bus.subscribe("events.#") as events:
            source.publish_confirmed("events.demo.tick", b"")
            event = events.get(scaled(5))
            assert event is not None
            link = source._connection.link
            assert link.will is not None
            assert link.will.payload == b"gone"
