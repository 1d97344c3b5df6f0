"""Large payloads between processes: whole by every way, and nothing is left of those that die."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.memory import can_pass_memory
from daemoneye.errors import DeadlineExceeded
from tests.bus.brokers import TICK, BrokerProcess, Running, broker_in_thread, broker_process
from tests.support import scaled, wait_for

KIB, MIB = 1 << 10, 1 << 20
SIZES = (0, 1, 256 * KIB - 1, 256 * KIB, MIB, MIB + 1, 4 * MIB, 64 * MIB)
NOISE = random.Random(30).randbytes(MIB)

needs_memory = pytest.mark.skipif(not can_pass_memory(), reason="no sealed memory here")


def content(size: int) -> bytes:
    """So many bytes that no other size begins with."""
    return (size.to_bytes(8, "big") + NOISE * (1 + size // MIB))[:size]


@contextmanager
def process(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """That module in a process of its own, ready; killed afterwards."""
    command = [sys.executable, "-m", f"tests.processes.{module}", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            yield running
        finally:
            running.kill()


def heard(hearer: subprocess.Popen[str]) -> tuple[int, str, int]:
    """Size and digest of the next payload a hearer gets, and how many it missed before."""
    assert hearer.stdout is not None
    size, digest, lost = hearer.stdout.readline().split()
    return int(size), digest, int(lost)


def memory_of(pid: int) -> int:
    """How many descriptors of passed memory a process has open, its mappings included."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    return sum("memfd:daemoneye" in os.readlink(link) for link in links if link.is_symlink())


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.fixture
def broker(tidy: Path) -> Iterator[BrokerProcess]:
    with broker_process(tidy) as running:
        yield running


def in_flight(running: Running) -> int:
    """How many bytes of large payloads a broker counts as in flight."""
    return running.broker.router.parcels.bytes


@pytest.fixture
def watched(tidy: Path) -> Iterator[Running]:
    """A broker in this process, to look into; it closes those who take nothing for a second."""
    with broker_in_thread(tidy, write_timeout=scaled(1.0)) as running:
        operator = running.admit("operator")
        (tidy / "operator.key").write_text(operator.hex())
        (tidy / "operator.key").chmod(0o600)
        yield running


def operator_of(running: Running, pass_memory: bool = True) -> BusClient:
    return BusClient.connect(
        running.path, name="operator", key=running.keys["operator"], pass_memory=pass_memory
    )


# ---- whole --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sends", ["memory", "chunks"])
@pytest.mark.parametrize(
    "takes",
    [("memory",), ("chunks",), ("memory", "chunks", "memory", "chunks")],
    ids=["1-memory", "1-chunks", "4-mixed"],
)
def test_b30_every_size_arrives_whole_by_every_way(
    broker: BrokerProcess, sends: str, takes: tuple[str, ...]
) -> None:
    run_dir = broker.run_dir.path
    with BusClient.connect(run_dir=run_dir, pass_memory=sends == "memory") as bus, ExitStack() as s:
        hearers = [s.enter_context(process("hearer", run_dir, way)) for way in takes]
        before = [descriptors_of(pid) for pid in (os.getpid(), broker.pid)]
        for size in SIZES:
            payload = content(size)
            expected = (size, hashlib.sha256(payload).hexdigest(), 0)
            if size == 4 * MIB:
                assert bus.publish_confirmed(TICK, payload).subscribers == len(takes)
            else:
                bus.publish(TICK, payload)
            assert [heard(each) for each in hearers] == [expected] * len(takes)
        bus.publish(TICK, b"the last of them lets go of the one before")
        for each in hearers:
            heard(each)
        pids = [broker.pid, *(each.pid for each in hearers)]
        wait_for(lambda: not any(map(memory_of, pids)), "all memory to be let go of")
        assert [descriptors_of(pid) for pid in (os.getpid(), broker.pid)] == before


@pytest.mark.parametrize("way", ["memory", "chunks"])
def test_b30_a_buffer_may_change_as_soon_as_it_is_published(
    broker: BrokerProcess, way: str
) -> None:
    run_dir = broker.run_dir.path
    with BusClient.connect(run_dir=run_dir, pass_memory=way == "memory") as bus:
        with process("hearer", run_dir, "memory") as hearer:
            buffer = bytearray(content(4 * MIB))
            digest = hashlib.sha256(buffer).hexdigest()
            bus.publish(TICK, buffer)
            buffer[:] = bytes(len(buffer))
            assert heard(hearer) == (4 * MIB, digest, 0)


@pytest.mark.parametrize("way", ["memory", "chunks"])
def test_b30_the_brokers_memory_comes_back(broker: BrokerProcess, way: str) -> None:
    run_dir, broker_facts = broker.run_dir.path, psutil.Process(broker.pid)
    with BusClient.connect(run_dir=run_dir, pass_memory=way == "memory") as bus:
        with process("hearer", run_dir, way) as hearer:
            bus.publish(TICK, content(MIB))
            heard(hearer)
            before = broker_facts.memory_info().rss
            for _ in range(4):
                bus.publish(TICK, content(64 * MIB))
                assert heard(hearer)[0] == 64 * MIB
            bus.publish(TICK, b"")
            heard(hearer)
            wait_for(
                lambda: broker_facts.memory_info().rss < before + 16 * MIB, "memory to come back"
            )


@needs_memory
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody with fewer rights")
def test_b30_a_kernel_that_passes_no_more_has_the_rest_go_in_chunks() -> None:
    command = [sys.executable, "-m", "tests.processes.crowded"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(30), check=False)
    assert done.stderr == ""
    passed, cut = map(int, done.stdout.split())
    assert passed >= 50
    assert cut > 0


# ---- endings ------------------------------------------------------------------------------------


@needs_memory
def test_b30_a_subscriber_killed_with_a_payload_in_hand_leaves_nothing(watched: Running) -> None:
    run_dir = watched.path.parent
    with operator_of(watched) as bus, process("hearer", run_dir, "memory", "keep") as hearer:
        bus.publish(TICK, content(4 * MIB))
        heard(hearer)
        assert in_flight(watched) == 4 * MIB
        hearer.kill()
        wait_for(lambda: not in_flight(watched), "what it held to be let go of")


@pytest.mark.parametrize("way", ["memory", "chunks"])
def test_b30_a_subscriber_killed_in_the_middle_leaves_nothing(watched: Running, way: str) -> None:
    run_dir = watched.path.parent
    with operator_of(watched) as bus, process("hearer", run_dir, way) as hearer:
        hearer.send_signal(signal.SIGSTOP)
        for _ in range(3):
            bus.publish(TICK, content(64 * MIB))
        wait_for(lambda: in_flight(watched) >= 64 * MIB, "the payloads to be on their way")
        hearer.kill()
        wait_for(lambda: not in_flight(watched), "what was on its way to be let go of")
        assert bus.publish_confirmed(TICK, content(MIB)).subscribers == 0


@pytest.mark.parametrize("way", ["memory", "chunks"])
def test_b30_a_publisher_killed_in_the_middle_leaves_nothing(watched: Running, way: str) -> None:
    run_dir = watched.path.parent
    with operator_of(watched) as bus, bus.subscribe(TICK, timeout=scaled(10)) as events:
        with process("shouter", run_dir, way, 4 * MIB) as shouter:
            for event in events:
                assert len(event.payload) == 4 * MIB
                break
            shouter.kill()
        del event
        bus.publish(TICK, b"the last")
        while (last := events.get(scaled(10))) is not None and len(last.payload) > 8:
            pass
        assert last is not None
        del last
        wait_for(lambda: not in_flight(watched), "all of it to be let go of")


@pytest.mark.parametrize("way", ["memory", "chunks"])
def test_b30_a_broker_killed_in_the_middle_costs_no_descriptor(
    broker: BrokerProcess, way: str
) -> None:
    run_dir = broker.run_dir.path
    with BusClient.connect(run_dir=run_dir, pass_memory=way == "memory") as bus:
        with bus.subscribe(TICK) as events:
            before = descriptors_of(os.getpid())
            stop = threading.Event()

            def publish() -> None:
                while not stop.is_set():
                    bus.publish(TICK, content(4 * MIB))

            publisher = threading.Thread(target=publish)
            publisher.start()
            for _ in range(3):
                assert events.get(scaled(10)) is not None
                broker.kill()
                broker.start()
            stop.set()
            publisher.join()
            wait_for(lambda: bus.connected, "the connection to be back")
            bus.publish(TICK, b"the last")
            while (last := events.get(scaled(10))) is not None and len(last.payload) > 8:
                assert last.payload == content(4 * MIB)
            assert last is not None
            wait_for(lambda: memory_of(os.getpid()) == 0, "all memory to be let go of")
            assert descriptors_of(os.getpid()) == before


@needs_memory
def test_b30_a_stopped_subscriber_costs_the_others_nothing(watched: Running) -> None:
    """It keeps its share and misses the rest, and all that it kept is let go of when it goes on."""
    run_dir = watched.path.parent
    with operator_of(watched) as bus, ExitStack() as stack:
        stopped = stack.enter_context(process("hearer", run_dir, "memory"))
        quick = stack.enter_context(process("hearer", run_dir, "memory"))
        stopped.send_signal(signal.SIGSTOP)
        for number in range(24):
            bus.publish(TICK, content(8 * MIB + number))
            assert heard(quick)[0] == 8 * MIB + number
        assert 64 * MIB <= in_flight(watched) <= 128 * MIB
        stopped.send_signal(signal.SIGCONT)
        seen = missed = 0
        while seen + missed < 24:
            size, _, lost = heard(stopped)
            seen, missed = seen + 1, missed + lost
        assert size == 8 * MIB + 23
        assert missed > 0
        bus.publish(TICK, b"the last")
        for each in (quick, stopped):
            heard(each)
        wait_for(lambda: not in_flight(watched), "all of it to be let go of")


@needs_memory
def test_b30_a_stopped_broker_is_passed_so_much_and_publishing_waits_for_it(
    broker: BrokerProcess,
) -> None:
    with broker.client() as bus:
        bus.publish_confirmed(TICK, b"")
        broker.signal(signal.SIGSTOP)
        try:
            payloads = [content(16 * MIB)] * 8
            counted = threading.Thread(target=lambda: [*map(partial(bus.publish, TICK), payloads)])
            counted.start()
            counted.join(scaled(1.0))
            assert counted.is_alive()
            # They are in the kernel, on their way: neither process has them open any more.
            assert memory_of(os.getpid()) == 0
        finally:
            broker.signal(signal.SIGCONT)
        counted.join(scaled(10))
        assert not counted.is_alive()
        assert bus.publish_confirmed(TICK, b"").subscribers == 0


@pytest.mark.parametrize("way", ["memory", "chunks"])
def test_b30_a_confirmed_publish_ends_in_time_while_the_broker_is_stopped(
    broker: BrokerProcess, way: str
) -> None:
    with BusClient.connect(run_dir=broker.run_dir.path, pass_memory=way == "memory") as bus:
        bus.publish_confirmed(TICK, b"")
        broker.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                bus.publish_confirmed(TICK, content(4 * MIB), timeout=0.5)
            assert time.monotonic() - began < scaled(2.0)
        finally:
            broker.signal(signal.SIGCONT)
        wait_for(lambda: bus.connected, "the connection to be there")
        assert bus.publish_confirmed(TICK, content(4 * MIB)).subscribers == 0
        assert bus.counters().waiting == 0


def test_b30_control_does_not_wait_behind_a_payload_in_chunks(watched: Running) -> None:
    """A reader that takes a little at a time gets a control message long before the payload."""
    with operator_of(watched, pass_memory=False) as bus, operator_of(watched) as source:
        with bus.subscribe(TICK) as events, bus.subscribe("control.demo.#") as control:
            source.publish(TICK, content(64 * MIB))
            began = time.monotonic()
            source.publish("control.demo.stop", b"now")
            assert control.get(scaled(5)) is not None
            waited = time.monotonic() - began
            event = events.get(scaled(10))
            assert event is not None
            assert len(event.payload) == 64 * MIB
            assert waited < time.monotonic() - began
