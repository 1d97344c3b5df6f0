"""How both clients find a broker, and what it costs them when it goes away."""

from __future__ import annotations

import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from daemoneye.bus.client import async_connection, connection
from daemoneye.bus.client.dialler import Connected
from daemoneye.bus.handshake import Return
from daemoneye.bus.orders import Admit, Credential, Ended
from daemoneye.errors import (
    BusBroken,
    BusError,
    ConfigError,
    DeadlineExceeded,
    LocalProtocolError,
    NotRunning,
    Refused,
)
from daemoneye.lifeline import Passport
from tests.bus.brokers import BrokerProcess, Running, broker_in_thread
from tests.bus.client.alike import TICK, Tasks, Threads, flood_until_closed, is_steady, payloads
from tests.support import scaled, wait_for


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
