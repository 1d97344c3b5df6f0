"""daemoneye: the broker in a process of its own, clients with all features on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import MappingProxyType

from benchmarks.client import END_BYTES, CannotCarry, Client
from benchmarks.peers import Peer, Relay, version_of, worker_of
from benchmarks.processes import Worker, python, running
from daemoneye.bus.access import AccessList
from daemoneye.bus.broker.broker import Broker
from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Admit, Credential
from daemoneye.errors import TooLarge
from daemoneye.rundir import OPERATOR, RunDir

LIMITS = {"agent_connections": 256}
"""The one limit that a contest would meet: all its clients are the operator's."""

NO_LIMITS: Mapping[str, int] = MappingProxyType({})

BROKER_BUDGET = 24 * 3600.0  # s; a sustained run may be long, its broker says little


class OurClient(Client):
    """A BusClient in its best-effort defaults: credit, bounds, counting, access rules."""

    def __init__(self, address: str, bus: BusClient | None = None) -> None:
        super().__init__(address)
        self.bus = bus or BusClient.connect(run_dir=address)

    def beside(self) -> OurClient:
        """One more subscription of the same connection: the harder way."""
        return OurClient(self.address, self.bus)

    def listen(self, topic: str) -> None:
        """Subscribe; the broker has answered when this returns."""
        self.subscription = self.bus.subscribe(topic)

    def publish(self, topic: str, payload: bytes) -> None:
        """One event."""
        self.bus.publish(topic, payload)

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """Many events of one topic."""
        self.bus.publish_many(topic, payloads)

    def publish_for(self, seconds: float, payload: bytes, most: int, many: bool) -> int:
        """As everybody; but some payloads are too large."""
        try:
            return super().publish_for(seconds, payload, most, many)
        except TooLarge as error:
            raise CannotCarry(str(error)) from error

    def flush(self) -> None:
        """Everything is in the kernel."""
        self.bus.flush()

    def receive(self) -> bytes:
        """The next payload."""
        event = self.subscription.get()
        assert event is not None  # it waited for ever
        return bytes(event.payload)

    def count_to_end(self) -> tuple[int, bytes]:
        """Count event by event."""
        for count, event in enumerate(self.subscription):
            if len(event.payload) == END_BYTES:
                return count, bytes(event.payload)
        raise AssertionError("it is iterated over for ever")


connect = OurClient


def serve(directory: str, limits: str) -> None:
    """The broker that children get, without a supervisor beside it, until it is ended.

    A line on stdin asks for its statistics.
    """
    run_dir = RunDir.find(directory)
    run_dir.make()
    mailbox = Mailbox()
    mailbox.put(Admit(Credential(OPERATOR, "agent", run_dir.make_keys()[OPERATOR])))
    broker = Broker(run_dir.bus_path, Limits.of(json.loads(limits)), AccessList(), mailbox)
    asked: SimpleQueue[str] = SimpleQueue()
    Thread(target=hear, args=[asked, mailbox], daemon=True).start()
    broker.turn(broker.wait())
    print("ready", flush=True)
    while not broker.finished:
        broker.turn(broker.wait())
        if asked.empty():
            continue
        asked.get_nowait()
        seen = broker.router.statistics()
        print(json.dumps(asdict(seen) | {"lost": dict(seen.lost)}), flush=True)
    broker.close()


def hear(asked: SimpleQueue[str], mailbox: Mailbox) -> None:
    """Hand on what comes on stdin; at its end, whoever started us is gone."""
    for line in sys.stdin:
        asked.put(line)
        mailbox.wake()
    mailbox.ask_to_stop()


@contextmanager
def broker_in(directory: Path, limits: Mapping[str, int] = NO_LIMITS) -> Iterator[Worker]:
    """The broker in a run directory of its own, with these limits changed."""
    changed = json.dumps({**LIMITS, **limits})
    command = python("benchmarks.peers.ours", str(directory), changed)
    with running(command, BROKER_BUDGET) as worker:
        yield worker


@contextmanager
def relay(directory: Path) -> Iterator[Relay]:
    """The broker."""
    with broker_in(directory) as worker:
        yield Relay(str(directory), worker.pid)


def version() -> str:
    """Ours."""
    return f"{version_of('daemoneye')}, {version_of('protobuf')}"


PEER = Peer("ours", "daemoneye", "", version, relay, worker_of("ours"))

if __name__ == "__main__":
    serve(*sys.argv[1:])
