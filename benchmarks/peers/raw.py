"""Python's own floor: sockets and bytes, no framing and no decision; what floor.c does, in Python.

python -m benchmarks.peers.raw ROLE PATH …
"""

from __future__ import annotations

import platform
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.client import CannotCarry
from benchmarks.peers import Peer, Relay
from benchmarks.peers.floor import stream_role
from benchmarks.processes import python, running
from benchmarks.worker import stay, wait_for_go

CHUNK = 64 << 10
BACKLOG = 128


def dial(path: str) -> socket.socket:
    """A connection to the relay."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock


def serve(path: str) -> None:
    """Send every chunk to all other connections, until none is left that has sent something."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(BACKLOG)
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    clients: dict[int, socket.socket] = {}
    hearing: dict[int, socket.socket] = {}
    senders: set[int] = set()
    print("ready", flush=True)
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                sock = listener.accept()[0]
                clients[sock.fileno()] = hearing[sock.fileno()] = sock
                poller.register(sock, select.POLLIN)
                continue
            if not (data := clients[fd].recv(CHUNK)):
                poller.unregister(fd)
                senders.discard(fd)
                if not senders:
                    return
                continue
            senders.add(fd)
            for other, sock in list(hearing.items()):
                if other != fd:
                    try:
                        sock.sendall(data)
                    except OSError:
                        del hearing[other]  # it has shut its reading side


def echo(path: str) -> None:
    """Send back what comes."""
    sock = dial(path)
    print("ready", flush=True)
    while data := sock.recv(CHUNK):
        sock.sendall(data)


def ping(path: str, count: str, seconds: str, size: str) -> None:
    """Measure round trips."""
    sock, message = dial(path), bytes(int(size))
    wait_for_go()
    took: list[int] = []
    end = time.monotonic() + float(seconds)
    while len(took) < int(count) and time.monotonic() < end:
        sent = time.monotonic_ns()
        sock.sendall(message)
        left = len(message)
        while left:
            left -= len(sock.recv(left))
        took.append(time.monotonic_ns() - sent)
    print(*took, flush=True)
    stay()


def publish(path: str, seconds: str, size: str, most: str) -> None:
    """Take messages one by one, send them joined."""
    sock, message = dial(path), bytes(int(size))
    if not message:
        raise CannotCarry("nothing: it knows bytes, not messages")
    joined = max(1, CHUNK // len(message))
    sock.shutdown(socket.SHUT_RD)
    wait_for_go()
    sent, start = 0, time.monotonic_ns()
    end = start + int(float(seconds) * 1e9)
    while sent < int(most) and time.monotonic_ns() < end:
        waiting: list[bytes] = []
        for _ in range(joined):
            waiting.append(message)
        sock.sendall(b"".join(waiting))
        sent += joined
    sock.close()
    print(start, sent, flush=True)
    stay()


def subscribe(path: str, size: str) -> None:
    """Count bytes until no publisher is left."""
    sock, received, last = dial(path), 0, 0
    wait_for_go()
    while data := sock.recv(CHUNK):
        received += len(data)
        last = time.monotonic_ns()
    print(last, received // int(size), flush=True)
    stay()


@contextmanager
def relay(directory: Path) -> Iterator[Relay]:
    """The relay on a socket in `directory`."""
    path = directory / "raw.sock"
    with running(python("benchmarks.peers.raw", "serve", str(path))) as worker:
        yield Relay(str(path), worker.pid)


def client(role: str, address: str) -> list[str]:
    """A client's command line."""
    return python("benchmarks.peers.raw", *stream_role(role, address))


def version() -> str:
    """The interpreter's."""
    return f"Python {platform.python_version()}"


PEER = Peer("python", "Python relay", "", version, relay, client, has_topics=False)

ROLES: dict[str, Callable[..., None]] = {
    each.__name__: each for each in (serve, echo, ping, publish, subscribe)
}

if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    try:
        ROLES[role](*arguments)
    except CannotCarry as reason:
        print(f"cannot {reason}", flush=True)
        stay()
