"""What every peer's client is asked to do, each in its own best way.

Six things differ from peer to peer; the loops around them stand here, and fit every client that
blocks.  A client that has to be used otherwise (an event loop, a pipeline) brings its own.
"""

from __future__ import annotations

import struct
import time
from abc import ABC, abstractmethod

PING, PONG = "events.bench.ping", "events.bench.pong"
FLOOD = "events.bench.flood"
CONTROL = "control.bench.tick"

_END = struct.Struct("<5sH")
END_BYTES = _END.size
"""No payload of a flood has this size, so that a length tells the end from what comes before."""

BATCH_BYTES = 64 << 10
BATCH_MESSAGES = 256
LOOK = 64  # publishes between two looks at the clock, at most


def end_of(publisher: int) -> bytes:
    """The payload that says: this publisher has published everything."""
    return _END.pack(b"ended", publisher)


def batch_of(payload: bytes) -> list[bytes]:
    """As many as one call of `publish_many` gets."""
    return [payload] * max(1, min(BATCH_MESSAGES, BATCH_BYTES // max(1, len(payload))))


class CannotCarry(Exception):
    """The peer does not take such a payload; says why."""


class Client(ABC):
    """A client of a peer."""

    def __init__(self, address: str) -> None:
        self.address = address

    @abstractmethod
    def listen(self, topic: str) -> None:
        """Subscribe; when this returns the subscription is in force."""

    @abstractmethod
    def publish(self, topic: str, payload: bytes) -> None:
        """Send one message."""

    @abstractmethod
    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """Send several in one call."""

    @abstractmethod
    def flush(self) -> None:
        """Hand everything to the kernel."""

    @abstractmethod
    def receive(self) -> bytes:
        """The next message."""

    @abstractmethod
    def count_to_end(self) -> tuple[int, bytes]:
        """How many messages come before the next of END_BYTES, and that one."""

    def only_publish(self) -> None:  # noqa: B027 - most have nothing to do
        """Nothing is ever received here: for relays that send everything to everybody."""

    def beside(self) -> Client:
        """Another client in this process, for another topic and another thread."""
        return type(self)(self.address)

    def echo(self) -> None:
        """Send back what comes, for ever."""
        while True:
            self.publish(PONG, self.receive())

    def round_trips(self, payload: bytes, count: int, seconds: float) -> list[int]:
        """How long each took, in ns; for so many, or for so long."""
        took: list[int] = []
        end = time.monotonic() + seconds
        while len(took) < count and time.monotonic() < end:
            sent = time.monotonic_ns()
            self.publish(PING, payload)
            self.receive()
            took.append(time.monotonic_ns() - sent)
        return took

    def publish_for(self, seconds: float, payload: bytes, most: int, many: bool) -> int:
        """Publish so long, or so many, with a call for many or for each; how many it were."""
        batch, sent = batch_of(payload), 0
        burst = min(LOOK, len(batch))
        end = time.monotonic() + seconds
        while sent < most and time.monotonic() < end:
            if many:
                self.publish_many(FLOOD, batch)
                sent += len(batch)
            else:
                for _ in range(burst):
                    self.publish(FLOOD, payload)
                sent += burst
        self.flush()
        return sent

    def say(self, topic: str, payload: bytes) -> None:
        """Send one message now."""
        self.publish(topic, payload)
        self.flush()
