"""Large payloads that go to one client in chunks: how far each has come.  Pure.

At most one in each lane, because a lane keeps its order.  What has begun is finished, or the client
is told that the rest will not come; so nothing that is dropped meanwhile leaves half a payload, and
a slow reader that drops the oldest still gets one whole payload after the other.
"""

from __future__ import annotations

from daemoneye.bus.arrivals import CHUNK_BYTES
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.streams import Lane, Stream
from daemoneye.bus.frames import Chunk, chunk_head, encode
from daemoneye.framing import pack, pack_length


class Transfer:
    """One parcel on its way to one client."""

    __slots__ = ("offset", "run", "stream")

    def __init__(self, stream: Stream, run: Run) -> None:
        self.stream = stream
        self.run = run
        """Counts as waiting in its stream, though no longer in the queue."""
        self.offset = 0

    @property
    def is_whole(self) -> bool:
        """Whether every chunk was given out: now comes the publish that owns them."""
        assert self.run.parcel is not None
        return self.offset >= self.run.parcel.size

    def chunk(self, most_bytes: int) -> bytes | None:
        """The next chunk, packed, with at most so much content; None when it cannot be read.

        Then the rest will not come.  The content may be in the kernel's keeping (`memory.Stored`):
        cutting a part of that reads it, 64 KiB at a time and never waiting, because a copy of the
        whole is what a descriptor saves.  The shell has put it there, and a test puts bytes.

        As one piece, though that copies it: whatever is cut off between two buffers of a frame
        would leave the rest of the stream without meaning.
        """
        parcel = self.run.parcel
        assert parcel is not None
        assert parcel.content is not None, f"{parcel!r} is to be cut and nobody has read it"
        try:
            part = parcel.content[self.offset : self.offset + min(CHUNK_BYTES, most_bytes)]
            head = chunk_head(parcel.number, parcel.size, self.offset, len(part))
            packed = b"".join((pack_length(len(head) + len(part)), head, part))
        except (OSError, MemoryError):
            return None
        if not part:
            return None
        self.offset += len(part)
        return packed


def last_word(run: Run) -> bytes:
    """What tells the client that the rest of its payload, or its publish, will not come; packed."""
    assert run.parcel is not None
    return pack(encode(Chunk(run.parcel.number, 0)))


class Transfers(dict[Lane, Transfer]):
    """Those of one client, by lane.

    A dict, because every write asks whether there are any.
    """

    __slots__ = ()

    def begin(self, stream: Stream, run: Run) -> None:
        """This run goes next in its lane."""
        assert stream.key.lane not in self
        self[stream.key.lane] = Transfer(stream, run)

    def at(self, lane: Lane) -> Transfer | None:
        """What is on its way in a lane."""
        return self.get(lane)

    def end(self, transfer: Transfer) -> None:
        """It is finished, or given up."""
        del self[transfer.stream.key.lane]

    def of(self, stream: Stream) -> Transfer | None:
        """What is on its way of a stream."""
        transfer = self.get(stream.key.lane)
        return transfer if transfer is not None and transfer.stream is stream else None

    def take_all(self) -> list[Transfer]:
        """Those that are on their way, which are not any more."""
        found = list(self.values())
        self.clear()
        return found
