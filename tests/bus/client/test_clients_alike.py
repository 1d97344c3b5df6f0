"""What both clients do alike, against a real broker: publishing, subscribing, and what is refused.

Each behaviour is written down once and held for both kinds.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from daemoneye.bus.access import AccessRule
from daemoneye.bus.client.answers import Receipt, Status
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.frames import Correlation
from daemoneye.bus.orders import Rules
from daemoneye.bus.topics import Topic
from daemoneye.errors import (
    AccessDenied,
    BusClosed,
    DeadlineExceeded,
    InvalidTopic,
    LocalProtocolError,
    TooLarge,
)
from tests.bus.brokers import BrokerProcess, Running, broker_in_thread
from tests.bus.client.alike import TICK, Tasks, Threads, payloads
from tests.support import scaled, wait_for

# ---- publishing and subscribing -----------------------------------------------------------------


def test_what_is_published_arrives_with_who_published_it(broker: Running) -> None:
    with broker.collector() as source, broker.client() as bus, bus.subscribe("events.#") as events:
        source.publish("events.process.lifecycle", b"\x01")
        event = events.get(scaled(5))
        assert event is not None
        assert (event.topic, event.payload, event.sequence) == (
            "events.process.lifecycle",
            b"\x01",
            1,
        )
        assert (event.publisher.name, event.publisher.role) == ("procmond", "collector")
        assert event.publisher.pid == os.getpid()
        assert abs(event.time - time.time()) < 60
        assert dict(event.lost) == {}


def test_payloads_are_bytes_messages_or_json(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        bus.publish(TICK, {"n": [1, "ä"]})
        bus.publish(Topic(TICK, Duration), Duration(seconds=3))
        bus.publish(TICK, bytearray(b"raw"))
        found = [events.get(scaled(5)) for _ in range(3)]
        assert all(found)
        json_event, message_event, raw_event = (each for each in found if each)
        assert json_event.json() == {"n": [1, "ä"]}
        assert message_event.unpack(Duration).seconds == 3
        assert raw_event.payload == b"raw"


def test_a_burst_arrives_whole_and_in_order_without_a_flush(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        sent = [b"%d" % number for number in range(700)]
        for each in sent:
            bus.publish(TICK, each)
        assert payloads(events, 700) == sent


def test_publish_many_arrives_in_order(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        sent = [b"%d" % number for number in range(1000)]
        bus.publish_many(TICK, sent)
        assert payloads(events, 1000) == sent
        bus.publish_many(TICK, [])
        bus.publish_many(TICK, [b"a", {"b": 1}])
        assert payloads(events, 2) == [b"a", b'{"b":1}']


def test_a_target_is_the_only_one_who_receives(broker: Running) -> None:
    everything = {"publishes": "control.#", "subscribes": "control.#"}
    with broker.client() as bus, broker.worker("one", **everything) as one:
        with broker.worker("two", **everything) as two:
            with one.subscribe("control.#") as first, two.subscribe("control.#") as second:
                bus.publish("control.health.diagnostics", b"one", target="one")
                bus.publish("control.health.diagnostics", b"both")
                assert payloads(first, 2) == [b"one", b"both"]
                assert payloads(second, 1) == [b"both"]


def test_a_correlation_travels_along(broker: Running) -> None:
    said = Correlation("id", "parent", "root", "stage", (("k", "v"),))
    with broker.client() as bus, bus.subscribe("events.#") as events:
        bus.publish(TICK, b"", correlation=said)
        event = events.get(scaled(5))
        assert event is not None
        assert event.correlation == said


def test_b9_overlapping_filters_of_one_subscription_give_one_copy(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#", "events.demo.+") as events:
        bus.publish_many(TICK, [b"1", b"2"])
        assert payloads(events, 2) == [b"1", b"2"]
        assert events.get(0.05) is None


def test_iterating_ends_after_its_timeout_and_goes_on_when_asked_again(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#", timeout=0.05) as events:
        assert list(events) == []
        bus.publish_many(TICK, [b"1", b"2", b"3"])
        for event in events:
            assert event.payload == b"1"
            break
        assert [event.payload for event in events] == [b"2", b"3"]


def test_leaving_a_subscription_unregisters_it(broker: Running) -> None:
    with broker.client() as bus:
        with bus.subscribe("events.#", "control.#") as events:
            assert [row.filter for row in bus.subscriptions()] == ["events.#", "control.#"]
        assert bus.subscriptions() == ()
        assert list(events) == []
        with pytest.raises(BusClosed):
            events.get(0)


def test_a_slow_subscriber_is_told_what_it_missed_and_the_sum_is_right(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#", max_messages=10) as events:
        for number in range(1000):
            bus.publish(TICK, b"%d" % number)
            if number % 10 == 0:
                bus.flush()
        bus.publish_confirmed("control.health.status", b"")
        got, lost = 0, 0
        while (event := events.get(scaled(0.3))) is not None:
            got += 1
            lost += sum(event.lost.values())
        assert lost == event_loss_of(bus) > 0
        assert got + lost == 1000


def event_loss_of(bus: BusClient) -> int:
    return sum(row.lost for row in bus.subscriptions())


# ---- receipts -----------------------------------------------------------------------------------


def test_a_receipt_says_how_many_took_it(broker: Running) -> None:
    with broker.client() as bus, broker.client() as other:
        assert bus.publish_confirmed(TICK, b"") == Receipt(Status.NO_SUBSCRIBERS, 0)
        with bus.subscribe("events.#", "events.demo.#"), other.subscribe("#"):
            receipt = bus.publish_confirmed(TICK, b"")
        assert (receipt.status, receipt.subscribers) == ("accepted", 2)


def test_a_confirmed_publish_stands_behind_what_was_published_before(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        for number in range(10):
            bus.publish(TICK, b"%d" % number)
        bus.publish_confirmed(TICK, b"last")
        assert payloads(events, 11)[-1] == b"last"


def test_a_denied_publish_is_raised_when_confirmed_and_counted_when_not(broker: Running) -> None:
    with broker.collector() as source:
        with pytest.raises(AccessDenied) as caught:
            source.publish_confirmed("events.network.lifecycle", b"")
        assert caught.value.rule
        source.publish("events.network.lifecycle", b"")
        source.publish_confirmed("events.process.lifecycle", b"")
        assert source.counters().denied == 1


def test_a_receipt_has_a_deadline(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.signal(signal.SIGSTOP)
        try:
            with pytest.raises(DeadlineExceeded):
                bus.publish_confirmed(TICK, b"", timeout=0.1)
        finally:
            process.signal(signal.SIGCONT)


# ---- what the caller does wrong -----------------------------------------------------------------


@pytest.mark.parametrize("topic", ["", "Events", "events.*", "events.+", "a..b", "ä"])
def test_an_invalid_topic_is_refused_at_the_caller(broker: Running, topic: str) -> None:
    with broker.client() as bus:
        for publish in (bus.publish, bus.publish_confirmed):
            with pytest.raises(InvalidTopic):
                publish(topic, b"")
        with pytest.raises(InvalidTopic):
            bus.publish_many(topic, [b""])


@pytest.mark.parametrize("topic", [b"events.x", None, 5, ("events.x",)])
def test_what_is_no_text_is_no_topic_and_no_filter(broker: Running, topic: Any) -> None:
    with broker.client() as bus:
        for publish in (bus.publish, bus.publish_confirmed):
            with pytest.raises(InvalidTopic, match="a topic is a str"):
                publish(topic, b"")
        with pytest.raises(InvalidTopic, match="a topic is a str"):
            bus.publish(topic, b"", expires_at=time.time() + 1)
        with pytest.raises(InvalidTopic, match="a topic is a str"):
            bus.publish_many(topic, [b""])
        with pytest.raises(InvalidTopic, match="a filter is a str"):
            bus.subscribe("events.#", topic)
        assert bus.subscriptions() == ()


@pytest.mark.parametrize("at", [float("inf"), float("nan"), 1e300, -1.0])
def test_an_expiry_that_is_no_point_in_time_is_refused_at_the_caller(
    broker: Running, at: float
) -> None:
    with broker.client() as bus, pytest.raises(LocalProtocolError):
        bus.publish(TICK, b"", expires_at=at)


@pytest.mark.parametrize("timeout", [1e12, float("inf")])
def test_a_wait_longer_than_the_system_knows_is_a_long_wait(
    broker: Running, timeout: float
) -> None:
    with broker.client() as bus, bus.subscribe("events.#", timeout=timeout) as events:
        later = threading.Timer(0.1, bus.publish_many, [TICK, [b"1", b"2"]])
        later.start()
        event = events.get(timeout)
        assert event is not None
        assert next(iter(events)).payload == b"2"
        assert bus.publish_confirmed(TICK, b"3", timeout=timeout).subscribers == 1
        later.join()


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), 0.0])
def test_a_wait_of_no_time_gets_what_is_there(broker: Running, timeout: float) -> None:
    with broker.client() as bus, bus.subscribe("events.#", timeout=timeout) as events:
        assert events.get(timeout) is None
        assert list(events) == []


def test_an_invalid_filter_is_refused_at_the_caller(broker: Running) -> None:
    with broker.client() as bus:
        with pytest.raises(InvalidTopic):
            bus.subscribe("events.#", "events.*")
        with pytest.raises(LocalProtocolError, match="no way to overflow") as caught:
            bus.subscribe("events.#", overflow="explode")
        assert caught.value.hint == "known are " + ", ".join(
            ["default", "drop-oldest", "drop-newest", "latest", "disconnect", "block"]
        )
        with pytest.raises(LocalProtocolError, match="nothing to subscribe to"):
            bus.subscribe()
        assert bus.subscriptions() == ()


def test_a_payload_at_the_limit_arrives_and_one_past_it_is_too_large(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        largest = 64 << 20
        bus.publish(TICK, bytes(largest))
        assert payloads(events, 1) == [bytes(largest)]
        for publish in (bus.publish, bus.publish_confirmed):
            with pytest.raises(TooLarge):
                publish(TICK, bytes(largest + 1))
        with pytest.raises(TooLarge):
            bus.publish_many(TICK, [b"1", bytes(largest + 1)])
        bus.publish(TICK, b"goes on")
        assert payloads(events, 1) == [b"goes on"]


@pytest.mark.parametrize("sending", [True, False], ids=["memory", "chunks"])
@pytest.mark.parametrize("hearing", [True, False], ids=["memory", "chunks"])
def test_large_payloads_arrive_in_their_place_whichever_way_they_go(
    broker: Running, sending: bool, hearing: bool
) -> None:
    connect = broker.connect
    broker.connect = partial(connect, pass_memory=sending)
    with broker.client("mouth") as source:
        broker.connect = partial(connect, pass_memory=hearing)
        with broker.client("ear") as ear, ear.subscribe("events.#") as events:
            sizes = [1, (256 << 10) - 1, 256 << 10, 5, 1 << 20, (4 << 20) + 1, 0]
            sent = [bytes([number]) * size for number, size in enumerate(sizes)]
            for each in sent:
                source.publish(TICK, each)
            source.publish(TICK, memoryview(sent[2]), expires_at=time.time() + 3600)
            source.publish_many(TICK, sent)
            assert source.publish_confirmed(TICK, sent[4], timeout=scaled(5)).subscribers == 1
            assert payloads(events, 2 * len(sent) + 2) == [*sent, sent[2], *sent, sent[4]]
        assert source.counters().dropped == 0


def test_large_payloads_that_wait_for_a_connection_are_bounded_and_come(
    process: BrokerProcess,
) -> None:
    with process.client() as bus, bus.subscribe("events.#") as events:
        process.kill()
        wait_for(lambda: not bus.connected, "the end to be noticed")
        for number in range(10):
            bus.publish(TICK, bytes([number]) * (1 << 20))
        assert bus.counters().waiting + bus.counters().dropped == 10
        assert bus.counters().dropped > 0
        process.start()
        wait_for(lambda: bus.connected and bus.subscriptions(), "the subscription", within=15)
        kept = 10 - bus.counters().dropped
        assert [each[0] for each in payloads(events, kept)] == list(range(10 - kept, 10))


def test_a_denied_subscription_says_what_may_be_read(broker: Running) -> None:
    with broker.collector() as source:
        with pytest.raises(AccessDenied, match="control"):
            source.subscribe("events.#")
        assert source.connected
        assert source._connection.link.interests == {}


def test_b4_a_narrowed_subscription_says_what_is_cut(kind: Threads | Tasks, tidy: Path) -> None:
    deny = AccessRule("role:agent", "read-only", "events.secret.#", deny=True)
    with broker_in_thread(tidy, deny) as broker:
        broker.connect = kind.connect
        with broker.client() as bus, bus.subscribe("events.#") as events:
            assert events.narrowed == ("events.secret.#",)
            bus.publish("events.secret.x", b"hidden")
            bus.publish(TICK, b"seen")
            assert payloads(events, 1) == [b"seen"]
            with pytest.raises(AccessDenied) as caught:
                bus.subscribe("events.secret.x")
            assert "events.secret.#" in caught.value.rule


def test_a_right_that_is_taken_away_ends_the_subscription_with_the_rule(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        bus.publish(TICK, b"before")
        bus.flush()
        wait_for(lambda: bus.subscriptions()[0].delivered, "the event to be on its way")
        deny = AccessRule("role:agent", "read-only", "events.#", deny=True)
        broker.obey(Rules((deny,)))
        assert payloads(events, 1) == [b"before"]
        with pytest.raises(AccessDenied, match="access list has changed") as caught:
            events.get(scaled(5))
        assert "events.#" in caught.value.rule
        assert bus.clients()


def test_enumerating_shows_everybody_to_an_agent(broker: Running) -> None:
    with broker.client() as bus, broker.collector():
        assert sorted(row.identity for row in bus.clients()) == ["operator", "procmond"]
        said = bus.explain("publish", "events.network.x", who="procmond")
        assert said.text.startswith("refused")
