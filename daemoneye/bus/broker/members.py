"""A member of a group: a subscription that shares its work with others.  Pure.

What it is given goes through a stream of its own, with the credit, the lanes and the accounts of
any other; but what such a stream has no room for, or may not deliver any more, is not lost: it goes
back to the group.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from daemoneye.bus.broker.clock import Clock
from daemoneye.bus.broker.jobs import Job
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.session import Session
from daemoneye.bus.broker.streams import (
    Backlog,
    Lane,
    Stream,
    StreamKey,
    Subscription,
    lane_of,
)
from daemoneye.bus.frames import Overflow
from daemoneye.bus.limits import Limits

GIVEN_BYTES = 24
"""By how much the run of a job is longer than the job: header, delivery, how manieth time."""

CROWDED_PAUSE = 0.1
"""After so many seconds a member is looked at again that was crowded out by what others are sent.

Whoever makes room there does not say so.
"""


class Readiness(Enum):
    """What is known of a member's room."""

    OPEN = auto()
    """It may have some."""
    FULL = auto()
    """It was found without: nobody looks again until something of it changes."""
    GONE = auto()
    """Its session has left the group, and what it has in hand is still to be taken away."""


class Feedback:
    """What outboxes tell of members: looked at when the clock rings, which is in the next turn."""

    __slots__ = ("_clock", "_crowded", "_relieved", "_returned")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._returned: list[tuple[int, str]] = []
        self._relieved: dict[Member, None] = {}
        self._crowded: dict[Member, None] = {}

    def returned(self, delivery: int, reason: str) -> None:
        """This one was not delivered, for this reason."""
        self._returned.append((delivery, reason))
        self._clock.wake_at(self._clock.now)

    def relieved(self, member: Member) -> None:
        """It may have room again."""
        self._relieved[member] = None
        self._clock.wake_at(self._clock.now)

    def crowded(self, member: Member) -> None:
        """It has no room because of others, and is to be looked at again soon."""
        self._crowded[member] = None
        self._clock.wake_at(self._clock.now + CROWDED_PAUSE)

    def take_returned(self, most: int) -> list[tuple[int, str]]:
        """Of what was not delivered the first so many; it is told once."""
        found, self._returned = self._returned[:most], self._returned[most:]
        if self._returned:
            self._clock.wake_at(self._clock.now)
        return found

    def take_relieved(self) -> list[Member]:
        """Who may have room again, those included that are to be looked at; it is told once."""
        found = [*self._relieved, *self._crowded]
        self._relieved.clear()
        self._crowded.clear()
        return found


class WorkStream(Stream):
    """The queue of what a member was given: it loses nothing, but gives it back."""

    __slots__ = ("_feedback", "_member")

    def __init__(
        self,
        key: StreamKey,
        subscriptions: Iterable[Subscription],
        backlog: Backlog,
        member: Member,
        feedback: Feedback,
    ) -> None:
        super().__init__(key, subscriptions, backlog)
        self._member = member
        self._feedback = feedback

    def serve(self, key: StreamKey, subscriptions: Iterable[Subscription]) -> None:
        """Be the queue of these, and never cut a client off for what others can do."""
        super().serve(key, subscriptions)
        self.policy = Overflow.DROP_NEWEST

    def delivered(self, run: Run) -> int:
        """The kernel has all of it, so there may be room behind it."""
        if self._member.readiness is Readiness.FULL:
            self._feedback.relieved(self._member)
        return super().delivered(run)

    def _count_lost(self, run: Run, reason: str) -> None:
        """It counts as never offered here; the group counts it, or gives it to another."""
        self.tally.offered -= run.messages
        self._feedback.returned(run.number, reason)


class Member:
    """One subscription of one session, in a group."""

    __slots__ = (
        "_feedback",
        "_streams",
        "in_flight",
        "label",
        "last",
        "number",
        "readiness",
        "session",
        "subscription",
    )

    def __init__(
        self,
        number: int,
        label: str,
        session: Session,
        subscription: Subscription,
        feedback: Feedback,
    ) -> None:
        self.number = number
        """Rises with every member of the broker: the lowest is the oldest."""
        self.label = label
        """Its name among the members of its group: whoever takes its place gets the same."""
        self.session = session
        self.subscription = subscription
        self.in_flight: dict[int, Job] = {}
        """What it has not settled, by delivery, the oldest first."""
        self.last = 0
        """The delivery it was given last."""
        self.readiness = Readiness.OPEN
        """Whether it may have room."""
        self._streams: dict[Lane, Stream] = {}
        self._feedback = feedback

    def has_room(self, job: Job, limits: Limits) -> bool:
        """Whether it may be given this job now: connected, with credit, and not too much in hand.

        What would be dropped from its outbox at once is not put there.  Who is found without room
        is not looked at again until it is relieved.
        """
        if self.readiness is not Readiness.OPEN:
            return False
        if self._is_full(job, limits):
            self.readiness = Readiness.FULL
            return False
        if self.session.outbox.crowding(job.size + GIVEN_BYTES, limits):
            self.crowd_out()
            return False
        return True

    def _is_full(self, job: Job, limits: Limits) -> bool:
        if len(self.in_flight) >= limits.in_flight:
            return True
        balance, streams = self.subscription.balance, self._streams.values()
        waiting = size = 0
        for stream in streams:
            waiting += len(stream.queue)
            size += stream.bytes
        # What is being written is in the balance already; it is left out where that matters.
        if not balance.lasts(waiting, size):
            size = sum(len(run.data) for stream in streams for run in stream.queue)
            if not balance.lasts(waiting, size):
                return True
        queue = self._streams.get(lane_of(job.letter.topic))
        return queue is not None and queue.lacks_room(1, job.size + GIVEN_BYTES)

    def crowd_out(self) -> None:
        """What others are sent leaves it no room: it is not asked for a while."""
        if self.readiness is not Readiness.GONE:
            self.readiness = Readiness.FULL
            self._feedback.crowded(self)

    def relieve(self) -> None:
        """Something of it has changed: it may have room."""
        if self.readiness is not Readiness.GONE:
            self.readiness = Readiness.OPEN

    @property
    def is_gone(self) -> bool:
        """Whether its session has left: what it has in hand is others' already."""
        return self.readiness is Readiness.GONE

    def go(self) -> None:
        """Its session leaves: it is given nothing more."""
        self.readiness = Readiness.GONE

    def waiting(self) -> set[int]:
        """The deliveries that it was given and that nobody has begun to write to it."""
        return {run.number for stream in self._streams.values() for run in stream.queue}

    def withdraw(self, delivery: int) -> None:
        """It has this no more in hand: what is not yet on its way to it need not come."""
        for stream in self._streams.values():
            for run in stream.queue:
                if run.number == delivery:
                    stream.queue.remove(run)
                    stream.withdraw(run)
                    return

    def stream_for(self, topic: str) -> Stream:
        """What goes there goes through this."""
        lane, outbox = lane_of(topic), self.session.outbox
        subscription = self.subscription
        key = StreamKey((subscription.number,), lane, Overflow.DROP_NEWEST)
        stream = outbox.streams.get(key)
        if stream is None:
            stream = outbox.streams[key] = WorkStream(
                key, (subscription,), outbox.backlog, self, self._feedback
            )
        self._streams[lane] = stream
        return stream

    def __repr__(self) -> str:
        return f"<Member {self.number}: {self.label}, {len(self.in_flight)} in flight>"
