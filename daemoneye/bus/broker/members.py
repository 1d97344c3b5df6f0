"""A member of a group: a subscription that shares its work with others.  Pure.

What it is given goes through a stream of its own, with the credit, the lanes and the accounts of
any other; but what such a stream has no room for, or may not deliver any more, is not lost: it goes
back to the group.
"""

from __future__ import annotations

from collections.abc import Iterable

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


class Returned:
    """What outboxes gave back: looked at when the clock rings, which is in the next turn."""

    __slots__ = ("_clock", "_deliveries")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deliveries: list[tuple[int, str]] = []

    def add(self, delivery: int, reason: str) -> None:
        """This one was not delivered, for this reason."""
        self._deliveries.append((delivery, reason))
        self._clock.wake_at(self._clock.now)

    def take_all(self) -> list[tuple[int, str]]:
        """All of them; there are none then."""
        found, self._deliveries = self._deliveries, []
        return found


class WorkStream(Stream):
    """The queue of what a member was given: it loses nothing, but gives it back."""

    __slots__ = ("returned",)

    def __init__(
        self,
        key: StreamKey,
        subscriptions: Iterable[Subscription],
        backlog: Backlog,
        returned: Returned,
    ) -> None:
        super().__init__(key, subscriptions, backlog)
        self.returned = returned
        """Where it gives things back: that of all groups."""

    def serve(self, key: StreamKey, subscriptions: Iterable[Subscription]) -> None:
        """Be the queue of these, and never cut a client off for what others can do."""
        super().serve(key, subscriptions)
        self.policy = Overflow.DROP_NEWEST

    def _count_lost(self, run: Run, reason: str) -> None:
        """It counts as never offered here; the group counts it, or gives it to another."""
        self.tally.offered -= run.messages
        self.returned.add(run.number, reason)


class Member:
    """One subscription of one session, in a group."""

    __slots__ = (
        "_returned",
        "_streams",
        "in_flight",
        "label",
        "last",
        "number",
        "session",
        "subscription",
    )

    def __init__(
        self,
        number: int,
        label: str,
        session: Session,
        subscription: Subscription,
        returned: Returned,
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
        self._streams: dict[Lane, Stream] = {}
        self._returned = returned

    def has_room(self, limits: Limits) -> bool:
        """Whether it may be given one more now: connected, with credit, and not too much in hand.

        What would be dropped from its outbox at once is not put there.
        """
        wish, balance = self.subscription.wish, self.subscription.balance
        if len(self.in_flight) >= limits.in_flight:
            return False
        waiting = size = 0
        for stream in self._streams.values():
            waiting += len(stream.queue)
            size += stream.bytes
        return (
            waiting < wish.max_messages
            and waiting + balance.sent_messages < balance.granted_messages
            and size + balance.sent_bytes < balance.granted_bytes
            and self.session.outbox.backlog.bytes < limits.client_bytes
        )

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
                key, (subscription,), outbox.backlog, self._returned
            )
        self._streams[lane] = stream
        return stream

    def __repr__(self) -> str:
        return f"<Member {self.number}: {self.label}, {len(self.in_flight)} in flight>"
