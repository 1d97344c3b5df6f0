"""The naive way: `multiprocessing.connection` as its manual shows it, and a relay in a loop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client as dial
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.processes import running


class NaiveClient:
    """One connection; every frame of anybody else arrives on it."""

    def __init__(self, address: str) -> None:
        self.connection = dial(address, "AF_UNIX")

    def listen(self, topic: str) -> None:
        """There are no topics: everything is heard."""

    def publish(self, topic: str, payload: bytes) -> None:
        """One frame, one system call."""
        self.connection.send_bytes(payload)

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """The same, in a loop."""
        for payload in payloads:
            self.connection.send_bytes(payload)

    def flush(self) -> None:
        """Nothing is held back."""

    def receive(self) -> bytes:
        """The next frame."""
        return self.connection.recv_bytes()

    def count_until(self, end: bytes) -> int:
        """Count frame by frame."""
        count = 0
        while self.connection.recv_bytes() != end:
            count += 1
        return count


connect = NaiveClient


def serve(path: str) -> None:
    """Copy each frame to all other connections."""
    listener = Listener(path, "AF_UNIX", backlog=64)
    accepting = listener._listener._socket  # type: ignore[attr-defined]  # has no public fileno
    connections: list[Connection] = []
    print("ready", flush=True)
    while True:
        for ready in wait([accepting, *connections]):
            if ready is accepting:
                connections.append(listener.accept())
                continue
            assert isinstance(ready, Connection)
            try:
                frame = ready.recv_bytes()
            except (EOFError, OSError):
                connections.remove(ready)
                continue
            for other in connections:
                if other is not ready:
                    _send(other, frame)


def _send(connection: Connection, frame: bytes) -> None:
    try:
        connection.send_bytes(frame)
    except OSError:
        pass  # it left; its end of file comes with the next turn


@contextmanager
def relay(directory: Path) -> Iterator[str]:
    """The relay on a socket in `directory`."""
    path = directory / "naive.sock"
    path.unlink(missing_ok=True)
    with running([sys.executable, "-m", "benchmarks.peers.naive", str(path)]):
        yield str(path)


def client(role: str, address: str) -> list[str]:
    """A client's command line."""
    return [sys.executable, "-m", "benchmarks.worker", "naive", address, *role.split()]


PEER = Peer("naive relay", "", relay, client)

if __name__ == "__main__":
    serve(sys.argv[1])
