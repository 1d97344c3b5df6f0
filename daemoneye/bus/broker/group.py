"""A group: subscriptions of one filter that share its messages, each for one of them.  Pure.

Who gets the next one is a `choice`, asked of those who are connected, may read the topic at that
moment, and have room.  What was tried without success goes to a member that has not tried it, while
one of those has room.  Who has let a deadline pass is given nothing until it says a word, while
there are others: a client that hangs is still connected.  The law that the counters keep:

    offered = handled + lost (by reason) + waiting + in flight

A group outlives its members for a while: what has to be delivered at least once waits for the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from daemoneye.bus.broker.choices import CHOICES
from daemoneye.bus.broker.jobs import Job
from daemoneye.bus.broker.members import Member, Readiness
from daemoneye.bus.broker.queues import ByKey, InOrder
from daemoneye.bus.frames import Choice
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter


@dataclass(slots=True)
class Work:
    """What became of the messages of groups; `lost` by reason."""

    offered: int
    handled: int
    lost: Counter[str]

    @classmethod
    def none(cls) -> Work:
        """Nothing yet."""
        return cls(0, 0, Counter())

    def add(self, other: Work) -> None:
        """Count what `other` counted as well."""
        self.offered += other.offered
        self.handled += other.handled
        self.lost.update(other.lost)


class Group:
    """One of them."""

    __slots__ = (
        "bytes",
        "choice",
        "delayed",
        "filter",
        "founder",
        "left_at",
        "members",
        "name",
        "queue",
        "readers",
        "silent",
        "unreadable",
        "work",
    )

    def __init__(
        self, name: str, topic_filter: TopicFilter, choice: Choice, now: float, founder: str = ""
    ) -> None:
        self.founder = founder
        """The identity of its first member: it counts among the groups of that one."""
        self.name = name
        self.filter = topic_filter
        self.choice = Choice.LEAST_IN_FLIGHT if choice is Choice.DEFAULT else choice
        self.members: dict[int, Member] = {}
        """By number, the oldest first."""
        self.left_at = now
        """When the last one left, on the broker's clock; while there are some it says nothing."""
        self.queue: InOrder | ByKey = ByKey() if self.choice is Choice.BY_KEY else InOrder()
        self.delayed: dict[Job, None] = {}
        """What is to be tried again, but not yet."""
        self.unreadable: dict[Job, None] = {}
        """What no member that is there may read: it holds up nothing else."""
        self.bytes = 0
        """Of all its jobs, whoever has them."""
        self.readers: dict[str, tuple[Member, ...]] = {}
        """Members that may read a topic, the oldest first: remembered until rights change."""
        self.silent: dict[Member, None] = {}
        """Members that let a deadline pass and have not said a word since."""
        self.work = Work.none()

    @property
    def waiting(self) -> int:
        """How many wait, those included that are to be tried later, or may not be read now."""
        return len(self.queue) + len(self.delayed) + len(self.unreadable)

    @property
    def in_flight(self) -> int:
        """How many its members have in hand."""
        return sum(len(each.in_flight) for each in self.members.values())

    def has_room(self, messages: int, size: int, limits: Limits) -> bool:
        """Whether so many more may wait."""
        return (
            self.waiting + messages <= limits.group_messages
            and self.bytes + size <= limits.group_bytes
        )

    def room(self, limits: Limits) -> int:
        """How many more may wait, at most."""
        if self.bytes >= limits.group_bytes:
            return 0
        return max(0, limits.group_messages - self.waiting)

    def put(self, job: Job) -> None:
        """A new one."""
        self.work.offered += 1
        self.bytes += job.size
        self.queue.put(job)

    def next(
        self, limits: Limits, readers: Callable[[Job], tuple[Member, ...]]
    ) -> tuple[Job, Member] | None:
        """The next job that somebody can take now, and who; it is in nobody's hands meanwhile.

        `readers` says who may read it.
        """

        def pick(job: Job) -> Member | None:
            def has_room(member: Member) -> bool:
                return member.has_room(job, limits)

            able = readers(job)
            if self.silent:
                able = tuple(each for each in able if each not in self.silent) or able
            if not job.tried:
                return CHOICES[self.choice](able, job.letter.key, has_room) if able else None
            for some in _best_first(job, tuple(filter(has_room, able))):
                return CHOICES[self.choice](some, job.letter.key, has_room)
            return None

        members = self.members.values()
        if not len(self.queue) or all(each.readiness is Readiness.FULL for each in members):
            return None
        return self.queue.take(pick)

    def hand(self, job: Job, member: Member, delivery: int, deadline: float) -> None:
        """It is in this member's hands from now on, under this number."""
        job.count += 1
        job.tried += (member.number,)
        job.place, job.delivery, job.deadline = member, delivery, deadline
        job.given_up_at = 0.0
        job.lapses_at = inf  # its outbox looks after that, and who has it has it
        member.in_flight[delivery] = job
        member.last = delivery

    def take_away(self, job: Job) -> None:
        """It is in nobody's hands any more."""
        if job.place is not None:
            del job.place.in_flight[job.delivery]
            job.place.relieve()
            job.place = None
            job.deadline = inf

    def delay(self, job: Job, until: float) -> None:
        """It was taken away and is to be tried again, but not before that."""
        job.deadline = until
        self.delayed[job] = None

    def resume(self, job: Job) -> None:
        """It is to be tried again now."""
        self._end_delay(job)
        self.queue.put_back(job)

    def _end_delay(self, job: Job) -> None:
        del self.delayed[job]
        job.deadline = inf

    def fall_silent(self, member: Member) -> None:
        """It let a deadline pass."""
        self.silent[member] = None

    def hear(self, member: Member) -> None:
        """It has said a word."""
        self.silent.pop(member, None)

    def set_aside(self, job: Job) -> None:
        """It waits for a member that may read it."""
        self.queue.remove(job)
        self.unreadable[job] = None
        job.deadline = job.given_up_at

    def reconsider(self) -> None:
        """Other members are there, or rights have changed: ask anew who may read what."""
        self.readers.clear()
        for job in reversed(self.unreadable):
            self.queue.restore(job)
            job.deadline = inf
        self.unreadable.clear()

    def untry(self, job: Job) -> None:
        """It was taken away before its member had it: that does not count."""
        job.count -= 1
        job.tried = job.tried[:-1]

    def finish(self, job: Job, reason: str = "") -> None:
        """It was in somebody's hands and is over: handled, or lost for a reason."""
        self.bytes -= job.size
        self.queue.done(job)
        self._count(reason)

    def drop(self, job: Job, reason: str) -> None:
        """It waited and is lost."""
        self.bytes -= job.size
        job.lapses_at = inf
        if job in self.delayed:
            self._end_delay(job)
            self.queue.done(job)
        elif job in self.unreadable:
            del self.unreadable[job]
            job.deadline = inf
        else:
            self.queue.remove(job)
        self._count(reason)

    def refuse(self, reason: str, messages: int = 1) -> None:
        """So many are lost that are not taken at all."""
        self.work.offered += messages
        self.work.lost[reason] += messages

    def _count(self, reason: str) -> None:
        if reason:
            self.work.lost[reason] += 1
        else:
            self.work.handled += 1

    def __repr__(self) -> str:
        return f"<Group {self.name} on {self.filter}, {len(self.members)} members>"


def _best_first(job: Job, able: tuple[Member, ...]) -> Iterator[tuple[Member, ...]]:
    """Those who have not tried it, those who did not do so last, all; each if there are any."""
    untried = tuple(each for each in able if each.number not in job.tried)
    others = tuple(each for each in able if each.number != job.tried[-1])
    return filter(None, (untried, others, able))
