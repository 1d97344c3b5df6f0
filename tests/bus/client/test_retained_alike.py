"""Retained values as both clients have them, against a real broker that may be killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye.bus.access import AccessRule
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.errors import AccessDenied, BusError, InvalidTopic, LocalProtocolError, TooLarge
from tests.bus.brokers import BrokerProcess, Running, broker_in_thread
from tests.bus.client.alike import Tasks, Threads
from tests.support import scaled, wait_for

STATE = "events.demo.state"


@pytest.fixture
def broker(tidy: Path, kind: Threads | Tasks) -> Iterator[Running]:
    deny = AccessRule("role:observer", "write-only", "events.#", deny=True)
    with broker_in_thread(tidy, deny, retained_topics=2) as running:
        running.connect = kind.connect
        yield running


def took(events: Subscription, count: int) -> list[tuple[bytes, bool]]:
    found = []
    for _ in range(count):
        event = events.get(scaled(5))
        assert event is not None
        found.append((bytes(event.payload), event.retained))
    return found


def test_what_is_retained_comes_first_and_says_so(broker: Running) -> None:
    with broker.client() as bus:
        bus.publish(STATE, {"n": 1}, retain=True)
        assert bus.publish_confirmed(STATE, b"2", retain=True).subscribers == 0
        with bus.subscribe("events.#") as events, bus.subscribe(STATE, replay="none") as others:
            bus.publish(STATE, b"3")
            assert took(events, 2) == [(b"2", True), (b"3", False)]
            assert took(others, 1) == [(b"3", False)]


def test_a_value_that_was_heard_does_not_come_again_unless_all_is_asked_for(
    broker: Running,
) -> None:
    with broker.client() as bus:
        bus.publish_confirmed(STATE, b"1", retain=True)
        with bus.subscribe(STATE, "events.#") as events:  # two filters, one who listens
            bus.publish(STATE, b"2")
            assert took(events, 2) == [(b"1", True), (b"2", False)]
        with bus.subscribe(STATE, "events.#", replay="all") as events:
            assert took(events, 2) == [(b"1", True)] * 2


def test_a_value_is_listed_until_it_is_cleared(broker: Running) -> None:
    with broker.client() as bus:
        bus.publish_confirmed(STATE, b"12", retain=True)
        (row,) = bus.retained("events.#")
        assert (row.topic, row.publisher, row.sequence, row.size) == (STATE, "operator", 1, 2)
        assert bus.retained("control.#") == ()
        bus.clear_retained(STATE)
        assert bus.retained("events.#") == ()
        with pytest.raises(InvalidTopic):
            bus.retained("events.*")
        with pytest.raises(InvalidTopic):
            bus.clear_retained("events.#")


def test_what_cannot_be_retained_is_refused_with_its_reason(broker: Running) -> None:
    with broker.client() as bus, broker.client("eye", "observer") as observer:
        with pytest.raises(TooLarge, match="retained"):
            bus.publish(STATE, bytes(300_000), retain=True)
        with pytest.raises(LocalProtocolError, match="some"):
            bus.subscribe(STATE, replay="some")
        for topic in ("events.a", "events.b"):
            bus.publish_confirmed(topic, b"", retain=True)
        with pytest.raises(BusError, match="2 topics already"):
            bus.publish_confirmed("events.c", b"", retain=True)
        with pytest.raises(AccessDenied):
            observer.publish_confirmed(STATE, b"", retain=True)
        with pytest.raises(AccessDenied, match="may not clear"):
            observer.clear_retained("events.a")
        assert [row.topic for row in bus.retained("events.#")] == ["events.a", "events.b"]


def test_b21_a_reconnect_floods_nobody(broker: Running) -> None:
    with broker.client() as source, broker.client("reader") as bus:
        source.publish_confirmed(STATE, b"", retain=True)
        with bus.subscribe("events.#") as events:
            assert took(events, 1) == [(b"", True)]
            for n in range(3):
                cut(broker, bus)
                source.publish_confirmed("events.demo.tick", b"%d" % n)
                assert took(events, 1) == [(b"%d" % n, False)]
            cut(broker, bus)
            source.publish_confirmed(STATE, b"new", retain=True)
            assert took(events, 1)[0][0] == b"new"
            assert events.get(0.1) is None


def cut(broker: Running, bus: BusClient) -> None:
    """Cut the connection of `reader`, and wait until it is back with its subscription."""
    (session,) = broker.broker.router.directory.named("reader")
    client = broker.broker._clients.of(session)
    assert client is not None
    client.sock.shutdown(2)
    directory = broker.broker.router.directory
    wait_for(
        lambda: any(
            each.subscriptions
            and not each.dormant
            and broker.broker._clients.of(each) not in (None, client)
            for each in directory.named("reader")
        ),
        "the subscription to be back",
    )


def test_a_broker_started_anew_is_told_again_and_subscribers_hear_it_once(
    process: BrokerProcess,
) -> None:
    with process.client() as source, process.client() as bus, process.client() as other:
        source.publish_confirmed(STATE, b"old", retain=True)
        source.publish_confirmed("events.demo.cleared", b"x", retain=True)
        source.clear_retained("events.demo.cleared")
        with bus.subscribe("events.#") as events:
            assert took(events, 1) == [(b"old", True)]
            process.kill()
            source.publish(STATE, b"meanwhile", retain=True)
            process.start()
            assert took(events, 1)[0][0] == b"meanwhile"
            wait_for(lambda: source.connected and other.connected, "them to be back")
            (row,) = other.retained("events.#")
            assert (row.topic, row.sequence) == (STATE, 2)
            process.kill()
            process.start()
            wait_for(lambda: source.connected and bus.connected, "them to be back")
            wait_for(lambda: other.connected and other.retained("events.#"), "the value to be back")
            source.publish("events.demo.tick", b"3")
            assert took(events, 1) == [(b"3", False)]
        with other.subscribe("events.#") as events:
            assert took(events, 1) == [(b"meanwhile", True)]


def test_a_broker_started_anew_makes_no_value_a_new_one(process: BrokerProcess) -> None:
    with process.client() as source, process.client() as bus, process.client() as other:
        source.publish_confirmed(STATE, b"old", retain=True)
        source.publish(STATE, b"x", retain=True, expires_at=time.time() + 0.05)
        source.publish_confirmed("events.demo.kept", b"kept", retain=True)
        time.sleep(0.06)
        with (
            bus.subscribe("events.#", replay="none") as news,
            other.subscribe("events.demo.kept", replay="all") as values,
        ):
            assert took(values, 1) == [(b"kept", True)]
            for _ in range(3):  # whoever comes back first
                restarted(process, source, bus, other)
                wait_for(lambda: bus.retained("events.demo.kept"), "the value to be back")
                assert took(values, 1) == [(b"kept", True)]
            assert not bus.retained(STATE)
            source.publish("events.demo.tick", b"3")
            event = news.get(scaled(5))
            assert event is not None
            assert (event.payload, set(event.lost)) == (b"3", {"broker-restart"})


def test_of_several_publishers_the_newest_value_outlives_the_broker(
    process: BrokerProcess,
) -> None:
    with process.client() as one, process.client() as other, process.client() as bus:
        one.publish_confirmed(STATE, b"old", retain=True)
        other.publish_confirmed(STATE, b"new", retain=True)
        for _ in range(4):  # whoever comes back first
            restarted(process, one, other, bus)
            wait_for(lambda: bus.retained(STATE), "the value to be back")
            with bus.subscribe(STATE, replay="all") as events:
                assert took(events, 1) == [(b"new", True)]


def test_who_hears_what_took_the_place_of_a_value_does_not_say_it_again(
    process: BrokerProcess,
) -> None:
    with process.client() as one, process.client() as other:
        one.publish_confirmed(STATE, b"replaced", retain=True)
        one.publish_confirmed("events.demo.other", b"", retain=True)
        with one.subscribe(STATE) as events:
            other.publish_confirmed(STATE, b"new", retain=True)
            assert took(events, 2) == [(b"replaced", True), (b"new", False)]
        other.close()
        restarted(process, one)
        wait_for(lambda: one.retained("events.#"), "the other value to be back")
        assert [row.topic for row in one.retained("events.#")] == ["events.demo.other"]


def restarted(process: BrokerProcess, *clients: BusClient) -> None:
    """Another life of the broker, once all of these are back."""
    process.kill()
    process.start()
    wait_for(lambda: all(each.connected for each in clients), "all to be back")
