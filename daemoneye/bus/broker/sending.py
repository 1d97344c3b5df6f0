"""What belongs to a connection: what is being written, and how far the kernel has taken it.  Pure.

Nothing overtakes inside a frame, and nothing is dropped from here to make room.  What nobody wants
or may have any more is taken back, but for the frame that has been begun, and a frame whose
descriptor the kernel has: its receiver would take the next one's descriptor for its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import dropwhile
from typing import NamedTuple

from daemoneye.bus.broker.parcels import Holding, Parcel
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.streams import Stream
from daemoneye.bus.broker.transfers import last_word
from daemoneye.bus.broker.unreceived import (
    Sent,
    Telling,
    Unreceived,
    hand_over,
    make_sent,
    whole_messages,
)


class Recovered(NamedTuple):
    """What has not come over a connection that was lost, in order."""

    complete: bool
    """Whether that is all that has not."""
    begun: int
    """How many messages of the first run have come."""
    sent: list[tuple[Sent, bool]]
    """Runs and marks, and whether each was written as a whole and counted as delivered."""


class Sending:
    """What one client is being sent."""

    __slots__ = ("begun", "bytes", "frames", "holding", "marked", "passing", "unreceived")

    def __init__(self, holding: Holding) -> None:
        self.holding = holding
        """The large payloads that the client holds."""
        self.frames: deque[Sent] = deque()
        """In this order; each with its header."""
        self.bytes = 0
        """How much of that is not written yet."""
        self.begun = 0
        """How much of the first one is."""
        self.passing: Parcel | None = None
        """The one whose descriptor goes with what is written next.

        Its frame is the last here, and it counts as being written until the kernel took it:
        nobody else may close a descriptor whose number stands here.
        """
        self.marked: Stream | None = None
        """The stream that was announced last on this connection."""
        self.unreceived = Unreceived()
        """What was written, on this connection or one before, and may not have come."""

    def append(self, data: bytes, stream: Stream | None, run: Run | None) -> None:
        """Write this behind all else."""
        self.frames.append(make_sent((data, stream, run)))
        self.bytes += len(data)

    def announce(self, stream: Stream) -> None:
        """Say whose the next run is, and what was lost before it, if that is news."""
        if self.marked is not stream or stream.untold:
            self.append(Telling.of(stream), None, None)
            self.marked = stream

    def forget(self, stream: Stream) -> None:
        """The stream is no more; another may come in its place."""
        if self.marked is stream:
            self.marked = None

    @property
    def telling(self) -> set[Stream]:
        """Streams whose losses a mark tells that is not written yet."""
        return {each.data.stream for each in self.frames if isinstance(each.data, Telling)}

    def buffers(self) -> list[bytes | memoryview]:
        """For one gathered write: what is not written yet."""
        buffers: list[bytes | memoryview] = [each[0] for each in self.frames]
        if self.begun:
            buffers[0] = memoryview(buffers[0])[self.begun :]
        return buffers

    def written(self, count: int) -> None:
        """The kernel took the first `count` bytes of the buffers, and what was to be passed.

        A descriptor goes with the first byte, so the client has it though its frame may not be
        written yet.
        """
        if self.passing is not None:
            self.holding.give(self.passing)
            self.passing = None
        self.bytes -= count
        left = self.begun + count
        frames, unreceived = self.frames, self.unreceived
        keep, messages = unreceived.entries.append, 0
        while frames and left >= (size := len(frames[0][0])):
            sent = frames.popleft()
            data, stream, run = sent
            left -= size
            if run is not None:
                keep(sent)
                messages += run.messages if stream is None else stream.delivered(run)
            elif type(data) is Telling:
                keep(sent)
        self.begun = left
        unreceived.written += messages
        unreceived.bytes += count
        if unreceived.bytes > unreceived.keeping.count_at_bytes:
            unreceived.trim()

    def pass_nothing(self) -> tuple[Stream, Run]:
        """What was to be passed cannot be: take back its frame; whose it is."""
        assert self.passing is not None
        self.passing = None
        data, stream, run = self.frames.pop()
        self.bytes -= len(data)
        assert stream is not None
        assert run is not None
        return stream, run

    # ---- streams end ----------------------------------------------------------------------------

    def hand_over(self, heirs: Mapping[Stream, Stream]) -> None:
        """What is of these streams is that of their heirs from now on."""
        hand_over(self.frames, heirs)
        self.unreceived.hand_over(heirs)

    def take_back(self, stream: Stream) -> list[Run]:
        """Take out what is of a stream and need not be finished; returns it, not counted yet."""
        found: list[Run] = []
        frames = list(self.frames)
        self.frames.clear()
        for position, sent in enumerate(frames):
            run = sent.run
            is_begun = position == 0 and self.begun > 0
            if sent.stream is not stream or is_begun or self._owns_what_is_given(run):
                self.frames.append(sent)
                continue
            self.bytes -= len(sent.data)
            if run is None:
                continue
            found.append(run)
            if run.parcel is not None and run.parcel is self.passing:
                self.passing = None
            elif run.parcel is not None:
                self.append(last_word(run), None, None)
        return found

    def settle(self, stream: Stream) -> None:
        """Count what has to be finished of a stream that ends as delivered already."""
        for position, sent in enumerate(self.frames):
            if sent.stream is stream:
                if sent.run is not None:
                    stream.delivered(sent.run)
                # Its messages still come, and the client counts them.
                self.frames[position] = sent._replace(stream=None)

    # ---- connections end ------------------------------------------------------------------------

    @property
    def most_received(self) -> int:
        """How many messages of the session the client can have received, at most."""
        begun = 0
        if self.begun and (first := self.frames[0]).run is not None:
            begun = whole_messages(first.data, self.begun)
        return self.unreceived.written + begun

    def detach(self) -> None:
        """The connection is gone, and the session waits for another.

        What was to be written of the broker's own is dropped, and large payloads are lost.
        """
        self.passing = self.marked = None
        frames, begun = list(self.frames), self.begun
        self.frames.clear()
        self.begun = self.bytes = 0
        for position, sent in enumerate(frames):
            _, stream, run = sent
            if run is not None and run.parcel is not None:
                if stream is not None:
                    stream.abandon(run)
            elif run is not None or isinstance(sent.data, Telling):
                self.frames.append(sent)
                if position == 0:
                    self.begun = begun

    def recover(self, received: int) -> Recovered:
        """There is another connection, and the client has so many messages of the session."""
        unreceived = self.unreceived
        unreceived.trim()
        complete = received >= unreceived.torn
        unreceived.take_out(min(received, unreceived.written))
        sent = [
            *((each, True) for each in unreceived.entries),
            *((each, False) for each in self.frames),
        ]
        begun = max(0, received - unreceived.forgotten)
        if begun:  # who has a part of what follows a mark has heard the mark
            sent = list(dropwhile(lambda each: each[0].run is None, sent))
        self.frames.clear()
        self.begun = 0
        unreceived.restart(received)
        return Recovered(complete, begun, sent)

    def close(self) -> None:
        """The connection is gone or has to go: all is lost, and not written, that is not begun."""
        begun = self.frames[0].data if self.begun else None
        for _, stream, run in self.frames:
            if stream is not None and run is not None:
                stream.abandon(run)
        self.frames.clear()
        self.bytes = 0
        self.passing = None
        if begun is not None:
            self.append(begun, None, None)
            self.bytes -= self.begun

    def _owns_what_is_given(self, run: Run | None) -> bool:
        """Whether a descriptor is on its way, or there, that the client would miss a frame for."""
        if run is None or run.parcel is None:
            return False
        return run.parcel.number not in self.holding.sending
