"""Descriptors run out, at a broker in a process of its own and in a client."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.endpoint import dial
from daemoneye.bus.memory import can_pass_memory
from daemoneye.errors import BackPressure, BusBroken
from tests.bus.brokers import TICK, BrokerProcess, broker_in_thread, broker_process
from tests.hostile.support import Bystander, cpu_seconds, descriptors_of
from tests.support import scaled, wait_for

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="another process cannot be limited here"
)

EXHAUSTED_SECONDS = 2.0


@contextmanager
def without_descriptors(broker: BrokerProcess, left: int = 2) -> Iterator[None]:
    """Inside, the broker may open so many descriptors more and then none."""
    soft, hard = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
    most = max(int(each) for each in os.listdir(f"/proc/{broker.pid}/fd")) + 1 + left
    resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_b29_a_broker_without_descriptors_serves_whom_it_has(short_dir: Path) -> None:
    with broker_process(short_dir) as broker, broker.client() as bus:
        before = descriptors_of(broker.pid)
        with without_descriptors(broker), ExitStack() as stack:
            with Bystander(bus).undisturbed(within=1.0):
                knocking = [stack.enter_context(dial(broker.run_dir.bus_path, 1.0))
                            for _ in range(40)]  # fmt: skip
            # Now quiet: what it costs to have no room, and nothing else.
            began = cpu_seconds(broker.pid)
            time.sleep(EXHAUSTED_SECONDS)
            assert cpu_seconds(broker.pid) - began < 0.2 * EXHAUSTED_SECONDS
            with pytest.raises(BusBroken):
                broker.client()
            assert bus.publish_confirmed(TICK, b"x").subscribers == 0
            del knocking

        def comes_in() -> bool:
            with suppress(BusBroken), broker.client() as late:
                return late.publish_confirmed(TICK, b"x").subscribers == 0
            return False

        wait_for(comes_in, "accepting to resume")
        assert bus.connected
        wait_for(lambda: descriptors_of(broker.pid) == before, "nothing to be left of it")


def test_b29_who_knocks_meanwhile_is_not_left_waiting(short_dir: Path) -> None:
    """There is no descriptor to say why with, so the connection ends."""
    with broker_process(short_dir) as broker, broker.client():
        with without_descriptors(broker, left=0):
            began = time.monotonic()
            with pytest.raises(BusBroken, match="hung up"):
                broker.client()
            assert time.monotonic() - began < scaled(1.5)


@pytest.mark.skipif(not can_pass_memory(), reason="no sealed memory is passed here")
def test_b29_a_large_payload_without_a_descriptor_for_it_is_refused(short_dir: Path) -> None:
    """The kernel drops it on the way; the session lives, and so do the others."""
    with broker_process(short_dir) as broker, broker.client() as bus, broker.client() as other:
        with without_descriptors(broker, left=0), Bystander(other).undisturbed(within=1.0):
            for _ in range(3):
                with pytest.raises(BackPressure, match="no descriptor free"):
                    bus.publish_confirmed(TICK, bytes(300_000))
        assert bus.publish_confirmed(TICK, bytes(300_000)).subscribers == 0
        wait_for(lambda: len(bus.clients()) == 2, "nobody to have been cut off")


@contextmanager
def none_left_here() -> Iterator[None]:
    """Inside, this process cannot open anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_b29_a_client_that_cannot_dial_says_so_and_leaks_nothing(tidy: Path) -> None:
    with broker_in_thread(tidy) as broker:
        key = broker.admit("raw")
        before = descriptors_of(os.getpid())
        with none_left_here():
            for _ in range(3):
                with pytest.raises((BusBroken, OSError)) as refused:
                    BusClient.connect(broker.path, name="raw", key=key)
                assert isinstance(refused.value, BusBroken), refused.value
                assert "descriptor" in str(refused.value) or "open files" in str(refused.value)
        wait_for(lambda: descriptors_of(os.getpid()) == before, "nothing to be left of it")
        with BusClient.connect(broker.path, name="raw", key=key) as bus:
            assert bus.publish_confirmed(TICK, b"x").subscribers == 0


def test_b29_a_client_that_cannot_dial_again_goes_on_trying(short_dir: Path) -> None:
    with broker_process(short_dir) as broker, broker.client() as bus:
        broker.kill()
        wait_for(lambda: not bus.connected, "the loss to be noticed")
        broker.start()
        with none_left_here():
            time.sleep(0.3)
            bus.publish(TICK, b"waits")
        wait_for(lambda: bus.connected, "it to come back", within=10)
        wait_for(lambda: bus.counters().waiting == 0, "what waited to be written")
