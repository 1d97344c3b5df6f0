"""What both clients do alike, against a real broker: in a thread to look at it, in a process to
kill it.  Each behaviour is written down once and held for both kinds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from daemoneye.bus.access import AccessRule
from daemoneye.bus.client import async_connection, connection
from daemoneye.bus.client.answers import Receipt, Status
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.dialler import Connected
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.frames import Correlation
from daemoneye.bus.handshake import Return
from daemoneye.bus.orders import Admit, Credential, Ended, Rules
from daemoneye.bus.topics import Topic
from daemoneye.errors import (
    AccessDenied,
    BusBroken,
    BusClosed,
    BusError,
    ConfigError,
    DeadlineExceeded,
    InvalidTopic,
    LocalProtocolError,
    NotRunning,
    Refused,
    TooLarge,
)
from daemoneye.lifeline import Passport
from tests.bus.brokers import BrokerProcess, Running, broker_in_thread, broker_process
from tests.bus.client.alike import Tasks, Threads
from tests.support import scaled, wait_for

TICK = "events.demo.tick"


def payloads(events: Subscription, count: int) -> list[bytes]:
    """The next so many payloads."""
    found = []
    while len(found) < count:
        event = events.get(scaled(5))
        assert event is not None, f"only {len(found)} of {count} came"
        found.append(bytes(event.payload))
    return found


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


# ---- connecting ---------------------------------------------------------------------------------


def test_the_operator_is_found_by_the_run_directory(
    kind: Threads | Tasks, process: BrokerProcess
) -> None:
    with kind.connect(run_dir=process.run_dir.path) as bus:
        assert [row.identity for row in bus.clients()] == ["operator"]
    with kind.connect(process.run_dir.bus_path) as bus:
        assert bus.connected


def test_connecting_where_nothing_runs_says_so(kind: Threads | Tasks, tidy: Path) -> None:
    with pytest.raises(NotRunning):
        kind.connect(run_dir=tidy / "none")
    with pytest.raises(NotRunning):
        kind.connect(run_dir=tidy)
    with pytest.raises(BusBroken, match="nobody listens"):
        kind.connect(tidy / "bus", name="a", key=bytes(32))
    with pytest.raises(LocalProtocolError):
        kind.connect(tidy / "bus", key=bytes(32))
    with pytest.raises(NotRunning):
        kind.connect(tidy / "bus", name="a")
    tidy.chmod(0o755)
    with pytest.raises(ConfigError):
        kind.connect(run_dir=tidy)
    tidy.chmod(0o700)


def test_a_wrong_key_is_refused_with_a_reason(kind: Threads | Tasks, broker: Running) -> None:
    broker.admit("operator")
    with pytest.raises(Refused) as caught:
        kind.connect(broker.path, name="operator", key=bytes(32))
    assert caught.value.reason == "bad-proof"


def passport(broker: Running | BrokerProcess, path: Path, key: bytes) -> Passport:
    return Passport("procmond", "collector", "process", 1, key, str(path), str(path.parent))


def test_a_child_may_come_before_the_word_that_it_was_born(
    kind: Threads | Tasks, broker: Running
) -> None:
    key = b"k" * 32
    with kind.for_child(passport(broker, broker.path, key)) as bus:
        bus.publish("events.process.lifecycle", b"early")
        wait_for(lambda: broker.broker.door.counted["unknown-identity"], "the first refusal")
        with broker.client() as operator, operator.subscribe("events.#") as events:
            broker.obey(Admit(Credential("procmond", "collector", key, "process", 1)))
            assert payloads(events, 1) == [b"early"]


def test_a_child_lives_without_a_broker(kind: Threads | Tasks, tidy: Path) -> None:
    given = Passport("procmond", "collector", "process", 1, bytes(32), str(tidy / "bus"), str(tidy))
    with kind.for_child(given) as bus:
        events = bus.subscribe("control.collector.#")
        for number in range(2000):
            bus.publish("events.process.lifecycle", b"%d" % number)
        assert events.get(0.01) is None
        bus.flush()
        assert bus.counters().waiting <= 1024
        assert bus.counters().waiting + bus.counters().dropped == 2000
        with pytest.raises(BusBroken):
            bus.publish_confirmed("events.process.lifecycle", b"")
        assert not bus.connected


def test_an_incarnation_that_ended_is_out(broker: Running) -> None:
    with broker.client("procmond", "collector", kind="process") as bus:
        incarnation = bus.clients()[0].incarnation if bus.clients() else 0
        broker.obey(Ended("procmond", incarnation, "signal:9"))
        counted = broker.broker._clients.mishaps
        wait_for(lambda: counted["ended of procmond"], "the session to be over")


# ---- the broker goes away -----------------------------------------------------------------------


def test_a_killed_broker_costs_a_gap_and_nothing_else(process: BrokerProcess) -> None:
    with process.client() as source, process.client() as bus:
        with bus.subscribe("events.#") as events:
            source.publish_many(TICK, [b"1", b"2"])
            assert payloads(events, 2) == [b"1", b"2"]
            process.kill()
            wait_for(lambda: not source.connected and not bus.connected, "both to notice")
            source.publish(TICK, b"3")
            process.start()
            wait_for(lambda: bus.connected and bus.subscriptions(), "the subscription", within=15)
            wait_for(lambda: source.connected, "the publisher", within=15)
            source.publish(TICK, b"4")
            first = events.get(scaled(10))
            assert first is not None
            last = int(first.payload)
            assert dict(first.lost) == {"broker-restart": last - 3}
            assert last == 4 or payloads(events, 1) == [b"4"]


def test_questions_end_in_time_although_the_broker_reads_nothing(process: BrokerProcess) -> None:
    bus, other = process.client(), process.client()
    process.signal(signal.SIGSTOP)
    flood = threading.Thread(target=lambda: flood_until_closed(bus), daemon=True)
    flood.start()
    seen: list[int] = []
    wait_for(lambda: is_steady(seen, bus.counters().published), "the flood to be stuck", every=0.1)
    began = time.monotonic()
    for each in (bus, other):
        with pytest.raises(DeadlineExceeded):
            each.publish_confirmed(TICK, b"", timeout=0.2)
    assert 0.4 <= time.monotonic() - began < scaled(1.5)
    assert bus.connected
    process.signal(signal.SIGCONT)
    assert other.publish_confirmed(TICK, b"", timeout=scaled(5)).subscribers == 0
    bus.close()
    flood.join(scaled(5))
    assert not flood.is_alive()
    other.close()


@pytest.mark.parametrize("size", [255 << 10, 1 << 20], ids=["in a frame", "apart"])
def test_what_was_asked_in_vain_took_its_time_and_is_not_kept(
    process: BrokerProcess, size: int
) -> None:
    connect = process.connect
    process.connect = partial(connect, pass_memory=False)  # as a descriptor it hardly needs room
    with process.client() as bus:
        process.signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            bus.publish_confirmed(TICK, bytes(size), timeout=0.3)
        assert 0.3 <= time.monotonic() - began < scaled(1.5)
        process.kill()
        wait_for(lambda: not bus.connected, "the end to be noticed")
        bus.publish(TICK, b"kept")
        assert bus.counters().waiting == 1


def test_a_subscription_that_cannot_be_asked_for_is_over_in_time(
    process: BrokerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (connection, async_connection):
        monkeypatch.setattr(each, "REQUEST_TIMEOUT", 0.3)
    bus = process.client()
    process.signal(signal.SIGSTOP)
    flood = threading.Thread(target=lambda: flood_until_closed(bus), daemon=True)
    flood.start()
    seen: list[int] = []
    wait_for(lambda: is_steady(seen, bus.counters().published), "the flood to be stuck", every=0.1)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        bus.subscribe("events.#", "control.#")
    assert 0.3 <= time.monotonic() - began < scaled(1.5)
    assert bus._connection.link.interests == {}
    process.signal(signal.SIGCONT)
    bus.close()
    flood.join(scaled(5))
    assert not flood.is_alive()


def test_iterating_goes_on_over_a_restart_of_the_broker(process: BrokerProcess) -> None:
    found: list[tuple[bytes, dict[str, int]]] = []
    with process.client() as bus, bus.subscribe("events.#") as events:

        def iterate() -> None:
            found.extend((bytes(event.payload), dict(event.lost)) for event in events)

        iterating = threading.Thread(target=iterate)
        iterating.start()
        bus.publish(TICK, b"1")
        wait_for(lambda: found, "the first")
        process.kill()
        process.start()
        wait_for(lambda: bus.connected and bus.subscriptions(), "the subscription", within=15)
        bus.publish(TICK, b"2")
        wait_for(lambda: len(found) == 2, "the second")
        events.close()
        iterating.join(scaled(5))
        assert found == [(b"1", {}), (b"2", {"broker-restart": 0})]


def test_a_connection_that_is_cut_is_a_gap_with_its_own_reason(broker: Running) -> None:
    with (
        broker.client() as source,
        broker.client("ear") as bus,
        bus.subscribe("events.#") as events,
    ):
        source.publish(TICK, b"1")
        assert payloads(events, 1) == [b"1"]

        def since() -> list[int]:
            return [row.connected_at for row in source.clients() if row.identity == "ear"]

        (before,) = since()
        (incarnation,) = (row.incarnation for row in bus.clients() if row.identity == "ear")
        broker.obey(Ended("ear", incarnation, "test"))
        wait_for(lambda: since() > [before], "another connection", within=15)
        wait_for(source.subscriptions, "its subscription")
        source.publish(TICK, b"2")
        event = events.get(scaled(5))
        assert event is not None
        assert (event.payload, dict(event.lost)) == (b"2", {"disconnected": 0})


def test_a_subscription_that_may_miss_nothing_is_cut_off_told_and_goes_on(
    kind: Threads | Tasks, tidy: Path
) -> None:
    with broker_in_thread(tidy) as broker:
        broker.connect = kind.connect
        with broker.client() as source, broker.client("ear") as ear:
            with ear.subscribe(
                "events.#", overflow="disconnect", timeout=scaled(10), max_messages=50
            ) as events:
                iterating = iter(events)
                source.publish(TICK, b"0")
                assert next(iterating).payload == b"0"
                counted = broker.broker._clients.mishaps
                sent = 0
                while not counted["overflow of ear"]:
                    sent += 500
                    source.publish_many(TICK, [b"x"] * 500)
                wait_for(lambda: ear.connected and len(source.subscriptions()) == 1, "it again")
                source.publish(TICK, b"last")
                got, lost = 0, dict[str, int]()
                for event in iterating:
                    assert not (lost and event.lost)
                    lost = lost or dict(event.lost)
                    if event.payload == b"last":
                        break
                    got += 1
                assert lost == {"disconnected": sent - got}
                assert lost["disconnected"] > 0


def test_an_error_that_is_none_of_the_bus_ends_whoever_waits_and_is_seen(
    kind: Threads | Tasks, process: BrokerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda what: seen.append(what.exc_value))
    bus = process.client()
    events = bus.subscribe("events.#")

    def dial(_: Return) -> Connected:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(bus._connection, "_dial", dial)
    told: list[BaseException] = []

    def wait() -> None:
        try:
            events.get(scaled(10))
        except BusError as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    process.kill()
    waiting.join(scaled(5))
    with pytest.raises(BusBroken, match="ZeroDivisionError: a bug"):
        events.get(scaled(5))
    assert [type(each) for each in told] == [BusBroken]
    assert not bus.connected
    with pytest.raises(BusBroken):
        bus.publish_confirmed(TICK, b"")
    wait_for(lambda: seen or kind.mishaps(), "the error to be seen")
    bus.close()


def test_order_holds_over_restarts_in_the_middle_of_a_flood(process: BrokerProcess) -> None:
    with process.client() as source, process.client() as bus, bus.subscribe("events.#") as events:
        done = threading.Event()
        numbers: list[int] = []

        def flood() -> None:
            number = 0
            while not done.is_set():
                source.publish(TICK, b"%d" % number)
                number += 1
            source.flush()

        flooding = threading.Thread(target=flood)
        flooding.start()
        for turn in range(3):
            end = time.monotonic() + 0.2
            while time.monotonic() < end or (turn and len(numbers) < turn * 10):
                event = events.get(scaled(10))
                assert event is not None
                numbers.append(int(event.payload))
            if turn < 2:
                process.kill()
                process.start()
        done.set()
        flooding.join(scaled(10))
        assert not flooding.is_alive()
        assert numbers == sorted(set(numbers))


def test_what_waits_for_an_answer_when_the_broker_dies_is_told(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.signal(signal.SIGSTOP)
        threading.Timer(0.1, process.signal, [signal.SIGKILL]).start()
        with pytest.raises(BusBroken, match="before the answer"):
            bus.publish_confirmed(TICK, b"", timeout=scaled(5))
        process.kill()


def test_what_the_broker_never_counted_is_reported(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.signal(signal.SIGSTOP)
        bus.publish_many(TICK, [b"x"] * 100)
        process.kill()
        wait_for(lambda: bus.counters().unconfirmed == 100, "the unconfirmed to be counted")


def test_an_orderly_end_of_the_broker_is_a_reconnect_too(process: BrokerProcess) -> None:
    with process.client() as bus, bus.subscribe("events.#") as events:
        process.stop()
        wait_for(lambda: not bus.connected, "the end to be noticed")
        process.start()
        wait_for(lambda: bus.connected and bus.subscriptions(), "the subscription", within=15)
        bus.publish(TICK, b"1")
        event = events.get(scaled(5))
        assert event is not None
        assert dict(event.lost) == {"broker-restart": 0}


def test_a_new_operator_key_is_read_when_reconnecting(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.kill()
        process.run_dir.make_keys()
        process.start()
        wait_for(lambda: bus.connected and bus.clients(), "the client to be back", within=15)


# ---- ending -------------------------------------------------------------------------------------


def test_b16_after_close_everything_says_closed(broker: Running) -> None:
    bus = broker.client()
    events = bus.subscribe("events.#")
    bus.close()
    bus.close()
    for use in (
        lambda: bus.publish(TICK, b""),
        lambda: bus.publish_confirmed(TICK, b""),
        lambda: bus.subscribe("events.#"),
        lambda: bus.flush(),
        lambda: events.get(0),
    ):
        with pytest.raises(BusClosed):
            use()
    assert not bus.connected
    assert list(events) == []


def test_close_writes_what_was_published(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        with broker.client() as source:
            for number in range(100):
                source.publish(TICK, b"%d" % number)
        assert len(payloads(events, 100)) == 100
        wait_for(lambda: len(bus.clients()) == 1, "the goodbye to be taken")


IN_A_THREAD = """
import sys
from daemoneye import BusClient

def main():
    bus = BusClient.connect(run_dir=sys.argv[1])
    for number in range(5000):
        bus.publish("events.demo.tick", b"%d" % number)

main()
"""

IN_A_LOOP = """
import asyncio, sys
from daemoneye import AsyncBusClient

async def main():
    bus = await AsyncBusClient.connect(run_dir=sys.argv[1])
    for number in range(5000):
        await bus.publish("events.demo.tick", b"%d" % number)

asyncio.new_event_loop().run_until_complete(main())
"""

IN_A_FORKED_PROCESS = (
    IN_A_THREAD.removesuffix("main()\n")
    + """
import multiprocessing

child = multiprocessing.get_context("fork").Process(target=main)
child.start()
child.join()
"""
)


def end_of(program: str, process: BrokerProcess) -> subprocess.CompletedProcess[str]:
    """What becomes of a program that never closes its client."""
    command = [sys.executable, "-c", program, str(process.run_dir.path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=scaled(20), check=True)


@pytest.mark.parametrize(
    "program",
    [IN_A_THREAD, IN_A_LOOP, IN_A_FORKED_PROCESS],
    ids=["threads", "asyncio", "multiprocessing"],
)
def test_a_program_that_ends_without_closing_writes_its_tail(tidy: Path, program: str) -> None:
    with broker_process(tidy) as process, process.client() as bus:
        with bus.subscribe("events.#", max_messages=10_000) as events:
            end_of(program, process)
            assert payloads(events, 5000)[-1] == b"4999"


@pytest.mark.parametrize("program", [IN_A_THREAD, IN_A_LOOP], ids=["threads", "asyncio"])
def test_a_program_that_ends_without_closing_ends_in_time(tidy: Path, program: str) -> None:
    stopped = """
import os, signal
stop = lambda: os.kill(int(sys.argv[2]), signal.SIGSTOP)
"""
    with broker_process(tidy) as process:
        imports, rest = program.strip().split("\n\n", 1)
        publish = rest.index("for number")
        rest = rest[:publish] + "stop()\n    " + rest[publish:]
        rest = rest.replace('b"%d" % number', "bytes(900)").replace("5000", "60")
        command = [sys.executable, "-c", imports + stopped + rest]
        command += [str(process.run_dir.path), str(process.pid)]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, timeout=scaled(20), check=False)
        took = time.monotonic() - began
        process.signal(signal.SIGCONT)
        assert (done.returncode, took < scaled(4)) == (0, True), done.stderr


def test_close_says_what_was_never_sent_and_what_found_no_room(
    process: BrokerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    bus = process.client()
    process.kill()
    wait_for(lambda: not bus.connected, "the end to be noticed")
    bus.publish_many(TICK, [b"x"] * 2000)
    before = bus.counters()
    bus.close()
    assert before.waiting + before.dropped == 2000
    assert f"{before.waiting} messages were never sent" in caplog.text
    assert f"{before.dropped} messages found no room" in caplog.text
    assert bus.counters() == before


def test_closing_what_has_sent_everything_says_nothing(
    broker: Running, caplog: pytest.LogCaptureFixture
) -> None:
    bus = broker.client()
    bus.publish_many(TICK, [b"x"] * 2000)
    bus.close()
    assert "never sent" not in caplog.text
    assert bus.counters().published == 2000


def test_close_frees_whoever_waits(broker: Running) -> None:
    bus = broker.client()
    ended: list[object] = []

    def iterate() -> None:
        ended.append(list(bus.subscribe("events.#")))

    def wait() -> None:
        try:
            bus.subscribe("events.#").get()
        except BusError as error:
            ended.append(type(error))

    threads = [threading.Thread(target=each) for each in (iterate, wait, iterate)]
    for each in threads:
        each.start()
    wait_for(lambda: len(bus.subscriptions()) == 3, "all to subscribe")
    began = time.monotonic()
    bus.close()
    for each in threads:
        each.join(scaled(2))
    assert time.monotonic() - began < scaled(2)
    assert sorted(map(str, ended)) == ["<class 'daemoneye.errors.BusClosed'>", "[]", "[]"]


def test_close_ends_in_time_although_the_broker_reads_nothing(process: BrokerProcess) -> None:
    bus = process.client()
    process.signal(signal.SIGSTOP)
    flood = threading.Thread(target=lambda: flood_until_closed(bus), daemon=True)
    flood.start()
    seen: list[int] = []
    wait_for(lambda: is_steady(seen, bus.counters().published), "the flood to be stuck", every=0.1)
    began = time.monotonic()
    bus.close()
    took = time.monotonic() - began
    process.signal(signal.SIGCONT)
    assert took < 2.0 + scaled(0.5)
    flood.join(scaled(5))
    assert not flood.is_alive()


def is_steady(seen: list[int], count: int) -> bool:
    """Whether the last looks at a count saw the same, and not nothing."""
    seen.append(count)
    return count > 0 and len(seen) > 2 and len(set(seen[-3:])) == 1


def flood_until_closed(bus: BusClient) -> None:
    try:
        while True:
            bus.publish(TICK, bytes(1000))
    except BusClosed:
        pass


def test_b16_a_forked_process_may_not_use_it_and_does_not_disturb_it(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if all_refused(bus, events) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        bus.publish(TICK, b"still here")
        assert payloads(events, 1) == [b"still here"]


def test_a_forked_process_has_no_part_in_what_its_parent_received(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        bus.publish_many(TICK, [b"1", b"2", b"3"])
        assert payloads(events, 1) == [b"1"]
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            os._exit(0 if all_refused(bus, events) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert payloads(events, 2) == [b"2", b"3"]


def all_refused(bus: BusClient, events: Subscription) -> bool:
    refused = 0
    uses: list[Callable[[], object]] = [lambda: bus.publish(TICK, b""), lambda: events.get(0)]
    uses += [lambda: list(events), bus.flush]
    for use in uses:
        try:
            use()
        except BusClosed as error:
            refused += "fork" in str(error)
    bus.close()
    return refused == len(uses)
