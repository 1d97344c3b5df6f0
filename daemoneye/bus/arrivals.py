"""What comes on a connection ahead of the frame that owns it.  Pure.

A large payload is a *parcel*: it travels apart from its publish, and ahead of it, as a descriptor
of sealed memory or in chunks.

Descriptors stand in the order in which they came, because the kernel keeps that order and promises
nothing more: one may come with bytes that stand before its frame.  So frames say how many they own
and each takes the next.  What was received with a descriptor (its number, or its mapping) is up to
who reads; here it is a thing.

Chunks name their parcel, so other frames, chunks of other parcels too, may stand between them.
The chunks of one parcel come in order.  Nothing is allocated for what a first chunk promises: the
buffer grows with what comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from daemoneye.bus.frames import Chunk
from daemoneye.errors import RemoteProtocolError, TooLarge

Thing = TypeVar("Thing")

CHUNK_BYTES = 64 << 10
"""How much content a chunk has, but for the last: with half as much 4 MiB to four subscribers take
10.4 ms instead of 8.2, with four times as much 9.9 (fresh pages for each), with twice as much the
same, and control has to wait for one."""

OPEN_PARCELS = 4
"""How many parcels may be on their way in chunks at once; a sender needs one for each lane."""

UNCLAIMED = 4
"""How many things may wait for their frame: a frame follows what came with its first bytes."""


class _Growing:
    """A parcel that comes in chunks."""

    __slots__ = ("buffer", "came", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.came = 0
        self.buffer: bytearray | None = bytearray()  # None: what comes is thrown away


class Arrivals(Generic[Thing]):
    """What has come on one connection and is not claimed yet."""

    __slots__ = ("_growing", "_things", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        """The largest payload that is taken."""
        self._things: deque[Thing] = deque()
        self._growing: dict[int, _Growing] = {}

    # ---- descriptors ----------------------------------------------------------------------------

    def came(self, things: Iterable[Thing]) -> None:
        """The next things have come; they are kept in any case, for `left_over`.

        Raises RemoteProtocolError when too many wait for a frame.
        """
        self._things.extend(things)
        if len(self._things) > UNCLAIMED:
            raise RemoteProtocolError(f"{len(self._things)} descriptors came that no frame owns")

    def claim(self) -> Thing:
        """The thing of the frame that is looked at.  Raises RemoteProtocolError if none came."""
        if not self._things:
            raise RemoteProtocolError("a publish owns a descriptor that did not come")
        return self._things.popleft()

    @property
    def waiting(self) -> tuple[Thing, ...]:
        """What waits for its frame, in order."""
        return tuple(self._things)

    def left_over(self) -> list[Thing]:
        """Take out what nobody will claim any more: the connection is over."""
        found = list(self._things)
        self._things.clear()
        self._growing.clear()
        return found

    # ---- chunks ---------------------------------------------------------------------------------

    def begins(self, chunk: Chunk) -> bool:
        """Whether this is the first that is heard of its parcel."""
        return chunk.size > 0 and chunk.parcel not in self._growing

    def add(self, chunk: Chunk) -> None:
        """One chunk has come, or word that the rest will not.

        Raises RemoteProtocolError when it does not fit what came before, and TooLarge for a parcel
        past the limit.
        """
        if chunk.size == 0:
            self._growing.pop(chunk.parcel, None)
            return
        growing = self._growing.get(chunk.parcel)
        if growing is None:
            growing = self._open(chunk)
        end = growing.came + len(chunk.content)
        if (chunk.size, chunk.offset) != (growing.size, growing.came) or not chunk.content:
            raise RemoteProtocolError(
                f"parcel {chunk.parcel}: {len(chunk.content)} bytes at {chunk.offset} of"
                f" {chunk.size} cannot follow {growing.came} of {growing.size}"
            )
        if end > growing.size:
            raise RemoteProtocolError(f"parcel {chunk.parcel} has more than {growing.size} bytes")
        growing.came = end
        if growing.buffer is not None:
            growing.buffer += chunk.content

    def discard(self, parcel: int) -> None:
        """There is no room for it: keep nothing of what came and will come of its chunks."""
        self._growing[parcel].buffer = None

    def collect(self, parcel: int, size: int) -> memoryview | None:
        """A parcel that is whole; None when it was discarded.

        Raises RemoteProtocolError when it is not whole, or of another size.
        """
        growing = self._growing.pop(parcel, None)
        if growing is None or not growing.came == growing.size == size:
            came = growing.came if growing else 0
            raise RemoteProtocolError(f"of parcel {parcel} {came} bytes came, not {size}")
        buffer = growing.buffer
        return None if buffer is None else memoryview(buffer).toreadonly()

    def _open(self, chunk: Chunk) -> _Growing:
        if chunk.size > self.max_bytes:
            raise TooLarge(f"a payload of {chunk.size} bytes is past the limit of {self.max_bytes}")
        if len(self._growing) >= OPEN_PARCELS:
            raise RemoteProtocolError(f"{OPEN_PARCELS} parcels are on their way already")
        growing = self._growing[chunk.parcel] = _Growing(chunk.size)
        return growing
