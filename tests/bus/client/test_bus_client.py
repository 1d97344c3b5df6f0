"""BusClient: what is particular to threads; the rest is in the `test_*_alike`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye.bus.client.reader import Sorted
from daemoneye.bus.client.service import Service
from daemoneye.errors import DeadlineExceeded, LocalProtocolError
from tests.bus.brokers import TICK, BrokerProcess, Running, broker_in_thread, broker_process
from tests.bus.client.test_ending_alike import all_refused
from tests.support import scaled, wait_for


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


@pytest.fixture
def process(tidy: Path) -> Iterator[BrokerProcess]:
    with broker_process(tidy) as running:
        yield running


def test_several_threads_share_a_subscription_without_losing_one(broker: Running) -> None:
    found: list[bytes] = []
    with broker.client() as bus, bus.subscribe("events.#", timeout=scaled(0.5)) as events:
        readers = [
            threading.Thread(target=lambda: found.extend(bytes(e.payload) for e in events))
            for _ in range(4)
        ]
        for reader in readers:
            reader.start()
        sent = [b"%d" % number for number in range(3000)]
        for start in range(0, 3000, 500):
            wait_for(lambda most=start: len(found) >= most - 500, "the readers")  # type: ignore[misc]  # bound now
            bus.publish_many(TICK, sent[start : start + 500])
        for reader in readers:
            reader.join(scaled(10))
    assert sorted(found, key=int) == sent


def test_leaving_a_subscription_frees_whoever_waits_in_it(broker: Running) -> None:
    with broker.client() as bus:
        for _ in range(200):
            with bus.subscribe(TICK) as events:
                thread = threading.Thread(target=list, args=(events,))
                thread.start()
                time.sleep(0.001)  # perhaps it reads for everybody now, perhaps not yet
            thread.join(scaled(5))
            assert not thread.is_alive()


def test_a_forked_process_is_refused_although_a_thread_was_waiting(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        waiting = threading.Thread(target=list, args=(events,))
        waiting.start()
        wait_for(events._advancing.locked, "the thread to wait")
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)  # a wait for ever ends the child, and not the test
            os._exit(0 if all_refused(bus, events) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        events.close()
        waiting.join(scaled(5))


def test_a_ctrl_c_while_waiting_leaves_the_client_good(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        (since,) = (row.connected_at for row in bus.clients())
        for wait in (lambda: list(events), events.get):
            pressing = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
            pressing.start()
            with pytest.raises(KeyboardInterrupt):
                wait()
            pressing.join()
            assert bus.publish_confirmed(TICK, b"on").subscribers == 1
            event = events.get(scaled(5))
            assert event is not None
            assert (event.payload, dict(event.lost)) == (b"on", {})
        assert [row.connected_at for row in bus.clients()] == [since]


def test_a_ctrl_c_that_costs_the_connection_says_so(
    broker: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        reader = bus._connection.reader
        read = reader._read

        def interrupted(sock: socket.socket) -> Sorted:
            found = read(sock)
            if threading.current_thread() is threading.main_thread():
                monkeypatch.undo()
                raise KeyboardInterrupt
            return found

        monkeypatch.setattr(reader, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            while True:  # the keeper may read an answer, too
                bus.publish_confirmed(TICK, b"1", timeout=scaled(5))
        wait_for(lambda: "KeyboardInterrupt fell into a read" in caplog.text, "the word of it")
        wait_for(lambda: bus.connected and bus.subscriptions(), "the subscription", within=15)
        wait_for(lambda: "connected to the broker again" in caplog.text, "that it is back")
        bus.publish(TICK, b"2")
        while (event := events.get(scaled(5))) is not None and event.payload != b"2":
            pass
        assert event is not None


INTERRUPTED = """
import random, signal, sys, time
from collections import Counter
from daemoneye import BusClient, LocalProtocolError

found, slowest = Counter(), 0.0

def interrupt(*_):
    global slowest
    began = time.monotonic()
    try:
        found[bytes(bus.call("control.demo.echo", b"?", timeout=LIMIT).payload).decode()] += 1
    except LocalProtocolError as error:
        found["refused" if error.hint else "no hint"] += 1
    slowest = max(slowest, time.monotonic() - began)
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.003))

LIMIT, until = float(sys.argv[2]), time.monotonic() + float(sys.argv[3])
with BusClient.connect(run_dir=sys.argv[1]) as bus, bus.subscribe("events.#") as events:
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while time.monotonic() < until:
        bus.publish_many("events.demo.tick", [b"x" * 100] * 50)
        for _ in range(50):
            assert events.get(LIMIT) is not None
        assert bus.publish_confirmed("events.demo.tick", b"y", timeout=LIMIT).subscribers == 1
        assert events.get(LIMIT) is not None
        assert bus.call("control.demo.echo", b"!", timeout=LIMIT).payload == b"!"
        time.sleep(0.002)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    assert bus.call("control.demo.echo", b"!", timeout=LIMIT).payload == b"!"
assert set(found) == {"?", "refused"}, found
assert slowest < LIMIT, slowest
"""


def test_b20_a_call_in_a_signal_handler_has_a_reply_or_is_refused_and_never_hangs(
    process: BrokerProcess,
) -> None:
    def echo(requests: Service) -> None:
        for request in requests:
            request.reply(request.payload)

    with process.client() as serving, serving.serve("control.demo.echo") as requests:
        thread = threading.Thread(target=echo, args=(requests,))
        thread.start()
        arguments = [str(process.run_dir.path), str(scaled(5)), "2"]
        done = subprocess.run(  # a process of its own, so that a wait for ever ends
            [sys.executable, "-c", INTERRUPTED, *arguments],
            capture_output=True,
            text=True,
            timeout=scaled(20),
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        requests.close()
        thread.join(scaled(5))


def test_a_signal_handler_that_falls_into_a_wait_is_refused_at_once(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        refused: list[LocalProtocolError] = []

        def ask(*_: object) -> None:
            for act in (
                lambda: bus.call("control.demo.echo", timeout=60),
                lambda: bus.publish_confirmed(TICK, b"", timeout=60),
                lambda: bus.subscribe(TICK),
            ):
                try:
                    act()
                except LocalProtocolError as error:
                    refused.append(error)
            bus.publish(TICK, b"from the handler")

        before = signal.signal(signal.SIGALRM, ask)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            event = events.get(scaled(10))
        finally:
            signal.signal(signal.SIGALRM, before)
        assert event is not None
        assert event.payload == b"from the handler"
        assert [error.hint for error in refused] == [refused[0].hint] * 3
        assert len(bus.subscriptions()) == 1


def test_a_call_whose_time_is_up_waits_for_no_other_thread(process: BrokerProcess) -> None:
    with process.client() as bus:
        process.signal(signal.SIGSTOP)
        stuck = threading.Thread(target=bus.publish_many, args=(TICK, [bytes(100_000)] * 100))
        try:
            stuck.start()
            wait_for(lambda: bus._connection.writer._turn.busy, "the publish")
            time.sleep(0.1)  # until the socket is full
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                bus.call("control.demo.echo", timeout=0.2)
            assert time.monotonic() - began < scaled(1)
        finally:
            process.signal(signal.SIGCONT)
        stuck.join(scaled(10))


def test_b16_ten_threads_publish_at_once(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:

        def publish(name: str) -> None:
            for number in range(50):
                bus.publish(f"events.demo.{name}", b"%d" % number)

        threads = [threading.Thread(target=publish, args=(f"t{n}",)) for n in range(10)]
        for each in threads:
            each.start()
        found: dict[str, list[int]] = {}
        for _ in range(500):
            event = events.get(scaled(5))
            assert event is not None
            found.setdefault(event.topic, []).append(int(event.payload))
        for each in threads:
            each.join()
        assert set(map(tuple, found.values())) == {tuple(range(50))}
        assert len(found) == 10
