"""Signs of life between real processes: who is silent goes, who is only idle or busy stays."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.frames import (
    Answer,
    Envelope,
    Notice,
    Ping,
    Pong,
    Query,
    Subscribe,
    Value,
    control_value,
    encode,
    parse,
)
from daemoneye.bus.handshake import Claim
from daemoneye.framing import FrameCutter, pack
from tests.bus.brokers import (
    TICK,
    BrokerProcess,
    Running,
    assert_well,
    broker_in_thread,
    broker_process,
    raw_session,
    read_all,
)
from tests.support import scaled, wait_for

INTERVAL = scaled(0.15)
MISSED = 3
LONG = 8 * INTERVAL
"""Long enough to be given up several times."""


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy, heartbeat_interval=INTERVAL, missed_heartbeats=MISSED) as running:
        yield running


@pytest.fixture
def process(tidy: Path) -> Iterator[BrokerProcess]:
    with broker_process(tidy, heartbeat_interval=INTERVAL, missed_heartbeats=MISSED) as running:
        yield running


def connected_since(bus: BusClient) -> int:
    """When the broker let in the session of this client: another one is another session."""
    (row,) = bus.clients()
    return row.connected_at


def read_until(sock: socket.socket, kind: type[Value]) -> Value:
    """The next value of this kind."""
    sock.setblocking(True)
    sock.settimeout(scaled(5))
    cutter = FrameCutter(1 << 20)
    while True:
        data = sock.recv(1 << 16)
        assert data, "the broker hung up"
        for raw in cutter.feed(data):
            if isinstance(value := control_value(parse(raw)), kind):
                return value


# ---- the broker's vigil -------------------------------------------------------------------------


def test_who_says_nothing_is_asked_told_why_and_released(broker: Running) -> None:
    with raw_session(broker) as sock:
        began = time.monotonic()
        *heard, last = read_all(sock)
        took = time.monotonic() - began
    assert heard == [Ping()] * (MISSED - 1)
    assert isinstance(last, Notice)
    assert last.code == "cut-off"
    assert last.detail.startswith("heartbeat: ")
    assert took >= MISSED * INTERVAL
    wait_for(lambda: broker.broker.router.statistics().clients == 0, "the session to be released")
    assert broker.broker.cut_off == {"heartbeat": 1}
    assert broker.broker.statistics().cut_off == {"heartbeat": 1}
    assert_well(broker)


def test_who_answers_stays(broker: Running) -> None:
    with raw_session(broker) as sock:
        for _ in range(2 * MISSED):
            read_until(sock, Ping)
            sock.send(pack(encode(Pong())))
        sock.send(pack(encode(Query("clients", request=7))))
        read_until(sock, Answer)


def test_an_idle_client_stays(broker: Running) -> None:
    with broker.client() as bus:
        since = connected_since(bus)
        time.sleep(LONG)
        assert connected_since(bus) == since


def test_a_client_that_only_waits_stays(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        since = connected_since(bus)
        assert events.get(LONG) is None
        assert connected_since(bus) == since


def test_a_client_that_only_publishes_stays(broker: Running) -> None:
    with broker.client() as bus:
        since, until = connected_since(bus), time.monotonic() + LONG
        while time.monotonic() < until:
            bus.publish(TICK, b"")
        bus.flush()
        assert connected_since(bus) == since


def test_a_client_whose_program_computes_stays(broker: Running) -> None:
    with broker.client() as bus:
        since, until = connected_since(bus), time.monotonic() + LONG
        while time.monotonic() < until:
            sum(range(1000))
        assert connected_since(bus) == since


SUBSCRIBER = """
import sys
from daemoneye import BusClient
with BusClient.connect(run_dir=sys.argv[1]) as bus, bus.subscribe("events.#") as events:
    print("ready", flush=True)
    for event in events:
        print(event.payload.decode(), flush=True)
"""


@contextmanager
def subscriber_process(run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another program that listens."""
    command = [sys.executable, "-c", SUBSCRIBER, str(run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        try:
            assert running.stdout.readline() == b"ready\n"
            yield running
        finally:
            running.kill()


def test_a_stopped_process_is_cut_off_and_comes_back(process: BrokerProcess) -> None:
    with process.client() as bus, subscriber_process(process.run_dir.path) as subscriber:
        assert len(bus.clients()) == 2
        subscriber.send_signal(signal.SIGSTOP)
        wait_for(lambda: len(bus.clients()) == 1, "the stopped one to be cut off")
        subscriber.send_signal(signal.SIGCONT)
        wait_for(lambda: len(bus.subscriptions()) == 1, "it to subscribe again")
        bus.publish(TICK, b"hello")
        assert subscriber.stdout is not None
        assert subscriber.stdout.readline() == b"hello\n"


# ---- when the broker is away --------------------------------------------------------------------


def test_a_stopped_broker_cuts_nobody_off_when_it_goes_on(process: BrokerProcess) -> None:
    claim = Claim("operator", 5, process.run_dir.read_key())
    with introduce(process.run_dir.bus_path, claim, 5.0).sock as sock:
        for _ in range(MISSED - 1):
            read_until(sock, Ping)
        process.signal(signal.SIGSTOP)
        time.sleep(max(LONG, 1.5))
        process.signal(signal.SIGCONT)
        read_until(sock, Ping)  # asked again, instead of being given up
        sock.send(pack(encode(Pong())))
        read_until(sock, Ping)
        sock.send(pack(encode(Query("clients", request=7))))
        answer = read_until(sock, Answer)
        assert isinstance(answer, Answer)
        assert len(answer.clients) == 1


def test_a_connection_that_took_nothing_has_its_time_although_the_broker_was_stopped(
    tidy: Path,
) -> None:
    with broker_process(tidy, write_timeout=scaled(1.0)) as process:
        claim = Claim("operator", 5, process.run_dir.read_key())
        with introduce(process.run_dir.bus_path, claim, 5.0).sock as sock:
            sock.send(pack(encode(Subscribe(1, "events.#", request=1))))
            read_until(sock, Answer)
            with process.client() as bus:
                bus.publish_many(TICK, [bytes(1024)] * 1024)
                bus.publish_confirmed(TICK, b"")
            process.signal(signal.SIGSTOP)
            time.sleep(scaled(1.0) + 1.5)
            process.signal(signal.SIGCONT)
            with process.client() as bus:
                assert len(bus.clients()) == 2
                wait_for(lambda: len(bus.clients()) == 1, "its time to be over all the same")


# ---- the client's vigil -------------------------------------------------------------------------


def test_a_client_notices_a_stopped_broker_and_comes_back(process: BrokerProcess) -> None:
    with process.client() as bus, bus.subscribe("events.#") as events:
        found: list[Envelope | None] = []
        waiting = threading.Thread(target=lambda: found.append(events.get(scaled(20))))
        waiting.start()
        process.signal(signal.SIGSTOP)
        wait_for(lambda: not bus.connected, "the client to give the broker up")
        process.signal(signal.SIGCONT)
        wait_for(lambda: bus.connected and bus.subscriptions(), "it to be back")
        bus.publish(TICK, b"again")
        waiting.join(scaled(20))
        assert [each and each.payload for each in found] == [b"again"]


def test_the_vigils_of_an_idle_machine_cost_next_to_nothing(process: BrokerProcess) -> None:
    with process.client():
        before = cpu_seconds(process.pid)
        time.sleep(LONG)
        assert cpu_seconds(process.pid) - before <= 0.02 * LONG + 0.02


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
