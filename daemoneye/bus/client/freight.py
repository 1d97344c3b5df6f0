"""Large payloads on their way out of a client: apart from their publish, and ahead of it.  Pure.

As a descriptor of sealed memory, or in chunks where descriptors do not travel.  In chunks as well
when the broker has not yet taken what it was passed before: a descriptor hardly fills a socket, so
a client could have any amount of memory in use while the broker is stopped; chunks fill it, and
who publishes waits for the broker as with everything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from daemoneye.bus.arrivals import CHUNK_BYTES
from daemoneye.bus.client.outgoing import Apart
from daemoneye.bus.frames import Carriage, chunk_head, parcel_stamp
from daemoneye.framing import pack, pack_length

MOST_PASSED = 16
"""How many descriptors may be on their way to a broker that has not said that it took them."""

_HEAD_BYTES = 64  # of a chunk, beyond its content


def owning(apart: Apart) -> bytes:
    """The publish of a payload whose descriptor goes with its first byte, packed."""
    return pack(apart.frame + parcel_stamp(0, descriptors=1))


def in_chunks(apart: Apart, parcel: int, frame_limit: int) -> Iterator[bytes]:
    """All frames of it, packed: the payload in chunks, under this number, then the publish."""
    content, size = memoryview(apart.content), len(apart.content)
    step = max(1, min(CHUNK_BYTES, frame_limit - _HEAD_BYTES))
    for offset in range(0, size, step):
        part = content[offset : offset + step]
        head = chunk_head(parcel, size, offset, len(part))
        yield b"".join((pack_length(len(head) + len(part)), head, part))
    yield pack(apart.frame + parcel_stamp(parcel, descriptors=0))


class Freight:
    """Which way large payloads go on one connection after another."""

    __slots__ = ("_bytes", "_numbered", "_passed", "carriage")

    def __init__(self) -> None:
        self.carriage = Carriage()
        self._numbered = 0
        # Descriptors on their way: at how many messages the broker has taken each, and its size.
        self._passed: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def connected(self, carriage: Carriage) -> None:
        """There is a new connection, with nothing on its way."""
        self.carriage = carriage
        self._passed.clear()
        self._bytes = 0

    def refuses(self, apart: Apart) -> bool:
        """Whether this broker does not take it at all."""
        return len(apart.content) > self.carriage.max_payload_bytes

    def number(self) -> int:
        """The number of the next payload that goes in chunks."""
        self._numbered += 1
        return self._numbered

    def may_pass(self, size: int, confirmed: int) -> bool:
        """Whether one of that size goes as a descriptor.

        `confirmed` is how many messages of this connection the broker has taken.
        """
        while self._passed and self._passed[0][0] <= confirmed:
            self._bytes -= self._passed.popleft()[1]
        return self.carriage.descriptors and (
            not self._passed
            or (
                len(self._passed) < MOST_PASSED
                and self._bytes + size <= self.carriage.max_payload_bytes
            )
        )

    def passed(self, size: int, sent: int) -> None:
        """One went as a descriptor; with it, so many messages were sent on this connection."""
        self._passed.append((sent, size))
        self._bytes += size
