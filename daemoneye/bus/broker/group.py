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
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from math import inf

from daemoneye.bus.broker.choices import OWNERS, Line
from daemoneye.bus.broker.jobs import Job
from daemoneye.bus.broker.labels import Labels
from daemoneye.bus.broker.members import Member
from daemoneye.bus.broker.queues import ByKey, InOrder
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import Choice
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter

MayRead = Callable[[Session, str], bool]
"""Whether a session may read a topic."""

Owned = Callable[[Iterable[Member], str], Member | None]
"""Whose a message is, of these, by its key."""

REMEMBERED = 1 << 12
"""Of so many keys a group remembers whose they are, and so many rights."""

WEIGHED_FOR_ONE = 16
"""So many members that are weighed for a key cost as much as one job."""


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
        "_line",
        "_owners",
        "_rights",
        "_sessions",
        "_silent_line",
        "bytes",
        "choice",
        "delayed",
        "denied",
        "filter",
        "founder",
        "labels",
        "left_at",
        "looks",
        "members",
        "name",
        "queue",
        "silent",
        "unreadable",
        "work",
    )

    def __init__(
        self, name: str, topic_filter: TopicFilter, choice: Choice, now: float, founder: str = ""
    ) -> None:
        self.founder = founder
        """The identity of its first member, of those it has: whose share it counts in."""
        self.name = name
        self.filter = topic_filter
        self.choice = Choice.LEAST_IN_FLIGHT if choice is Choice.DEFAULT else choice
        self.members: dict[int, Member] = {}
        """By number, the oldest first."""
        self.labels = Labels()
        """Their names."""
        self.left_at = now
        """When the last one left, on the broker's clock; while there are some it says nothing."""
        self.queue: InOrder | ByKey = ByKey() if self.choice is Choice.BY_KEY else InOrder()
        self.delayed: dict[Job, None] = {}
        """What is to be tried again, but not yet."""
        self.unreadable: dict[Job, None] = {}
        """What no member that is there may read: it holds up nothing else."""
        self.bytes = 0
        """Of all its jobs, whoever has them."""
        self.denied: list[Job] = []
        """What was found to be for nobody, because nobody may read it; whoever asks sees to it."""
        self.looks = 0
        """How much was looked at, ever, to find who gets what."""
        self._line = Line(self.choice)
        self._silent_line = Line(self.choice)
        """Of those who are silent: they are asked when there is nobody else."""
        self._sessions: Counter[Session] = Counter()
        """Whose members they are: rights are those of sessions."""
        self._rights: dict[tuple[Session, str], bool] = {}
        """Who may read a topic, remembered until rights change."""
        self._owners: dict[str, Member] = {}
        """Whose a key is, remembered until that can change."""
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

    def next(self, limits: Limits, may_read: MayRead) -> tuple[Job, Member] | None:
        """The next job that somebody can take now, and who; it is in nobody's hands meanwhile.

        What nobody may read is in `denied` then.
        """
        if not len(self.queue):
            return None
        with closing(self.queue.candidates()) as candidates:
            for job in candidates:
                if not (len(self._line) or len(self._silent_line)):
                    return None
                member, has_room = self._pick(job, limits, may_read)
                if member is None:
                    if not self.is_readable(job.letter.topic, may_read):
                        self.denied.append(job)
                elif has_room:
                    self.queue.take(job)
                    return job, member
                else:
                    self.queue.wait(job, member)
        return None

    def is_readable(self, topic: str, may_read: MayRead) -> bool:
        """Whether any member may read a topic."""
        return any(self._may_read(each, topic, may_read) for each in self._sessions)

    def _pick(self, job: Job, limits: Limits, may_read: MayRead) -> tuple[Member | None, bool]:
        """Who gets it, and whether that one has room for it now."""
        topic = job.letter.topic
        self.looks += 1

        def able(member: Member) -> bool:
            return self._may_read(member.session, topic, may_read)

        owned = OWNERS.get(self.choice)
        if owned is not None and not job.tried:
            owner = self._owner(job.letter.key, able, owned)
            return owner, owner is not None and self._has_room(owner, job, limits)
        found = self._first(self._line, job, able, limits)
        if found is None and len(self._silent_line):
            heard = (each for each in self.members.values() if each not in self.silent)
            if not any(map(able, heard)):
                found = self._first(self._silent_line, job, able, limits)
        return found, found is not None

    def _first(
        self, line: Line, job: Job, able: Callable[[Member], bool], limits: Limits
    ) -> Member | None:
        """Who has room, those first who have not tried it, and last who did so last."""
        tried = last = None
        position = 0
        while position < len(line):
            member = line[position]
            if not able(member):
                self.looks += 1
            elif not self._has_room(member, job, limits):
                continue  # it is not in this line any more
            elif member.number not in job.tried:
                return member
            elif member.number == job.tried[-1]:
                last = member
            else:
                tried = tried or member
            position += 1
        return tried or last

    def _owner(self, key: str, able: Callable[[Member], bool], owned: Owned) -> Member | None:
        """Whose a message is, of those who may read it, have they room or not.

        Only of what all may read it is remembered, because that is what there is nearly always.
        """
        if self.choice is Choice.BY_KEY:
            owner = self._owners.get(key)
            if owner is None:
                self.looks += len(self.members) // WEIGHED_FOR_ONE
                owner = owned(self._heard(lambda _: True), key)
                if owner is None:
                    return None
                if len(self._owners) >= REMEMBERED:
                    self._owners.clear()
                self._owners[key] = owner
            if able(owner):
                return owner
            self.looks += len(self.members) // WEIGHED_FOR_ONE
        return owned(self._heard(able), key)

    def _heard(self, able: Callable[[Member], bool]) -> Iterator[Member]:
        """Those of them who are not silent, or all of them if all are; the oldest first."""
        some = False
        for each in self.members.values():
            if each not in self.silent and able(each):
                some = True
                yield each
        if not some:
            yield from filter(able, self.members.values())

    def _has_room(self, member: Member, job: Job, limits: Limits) -> bool:
        if member.has_room(job, limits):
            return True
        self._line_of(member).remove(member)
        return False

    def _may_read(self, session: Session, topic: str, may_read: MayRead) -> bool:
        known = self._rights.get((session, topic))
        if known is None:
            if len(self._rights) >= REMEMBERED:
                self._rights.clear()
            known = self._rights[session, topic] = may_read(session, topic)
        return known

    def _line_of(self, member: Member) -> Line:
        return self._silent_line if member in self.silent else self._line

    # ---- members --------------------------------------------------------------------------------

    def join(self, member: Member) -> None:
        """There is one more."""
        self.members[member.number] = member
        self._sessions[member.session] += 1
        self._line.put(member)
        self.reconsider()

    def part(self, member: Member) -> None:
        """There is one less; what it has in hand is still to be taken away."""
        del self.members[member.number]
        self.labels.give_back(member.label)
        self._line_of(member).remove(member)
        self.silent.pop(member, None)
        self._sessions[member.session] -= 1
        if not self._sessions[member.session]:
            del self._sessions[member.session]
        self.reconsider()

    def relieve(self, member: Member) -> None:
        """Something of it has changed, so it may have room."""
        member.relieve()
        if member.number in self.members:
            self._line_of(member).put(member)
            self.queue.relieve(member)

    def fall_silent(self, member: Member) -> None:
        """It let a deadline pass."""
        self._line_of(member).remove(member)
        self.silent[member] = None
        self.relieve(member)
        self._owners.clear()
        self.queue.look_again()

    def hear(self, member: Member) -> None:
        """It has said a word."""
        self._line_of(member).remove(member)
        self.silent.pop(member, None)
        self.relieve(member)
        self._owners.clear()
        self.queue.look_again()

    # ---- jobs -----------------------------------------------------------------------------------

    def hand(self, job: Job, member: Member, delivery: int, deadline: float) -> None:
        """It is in this member's hands from now on, under this number."""
        job.count += 1
        job.tried += (member.number,)
        job.place, job.delivery, job.deadline = member, delivery, deadline
        job.given_up_at = 0.0
        job.lapses_at = inf  # its outbox looks after that, and who has it has it
        member.in_flight[delivery] = job
        member.last = delivery
        self._line_of(member).put(member)

    def take_away(self, job: Job) -> None:
        """It is in nobody's hands any more."""
        if job.place is not None:
            del job.place.in_flight[job.delivery]
            self.relieve(job.place)
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

    def set_aside(self, job: Job) -> None:
        """It waits for a member that may read it."""
        self.queue.remove(job)
        self.unreadable[job] = None
        job.deadline = job.given_up_at

    def reconsider(self) -> None:
        """Other members are there, or rights have changed: ask anew who may read what."""
        self._rights.clear()
        self._owners.clear()
        self.queue.look_again()
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
