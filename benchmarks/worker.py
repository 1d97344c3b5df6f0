"""A client of a contest, in a process of its own.

python -m benchmarks.worker PEER ADDRESS ROLE …
"""

from __future__ import annotations

import select
import sys
import time
from importlib import import_module
from typing import Protocol

PAYLOAD = b"x" * 256
END = b"end"
PING, PONG, FLOOD = "bench.ping", "bench.pong", "bench.flood"
BATCH = [PAYLOAD] * 256
CHECK_EVERY = 64  # publishes between two looks at the clock


class Client(Protocol):
    """What each peer's client library is asked to do, in its own best way."""

    def listen(self, topic: str) -> None:
        """Subscribe; when this returns the subscription is in force."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send one message."""

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """Send several in one call."""

    def flush(self) -> None:
        """Hand everything to the kernel."""

    def receive(self) -> bytes:
        """The next message."""

    def count_until(self, end: bytes) -> int:
        """How many messages come before the first that equals `end`."""


def wait_for_go() -> None:
    """Say that all is prepared, and wait for the others."""
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(0)


def echo(client: Client) -> None:
    """Send back what comes, until the word that ends it."""
    client.listen(PING)
    print("ready", flush=True)
    while (payload := client.receive()) != END:
        client.publish(PONG, payload)


def ping(client: Client, count: int) -> None:
    """Measure round trips; prints the times in ns, one a line."""
    client.listen(PONG)
    wait_for_go()
    took = []
    for _ in range(count):
        sent = time.monotonic_ns()
        client.publish(PING, PAYLOAD)
        client.receive()
        took.append(time.monotonic_ns() - sent)
    print("\n".join(map(str, took)), flush=True)
    client.publish(PING, END)
    client.flush()


def publish(client: Client, seconds: float) -> None:
    """Publish one by one for so long; prints when it began and how many it sent."""
    wait_for_go()
    sent, start = 0, time.monotonic_ns()
    end = start + int(seconds * 1e9)
    while time.monotonic_ns() < end:
        for _ in range(CHECK_EVERY):
            client.publish(FLOOD, PAYLOAD)
        sent += CHECK_EVERY
    finish(client, start, sent)


def publish_many(client: Client, seconds: float) -> None:
    """The same, many with each call."""
    wait_for_go()
    sent, start = 0, time.monotonic_ns()
    end = start + int(seconds * 1e9)
    while time.monotonic_ns() < end:
        client.publish_many(FLOOD, BATCH)
        sent += len(BATCH)
    finish(client, start, sent)


def finish(client: Client, start: int, sent: int) -> None:
    """Tell the subscribers that it is over until stdin is closed; best effort may lose a word."""
    client.flush()
    print(start, sent, flush=True)
    over = False
    while not over:
        client.publish(FLOOD, END)
        client.flush()
        over = bool(select.select([sys.stdin], [], [], 0.05)[0])


def subscribe(client: Client) -> None:
    """Count what comes; prints when the end came and how many came before it."""
    client.listen(FLOOD)
    wait_for_go()
    received = client.count_until(END)
    print(time.monotonic_ns(), received, flush=True)
    sys.stdin.read()


def main() -> None:
    """Connect and play the role."""
    peer, address, role, *argument = sys.argv[1:]
    client: Client = import_module(f"benchmarks.peers.{peer}").connect(address)
    if role == "echo":
        echo(client)
    elif role == "ping":
        ping(client, int(argument[0]))
    elif role == "publish":
        publish(client, float(argument[0]))
    elif role == "publish_many":
        publish_many(client, float(argument[0]))
    else:
        subscribe(client)


if __name__ == "__main__":
    main()
