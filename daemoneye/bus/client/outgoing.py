"""What a client publishes, on its way into frames.  Pure.

Consecutive publishes that agree in everything but payload, time and sequence become one frame: the
broker's work is for each frame, not for each message.  A publish that comes alone does not wait
for company; `add` says when it is time to write.

Sequences rise by one for each message on a topic, from 1.  They are the client's, not the
connection's: a subscriber compares them across a restart of the broker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

from daemoneye.bus.frames import (
    Carriage,
    Content,
    Heading,
    check_target,
    encode_large,
    packed_publish,
)
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.bus.topics import check_topic
from daemoneye.errors import TooLarge

FRAME_TARGET_BYTES = 50 << 10
"""Where a frame is full: above some 128 KiB each one needs fresh pages, and that costs most."""

FRAME_TARGET_MESSAGES = 256
"""The same in messages, so that one frame is only a part of a subscription's credit."""

JOIN_WITHIN_NS = 20_000
"""A publish later than this after the one before it is alone, and is written at once."""

FLUSH_INTERVAL = 0.001
"""How long the tail of a burst is left in the draft, in seconds."""

COURSES = 1024
"""For how many combinations of topic, target and type what they share is kept ready."""

SEQUENCES = 1 << 16
"""For how many topics the last sequence is kept."""

_NEVER = 1 << 62
_MESSAGE_BYTES = 16  # of a body, beyond the payload: tags, lengths, the time
_FRAME_BYTES = 64  # of a frame, beyond heading and body


class Course:
    """Where a publish goes: what its frame begins with, and the topic's next sequence."""

    __slots__ = ("cell", "heading", "retains", "room")

    def __init__(self, heading: Heading, cell: list[int]) -> None:
        self.heading = heading
        self.cell = cell
        self.retains = heading.topic if heading.retain else ""
        self.room = len(heading.prefix) + _FRAME_BYTES + _MESSAGE_BYTES


class Courses:
    """The courses a client uses, found in one look; forgets the oldest half when there are many."""

    __slots__ = ("_cells", "_floor", "_found")

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Course] = {}
        self._cells: dict[str, list[int]] = {}
        self._floor = 1

    def find(self, topic: str, content_type: str, target: str) -> Course:
        """The course for that.  Raises InvalidTopic and LocalProtocolError."""
        try:
            return self._found[topic, content_type, target]
        except (KeyError, TypeError):  # not known, or a target without a hash, refused below
            check_topic(topic)
        course = self.make(Heading(topic, target, content_type))
        if len(self._found) >= COURSES:
            for key in list(self._found)[: COURSES // 2]:
                del self._found[key]
        self._found[topic, content_type, target] = course
        return course

    def make(self, heading: Heading) -> Course:
        """A course for one use.  Raises InvalidTopic and LocalProtocolError."""
        check_topic(heading.topic)
        check_target(heading.target)
        cell = self._cells.get(heading.topic)
        if cell is None:
            if len(self._cells) >= SEQUENCES:
                self._forget_sequences()
            cell = self._cells[heading.topic] = [self._floor]
        return Course(heading, cell)

    def pass_over(self, topic: str) -> None:
        """Somebody else may have used the next number there."""
        cell = self._cells.get(topic)
        if cell is not None:
            cell[0] += 1

    def _forget_sequences(self) -> None:
        """Drop half, and begin above all of them from now on: what comes back still rises."""
        for topic in list(self._cells)[: SEQUENCES // 2]:
            self._floor = max(self._floor, self._cells.pop(topic)[0])
        self._found.clear()


class Sealed(NamedTuple):
    """A frame ready to be written."""

    data: bytes
    """With its header."""
    messages: int
    """How many it carries."""
    asked: bool = False
    """Whether somebody waits for what becomes of it, who is told when there is no connection."""
    retains: str = ""
    """The topic whose retained value it is; empty: of none."""
    request: int = 0
    """Under which number it is asked for, when it is a publish."""

    @property
    def size(self) -> int:
        """What it takes to keep it, in bytes."""
        return len(self.data)

    def kept(self) -> Sealed:
        """The same as nobody can change it."""
        return self


class Apart(NamedTuple):
    """A publish whose payload goes ahead of it, ready to be written."""

    frame: bytes
    """The publish, but for the way its payload goes; without a header."""
    content: Content
    """The payload."""
    messages: int = 1
    """How many it carries."""
    asked: bool = False
    """Whether somebody waits for what becomes of it, who is told when there is no connection."""

    @property
    def size(self) -> int:
        """What it takes to keep it, in bytes."""
        return len(self.frame) + len(self.content)

    def kept(self) -> Apart:
        """The same as nobody can change it: a copy of what its owner may write to."""
        return self._replace(content=bytes(self.content))


class Draft:
    """The frame that is being filled."""

    __slots__ = (
        "_course",
        "_large_from",
        "_last_at",
        "_max_payload_bytes",
        "_payloads",
        "_size",
        "_times",
        "frame_limit",
    )

    def __init__(self, frame_limit: int, carriage: Carriage = NO_CARRIAGE) -> None:
        self.agree(frame_limit, carriage)
        self._course: Course | None = None
        self._payloads: list[bytes] = []
        self._times: list[int] = []
        self._size = 0
        self._last_at = 0

    def __len__(self) -> int:
        return len(self._payloads)

    def agree(self, frame_limit: int, carriage: Carriage) -> None:
        """From now on a frame has at most so many bytes, and what is larger goes in this way."""
        self.frame_limit = frame_limit
        self._max_payload_bytes = carriage.max_payload_bytes
        self._large_from = carriage.large_from_bytes if carriage.max_payload_bytes else _NEVER

    def fits(self, course: Course) -> bool:
        """Whether what goes this way may join what is here."""
        return course is self._course or not self._payloads

    def add(self, course: Course, payload: bytes, now_ns: int) -> Sealed | None:
        """Put one message in; the frame to write when it is time to.  Only when it fits."""
        alone = now_ns - self._last_at > JOIN_WITHIN_NS
        self._last_at = now_ns
        if alone and not self._payloads:
            return seal(course, (payload,), (now_ns,))
        self._course = course
        self._payloads.append(payload)
        self._times.append(now_ns)
        self._size += len(payload) + _MESSAGE_BYTES
        if (
            alone
            or self._size >= FRAME_TARGET_BYTES
            or len(self._payloads) >= FRAME_TARGET_MESSAGES
        ):
            return self.seal()
        return None

    def seal(self) -> Sealed:
        """What is here as one frame, with its sequences; the draft is empty afterwards."""
        course, payloads, times = self._course, self._payloads, self._times
        assert course is not None
        self._payloads, self._times, self._size = [], [], 0
        return seal(course, payloads, times)

    @property
    def began_at(self) -> int:
        """When the first message came, in ns of Unix time.  Only when there is one."""
        return self._times[0]

    def takes(self, course: Course, payload_bytes: int) -> bool:
        """Whether a payload of that size goes in a frame; else it goes apart from it.

        Raises TooLarge when it cannot go at all.
        """
        if payload_bytes < self._large_from and payload_bytes + course.room <= self.frame_limit:
            return True
        if course.retains:
            raise TooLarge(
                f"a payload of {payload_bytes} bytes on {course.retains} is too large to be"
                " retained",
                hint="retain what fits into a frame, such as the name of a file",
            )
        most = self._max_payload_bytes or self.frame_limit - course.room
        if payload_bytes > most or course.room > self.frame_limit:
            raise TooLarge(
                f"a payload of {payload_bytes} bytes on {course.heading.topic} is too large:"
                f" the broker takes {max(0, most)}",
                hint="send it in parts, or put it in a file and send the name",
            )
        return False

    def ready(self, course: Course, payloads: Sequence[bytes], now_ns: int) -> Iterator[Outgoing]:
        """All of these in order, in full frames, and apart from their frames what is large.

        Each takes its sequences when it is asked for.
        """
        if self.takes(course, max(map(len, payloads), default=0)):
            yield from _framed(course, payloads, now_ns)
            return
        for in_frame, group in groupby(payloads, lambda each: self.takes(course, len(each))):
            if in_frame:
                yield from _framed(course, list(group), now_ns)
            else:
                for each in group:
                    yield set_apart(course, each, now_ns)


def in_frames(payloads: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """These payloads cut into what makes a full frame each, going by the largest of them."""
    largest = max(map(len, payloads), default=0) + _MESSAGE_BYTES
    step = max(1, min(FRAME_TARGET_MESSAGES, FRAME_TARGET_BYTES // largest))
    for start in range(0, len(payloads), step):
        yield payloads[start : start + step]


def _framed(course: Course, payloads: Sequence[bytes], now_ns: int) -> Iterator[Sealed]:
    for part in in_frames(payloads):
        yield seal(course, part, [now_ns] * len(part))


def seal(
    course: Course, payloads: Sequence[bytes], times: Sequence[int], request: int = 0
) -> Sealed:
    """These messages as one frame, which takes their sequences."""
    first = course.cell[0]
    course.cell[0] = first + len(payloads)
    frame = packed_publish(course.heading, payloads, times, first, request)
    return Sealed(frame, len(payloads), request != 0, course.retains, request)


def set_apart(course: Course, content: Content, time: int, request: int = 0) -> Apart:
    """This payload apart from its publish, which takes its sequence."""
    sequence = course.cell[0]
    course.cell[0] = sequence + 1
    frame = encode_large(course.heading, len(content), time, sequence, request)
    return Apart(frame, content, asked=request != 0)


Outgoing: TypeAlias = Sealed | Apart
"""What a client writes to publish something."""


class OutageBox:
    """What was published while there was no connection: bounded, the oldest goes first."""

    __slots__ = ("_bytes", "_frames", "_max_bytes", "_max_messages", "_messages", "dropped")

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._frames: deque[Outgoing] = deque()
        self._messages = self._bytes = 0
        self.dropped = 0
        """Messages that had no room, in all."""

    def __len__(self) -> int:
        return self._messages

    def put(self, outgoing: Outgoing) -> None:
        """Keep it until there is a connection, at the cost of older ones if need be.

        What would not fit alone costs nothing but itself.  What was asked for is not kept: who
        asked has been told by then, and may have done it again.
        """
        if outgoing.asked:
            return
        if outgoing.size > self._max_bytes:
            self.dropped += outgoing.messages
            return
        self._frames.append(outgoing.kept())
        self._messages += outgoing.messages
        self._bytes += outgoing.size
        while self._messages > self._max_messages or self._bytes > self._max_bytes:
            self.dropped += self.take().messages

    def take(self) -> Outgoing:
        """The oldest.  Raises IndexError when there is none."""
        outgoing = self._frames.popleft()
        self._messages -= outgoing.messages
        self._bytes -= outgoing.size
        return outgoing

    def put_back(self, outgoing: Outgoing) -> None:
        """It could not be written after all: the first to go next time, kept as with `put`."""
        if outgoing.asked:
            return
        self._frames.appendleft(outgoing)
        self._messages += outgoing.messages
        self._bytes += outgoing.size
