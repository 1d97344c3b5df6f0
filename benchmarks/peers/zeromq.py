"""ZeroMQ: an XSUB/XPUB proxy in a process of its own, clients by pyzmq, twice.

As its guide has it: topic and payload are two parts, default marks, who finds no room drops.  And
as fast as it goes: one part that begins with the topic, and with XPUB_NODROP whoever finds no room
waits; then one slow subscriber slows down everybody.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.client import END_BYTES, Client
from benchmarks.peers import Peer, Relay, not_here, version_of, worker_of
from benchmarks.processes import python, running

if find_spec("zmq"):
    import zmq

SLOW_JOINER = 0.3
"""s until a subscription has travelled through the proxy; there is no answer to it."""

GUIDE, FAST = "guide", "fast"


class ZeroMqClient(Client):
    """A PUB and a SUB socket at the proxy's two ends; the address says in which way."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        context: Any = zmq.Context.instance()
        way, path = address.split(":")
        self.subscriber = context.socket(zmq.SUB)
        self.subscriber.connect(f"ipc://{path}.out")
        self.publisher = context.socket(zmq.PUB)
        self.publisher.setsockopt(zmq.XPUB_NODROP, way == FAST)
        self.publisher.connect(f"ipc://{path}.in")

    def listen(self, topic: str) -> None:
        """Subscribe by prefix."""
        self.subscriber.setsockopt(zmq.SUBSCRIBE, topic.encode())
        time.sleep(SLOW_JOINER)

    def only_publish(self) -> None:
        """Be connected before anything is published."""
        time.sleep(SLOW_JOINER)

    def publish(self, topic: str, payload: bytes) -> None:
        """One message of two parts."""
        self.publisher.send_multipart((topic.encode(), payload))

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """The same, in a loop: ZeroMQ joins by itself."""
        level = topic.encode()
        for payload in payloads:
            self.publisher.send_multipart((level, payload))

    def flush(self) -> None:
        """ZeroMQ's own thread sends."""

    def receive(self) -> bytes:
        """The next payload."""
        return bytes(self.subscriber.recv_multipart()[1])

    def count_to_end(self) -> tuple[int, bytes]:
        """Count message by message."""
        count = 0
        while len(payload := self.subscriber.recv_multipart()[1]) != END_BYTES:
            count += 1
        return count, bytes(payload)


class FastClient(ZeroMqClient):
    """The same with messages of one part: the topic, a space, the payload."""

    def listen(self, topic: str) -> None:
        """Subscribe by prefix, and know how much of it to cut off."""
        self.prefix_bytes = len(topic) + 1
        super().listen(topic)

    def publish(self, topic: str, payload: bytes) -> None:
        """One message of one part."""
        self.publisher.send(topic.encode() + b" " + payload)

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """The same, in a loop."""
        send, prefix = self.publisher.send, topic.encode() + b" "
        for payload in payloads:
            send(prefix + payload)

    def receive(self) -> bytes:
        """The next payload."""
        return bytes(self.subscriber.recv()[self.prefix_bytes :])

    def count_to_end(self) -> tuple[int, bytes]:
        """Count message by message."""
        count, receive, prefix_bytes = 0, self.subscriber.recv, self.prefix_bytes
        while len(payload := receive()[prefix_bytes:]) != END_BYTES:
            count += 1
        return count, bytes(payload)


def connect(address: str) -> ZeroMqClient:
    """The client for the way that the address names."""
    return (FastClient if address.startswith(FAST) else ZeroMqClient)(address)


def serve(way: str, path: str) -> None:
    """Forward from publishers to subscribers, in C."""
    context = zmq.Context()
    incoming, outgoing = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    outgoing.setsockopt(zmq.XPUB_NODROP, way == FAST)
    incoming.bind(f"ipc://{path}.in")
    outgoing.bind(f"ipc://{path}.out")
    print("ready", flush=True)
    zmq.proxy(incoming, outgoing)


@contextmanager
def relay(way: str, directory: Path) -> Iterator[Relay]:
    """The proxy on two sockets in `directory`."""
    path = str(directory / "zmq")
    with running(python("benchmarks.peers.zeromq", way, path)) as worker:
        yield Relay(f"{way}:{path}", worker.pid)


def version() -> str:
    """Of the binding and of the library."""
    return f"{version_of('pyzmq')}, libzmq {zmq.zmq_version()}"


MISSING = not_here("zmq", "pyzmq")

PEERS = tuple(
    Peer(key, name, MISSING, version, partial(relay, way), worker_of("zeromq"))
    for key, name, way in (
        ("zeromq", "ZeroMQ proxy", GUIDE),
        ("zeromq-fast", "ZeroMQ, fastest", FAST),
    )
)

if __name__ == "__main__":
    serve(*sys.argv[1:])
