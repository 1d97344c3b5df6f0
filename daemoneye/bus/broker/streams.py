"""Subscriptions, and the bounded queues of what waits for them.  Pure.

A *stream* is the queue of one set of a session's subscriptions: everything that exactly these
match, in one lane, under one overflow policy.  So a message that several filters of a client
match waits once, is sent once, and is counted once for each of them.

What waits is a *run*: frames joined to one bytes object, shared by all who get them.  All
accounts are kept for runs, not frames (a deque and a few counters), and what is lost is counted
only where something is lost.  The law that the counters keep, for every stream:

    offered = delivered + lost (by reason) + what still waits

A delivery needs credit from every subscription of its stream; credit and the bounds of a queue
may be overrun by one run.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from daemoneye.bus import hierarchy
from daemoneye.bus.access import Decision
from daemoneye.bus.broker.parcels import Holding, Parcels
from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES, LatestRuns, Run
from daemoneye.bus.frames import Credit, Overflow, StreamMark, Subscribe, encode
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter
from daemoneye.framing import pack

OVERFLOW = "overflow"
EXPIRED = "expired"
OVERSIZE = "oversize"
DENIED = "denied"
DISCONNECTED = "disconnected"
UNREADABLE = "unreadable"


class Lane(IntEnum):
    """What is written first; the broker's own frames go before both."""

    CONTROL = 0
    EVENTS = 1


def lane_of(topic: str) -> Lane:
    """Control goes first: what is below `control`, and what the broker itself says."""
    return Lane.CONTROL if topic.startswith(("control.", "$")) else Lane.EVENTS


def default_overflow(topic: str) -> Overflow:
    """The policy of a subscription that names none, by what a topic is for.

    Signs of life and status replace each other.  Other control, questions and answers among it,
    may not be missed in part: better to be cut off and to come back.
    """
    if topic in (hierarchy.HEARTBEAT, hierarchy.STATISTICS):
        return Overflow.LATEST
    if f"{topic}.".startswith(f"{hierarchy.STATUS}."):
        return Overflow.LATEST
    if topic.startswith("control."):
        return Overflow.DISCONNECT
    return Overflow.DROP_OLDEST


class Backlog:
    """How much memory waits, for one client and for all of them: data, and what each run adds.

    Large payloads are counted apart from it, as parcels.
    """

    __slots__ = ("bytes", "holding", "parcels", "whole")

    def __init__(self, whole: Backlog | None = None) -> None:
        self.bytes = 0
        self.whole = whole
        self.parcels: Parcels = Parcels(Limits()) if whole is None else whole.parcels
        """Those of the broker."""
        self.holding = Holding(self.parcels)
        """Those that the client holds."""

    def change(self, by: int) -> None:
        """`by` bytes more (or less, when negative)."""
        self.bytes += by
        if self.whole is not None:
            self.whole.bytes += by

    def detach(self) -> None:
        """The client is gone: what waits for it no longer counts with all the others."""
        self.holding.close()
        if self.whole is not None:
            self.whole.bytes -= self.bytes
            self.whole = None


class Balance:
    """What a subscription has been granted and sent, cumulative since it began."""

    __slots__ = ("granted_bytes", "granted_messages", "sent_bytes", "sent_messages")

    def __init__(self, messages: int, size: int) -> None:
        self.granted_messages = messages
        self.granted_bytes = size
        self.sent_messages = 0
        self.sent_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether something more may be sent; the run that closes it may overrun it."""
        return self.sent_messages < self.granted_messages and self.sent_bytes < self.granted_bytes

    def lasts(self, messages: int, size: int) -> bool:
        """Whether something more may be sent when so much has been that waits now."""
        return (
            self.sent_messages + messages < self.granted_messages
            and self.sent_bytes + size < self.granted_bytes
        )

    def grant(self, credit: Credit) -> None:
        """Never less than before: a repeated or reordered grant does no harm."""
        self.granted_messages = max(self.granted_messages, credit.messages)
        self.granted_bytes = max(self.granted_bytes, credit.bytes)

    def close(self) -> None:
        """Nothing more may be sent until it is granted anew."""
        self.granted_messages = self.granted_bytes = 0

    def charge(self, messages: int, size: int) -> None:
        """So much is on its way."""
        self.sent_messages += messages
        self.sent_bytes += size


@dataclass(slots=True)
class Tally:
    """What became of messages; `lost` by reason."""

    offered: int
    delivered: int
    lost: Counter[str]

    @classmethod
    def empty(cls) -> Tally:
        """Nothing yet."""
        return cls(0, 0, Counter())

    def add(self, other: Tally) -> None:
        """Count what `other` counted as well."""
        self.offered += other.offered
        self.delivered += other.delivered
        self.lost.update(other.lost)

    @property
    def queued(self) -> int:
        """What is neither delivered nor lost: by the law, what waits."""
        return self.offered - self.delivered - self.lost.total()


class Subscription:
    """One filter of one session."""

    __slots__ = ("asked", "balance", "decision", "filter", "past", "selects", "wish")

    def __init__(
        self,
        wish: Subscribe,
        topic_filter: TopicFilter,
        decision: Decision,
        asked: Subscribe | None = None,
    ) -> None:
        self.wish = wish
        """What was asked for, with the defaults filled in."""
        self.asked = asked or wish
        """What was asked for as it was said, whatever the defaults are by now."""
        self.selects = bool(wish.selection)
        """Whether it wants some of what is published there, by what that belongs to."""
        self.filter = topic_filter
        self.decision = decision
        """Why it may be, and what is cut out of it."""
        self.balance = Balance(wish.credit_messages, wish.credit_bytes)
        self.past = Tally.empty()
        """What streams counted that are no more."""

    @property
    def number(self) -> int:
        """The client's number for it."""
        return self.wish.subscription


class StreamKey(NamedTuple):
    """What tells the streams of a session apart."""

    numbers: tuple[int, ...]
    """Of the subscriptions, rising."""
    lane: Lane
    default: Overflow
    """The policy for those that named none."""


_STRICTEST_FIRST = (
    Overflow.DISCONNECT,
    Overflow.BLOCK,
    Overflow.DROP_OLDEST,
    Overflow.DROP_NEWEST,
    Overflow.LATEST,
)


class Stream:
    """The queue of one set of subscriptions of one session."""

    __slots__ = (
        "backlog",
        "bytes",
        "key",
        "max_bytes",
        "max_messages",
        "messages",
        "policy",
        "queue",
        "subscriptions",
        "tally",
        "untold",
    )

    def __init__(self, key: StreamKey, subscriptions: Iterable[Subscription], backlog: Backlog):
        self.backlog = backlog
        self.queue: deque[Run] | LatestRuns = deque()
        self.messages = 0
        """How many wait, those included that are being written."""
        self.bytes = 0
        """The same in bytes."""
        self.tally = Tally.empty()
        self.untold: Counter[str] = Counter()
        """Losses that the next mark will tell."""
        self.serve(key, subscriptions)

    def serve(self, key: StreamKey, subscriptions: Iterable[Subscription]) -> None:
        """Be the queue of these subscriptions, under the strictest of their policies."""
        self.key = key
        self.subscriptions = tuple(subscriptions)
        named = {each.wish.overflow for each in self.subscriptions}
        policies = {key.default if each is Overflow.DEFAULT else each for each in named}
        self.policy = next(each for each in _STRICTEST_FIRST if each in policies)
        queue = LatestRuns if self.policy is Overflow.LATEST else deque
        if not isinstance(self.queue, queue):
            self.queue = queue(self.queue)
        self.max_messages = max(each.wish.max_messages for each in self.subscriptions)
        self.max_bytes = max(each.wish.max_bytes for each in self.subscriptions)

    @property
    def has_credit(self) -> bool:
        """Whether every subscription has room at the client."""
        for each in self.subscriptions:
            balance = each.balance  # its `is_open`, without a call for every run
            if (
                balance.sent_messages >= balance.granted_messages
                or balance.sent_bytes >= balance.granted_bytes
            ):
                return False
        return True

    @property
    def cost(self) -> int:
        """How much of the backlog can be had by dropping what waits here."""
        return self.bytes + len(self.queue) * RUN_OVERHEAD_BYTES

    @property
    def is_full(self) -> bool:
        """Whether more waits than may."""
        return self.messages > self.max_messages or self.bytes > self.max_bytes

    def lacks_room(self, messages: int, size: int) -> bool:
        """Whether so much more is more than may wait here.

        One that is empty takes whatever comes, as one run may overrun any.
        """
        return bool(self.queue) and (
            self.messages + messages > self.max_messages or self.bytes + size > self.max_bytes
        )

    def would_lose(self, messages: int, size: int) -> bool:
        """Whether so much more makes this one lose what may not be lost: it is a `block` stream."""
        return self.policy is Overflow.BLOCK and self.lacks_room(messages, size)

    def has_room_for(self, run: Run) -> bool:
        """Whether it fits in beside what waits."""
        return (
            self.messages + run.messages <= self.max_messages
            and self.bytes + len(run.data) <= self.max_bytes
        )

    def offer(self, run: Run) -> str:
        """Take a run, and make room as the policy says; why the client has to go, or ""."""
        messages, size, queue = run.messages, len(run.data), self.queue
        self.tally.offered += messages
        if size > self.max_bytes:
            self._count_lost(run, OVERSIZE)
            return ""
        if isinstance(queue, LatestRuns):
            self._lose_replaced(queue.replaced(run.origin))
        queue.append(run)
        self.messages += messages
        self.bytes += size
        self.backlog.change(size + RUN_OVERHEAD_BYTES)
        if self.messages > self.max_messages or self.bytes > self.max_bytes:
            return _MAKE_ROOM[self.policy](self)
        return ""

    def lose_oldest(self, reason: str) -> None:
        """Drop what waits longest."""
        run = self.queue.popleft()
        self._forget(run)
        self._count_lost(run, reason)

    def lose_newest(self, reason: str) -> None:
        """Drop what came last."""
        run = self.queue.pop()
        self._forget(run)
        self._count_lost(run, reason)

    def lose(self, run: Run, reason: str) -> None:
        """Drop this one, wherever it waits."""
        self.queue.remove(run)
        self._forget(run)
        self._count_lost(run, reason)

    def refuse(self, run: Run, reason: str) -> None:
        """Count a run as lost that is not taken at all."""
        self.tally.offered += run.messages
        self._count_lost(run, reason)

    def lose_all(self, reason: str) -> None:
        """Drop all that waits and is not being written."""
        while self.queue:
            self.lose_oldest(reason)

    def withdraw_all(self) -> None:
        """Nobody is left to want what waits: it counts as never offered."""
        while self.queue:
            self.withdraw(self.queue.popleft())

    def withdraw(self, run: Run) -> None:
        """The same of one that is not in the queue."""
        self._forget(run)
        self.tally.offered -= run.messages

    def admits(self, run: Run) -> bool:
        """Whether a run that has just come may be sent at once."""
        return (
            not (self.queue or self.untold or run.expires_at or run.parcel)
            and len(run.data) <= self.max_bytes
            and self.has_credit
        )

    def begin(self, run: Run) -> Run:
        """Hand a run that has just come to the connection; it counts as waiting till `delivered`.

        Only when the stream `admits` it.
        """
        messages, size = run.messages, len(run.data)
        self.tally.offered += messages
        self.messages += messages
        self.bytes += size
        self.backlog.change(size + RUN_OVERHEAD_BYTES)
        for each in self.subscriptions:
            balance = each.balance  # as `charge`
            balance.sent_messages += messages
            balance.sent_bytes += size
        return run

    def begin_oldest(self) -> Run:
        """Hand the oldest run to the connection; it counts as waiting until `delivered`."""
        run = self.queue.popleft()
        size = len(run.data)
        if run.parcel is not None:
            size += run.parcel.size
            self.backlog.holding.send(run.parcel)
        for each in self.subscriptions:
            each.balance.charge(run.messages, size)
        return run

    def delivered(self, run: Run) -> int:
        """The kernel has all of it; how many messages it has."""
        _, data, messages, _, _, parcel = run  # as `_forget`
        size = len(data)
        self.messages -= messages
        self.bytes -= size
        self.backlog.change(-size - RUN_OVERHEAD_BYTES)
        if parcel is not None:
            self.backlog.holding.drop(parcel)
        self.tally.delivered += messages
        return messages

    def abandon(self, run: Run, reason: str = DISCONNECTED) -> None:
        """The connection broke while it was being written."""
        self._forget(run)
        self._count_lost(run, reason)

    def take_back(self, run: Run, reason: str) -> None:
        """It was to be written and may not be any more: its credit is there again."""
        size = len(run.data) + (run.parcel.size if run.parcel is not None else 0)
        for each in self.subscriptions:
            each.balance.charge(-run.messages, -size)
        self.abandon(run, reason)

    # ---- over another connection ----------------------------------------------------------------

    def reclaim(self, run: Run) -> None:
        """It was delivered and did not arrive: it counts as waiting again."""
        self.tally.delivered -= run.messages
        self._remember(run)

    def shorten(self, run: Run, left: Run | None, received: int, denied: int) -> None:
        """Of a run that counts as waiting only `left` still does, as `part_of` found."""
        self._forget(run)
        self.tally.delivered += received
        if denied:
            self.tally.lost[DENIED] += denied
            self.untold[DENIED] += denied
        if left is not None:
            self._remember(left)

    def retell(self, lost: Counter[str]) -> None:
        """These losses were told, and that did not arrive."""
        self.untold.update(lost)

    def put_first(self, runs: Iterable[Run]) -> None:
        """These wait before all else; they are older, and counted already."""
        self.queue = type(self.queue)([*runs, *self.queue])

    # ---- what it says of itself -----------------------------------------------------------------

    def mark(self) -> bytes:
        """The frame that stands before what follows of this stream; tells the losses, once."""
        lost, self.untold = self.untold, Counter()
        return pack(encode(StreamMark(self.key.numbers, lost)))

    def absorb(self, other: Stream) -> None:
        """Become the queue of what waits in `other` too, with all that it counted."""
        runs = sorted((*self.queue, *other.queue), key=lambda run: run.number)
        self.queue = type(self.queue)(runs)
        self.messages += other.messages
        self.bytes += other.bytes
        self.tally.add(other.tally)
        self.untold.update(other.untold)

    def _lose_replaced(self, run: Run | None) -> None:
        if run is not None:
            self._forget(run)
            self._count_lost(run, OVERFLOW)

    def _remember(self, run: Run) -> None:
        size = len(run.data)
        self.messages += run.messages
        self.bytes += size
        self.backlog.change(size + RUN_OVERHEAD_BYTES)

    def _forget(self, run: Run) -> None:
        size = len(run.data)
        self.messages -= run.messages
        self.bytes -= size
        self.backlog.change(-size - RUN_OVERHEAD_BYTES)
        if run.parcel is not None:
            self.backlog.holding.drop(run.parcel)

    def _count_lost(self, run: Run, reason: str) -> None:
        self.tally.lost[reason] += run.messages
        self.untold[reason] += run.messages


def _drop_oldest(stream: Stream) -> str:
    while stream.is_full and len(stream.queue) > 1:
        stream.lose_oldest(OVERFLOW)
    return ""


def _drop_newest(stream: Stream) -> str:
    if len(stream.queue) > 1:
        stream.lose_newest(OVERFLOW)
    return ""


def fullness(stream: Stream) -> str:
    """What is full, and how much waits there, for a person."""
    filters = ", ".join(each.filter.text for each in stream.subscriptions)
    return f"the outbox of {filters} is full ({stream.messages} messages, {stream.bytes} bytes)"


_MAKE_ROOM: dict[Overflow, Callable[[Stream], str]] = {
    Overflow.DROP_OLDEST: _drop_oldest,
    Overflow.DROP_NEWEST: _drop_newest,
    Overflow.LATEST: _drop_oldest,
    Overflow.DISCONNECT: fullness,
    Overflow.BLOCK: _drop_newest,
}
"""What a policy does with a stream that has just become too full.

To `block` that happens by unconfirmed publishes alone: a confirmed one is refused beforehand.
"""
