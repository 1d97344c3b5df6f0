"""ZeroMQ: an XSUB/XPUB proxy in a process of its own, clients by pyzmq, default marks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.processes import running

if find_spec("zmq"):
    import zmq

SLOW_JOINER = (
    0.3  # s until a subscription has travelled through the proxy; there is no answer to it
)


class ZeroMqClient:
    """A PUB and a SUB socket at the proxy's two ends."""

    def __init__(self, address: str) -> None:
        context = zmq.Context()
        self.subscriber = context.socket(zmq.SUB)
        self.subscriber.connect(f"ipc://{address}.out")
        self.publisher = context.socket(zmq.PUB)
        self.publisher.connect(f"ipc://{address}.in")
        time.sleep(SLOW_JOINER)

    def listen(self, topic: str) -> None:
        """Subscribe by prefix."""
        self.subscriber.setsockopt(zmq.SUBSCRIBE, topic.encode())
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

    def count_until(self, end: bytes) -> int:
        """Count message by message."""
        count = 0
        while self.subscriber.recv_multipart()[1] != end:
            count += 1
        return count


connect = ZeroMqClient


def serve(path: str) -> None:
    """Forward from publishers to subscribers, in C."""
    context = zmq.Context()
    incoming, outgoing = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    incoming.bind(f"ipc://{path}.in")
    outgoing.bind(f"ipc://{path}.out")
    print("ready", flush=True)
    zmq.proxy(incoming, outgoing)


@contextmanager
def relay(directory: Path) -> Iterator[str]:
    """The proxy on two sockets in `directory`."""
    path = str(directory / "zmq")
    with running([sys.executable, "-m", "benchmarks.peers.zeromq", path]):
        yield path


def client(role: str, address: str) -> list[str]:
    """A client's command line."""
    return [sys.executable, "-m", "benchmarks.worker", "zeromq", address, *role.split()]


PEER = Peer("ZeroMQ proxy", "" if find_spec("zmq") else "pyzmq is not installed", relay, client)

if __name__ == "__main__":
    serve(sys.argv[1])
