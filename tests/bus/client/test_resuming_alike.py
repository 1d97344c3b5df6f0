"""What both clients do when a connection is lost and the broker goes on, or does not."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.envelope import Envelope
from tests.bus.brokers import BrokerProcess, Running
from tests.support import scaled, wait_for

TOPICS = ("events.demo.one", "events.demo.two")


def cut(bus: BusClient) -> None:
    """The connection breaks, with whatever is on it."""
    connection: Any = bus._connection
    found = connection.reader._sock if hasattr(connection, "reader") else connection._sock
    assert isinstance(found, socket.socket)
    found.shutdown(socket.SHUT_RDWR)


def read(events: Subscription, count: int) -> list[Envelope]:
    """The next so many."""
    found = []
    while len(found) < count:
        event = events.get(scaled(10))
        assert event is not None, f"only {len(found)} of {count} came"
        found.append(event)
    return found


def test_a_connection_that_is_cut_costs_nothing(broker: Running) -> None:
    with broker.client() as source, broker.client("ear") as ear:
        with ear.subscribe("events.#") as events:
            source.publish(TOPICS[0], b"0")
            assert not read(events, 1)[0].lost
            cut(ear)
            source.publish_many(TOPICS[0], [b"%d" % number for number in range(1, 100)])
            found = read(events, 99)
            assert [int(bytes(each.payload)) for each in found] == list(range(1, 100))
            assert not [each for each in found if each.lost]
            assert len(source.subscriptions()) == 1


def test_what_overflowed_while_it_was_away_is_told_once(broker: Running) -> None:
    with broker.client() as source, broker.client("ear") as ear:
        with ear.subscribe("events.#", max_messages=10) as events:
            source.publish(TOPICS[0], b"0")
            read(events, 1)
            before = broker.broker.router.directory
            (session,) = before.named("ear")
            client = broker.broker._clients.of(session)
            assert client is not None
            client.sock.shutdown(socket.SHUT_RD)  # the broker reads the end before we come again
            cut(ear)
            source.publish_many(TOPICS[0], [b"x"] * 500)
            source.publish_confirmed(TOPICS[0], b"last")
            lost: Counter[str] = Counter()
            got = 0
            while True:
                (event,) = read(events, 1)
                got += 1
                lost.update(event.lost)
                if event.payload == b"last":
                    break
            assert got + lost.total() == 501
            assert set(lost) <= {"overflow"}


def test_a_subscription_closed_while_there_was_no_connection_ends(
    broker: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker.client() as source, broker.client("ear") as ear:
        kept, closed = ear.subscribe("events.#"), ear.subscribe("control.#")
        wait_for(lambda: len(source.subscriptions()) == 2, "both")
        cut(ear)
        closed.close()
        wait_for(lambda: len(source.subscriptions()) == 1, "one to end")
        source.publish(TOPICS[0], b"x")
        assert not read(kept, 1)[0].lost


def test_unconfirmed_is_exact_after_a_session_that_goes_on(broker: Running) -> None:
    with broker.client("source") as bus, broker.client("ear") as ear:
        with ear.subscribe("events.#", max_messages=1 << 15) as events:
            bus.publish_many(TOPICS[0], [b"x"] * 300)
            bus.publish_confirmed(TOPICS[0], b"x")
            wait_for(lambda: bus.counters().published == 301, "all to be written")
            cut(bus)
            bus.publish(TOPICS[0], b"last")
            bus.flush()
            assert read(events, 302)[-1].payload == b"last"
            assert bus.counters().unconfirmed == 0


def test_b13_order_of_each_publisher_and_topic_holds_over_a_reconnect(broker: Running) -> None:
    count = 300
    with ExitStack() as stack:
        ear = stack.enter_context(broker.client("ear"))
        events = stack.enter_context(ear.subscribe("events.demo.#", max_messages=1 << 15))
        sources = [stack.enter_context(broker.client(f"source{n}")) for n in range(4)]

        def publish(source: BusClient) -> None:
            for number in range(count):
                for topic in TOPICS:
                    source.publish(topic, b"%d" % number)
            source.flush()

        threads = [threading.Thread(target=publish, args=(each,)) for each in sources]
        for thread in threads:
            thread.start()
        heard: dict[tuple[str, str], list[int]] = {}
        for position, event in enumerate(read_all(events, 4 * 2 * count)):
            heard.setdefault((event.publisher.name, event.topic), []).append(event.sequence)
            assert not event.lost
            if position in (100, 900):
                cut(ear)
        for thread in threads:
            thread.join(scaled(10))
        assert len(heard) == 8
        for sequences in heard.values():
            assert sequences == list(range(1, count + 1))


def read_all(events: Subscription, count: int) -> Iterator[Envelope]:
    for _ in range(count):
        yield read(events, 1)[0]


@pytest.mark.parametrize("what", ["kill", "stop", "restart"])
def test_b23_a_broker_that_ends_or_stops_under_load_leaves_no_loss_untold(
    process: BrokerProcess, what: str
) -> None:
    with process.client() as ear, process.client() as source:
        events = ear.subscribe("events.demo.#", max_messages=1 << 15)
        heard: list[Envelope] = []
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                if (event := events.get(0.2)) is not None:
                    heard.append(event)

        listening = threading.Thread(target=listen)
        listening.start()
        sent = 0
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            source.publish(TOPICS[0], b"x")
            sent += 1
            time.sleep(0.001)
            if sent == 100:
                disturb(process, what)
        wait_for(lambda: source.connected and ear.connected, "both to be back", within=20)
        wait_for(source.subscriptions, "the subscription", within=20)
        source.publish_confirmed(TOPICS[0], b"last")
        wait_for(lambda: heard and heard[-1].payload == b"last", "the last", within=20)
        done.set()
        listening.join(scaled(10))
        sequences = [each.sequence for each in heard]
        assert sequences == sorted(set(sequences))
        lost = sum((Counter(each.lost) for each in heard), Counter[str]())
        assert len(heard) + lost.total() == sent + 1
        reasons = {reason for each in heard for reason in each.lost}
        assert reasons <= ({"broker-restart"} if what != "stop" else set())
        assert source.counters().dropped == 0
        events.close()


def disturb(process: BrokerProcess, what: str) -> None:
    if what == "kill":
        process.kill()
        process.start()
    elif what == "restart":
        process.stop()
        process.start()
    else:
        process.signal(signal.SIGSTOP)
        time.sleep(0.3)
        process.signal(signal.SIGCONT)


def test_who_says_goodbye_is_not_waited_for_whatever_was_on_its_way_to_it(broker: Running) -> None:
    router = broker.broker.router
    with broker.client("source") as source:
        for _ in range(100):
            with broker.client("ear") as ear, ear.subscribe("events.#"):
                source.publish_many(TOPICS[0], [b"x" * 100] * 50)
            wait_for(lambda: not router.directory.named("ear"), "it to be gone")
    assert not router.directory.away
