"""How both clients end: closed, dropped, with their process, and in one that was forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.errors import BusClosed, BusError
from tests.bus.brokers import BrokerProcess, Running, broker_process
from tests.bus.client.alike import TICK, flood_until_closed, is_steady, payloads
from tests.support import scaled, wait_for


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
