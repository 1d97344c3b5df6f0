"""Every way a confirmed publish can end, for both kinds of client, against a real broker."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.insisting import INSIST_FOR
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.errors import AccessDenied, BackPressure, BusBroken, BusClosed, DeadlineExceeded
from tests.bus.brokers import BrokerProcess, Running
from tests.support import scaled, wait_for

TICK = "events.demo.tick"


@contextmanager
def unread(broker: Running, bus: BusClient) -> Iterator[Subscription]:
    """A subscription of `careful`, who may lose nothing and reads nothing, when it is full."""
    with (
        broker.client("careful") as careful,
        careful.subscribe("events.#", overflow="block", max_messages=2) as events,
    ):
        for number in range(4):  # two lie at the client, two wait at the broker
            assert bus.publish_confirmed(TICK, b"%d" % number).subscribers == 1
        yield events


# ---- B15 ----------------------------------------------------------------------------------------


def test_b15_accepted(broker: Running) -> None:
    with broker.client() as bus, broker.client("other") as other, other.subscribe("events.#"):
        receipt = bus.publish_confirmed(TICK, b"")
        assert (receipt.status, receipt.subscribers) == ("accepted", 1)


def test_b15_no_subscribers(broker: Running) -> None:
    with broker.client() as bus:
        receipt = bus.publish_confirmed(TICK, b"")
        assert (receipt.status, receipt.subscribers) == ("no_subscribers", 0)


def test_b15_denied(broker: Running) -> None:
    with broker.collector() as source:
        with pytest.raises(AccessDenied) as caught:
            source.publish_confirmed("control.collector.lifecycle", b"")
        assert caught.value.rule == "no rule allows it"


def test_b15_back_pressure_after_a_second_saying_who_is_full(broker: Running) -> None:
    with broker.client() as bus, broker.client("other") as other:
        with unread(broker, bus) as events, other.subscribe("events.#") as heard:
            began = time.monotonic()
            with pytest.raises(BackPressure, match=r"careful has no room: the outbox of events\.#"):
                bus.publish_confirmed(TICK, b"too much")
            assert INSIST_FOR / 2 < time.monotonic() - began < scaled(5)
            bus.publish(TICK, b"unconfirmed")
            event = heard.get(scaled(5))
            assert event is not None
            assert event.payload == b"unconfirmed"  # of what was refused nobody got anything
            found = [events.get(scaled(5)) for _ in range(4)]
            bus.publish_confirmed(TICK, b"last")
            found.append(events.get(scaled(5)))
            assert [each.payload for each in found if each] == [b"0", b"1", b"2", b"3", b"last"]
            assert sum(each.lost.get("overflow", 0) for each in found if each) == 1


def test_b15_back_pressure_sooner_when_the_caller_has_less_time(broker: Running) -> None:
    with broker.client() as bus, unread(broker, bus):
        began = time.monotonic()
        with pytest.raises((BackPressure, DeadlineExceeded)):
            bus.publish_confirmed(TICK, b"too much", timeout=0.1)
        assert time.monotonic() - began < INSIST_FOR


def test_b15_accepted_when_there_is_room_within_the_second(broker: Running) -> None:
    with broker.client() as bus, unread(broker, bus) as events:
        late: list[bytes] = []

        def read() -> None:
            wait_for(
                lambda: broker.broker.statistics().refused.get("back-pressure", 0) > 2,
                "the publish to be refused",
            )
            for _ in range(5):
                event = events.get(scaled(5))
                late.append(bytes(event.payload) if event is not None else b"nothing came")

        reading = threading.Thread(target=read)
        reading.start()
        receipt = bus.publish_confirmed(TICK, b"4")
        reading.join(scaled(10))
        assert receipt.subscribers == 1
        assert late == [b"0", b"1", b"2", b"3", b"4"]


def test_b15_broker_killed(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.signal(signal.SIGSTOP)  # so that it cannot answer before
        killing = threading.Timer(0.1, process.signal, [signal.SIGKILL])
        killing.start()
        with pytest.raises(BusBroken, match="before the answer"):
            bus.publish_confirmed(TICK, b"", timeout=scaled(5))
        killing.join()
        process.kill()
        with pytest.raises(BusBroken, match="no connection"):
            bus.publish_confirmed(TICK, b"")


def test_b15_broker_stopped(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded, match="no answer"):
                bus.publish_confirmed(TICK, b"", timeout=0.2)
            assert time.monotonic() - began < scaled(2)
        finally:
            process.signal(signal.SIGCONT)
        wait_for(lambda: bus.publish_confirmed(TICK, b"").subscribers == 0, "it to go on")


def test_b15_the_deadline_holds_while_the_broker_takes_nothing(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.signal(signal.SIGSTOP)
        try:
            for _ in range(64):  # until no socket has any room left
                # A frame that is written in part costs the connection.
                with pytest.raises((DeadlineExceeded, BusBroken)):
                    bus.publish_confirmed(TICK, bytes(200_000), timeout=0.01)
        finally:
            process.signal(signal.SIGCONT)


def test_b15_closed_while_somebody_has_no_room(broker: Running) -> None:
    with broker.client() as bus, broker.client("closing") as closing, unread(broker, bus):
        ended: list[BaseException] = []

        def insist() -> None:
            try:
                closing.publish_confirmed(TICK, b"too much", timeout=scaled(10))
            except (BackPressure, BusClosed) as error:
                ended.append(error)

        insisting = threading.Thread(target=insist)
        insisting.start()
        wait_for(
            lambda: broker.broker.statistics().refused.get("back-pressure", 0) > 1,
            "the publish to be refused",
        )
        closing.close()
        insisting.join(scaled(5))
        assert [type(each) for each in ended] == [BusClosed]
