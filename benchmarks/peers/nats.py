"""NATS: nats-server on a loopback port of its choice, clients by nats-py.

nats-py lives in an event loop, so its loops are coroutines here: entering the loop for each
message would be measured otherwise.  It joins what is published by itself, and hands what comes to
a callback, which costs it a third of what its iterator does.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.client import END_BYTES, FLOOD, LOOK, PING, PONG, Client, batch_of
from benchmarks.peers import Peer, Relay, not_here, program, version_of, worker_of
from benchmarks.processes import server

if find_spec("nats"):
    import nats

Answer = TypeVar("Answer")

CONFIGURATION = """
host: 127.0.0.1
port: -1
ports_file_dir: {directory!r}
max_payload: 8MB
max_pending: 512MB
"""

PENDING_BYTES = 512 << 20  # what a subscription may hold back before it drops


class NatsClient(Client):
    """A connection in an event loop of its own."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.loop = asyncio.new_event_loop()
        self.connection: Any = self.run(nats.connect(address))
        self.hear: Callable[[bytes], Awaitable[None]] = self._keep
        self.arrived: deque[bytes] = deque()
        self.something = asyncio.Event()
        self.count = 0

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Do it, and wait for it."""
        return self.loop.run_until_complete(work)

    def listen(self, topic: str) -> None:
        """Subscribe, and wait until the server has seen it."""
        self.run(self._listen(topic))

    async def _listen(self, topic: str) -> None:
        async def heard(message: Any) -> None:
            await self.hear(message.data)

        await self.connection.subscribe(topic, cb=heard, pending_bytes_limit=PENDING_BYTES)
        await self.connection.flush()

    async def _keep(self, payload: bytes) -> None:
        self.arrived.append(payload)
        self.something.set()

    async def _count(self, payload: bytes) -> None:
        if len(payload) == END_BYTES:
            await self._keep(payload)
        else:
            self.count += 1

    async def _send_back(self, payload: bytes) -> None:
        await self.connection.publish(PONG, payload)

    def publish(self, topic: str, payload: bytes) -> None:
        """One message."""
        self.run(self.connection.publish(topic, payload))

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """The same, in a loop."""
        self.run(self._publish_all(topic, payloads))

    async def _publish_all(self, topic: str, payloads: list[bytes]) -> None:
        publish = self.connection.publish
        for payload in payloads:
            await publish(topic, payload)

    def publish_for(self, seconds: float, payload: bytes, most: int, many: bool) -> int:
        """A call for each: there is no other."""
        return self.run(self._publish_for(seconds, payload, most))

    async def _publish_for(self, seconds: float, payload: bytes, most: int) -> int:
        publish, sent = self.connection.publish, 0
        burst = min(LOOK, len(batch_of(payload)))
        end = time.monotonic() + seconds
        while sent < most and time.monotonic() < end:
            for _ in range(burst):
                await publish(FLOOD, payload)
            sent += burst
        await self.connection.flush(timeout=10)
        return sent

    def flush(self) -> None:
        """The server has seen everything."""
        self.run(self.connection.flush())

    def receive(self) -> bytes:
        """The next payload."""
        return self.run(self._receive())

    async def _receive(self) -> bytes:
        while not self.arrived:
            self.something.clear()
            await self.something.wait()
        return self.arrived.popleft()

    def count_to_end(self) -> tuple[int, bytes]:
        """Count in the callback."""
        self.hear = self._count
        end = self.receive()
        count, self.count = self.count, 0
        return count, end

    def echo(self) -> None:
        """Send back what comes, from the callback."""
        self.hear = self._send_back
        self.loop.run_forever()

    def round_trips(self, payload: bytes, count: int, seconds: float) -> list[int]:
        """All of them in one coroutine."""
        return self.run(self._round_trips(payload, count, seconds))

    async def _round_trips(self, payload: bytes, count: int, seconds: float) -> list[int]:
        took: list[int] = []
        end = time.monotonic() + seconds
        while len(took) < count and time.monotonic() < end:
            sent = time.monotonic_ns()
            await self.connection.publish(PING, payload)
            await self._receive()
            took.append(time.monotonic_ns() - sent)
        return took


connect = NatsClient


@contextmanager
def relay(directory: Path) -> Iterator[Relay]:
    """nats-server; it writes into `directory` where it listens."""
    configuration = directory / "nats.conf"
    configuration.write_text(CONFIGURATION.format(directory=str(directory)))
    command = [program("nats-server"), "-c", str(configuration)]
    with server(command, directory / "nats.log", lambda: bool(address_in(directory))) as process:
        yield Relay(address_in(directory), process.pid)


def address_in(directory: Path) -> str:
    """Where a server listens that has written so; empty as long as it has not."""
    for written in directory.glob("*.ports"):
        try:
            return str(json.loads(written.read_text())["nats"][0])
        except ValueError:  # it is being written
            break
    return ""


def version() -> str:
    """Of the server and of the client."""
    command = [program("nats-server"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"{said.replace(': v', ' ')}, {version_of('nats-py')}"


PEER = Peer(
    "nats", "NATS", not_here("nats", "nats-py", "nats-server"), version, relay, worker_of("nats")
)
