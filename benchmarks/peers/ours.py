"""daemoneye: the broker in a process of its own, clients with all features on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from benchmarks.peers import Peer
from benchmarks.processes import running
from daemoneye.bus.access import AccessList
from daemoneye.bus.broker.broker import Broker
from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.destination import OPERATOR
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Admit, Credential
from daemoneye.rundir import RunDir


class OurClient:
    """A BusClient in its best-effort defaults: credit, bounds, counting, access rules."""

    def __init__(self, address: str) -> None:
        self.bus = BusClient.connect(run_dir=address)

    def listen(self, topic: str) -> None:
        """Subscribe; the broker has answered when this returns."""
        self.subscription = self.bus.subscribe(topic)

    def publish(self, topic: str, payload: bytes) -> None:
        """One event."""
        self.bus.publish(topic, payload)

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """Many events of one topic."""
        self.bus.publish_many(topic, payloads)

    def flush(self) -> None:
        """Everything is in the kernel."""
        self.bus.flush()

    def receive(self) -> bytes:
        """The next payload."""
        event = self.subscription.get()
        assert event is not None  # it waited for ever
        return bytes(event.payload)

    def count_until(self, end: bytes) -> int:
        """Count event by event."""
        count = 0
        for event in self.subscription:
            if event.payload == end:
                break
            count += 1
        return count


connect = OurClient


def serve(directory: str) -> None:
    """The broker that children get, without a supervisor beside it, until stdin is closed."""
    run_dir = RunDir.find(directory)
    run_dir.make()
    mailbox = Mailbox()
    mailbox.put(Admit(Credential(OPERATOR, "agent", run_dir.make_operator_key())))
    broker = Broker(run_dir.bus_path, Limits(), AccessList(), mailbox)
    Thread(target=stop_at_the_end_of_stdin, args=[mailbox], daemon=True).start()
    broker.turn(broker.wait())
    print("ready", flush=True)
    while not broker.finished:
        broker.turn(broker.wait())
    broker.close()


def stop_at_the_end_of_stdin(mailbox: Mailbox) -> None:
    """Begin to end when whoever started us closes our stdin."""
    sys.stdin.read()
    mailbox.ask_to_stop()


@contextmanager
def relay(directory: Path) -> Iterator[str]:
    """The broker in a run directory of its own."""
    with running([sys.executable, "-m", "benchmarks.peers.ours", str(directory)]):
        yield str(directory)


def client(role: str, address: str) -> list[str]:
    """A client's command line."""
    return [sys.executable, "-m", "benchmarks.worker", "ours", address, *role.split()]


PEER = Peer("daemoneye", "", relay, client)

if __name__ == "__main__":
    serve(sys.argv[1])
