"""daemoneye: a supervised broker in a process of its own, clients with all features on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.processes import running
from daemoneye import BusClient, Supervisor

READY_WITHIN = 10.0


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
        return event.payload

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
    """A supervisor with no children but its broker, until stdin is closed."""
    with Supervisor([], run_dir=directory) as supervisor:
        supervisor.wait_ready(timeout=READY_WITHIN)
        print("ready", flush=True)
        sys.stdin.read()


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
