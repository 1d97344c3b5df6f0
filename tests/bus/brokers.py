"""Real brokers for tests: one in a thread of the test, to look at; one in a process, to kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemoneye.bus.access import AccessList, AccessRule, Declared
from daemoneye.bus.broker.broker import Broker
from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.frames import Value, control_value, parse
from daemoneye.bus.handshake import Claim
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Admit, Credential, Order
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import DaemoneyeError
from daemoneye.framing import FrameCutter
from daemoneye.rundir import RunDir
from tests.bus.fake_pipes import living_without
from tests.support import lacking, scaled, wait_for

TICK = "events.demo.tick"


@dataclass
class Running:
    """A broker that runs in a thread."""

    broker: Broker
    mailbox: Mailbox
    path: Path
    keys: dict[str, bytes] = field(default_factory=dict)
    connect: Callable[..., BusClient] = BusClient.connect
    """What makes clients, of one kind or another."""

    def admit(self, name: str, role: str = "agent", **more: object) -> bytes:
        """Let `name` in from now on; returns its key."""
        key = os.urandom(32)
        self.obey(Admit(Credential(name, role, key, **more)))  # type: ignore[arg-type]  # fields by name
        self.keys[name] = key
        return key

    def obey(self, order: Order) -> None:
        """Have the broker obey, before anything that is asked of it from now on."""
        self.mailbox.put(order)
        wait_for(lambda: not self.mailbox._orders, "the order to be obeyed")

    def client(self, name: str = "operator", role: str = "agent", **more: object) -> BusClient:
        """A client that is connected."""
        key = self.keys.get(name) or self.admit(name, role, **more)
        return self.connect(self.path, name=name, key=key)

    def collector(self, name: str = "procmond", kind: str = "process") -> BusClient:
        return self.client(name, "collector", kind=kind)

    def worker(self, name: str, *, publishes: str = "#", subscribes: str = "#") -> BusClient:
        declared = Declared((TopicFilter(publishes),), (TopicFilter(subscribes),))
        return self.client(name, "worker", declared=declared)


@contextmanager
def broker_in_thread(directory: Path, *rules: AccessRule, **limits: float) -> Iterator[Running]:
    """A broker at `directory`/bus; it ends in order, and has ended when this does."""
    mailbox = Mailbox()
    path = RunDir(directory).bus_path
    try:
        broker = Broker(path, Limits.of(limits), AccessList(rules), mailbox)
    except DaemoneyeError:
        mailbox.close()
        raise

    def run() -> None:
        while not broker.finished:
            broker.turn(broker.wait())
        broker.close()

    thread = threading.Thread(target=run, name="broker")
    thread.start()
    try:
        yield Running(broker, mailbox, path)
    finally:
        mailbox.ask_to_stop()
        thread.join(scaled(5))
        mailbox.close()
        assert not thread.is_alive()


def read_all(sock: socket.socket) -> list[Value]:
    """Everything the broker says until it hangs up."""
    sock.setblocking(True)
    sock.settimeout(scaled(5))
    cutter, found = FrameCutter(1 << 21), []
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(1 << 16):
            found += [control_value(parse(raw)) for raw in cutter.feed(data)]
    return found


@contextmanager
def raw_session(broker: Running, name: str = "raw") -> Iterator[socket.socket]:
    """A proven connection without a client around it."""
    key = broker.keys.get(name) or broker.admit(name)
    connected = introduce(broker.path, Claim(name, 1, key), 5.0)
    with connected.sock as sock:
        # Who reads the Welcome may be quicker than the broker, which enters the session behind it.
        wait_for(lambda: bool(broker.broker.router.directory.named(name)), "the session")
        yield sock


def assert_well(broker: Running) -> None:
    """A good client connects and is served within 100 ms: one of three, on a busy machine."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        with broker.client("good") as bus:
            assert bus.publish_confirmed(TICK, b"").subscribers == 0
            took.append(time.monotonic() - began)
        if took[-1] < scaled(0.1):
            return
    raise AssertionError(f"it took {took} s to be served")


@dataclass
class BrokerProcess:
    """A broker in a process of its own, with one credential: the operator's.

    It lacks the features that this process lacks when it is started.
    """

    run_dir: RunDir
    limits: dict[str, float] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    lacking: list[str] = field(default_factory=list)
    connect: Callable[..., BusClient] = BusClient.connect

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it (again) and wait until it listens."""
        command = [sys.executable, "-m", "tests.bus.brokers", str(self.run_dir.path)]
        self.lacking = lacking()
        command += [json.dumps(self.limits), json.dumps(self.lacking)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline()) == self.lacking

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a word."""
        self.signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """End it in order, if it runs; also when a test that failed has left it stopped."""
        if self.process is not None:
            assert self.process.stdin is not None
            self.signal(signal.SIGCONT)
            self.process.stdin.close()
            self._reap()

    def client(self) -> BusClient:
        """The operator's."""
        return self.connect(run_dir=self.run_dir.path)

    def _reap(self) -> None:
        assert self.process is not None
        process, self.process = self.process, None
        with process:  # which waits without a limit when it is left
            try:
                process.wait(scaled(10))
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextmanager
def broker_process(directory: Path, **limits: float) -> Iterator[BrokerProcess]:
    """A running broker whose operator.key is in `directory`; it is gone afterwards."""
    run_dir = RunDir(directory)
    run_dir.make_keys()
    running = BrokerProcess(run_dir, limits)
    running.start()
    try:
        yield running
    finally:
        running.stop()
        run_dir.bus_path.unlink(missing_ok=True)  # what a killed one left


def main() -> None:
    """A broker until standard input ends."""
    run_dir = RunDir(Path(sys.argv[1]))
    mailbox = Mailbox()
    mailbox.put(Admit(Credential("operator", "agent", run_dir.read_key())))
    limits = Limits.of(json.loads(sys.argv[2]))
    broker = Broker(run_dir.bus_path, limits, AccessList(()), mailbox)
    sys.stdout.write(json.dumps(lacking()) + "\n")  # it listens, and lives in this world
    sys.stdout.flush()

    def until_the_end() -> None:
        sys.stdin.read()
        mailbox.ask_to_stop()

    threading.Thread(target=until_the_end, daemon=True).start()
    while not broker.finished:
        broker.turn(broker.wait())
    broker.close()


if __name__ == "__main__":
    with living_without(json.loads(sys.argv[3]), Path(sys.argv[1])):
        main()
