"""What groups are given: taken in, handed to a member, settled by it, tried again.  Pure.

A publish is opened for its groups, and for nothing else: each of its messages becomes a job of its
own.  A job goes to a member as a frame of one message with the number of this delivery, through
the member's outbox like everything else.  What happens to jobs is decided by `groups`; here it is
done to outboxes, publishers are answered, and dead letters are collected for the router to say.
"""

from __future__ import annotations

from collections import Counter, deque
from math import inf
from typing import NamedTuple

from daemoneye.bus.broker.answers import refusal
from daemoneye.bus.broker.deliveries import REFUSED, Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.group import Group
from daemoneye.bus.broker.groups import DEAD, Ended
from daemoneye.bus.broker.jobs import REJECTED, Job, Letter, Opened, Pledge
from daemoneye.bus.broker.members import Member
from daemoneye.bus.broker.runs import make_run
from daemoneye.bus.broker.session import Session
from daemoneye.bus.broker.streams import EXPIRED, OVERFLOW, OVERSIZE
from daemoneye.bus.frames import (
    Answer,
    Choice,
    Guarantee,
    Notice,
    OuterFrame,
    Settle,
    Settling,
    delivery_stamp,
    received_at_of,
    single_publishes,
)
from daemoneye.bus.limits import Limits
from daemoneye.errors import (
    BackPressure,
    BusError,
    DeadlineExceeded,
    LocalProtocolError,
    NoResponder,
    Rejected,
    TooLarge,
)
from daemoneye.framing import pack_length

LATE = "late"
"""The code of a notice, and what is counted: a settling of what is not in that member's hands."""

MAX_CAUSE = 1024
"""How much of a member's reason is told, in characters."""

WORK_OF_GROUPS = 512
"""So many jobs are handed out for what one session did in a turn, and the others in the next."""


NO_KEY = "no-key"
"""Why a group that goes by a key has lost what has none."""

_TOO_SLOW = "members are too slow, or there are none"


class Offer(NamedTuple):
    """What groups make of one publish."""

    takers: tuple[Group, ...] = ()
    """Those that take it, as far as they have room."""
    opened: Opened | None = None
    """It, opened for them; None: there are none."""
    binding: bool = False
    """Whether it has to be taken by all of them, and whole."""
    losing: tuple[tuple[Group, str], ...] = ()
    """Those that cannot take it, and why: theirs is best effort."""

    @property
    def work(self) -> int:
        """How many jobs it becomes."""
        return len(self.takers) * len(self.opened.frames) if self.opened is not None else 0


NO_OFFER = Offer()
"""To nobody."""


class Dispatch:
    """Hands out the work of groups."""

    __slots__ = ("_deliveries", "_directory", "_groups", "dead")

    def __init__(self, directory: Directory, deliveries: Deliveries) -> None:
        self._directory = directory
        self._deliveries = deliveries
        self._groups = directory.groups
        self.dead: deque[Ended] = deque()
        """Dead letters: the router says them when it keeps time."""

    # ---- publishes ------------------------------------------------------------------------------

    def offer(
        self,
        groups: tuple[Group, ...],
        frame: OuterFrame,
        raw: bytes,
        stamp: bytes,
        publisher: str,
        *,
        whole: bool = True,
    ) -> Offer:
        """What these groups make of a publish; nothing is changed but that expired jobs are lost.

        Of what is best effort, a group that cannot take it loses it, and nobody else.  What has to
        be delivered at least once, or handled, is refused as a whole, if it is to be `whole`.
        Raises LocalProtocolError, TooLarge, and NoResponder when its publisher waits and nobody
        will handle it.
        """
        self._groups.expire()
        kept, takers, losing = is_kept(frame), [], []
        binding = whole and (kept or frame.until_handled)
        for group in groups:
            if not kept and not group.is_readable(frame.topic, self._may_read):
                continue
            error = _hindrance(group, frame)
            if error is None:
                takers.append(group)
            elif binding:
                raise error
            else:
                losing.append(
                    (group, NO_KEY if isinstance(error, LocalProtocolError) else OVERSIZE)
                )
        if frame.until_handled and frame.request and not takers:
            raise _nobody(frame, groups)
        if not takers:
            return Offer((), None, binding, tuple(losing))
        try:
            limits = self._directory.limits
            wanted = 1 if frame.count == 1 else max(each.room(limits) for each in takers)
            singles = single_publishes(frame, raw, limits.group_bytes, wanted)
            _check_length(frame, singles, limits)
        except TooLarge:
            if binding:
                raise
            losing += [(each, OVERSIZE) for each in takers]
            return Offer((), None, binding, tuple(losing))
        letter = self._letter(frame, stamp, publisher)
        opened = Opened(letter, tuple(each + stamp for each in singles), frame.count)
        return Offer(tuple(takers), opened, binding, tuple(losing))

    def _letter(self, frame: OuterFrame, stamp: bytes, publisher: str) -> Letter:
        expires_at, lapses_at = frame.expires_at, inf
        if expires_at:
            seconds = (expires_at - received_at_of(stamp)) / 1e9
            lapses_at = self._directory.clock.now + seconds
        kept = is_kept(frame)
        return Letter(frame.topic, publisher, frame.partition_key, expires_at, lapses_at, kept)

    def check_room(self, offer: Offer) -> None:
        """Raises BackPressure when one has no room for all of what it has to take."""
        if offer.opened is None or not offer.binding:
            return
        limits, size = self._directory.limits, offer.opened.bytes
        wanted: Counter[str] = Counter()
        for group in offer.takers:
            wanted[group.founder] += size
        if lack := self._groups.room.lack(wanted, limits):
            raise BackPressure(lack, hint=_TOO_SLOW)
        for group in offer.takers:
            if not group.has_room(offer.opened.messages, size, limits):
                raise BackPressure(
                    f"the group {group.name} of {group.filter} has no room: {group.waiting}"
                    f" messages wait, {group.bytes} bytes are in its hands",
                    hint=_TOO_SLOW,
                )

    def put(self, offer: Offer, messages: int, pledge: Pledge | None) -> int:
        """Groups take a publish of so many messages; how many groups took some of it.

        Of what has no room, the newest is lost.
        """
        limits, groups, room = self._directory.limits, self._groups, self._groups.room
        for group, reason in offer.losing:
            group.refuse(reason, messages)
        taken = 0
        if offer.opened is not None:
            for group in offer.takers:
                before = group.waiting
                if unopened := messages - len(offer.opened.frames):
                    group.refuse(OVERFLOW, unopened)
                for frame in offer.opened.frames:
                    size = len(frame)
                    if group.has_room(1, size, limits) and room.has(group.founder, size, limits):
                        groups.put(group, frame, offer.opened.letter, pledge)
                    else:
                        group.refuse(OVERFLOW)
                taken += group.waiting > before
                groups.due[group] = None
        if pledge is not None and pledge.session is not None:
            groups.pledges.setdefault(pledge.session, {})[pledge] = None
        return taken

    # ---- members --------------------------------------------------------------------------------

    def settle(self, session: Session, said: Settle) -> None:
        """A member says what became of what it was given.

        Of what is not in its hands it is told so, and nothing changes.
        """
        groups, limits = self._groups, self._directory.limits
        if said.seconds > limits.group_timeout:
            error = LocalProtocolError(
                f"{said.seconds:g} s are more than {limits.group_timeout:g}",
                hint="nobody can wait so long; limits.group_timeout is the bound",
            )
            self._refuse(session, said, said.deliveries, error, REFUSED)
            return
        mine: dict[int, tuple[Group, Job]] = {}
        others: list[int] = []
        for delivery in said.deliveries:
            found = groups.in_flight.get(delivery)
            if found is None or not _is_held_by(found[1], session) or delivery in mine:
                others.append(delivery)
            else:
                mine[delivery] = found
        if others:
            error = LocalProtocolError(
                f"delivery {', '.join(map(str, others[:8]))} is not in your hands",
                hint="it was settled before, its time was up and another has it, or it never was",
            )
            groups.hear(session)  # late, but a word, of whichever group that was
            self._refuse(session, said, tuple(others), error, LATE)
            if said.request:
                return
        for group, job in mine.values():
            if job.place is not None:
                groups.hear(session, job.place.subscription.number)
            self._settle(session, group, job, said)
        if said.request:
            self._deliveries.tell(session, Answer(said.request))

    def _settle(self, session: Session, group: Group, job: Job, said: Settle) -> None:
        groups = self._groups
        if said.what is Settling.EXTEND:
            groups.extend(group, job, said.seconds)
            return
        groups.take_away(group, job)
        if said.what is Settling.ACK:
            groups.finish(group, job)
        elif said.what is Settling.REJECT:
            groups.finish(group, job, REJECTED, said.reason[:MAX_CAUSE] or "no reason was given")
        else:
            groups.try_again(group, job, f"{session} asked for another try", said.seconds)

    def _refuse(
        self,
        session: Session,
        said: Settle,
        deliveries: tuple[int, ...],
        error: LocalProtocolError,
        code: str,
    ) -> None:
        if code == LATE:
            self._deliveries.refusals[LATE] += len(deliveries)
        else:
            self._deliveries.note_refusal(session, error, "", "")
        if said.request:
            self._deliveries.tell_refusal(session, said.request, error)
            return
        for delivery in deliveries:
            detail = f"{said.what} of delivery {delivery}: {error}"
            self._deliveries.tell(session, Notice(code, detail=detail, delivery=delivery))

    def credited(self, session: Session, number: int) -> None:
        """A client has room where it had none, for a subscription of this number at least."""
        self._groups.hear(session, number)
        self._groups.relieve(session)

    # ---- handing out ----------------------------------------------------------------------------

    def run(self) -> None:
        """Hand out what can be, and tell publishers what became of theirs.

        What outboxes tell meanwhile is looked at in the next turn, so that this ends.
        """
        groups = self._groups
        for member in groups.feedback.take_relieved():
            groups.relieve(member.session, member.subscription.number)
        self._take_returned()
        left = WORK_OF_GROUPS
        while groups.due:
            group = next(iter(groups.due))
            del groups.due[group]
            left = self._give_out(group, left)
        if groups.later:
            self._directory.clock.wake_at(self._directory.clock.now)
        ended, groups.ended[:] = list(groups.ended), []
        for each in ended:
            self._tell(each)

    def keep_time(self) -> None:
        """Take back what was not settled in time, and give up what nobody wants."""
        before = len(self._groups)
        self._groups.keep_time()
        if len(self._groups) < before:
            self._directory.change()
        self.run()

    def _give_out(self, group: Group, left: int) -> int:
        """Hand out what is `left` time for in this turn; what is left then."""
        limits, may_read = self._directory.limits, self._may_read
        while left > 0:
            before = group.looks
            found = group.next(limits, may_read)
            left -= group.looks - before
            if found is not None:
                self._hand(group, *found)
            elif not group.denied:
                return left
            for job in group.denied:
                self._groups.set_aside(group, job)
            group.denied.clear()
        self._groups.later[group] = None
        return left

    def _hand(self, group: Group, job: Job, member: Member) -> None:
        letter, delivery = job.letter, self._deliveries.next_number()
        self._groups.hand(group, job, member, delivery)
        stamp = delivery_stamp(delivery, job.count)
        data = b"".join((pack_length(len(job.frame) + len(stamp)), job.frame, stamp))
        origin = (letter.publisher, letter.topic)
        run = make_run((delivery, data, 1, letter.expires_at, origin, None))
        self._deliveries.give(member.session, member.stream_for(letter.topic), run)

    def _take_returned(self) -> None:
        """What an outbox did not deliver: for another, unless nobody wants it any more."""
        groups = self._groups
        for delivery, reason in groups.feedback.take_returned(WORK_OF_GROUPS):
            if (found := groups.in_flight.get(delivery)) is None:
                continue  # its member has left, and all that it had was taken away
            group, job = found
            place = job.place
            groups.take_away(group, job)
            if place is not None and reason == OVERFLOW:
                place.crowd_out()  # it would be given it again at once, and for nothing
            group.untry(job)
            if reason in (EXPIRED, OVERSIZE):
                groups.finish(group, job, reason, f"it was {reason} when it should have gone out")
            else:
                groups.try_again(group, job, reason)

    def _may_read(self, session: Session, topic: str) -> bool:
        access = self._directory.access
        return access.may_receive(session.identity, session.declared, topic).allowed

    # ---- endings --------------------------------------------------------------------------------

    def _tell(self, ended: Ended) -> None:
        if ended.reason in DEAD:
            self.dead.append(ended)
            self._directory.clock.wake_at(self._directory.clock.now)
        pledge = ended.job.pledge
        if pledge is None:
            return
        pledge.left -= 1
        if ended.reason and pledge.error is None:
            kind = DeadlineExceeded if ended.reason == EXPIRED else Rejected
            pledge.error = kind(
                f"the group {ended.group.name} of {ended.group.filter} did not handle it"
                f" ({ended.reason}): {ended.cause}",
                hint=f"dead letters are told on $bus.dead.{ended.group.name}",
            )
        if not pledge.left and pledge.session is not None:
            self._groups.redeem(pledge)
            session, error = pledge.session, pledge.error
            said = pledge.answer() if error is None else refusal(pledge.request, error)
            self._deliveries.tell(session, said)


def is_kept(frame: OuterFrame) -> bool:
    """Whether a publish is at least once: as it says, or by its topic."""
    guarantee: int = frame.guarantee  # an open enum, whose known numbers are ours
    if guarantee != Guarantee.DEFAULT:
        return guarantee == Guarantee.AT_LEAST_ONCE
    return bool(frame.topic.startswith("control."))


def _is_held_by(job: Job, session: Session) -> bool:
    """Whether a client has it in hand, and has not left its group since."""
    place = job.place
    return place is not None and place.session is session and not place.is_gone


def _check_length(frame: OuterFrame, singles: list[bytes], limits: Limits) -> None:
    """Refuse what a member could not read: said anew, a message may be longer than it came."""
    if max(map(len, singles), default=0) > limits.frame_bytes:
        raise TooLarge(
            f"a message on {frame.topic} by itself is past the limit of {limits.frame_bytes} bytes",
            hint="say less beside its payload",
        )


def _nobody(frame: OuterFrame, groups: tuple[Group, ...]) -> NoResponder:
    """Nobody will handle this: there is no group, or none that can take what is best effort."""
    if groups:
        return NoResponder(
            f"no group of {frame.topic} has a member that may read it now, and best effort"
            " waits for none",
            hint='start a member, or publish it with guarantee="at-least-once": then it waits',
        )
    return NoResponder(
        f"there is no group to handle {frame.topic}",
        hint="a program has to subscribe to it with group= first; from then on the group is"
        " there, also while no member is",
    )


def _hindrance(group: Group, frame: OuterFrame) -> BusError | None:
    """Why a group cannot take a publish at all."""
    if frame.large_bytes or frame.descriptors:
        return TooLarge(
            f"the group {group.name} of {group.filter} takes what fits into a frame, and not a"
            f" payload of {frame.large_bytes} bytes apart from it",
            hint="put it in a file, and send the name",
        )
    if group.choice is Choice.BY_KEY and not frame.partition_key:
        return LocalProtocolError(
            f"the group {group.name} of {group.filter} goes by a key, and a publish on"
            f" {frame.topic} has none",
            hint='publish with key="…": equal keys go to the same member',
        )
    return None
