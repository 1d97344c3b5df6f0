"""The last value of a topic, kept for who subscribes later.  Pure.

Whoever publishes asks for it, message by message; of a batch the last one is kept, which is why its
body is opened here and nowhere else.  A value stays until another takes its place, until it has
expired, or until somebody who may publish there clears it; that its payload is empty means nothing.

Another takes its place when it comes, except one that was long on its way and is the older of the
two: after a death of the broker all clients say again what they had retained, in any order.

A value is kept as the frame it is sent in, stamped with who published it and as a replay, so a new
subscription costs no encoding.  Values are found by filter in a tree of their topics, each of which
is a filter that matches itself alone.  The bounds: so many topics for each identity, so many bytes
for all.  What would pass one is refused as a whole, and no other value has to go for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from operator import attrgetter

from daemoneye.bus.frames import (
    REPLAYED_STAMP,
    Correlation,
    OuterFrame,
    correlation_of,
    last_alone,
    read_outer,
    received_at_of,
)
from daemoneye.bus.limits import MAX_STAMP_BYTES, Limits
from daemoneye.bus.subscriptions import SubscriptionTree
from daemoneye.bus.topics import ONE, RESERVED, TopicFilter
from daemoneye.errors import BusError, TooLarge
from daemoneye.framing import HEADER_BYTES, pack

RETAINED_SHARE = 4
"""One identity may have so much of the room for all: one divided by this."""

LATE_NS = 50_000_000
"""A value that came so much later than it was published was said again, or waited in a client."""

VALUE_OVERHEAD_BYTES = 1000
"""What a value takes besides its frame: its object, and its places in dictionary and tree."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One retained value."""

    topic: str
    """Where it was published."""
    publisher: str
    """Who did: the identity whose share of topics it is in."""
    sequence: int
    """The publisher's number for it."""
    time: int
    """When it was published, Unix time in ns."""
    received_at: int
    """The same of when it came."""
    expires_at: int
    """The same; 0: never."""
    size: int
    """Of the payload, in bytes."""
    content_type: str
    """What the payload is."""
    target: str
    """The one identity it is for; empty: all."""
    data: bytes
    """The frame that a new subscription is sent, with its header."""

    @property
    def correlation(self) -> Correlation:
        """What it belongs to; read when it is asked for, because thousands of tags take much."""
        return correlation_of(read_outer(self.data[HEADER_BYTES:]))

    @property
    def cost(self) -> int:
        """What it takes of the room for all."""
        return len(self.data) + VALUE_OVERHEAD_BYTES

    def is_overtaken(self, before: Kept | None) -> bool:
        """Whether what is there is newer.  Of what comes at once the order of coming decides."""
        return (
            before is not None
            and before.time > self.time
            and self.received_at - self.time > LATE_NS
            and self.received_at >= before.received_at  # else the clock was set back
        )


def value_of(frame: OuterFrame, publisher: str, stamp: bytes) -> Kept:
    """The value that a publish asks to be kept; `stamp` says of whom it is, and when it came.

    Raises TooLarge for a payload that went apart from its frame, and LocalProtocolError for a body
    that is not what its frame says.
    """
    if frame.large_bytes or frame.descriptors:
        raise TooLarge(
            f"a payload of {frame.large_bytes} bytes on {frame.topic} cannot be retained",
            hint="retain what fits into a frame, such as the name of a file",
        )
    alone, size, time = last_alone(frame)
    return Kept(
        topic=frame.topic,
        publisher=publisher,
        sequence=frame.sequence + frame.count - 1,
        time=time,
        received_at=received_at_of(stamp),
        expires_at=frame.expires_at,
        size=size,
        content_type=frame.content_type,
        target=frame.target,
        data=pack(alone + stamp + REPLAYED_STAMP),
    )


class Retained:
    """The retained values of a broker, one for each topic."""

    __slots__ = ("_bytes_of", "_expiring", "_of_identity", "_tree", "_values", "bytes")

    def __init__(self) -> None:
        self._values: dict[str, Kept] = {}
        self._tree: SubscriptionTree[str] = SubscriptionTree()
        self._of_identity: Counter[str] = Counter()
        self._bytes_of: Counter[str] = Counter()
        self._expiring: list[tuple[int, str]] = []  # a heap; what it names may be gone already
        self.bytes = 0
        """What they take, in all."""

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, topic: str) -> bool:
        return topic in self._values

    def value(self, topic: str) -> Kept | None:
        """The value of this topic."""
        return self._values.get(topic)

    def check(self, value: Kept, limits: Limits) -> None:
        """Raises BusError when there is no room for this value."""
        self.forget_expired(value.received_at)
        before = self._values.get(value.topic)
        if value.is_overtaken(before):
            return
        if len(value.data) - HEADER_BYTES > limits.frame_bytes + MAX_STAMP_BYTES:
            raise TooLarge(
                f"the value on {value.topic} by itself is past the limit of {limits.frame_bytes}"
                " bytes",
                hint="say less beside its payload",
            )
        mine = before is not None and before.publisher == value.publisher
        if not mine and self._of_identity[value.publisher] >= limits.retained_topics:
            raise BusError(
                f"{value.publisher} has retained values on {limits.retained_topics} topics already",
                hint="clear some, or let them expire; `retained_topics` of [bus] is the setting",
            )
        freed = before.cost if before is not None else 0
        share = limits.retained_bytes // RETAINED_SHARE
        held = self._bytes_of[value.publisher] - (freed if mine else 0)
        if held + value.cost > share:
            raise BusError(
                f"{value.publisher} has {held} bytes of retained values already, and of"
                f" {limits.retained_bytes} one may have {share}",
                hint="clear some, or let them expire; `retained_bytes` of [bus] is the setting",
            )
        if self.bytes - freed + value.cost > limits.retained_bytes:
            raise BusError(
                f"there is no room to retain {value.size} bytes on {value.topic}",
                hint="clear some values; `retained_bytes` of [bus] is the setting",
            )

    def keep(self, value: Kept) -> None:
        """Keep it instead of what was there, unless it has expired already, or that is newer."""
        if value.is_overtaken(self._values.get(value.topic)):
            return
        self.forget(value.topic)
        if 0 < value.expires_at <= value.received_at:
            return
        self._values[value.topic] = value
        self._tree.add(TopicFilter(value.topic), value.topic)
        self._of_identity[value.publisher] += 1
        self._bytes_of[value.publisher] += value.cost
        self.bytes += value.cost
        if value.expires_at:
            self._note_expiry(value)

    def forget(self, topic: str) -> Kept | None:
        """The value of this topic is none any more; returns what it was."""
        value = self._values.pop(topic, None)
        if value is not None:
            self._tree.remove(TopicFilter(topic), topic)
            self.bytes -= value.cost
            self._of_identity[value.publisher] -= 1
            self._bytes_of[value.publisher] -= value.cost
            if not self._of_identity[value.publisher]:
                del self._of_identity[value.publisher]
                del self._bytes_of[value.publisher]
        return value

    def forget_expired(self, now_ns: int) -> None:
        """Forget what nobody needs any more."""
        while self._expiring and self._expiring[0][0] <= now_ns:
            at, topic = heappop(self._expiring)
            value = self._values.get(topic)
            if value is not None and value.expires_at == at:
                self.forget(topic)

    def values(self, wanted: TopicFilter | None = None) -> list[Kept]:
        """The values on the topics that this filter matches, or all, in the order they came.

        Those that have expired too, if nobody had them forgotten.
        """
        if wanted is None:
            return list(self._values.values())
        # Of topics, which are filters without wildcards, the tree finds just those that match, but
        # for the reserved ones.
        topics: Iterable[str] = self._tree.near(wanted)
        if wanted.head[0] == ONE:
            topics = (topic for topic in topics if topic[0] != RESERVED)
        return sorted(map(self._values.__getitem__, topics), key=attrgetter("received_at"))

    def _note_expiry(self, value: Kept) -> None:
        heappush(self._expiring, (value.expires_at, value.topic))
        if len(self._expiring) > 2 * len(self._values) + 64:  # mostly of what was replaced
            values = self._values.values()
            self._expiring = [(each.expires_at, each.topic) for each in values if each.expires_at]
            heapify(self._expiring)
