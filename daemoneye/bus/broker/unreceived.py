"""What was written to a client and is not known to have reached it.  Pure.

The kernel takes what is written, and a connection that breaks takes it along.  So what was written
is kept, in order, until the client says how many messages came, in all of its session: what came
is a prefix of what was written, so one number says everything.  Marks that tell losses are kept at
their place among the runs, because nobody else remembers what they told.

It is bounded, and the oldest goes first: a client that comes back for what is gone is told that it
missed something.  Large payloads are not kept; how many there were is.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import NamedTuple

from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.streams import Stream
from daemoneye.bus.frames import read_outer
from daemoneye.framing import HEADER_BYTES


class Sent(NamedTuple):
    """One buffer that belongs to the connection."""

    data: bytes
    stream: Stream | None
    """Whose it is; None: a frame of the broker's own, or nobody's any more."""
    run: Run | None
    """None: a chunk of its payload, or no run at all."""


make_sent: Callable[[tuple[bytes, Stream | None, Run | None]], Sent] = partial(tuple.__new__, Sent)
"""A Sent of a tuple of its fields, at a third of the price of calling it."""


class Telling(bytes):
    """A mark that tells losses: its bytes, and what to tell again when they do not arrive."""

    stream: Stream
    """Whose losses."""
    lost: Counter[str]
    """By reason."""

    @classmethod
    def of(cls, stream: Stream) -> bytes:
        """The next mark of a stream, with what it tells if it tells something."""
        lost = stream.untold
        mark = stream.mark()
        if not lost:
            return mark
        telling = cls(mark)
        telling.stream, telling.lost = stream, lost
        return telling


class Keeping:
    """How much of what was written is kept for each client; shared by all of a broker."""

    __slots__ = ("count_at_bytes", "let_go_bytes", "max_bytes", "max_messages")

    def __init__(self, max_messages: int = 1024, max_bytes: int = 8 << 20) -> None:
        self.set(max_messages, max_bytes)

    def set(self, max_messages: int, max_bytes: int) -> None:
        """So much from now on."""
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.count_at_bytes = max_bytes + max_bytes // 8
        """Past this it is counted: a bit higher, so that it is not at every write."""
        self.let_go_bytes = max_bytes // 8
        """Up to here what has come may stay, until something pushes it out."""


class Unreceived:
    """What one client was written and may not have.

    Every message passes here, so hardly anything happens then: the queue itself bounds how many
    entries there are, bytes are counted when they may have become too many, and messages when the
    client comes back.
    """

    __slots__ = ("bytes", "entries", "keeping", "noted", "torn", "written")

    def __init__(self) -> None:
        self.keeping = Keeping()
        self.entries: deque[Sent] = _room_for(self.keeping)
        """Runs, and marks that tell losses, in the order in which they were written."""
        self.written = 0
        """How many messages of the session were written, in all."""
        self.noted = 0
        """How many of them the client had when those were last taken out."""
        self.bytes = 0
        """How much is kept, at most: what has been pushed out since it was counted is in it."""
        self.torn = 0
        """Who has received fewer than so many may have missed something that is not kept.

        True after `trim`: before that the queue may have pushed out more.
        """

    @property
    def messages(self) -> int:
        """How many are kept."""
        return sum(run.messages for _, _, run in self.entries if run is not None)

    @property
    def forgotten(self) -> int:
        """How many messages of the session were written before those that are kept."""
        return self.written - self.messages

    def keep_to(self, keeping: Keeping) -> None:
        """Keep so much from now on; said again when the number of messages changes."""
        self.keeping = keeping
        self.trim()
        self.entries = _room_for(keeping, self.entries)

    def trim(self) -> None:
        """Keep no more than may be."""
        entries, keeping = self.entries, self.keeping
        messages, size = self.messages, _size_of(entries)
        while entries and (
            len(entries) == entries.maxlen  # it may have pushed out what was before
            or len(entries) > keeping.max_messages
            or messages > keeping.max_messages
            or size > keeping.max_bytes
        ):
            data, _, run = entries.popleft()
            if run is None:
                self.torn = self.written - messages + 1
            else:
                messages -= run.messages
                size -= len(data)
                self.torn = self.written - messages
        self.bytes = size

    def received(self, messages: int) -> int:
        """The client has so many of the session, in all; more than were written means nothing.

        How many entries were looked at for it.

        Those are taken out when much memory may be kept, and they are many, or all there are.  Else
        what is written next pushes them out, one by one: a thousand at once would keep others
        waiting, and a queue that empties and fills again has the garbage collector look through it.
        """
        keeping, news = self.keeping, messages - self.noted
        if self.bytes <= keeping.let_go_bytes or not 0 < news <= self.written - self.noted:
            return 0
        if messages < self.written and news < keeping.max_messages // 8:
            return 0
        looked_at = len(self.entries)
        self.take_out(messages)
        return looked_at

    def take_out(self, messages: int) -> None:
        """The same, at once."""
        entries, end, kept = self.entries, self.written, 0
        for _, _, run in reversed(entries):
            if end < messages or (run is not None and end == messages):
                break
            if run is not None:
                end -= run.messages
            kept += 1
        if kept < len(entries):
            self.entries = _room_for(self.keeping, islice(entries, len(entries) - kept, None))
        self.bytes = _size_of(self.entries)
        self.noted = messages

    def forget_all(self) -> None:
        """Nothing of it can be sent again."""
        if self.entries:
            self.torn = self.written + (self.entries[-1].run is None)
        self.entries.clear()
        self.bytes = 0

    def restart(self, messages: int) -> None:
        """The client goes on behind so many messages of the session."""
        self.entries.clear()
        self.bytes = self.torn = 0
        self.written = self.noted = messages

    def hand_over(self, heirs: Mapping[Stream, Stream]) -> None:
        """What is of these streams is that of their heirs from now on."""
        hand_over(self.entries, heirs)


def hand_over(entries: deque[Sent], heirs: Mapping[Stream, Stream]) -> None:
    """What is of these streams is that of their heirs from now on."""
    for position, (data, stream, run) in enumerate(entries):
        if stream is not None and stream in heirs:
            entries[position] = make_sent((data, heirs[stream], run))
        elif isinstance(data, Telling) and data.stream in heirs:
            data.stream = heirs[data.stream]


def _room_for(keeping: Keeping, entries: Iterable[Sent] = ()) -> deque[Sent]:
    """A queue for one entry more than may be kept: until it is full it has pushed out none."""
    return deque(entries, keeping.max_messages + 1)


def _size_of(entries: Iterable[Sent]) -> int:
    return sum(len(data) for data, _, run in entries if run is not None)


class Part(NamedTuple):
    """What is left of a run."""

    run: Run | None
    """What has to be sent again; None: nothing."""
    received: int
    """Messages that came."""
    denied: int
    """Messages that may not be received any more."""


def part_of(run: Run, received: int, may_receive: Callable[[str], bool]) -> Part:
    """A run without the frames of its first `received` messages, and without what may not be read.

    Frames are whole: who has a message of one has all of them.
    """
    kept: list[bytes] = []
    came = denied = messages = 0
    for frame, topic, count in _frames(run.data):
        if came < received:
            came += count
        elif may_receive(topic):
            kept.append(frame)
            messages += count
        else:
            denied += count
    if not messages:
        return Part(None, came, denied)
    return Part(run._replace(data=b"".join(kept), messages=messages), came, denied)


def whole_messages(data: bytes, size: int) -> int:
    """How many messages are in those frames of a run that its first `size` bytes hold whole."""
    messages = 0
    for frame, _, count in _frames(data):
        size -= len(frame)
        if size < 0:
            break
        messages += count
    return messages


def _frames(data: bytes) -> Iterator[tuple[bytes, str, int]]:
    """Each frame of a run with its header, and its topic and count."""
    position = 0
    while position < len(data):
        end = position + HEADER_BYTES
        end += int.from_bytes(data[position:end], "big")
        outer = read_outer(data[position + HEADER_BYTES : end])
        yield data[position:end], outer.topic, outer.count
        position = end
