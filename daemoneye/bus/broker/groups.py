"""All groups of a broker: who joins and leaves them, and what becomes of their jobs.  Pure.

A group is known by its name and its filter.  The choice of its first member holds for all.  What a
member had in hand when it leaves goes to another, before everything that waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from daemoneye.bus.broker.deadlines import Deadlines
from daemoneye.bus.broker.group import Group, Work
from daemoneye.bus.broker.jobs import ABANDONED, EXHAUSTED, REJECTED, Job, Letter, Pledge
from daemoneye.bus.broker.members import Feedback, Member
from daemoneye.bus.broker.parcels import Parcels
from daemoneye.bus.broker.room import Room
from daemoneye.bus.broker.session import Session
from daemoneye.bus.broker.streams import (
    DENIED,
    DISCONNECTED,
    EXPIRED,
    OVERSIZE,
    Subscription,
)
from daemoneye.bus.frames import Choice, Overflow, Subscribe
from daemoneye.bus.limits import Limits
from daemoneye.bus.subscriptions import SubscriptionTree
from daemoneye.bus.topics import escaped, is_level
from daemoneye.errors import BusError, LocalProtocolError

DEAD = (REJECTED, EXHAUSTED, ABANDONED, DENIED, OVERSIZE)
"""The reasons for which a job becomes a dead letter; for all others it is lost like any message."""

DUE_IN_A_TURN = 512
"""So many deadlines that have passed are looked after in one turn, and the others in the next."""


GROUPS_SHARE = 4
"""One identity may begin so many of all groups: one divided by this."""


class Ended(NamedTuple):
    """A job that is over."""

    group: Group
    job: Job
    reason: str
    """A word of `docs/wire.md`; empty: it was handled."""
    cause: str
    """For a person."""


class Leaving(NamedTuple):
    """A member whose session has left."""

    group: Group
    member: Member
    unseen: set[int]
    """The deliveries in its hands that nobody had begun to write to it."""


class Groups:
    """The groups, their members, and the jobs that those have in hand."""

    __slots__ = (
        "_by_key",
        "_deadlines",
        "_deserted",
        "_expiries",
        "_jobs",
        "_leaving",
        "_members",
        "_numbered",
        "_parcels",
        "_tree",
        "due",
        "ended",
        "feedback",
        "in_flight",
        "later",
        "past",
        "pledges",
        "room",
    )

    def __init__(self, parcels: Parcels) -> None:
        self._parcels = parcels  # whose limits and clock are those of the broker
        self._by_key: dict[tuple[str, str], Group] = {}
        self._tree: SubscriptionTree[Group] = SubscriptionTree()
        self._members: dict[Session, dict[int, tuple[Group, Member]]] = {}
        self._leaving: deque[Leaving] = deque()
        self._deserted: dict[Group, None] = {}  # without members, and with something to lose
        self._numbered = 0  # members
        self._jobs = 0  # numbered
        self._deadlines: Deadlines[tuple[Group, Job]] = Deadlines(lambda each: each[1].deadline)
        self._expiries: Deadlines[tuple[Group, Job]] = Deadlines(lambda each: each[1].lapses_at)
        self.room = Room()
        """What all jobs take."""
        self.in_flight: dict[int, tuple[Group, Job]] = {}
        """By delivery."""
        self.feedback = Feedback(parcels.clock)
        """What outboxes tell of members."""
        self.due: dict[Group, None] = {}
        """Where somebody may take something now."""
        self.later: dict[Group, None] = {}
        """The same, but there was no time for more in this turn."""
        self.ended: list[Ended] = []
        """What nobody has been told of yet."""
        self.pledges: dict[Session, dict[Pledge, None]] = {}
        """What publishers wait for."""
        self.past = Work.none()
        """What groups counted that are no more."""

    def __iter__(self) -> Iterator[Group]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def _limits(self) -> Limits:
        return self._parcels.limits

    @property
    def _now(self) -> float:
        return self._parcels.clock.now

    @property
    def members(self) -> int:
        """How many they have in all."""
        return sum(map(len, self._members.values()))

    def match(self, levels: tuple[str, ...]) -> tuple[Group, ...]:
        """The groups whose filter matches a topic."""
        return tuple(self._tree.match(levels))

    def work(self) -> Work:
        """What became of all that groups were ever offered."""
        total = Work.none()
        total.add(self.past)
        for group in self:
            total.add(group.work)
        return total

    # ---- members --------------------------------------------------------------------------------

    def check(self, wish: Subscribe, name: str) -> None:
        """Refuse a membership that makes no sense; `name` is the identity whose it would be.

        Raises LocalProtocolError, and BusError when there are too many groups.
        """
        if not is_level(wish.group):
            raise LocalProtocolError(
                f"{escaped(wish.group)} cannot be the name of a group",
                hint="1 to 64 of a-z, 0-9, `_` and `-`",
            )
        if wish.filter.startswith("$"):
            raise LocalProtocolError(
                f"what is said on {wish.filter} is for everybody who may read it, and not shared",
                hint="subscribe without a group",
            )
        if wish.serve:
            raise LocalProtocolError("whoever serves a topic is in no group", hint="leave it out")
        if wish.selection or wish.overflow is not Overflow.DEFAULT:
            what = "selection" if wish.selection else "overflow"
            raise LocalProtocolError(
                f"a member of a group has no {what} of its own",
                hint="what it has no room for goes to another, and nobody misses anything",
            )
        group = self._by_key.get((wish.group, wish.filter))
        if group is None or _is_idle(group):
            self._check_places(name, group)
        elif wish.choice not in (Choice.DEFAULT, group.choice):
            raise LocalProtocolError(
                f"the group {group.name} of {group.filter} goes by {group.choice}, not by"
                f" {wish.choice}",
                hint="its first member decides; another choice needs another name",
            )

    def _check_places(self, name: str, idle: Group | None) -> None:
        """Raises BusError when there is no place for a group that this identity begins.

        It has one that is `idle`, if there is such a group, when its share is not used up.
        """
        hint = "use fewer, or wider filters; `groups` of [bus] is the setting"
        mine = [each for each in self if each.founder == name and each is not idle]
        if len(mine) >= self._share and not any(map(_is_idle, mine)):
            raise BusError(
                f"{name} has begun {len(mine)} groups, and one may begin {self._share} of"
                f" {self._limits.groups}",
                hint=hint,
            )
        if idle is None and len(self) >= self._limits.groups and not any(map(_is_idle, self)):
            raise BusError(f"there are {len(self)} groups already", hint=hint)

    def _make_room(self, name: str) -> None:
        """Forget groups that would not be missed, when one more that this identity begins needs it.

        Of its own, when its share is used up, because an idle one may have work again at any time.
        """
        for some, most in (
            ([each for each in self if each.founder == name], self._share),
            (list(self), self._limits.groups),
        ):
            idle = [each for each in some if _is_idle(each)]
            if idle and len(some) >= most:
                self._forget(min(idle, key=lambda each: each.left_at))

    @property
    def _share(self) -> int:
        """How many groups one identity may begin."""
        return max(1, self._limits.groups // GROUPS_SHARE)

    def join(self, session: Session, subscription: Subscription) -> None:
        """A subscription that was checked becomes a member, of a new group if need be."""
        wish = subscription.wish
        key = (wish.group, wish.filter)
        group = self._by_key.get(key)
        if group is not None and _is_idle(group):  # it may go by another choice from now on
            self._forget(group)
            group = None
        if group is None:
            name = session.identity.name
            self._make_room(name)
            group = Group(wish.group, subscription.filter, wish.choice, self._now, name)
            self._by_key[key] = group
            self._tree.add(group.filter, group)
        self._numbered += 1
        label = group.labels.take(session.identity.name)
        member = Member(self._numbered, label, session, subscription, self.feedback)
        group.join(member)
        self._members.setdefault(session, {})[subscription.number] = (group, member)
        self.due[group] = None

    def part(self, session: Session, subscription: Subscription) -> None:
        """A member leaves its group; harmless for a subscription that is in none."""
        memberships = self._members.get(session, {})
        found = memberships.pop(subscription.number, None)
        if found is None:
            return
        if not memberships:
            del self._members[session]
        group, member = found
        self._part(Leaving(group, member, member.waiting()))
        self._lose_some()

    def _part(self, leaving: Leaving) -> None:
        """A member is none any more, and others get what it had."""
        group, member, unseen = leaving
        group.part(member)
        for job in list(member.in_flight.values()):
            self.take_away(group, job)
            if job.delivery in unseen:
                group.untry(job)
            self.try_again(group, job, f"{member.session} left")
        clock = self._parcels.clock
        clock.wake_at(clock.now)  # its work is for others, whoever ended it
        if not group.members:
            group.left_at = self._now
            self._deserted[group] = None
            self._parcels.clock.wake_at(self._now + self._limits.group_timeout)
        elif all(each.session.identity.name != group.founder for each in group.members.values()):
            longest = group.members[min(group.members)].session.identity.name
            self.room.pass_on(group.founder, longest, group.bytes)
            group.founder = longest

    def leave(self, session: Session) -> None:
        """A session is over: it leaves all its groups, and waits for nothing.

        It may have thousands of jobs in hand: those are taken away over several turns.
        """
        for pledge in self.pledges.pop(session, ()):
            pledge.session = None
        for group, member in self._members.pop(session, {}).values():
            member.go()
            self._leaving.append(Leaving(group, member, member.waiting()))
        self._part_some()

    def _part_some(self) -> None:
        """Have those leave whose jobs one turn has time for."""
        left = DUE_IN_A_TURN
        while self._leaving and left > 0:
            leaving = self._leaving.popleft()
            left -= 1 + len(leaving.member.in_flight)
            self._part(leaving)
        self._lose_some()
        if self._leaving:
            self._parcels.clock.wake_at(self._now)

    def _lose_some(self) -> None:
        """Have groups without members lose what they need not keep, as far as a turn has time."""
        left = DUE_IN_A_TURN
        while self._deserted and left > 0:
            group = next(iter(self._deserted))
            lost = [] if group.members else self._given_up(group)
            reason, cause = DISCONNECTED, "nobody is left in the group"
            if self._is_abandoned(group):
                reason = ABANDONED
                cause = f"the group had no member for {self._limits.group_timeout:g} s"
            for job in lost[:left]:
                self.drop(group, job, reason, cause)
            if len(lost) <= left:
                del self._deserted[group]
                if self._is_abandoned(group):
                    self._forget(group)
            left -= 1 + len(lost)
        if self._deserted:
            self._parcels.clock.wake_at(self._now)

    def _given_up(self, group: Group) -> list[Job]:
        """What it does not keep for the next member."""
        is_over = self._is_abandoned(group)
        waiting = (*group.queue, *group.delayed)
        return [each for each in waiting if is_over or not each.letter.is_kept]

    def _is_abandoned(self, group: Group) -> bool:
        """Whether it has been without a member for too long."""
        return not group.members and self._now >= group.left_at + self._limits.group_timeout

    def memberships(self, session: Session) -> list[tuple[Group, Member]]:
        """The groups of a session, and what it is there."""
        return list(self._members.get(session, {}).values())

    def membership(self, session: Session, number: int) -> tuple[Group, Member] | None:
        """The group of a subscription, by its number, and what it is there."""
        return self._members.get(session, {}).get(number)

    def relieve(self, session: Session, number: int = 0) -> None:
        """Its memberships may have room again, or the one of that number; harmless for others."""
        memberships = self._members.get(session, {})
        found = [memberships.get(number)] if number else memberships.values()
        for group, member in filter(None, found):
            group.relieve(member)
            if group.waiting:
                self.due[group] = None

    def hear(self, session: Session, number: int = 0) -> None:
        """It says a word as a member, or as this one; harmless for who is none."""
        memberships = self._members.get(session, {})
        found = [memberships.get(number)] if number else memberships.values()
        for group, member in filter(None, found):
            if member in group.silent:
                group.hear(member)
                self.due[group] = None

    # ---- jobs -----------------------------------------------------------------------------------

    def put(self, group: Group, frame: bytes, letter: Letter, pledge: Pledge | None) -> None:
        """A new job; whoever puts it has asked whether there is room."""
        self._jobs += 1
        job = Job(self._jobs, frame, letter, pledge)
        if pledge is not None:
            pledge.left += 1
        self.room.take(group.founder, job.size)
        group.put(job)
        self._note_expiry(group, job)

    def hand(self, group: Group, job: Job, member: Member, delivery: int) -> None:
        """It is in this member's hands from now on, under this number."""
        group.hand(job, member, delivery, self._now + self._limits.acknowledge_timeout)
        self.in_flight[delivery] = (group, job)
        self._note_deadline(group, job)

    def extend(self, group: Group, job: Job, seconds: float) -> None:
        """Its member may keep it for so long, from now on."""
        job.deadline = self._now + seconds
        self._note_deadline(group, job)

    def _note_deadline(self, group: Group, job: Job) -> None:
        self._parcels.clock.wake_at(job.deadline)
        self._deadlines.note((group, job))

    def _note_expiry(self, group: Group, job: Job) -> None:
        """It waits, and not for ever."""
        job.lapses_at = job.letter.lapses_at
        if job.lapses_at < inf:
            self._parcels.clock.wake_at(job.lapses_at)
            self._expiries.note((group, job))

    def take_away(self, group: Group, job: Job) -> None:
        """It is in nobody's hands any more, and either goes back or is over."""
        del self.in_flight[job.delivery]
        group.take_away(job)
        self.due[group] = None

    def try_again(self, group: Group, job: Job, cause: str, delay: float = 0.0) -> None:
        """What was taken away is for another, after so many seconds."""
        if job.count >= self._limits.deliveries:
            self.finish(group, job, EXHAUSTED, f"tried {job.count} times; {cause}")
        elif not group.members and not job.letter.is_kept:
            self.finish(group, job, DISCONNECTED, cause)
        else:
            if delay > 0.0:
                group.delay(job, self._now + delay)
                self._note_deadline(group, job)
            else:
                group.queue.put_back(job)
            self._note_expiry(group, job)
        self.due[group] = None

    def set_aside(self, group: Group, job: Job) -> None:
        """Nobody there may read what waits: keep it for who may, if it has to be delivered."""
        if not job.letter.is_kept:
            self.drop(group, job, DENIED, "no member may read its topic")
            return
        if not job.given_up_at:
            job.given_up_at = self._now + self._limits.group_timeout
        group.set_aside(job)
        self._note_deadline(group, job)

    def finish(self, group: Group, job: Job, reason: str = "", cause: str = "") -> None:
        """What was taken away is over: handled, or lost for a reason."""
        group.finish(job, reason)
        self._end(group, job, reason, cause)

    def drop(self, group: Group, job: Job, reason: str, cause: str) -> None:
        """What waits is lost."""
        group.drop(job, reason)
        self._end(group, job, reason, cause)

    def _end(self, group: Group, job: Job, reason: str, cause: str) -> None:
        self.room.give_back(group.founder, job.size)
        self.due[group] = None
        if reason or job.pledge is not None:
            self.ended.append(Ended(group, job, reason, cause))

    def redeem(self, pledge: Pledge) -> None:
        """Its publisher is told now."""
        if pledge.session is not None:
            waiting = self.pledges[pledge.session]
            del waiting[pledge]
            if not waiting:
                del self.pledges[pledge.session]

    # ---- time -----------------------------------------------------------------------------------

    def keep_time(self) -> None:
        """Take back what was not settled in time, try again what is due, give up what nobody wants.

        Whoever calls gives out what is due.
        """
        now, clock = self._now, self._parcels.clock
        self.due.update(self.later)
        self.later.clear()
        self._part_some()
        for _ in range(DUE_IN_A_TURN):
            due = self._deadlines.take(now)
            if due is None:
                break
            group, job = due
            if job.place is not None:
                job.place.withdraw(job.delivery)
                group.fall_silent(job.place)
                self.take_away(group, job)
                self.try_again(group, job, f"{self._limits.acknowledge_timeout:g} s passed")
            elif job in group.unreadable:
                seconds = self._limits.group_timeout
                self.drop(group, job, DENIED, f"no member could read its topic for {seconds:g} s")
            else:
                group.resume(job)
                self.due[group] = None
        clock.wake_at(self._deadlines.next_at)
        self.expire()
        for group in list(self):
            if self._is_abandoned(group):
                self._deserted[group] = None
            elif not group.members:
                clock.wake_at(group.left_at + self._limits.group_timeout)
        self._lose_some()

    def expire(self) -> None:
        """What waits and nobody needs any more is lost, and keeps no place from others."""
        for _ in range(DUE_IN_A_TURN):
            due = self._expiries.take(self._now)
            if due is None:
                break
            self.drop(*due, EXPIRED, "its time passed while it waited")
        self._parcels.clock.wake_at(self._expiries.next_at)

    def _forget(self, group: Group) -> None:
        """It is no more; routes that know it find that nobody takes anything there."""
        del self._by_key[group.name, group.filter.text]
        self._tree.remove(group.filter, group)
        self.due.pop(group, None)
        self.later.pop(group, None)
        self._deserted.pop(group, None)
        self.past.add(group.work)


def _is_idle(group: Group) -> bool:
    """Whether nothing would be missed."""
    return not (group.members or group.waiting)
