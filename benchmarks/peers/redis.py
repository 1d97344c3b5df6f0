"""Redis: publish/subscribe through redis-server on a Unix socket, clients by redis-py, pipelined.

The server keeps nothing on disk and cuts off no slow subscriber: a default that would end a contest
early.  Publishing goes through a pipeline, executed every 64 KiB, as redis-py's manual advises.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.client import END_BYTES, FLOOD, Client, batch_of
from benchmarks.peers import Peer, Relay, not_here, program, version_of, worker_of
from benchmarks.processes import server

if find_spec("redis"):
    import redis

CONFIGURATION = """
port 0
unixsocket {directory}/redis.sock
dir {directory}
save ""
appendonly no
client-output-buffer-limit pubsub 0 0 0
"""


class RedisClient(Client):
    """A connection for commands, and one for a subscription."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.commands: Any = redis.Redis(unix_socket_path=address)
        self.commands.ping()
        self.pipeline = self.commands.pipeline(transaction=False)
        self.heard: Any = None

    def listen(self, topic: str) -> None:
        """Subscribe, and wait for the answer."""
        self.heard = self.commands.pubsub()
        self.heard.subscribe(topic)
        while (self.heard.get_message(timeout=1) or {}).get("type") != "subscribe":
            continue

    def publish(self, topic: str, payload: bytes) -> None:
        """One command and its answer."""
        self.commands.publish(topic, payload)

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """One pipeline."""
        for payload in payloads:
            self.pipeline.publish(topic, payload)
        self.pipeline.execute()

    def publish_for(self, seconds: float, payload: bytes, most: int, many: bool) -> int:
        """A call for each or for many: it is the same pipeline."""
        batch, sent = batch_of(payload), 0
        end = time.monotonic() + seconds
        while sent < most and time.monotonic() < end:
            self.publish_many(FLOOD, batch)
            sent += len(batch)
        return sent

    def flush(self) -> None:
        """Nothing is held back."""

    def receive(self) -> bytes:
        """The next payload."""
        return bytes(next(self.heard.listen())["data"])

    def count_to_end(self) -> tuple[int, bytes]:
        """Count message by message."""
        for count, message in enumerate(self.heard.listen()):
            payload = message["data"]
            if len(payload) == END_BYTES:
                return count, payload
        raise AssertionError("it is listened to for ever")


connect = RedisClient


@contextmanager
def relay(directory: Path) -> Iterator[Relay]:
    """redis-server on a socket in `directory`."""
    configuration, path = directory / "redis.conf", directory / "redis.sock"
    configuration.write_text(CONFIGURATION.format(directory=directory))
    command = [program("redis-server"), str(configuration)]
    with server(command, directory / "redis.log", lambda: accepts(path)) as process:
        yield Relay(str(path), process.pid)


def accepts(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        return path.exists() and probe.connect_ex(str(path)) == 0


def version() -> str:
    """Of the server and of the client."""
    command = [program("redis-server"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    number = next((word[2:] for word in said if word.startswith("v=")), "?")
    fast = version_of("hiredis") if find_spec("hiredis") else "without hiredis"
    return f"redis-server {number}, {version_of('redis')}, {fast}"


PEER = Peer(
    "redis", "Redis", not_here("redis", "redis", "redis-server"), version, relay, worker_of("redis")
)
