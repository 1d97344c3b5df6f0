"""Clients that take nothing of what is written to them, and clients beside a flood."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye.bus.frames import Subscribe, encode
from daemoneye.framing import pack
from tests.bus.brokers import Running, assert_well, broker_in_thread, raw_session
from tests.support import scaled, wait_for

TICK = "events.demo.tick"


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


def test_who_reads_nothing_is_closed_and_nobody_waits_for_it(tidy: Path) -> None:
    with broker_in_thread(tidy, write_timeout=0.3) as broker, raw_session(broker) as stuck:
        plenty = Subscribe(1, "events.#", credit_messages=10**6, credit_bytes=10**9, request=1)
        stuck.send(pack(encode(plenty)))
        with broker.client() as bus:
            wait_for(bus.subscriptions, "the subscription")
            began = time.monotonic()
            while len(bus.clients()) == 2 and time.monotonic() - began < scaled(5):
                bus.publish_many(TICK, [bytes(10_000)] * 20)
            assert len(bus.clients()) == 1
            assert time.monotonic() - began > 0.3
            assert_well(broker)


def test_a_flood_holds_nobody_up(broker: Running) -> None:
    stop = threading.Event()

    def flood() -> None:
        with broker.client("flood") as bus:
            while not stop.is_set():
                bus.publish_many(TICK, [bytes(200)] * 1000)

    flooding = threading.Thread(target=flood)
    with broker.client() as bus, bus.subscribe("control.#") as events:
        flooding.start()
        try:
            waits = []
            for _ in range(50):
                began = time.monotonic()
                bus.publish("control.health.status", b"")
                assert events.get(scaled(5)) is not None
                waits.append(time.monotonic() - began)
        finally:
            stop.set()
            flooding.join()
    assert sorted(waits)[25] < scaled(0.1)
