"""The naive way: `multiprocessing.connection` as its manual shows it, and a relay in a loop."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client as dial
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path

from benchmarks.client import END_BYTES, Client
from benchmarks.peers import Peer, Relay, worker_of
from benchmarks.processes import python, running


class NaiveClient(Client):
    """One connection; every frame of anybody else arrives on it."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.connection = dial(address, "AF_UNIX")

    def listen(self, topic: str) -> None:
        """There are no topics: everything is heard."""

    def only_publish(self) -> None:
        """Be sent nothing: nobody would read it, and the relay would wait for ever."""
        with socket.socket(fileno=os.dup(self.connection.fileno())) as same:
            same.shutdown(socket.SHUT_RD)

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

    def count_to_end(self) -> tuple[int, bytes]:
        """Count frame by frame."""
        count = 0
        while len(payload := self.connection.recv_bytes()) != END_BYTES:
            count += 1
        return count, payload


connect = NaiveClient


def serve(path: str) -> None:
    """Copy each frame to all other connections that hear."""
    listener = Listener(path, "AF_UNIX", backlog=128)
    accepting = listener._listener._socket  # type: ignore[attr-defined]  # has no public fileno
    connections: list[Connection] = []
    hearing: list[Connection] = []
    print("ready", flush=True)
    while True:
        for ready in wait([accepting, *connections]):
            if ready is accepting:
                connection = listener.accept()
                connections.append(connection)
                hearing.append(connection)
                continue
            assert isinstance(ready, Connection)
            try:
                frame = ready.recv_bytes()
            except (EOFError, OSError):
                connections.remove(ready)
                continue
            for other in tuple(hearing):
                if other is not ready and not _sent(other, frame):
                    hearing.remove(other)


def _sent(connection: Connection, frame: bytes) -> bool:
    try:
        connection.send_bytes(frame)
    except OSError:
        return False  # it has left, or shut its reading side
    return True


@contextmanager
def relay(directory: Path) -> Iterator[Relay]:
    """The relay on a socket in `directory`."""
    path = directory / "naive.sock"
    with running(python("benchmarks.peers.naive", str(path))) as worker:
        yield Relay(str(path), worker.pid)


def version() -> str:
    """The interpreter's."""
    return f"Python {platform.python_version()}"


PEER = Peer("naive", "naive relay", "", version, relay, worker_of("naive"), has_topics=False)

if __name__ == "__main__":
    serve(sys.argv[1])
