"""What a client and the broker tell each other besides events: questions, answers, notices.  Pure.

The link says what came; here it is decided what becomes of it: which waiter an answer goes to,
whose subscription ends and why, what to say back, what to log.  Both clients do just that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from daemoneye.bus.client.answers import Response, connection_lost, ending_of
from daemoneye.bus.client.counters import Tally
from daemoneye.bus.client.interests import Interest, Options, Owner
from daemoneye.bus.client.link import Link, Received, Resumed
from daemoneye.bus.client.notices import Notices, Remark
from daemoneye.bus.frames import Answer, Resumption, Subscribe, Unsubscribe, Value, Will
from daemoneye.errors import BusBroken, BusError, DeadlineExceeded

Waiter = TypeVar("Waiter")
"""What somebody waits for an answer with: whatever suits the client."""

CLOSE_TIMEOUT = 2.0
"""Seconds from the wish to end until everything has ended."""

ORDINARY_ENDS = (OSError, EOFError, BusError)
"""With these a connection ends between two reads; with others in the midst of handing one out."""

WISH_STANDS = (BusBroken, DeadlineExceeded)
"""After these a subscription goes on: it is told again with the next connection."""


@dataclass(slots=True)
class Outcome(Generic[Owner, Waiter]):
    """What to do about what was received, besides handing out events."""

    answers: list[tuple[Waiter, Response]] = field(default_factory=list)
    """For whom, and what."""
    ended: list[tuple[Owner, BusError]] = field(default_factory=list)
    """Whose subscription is over, after what it has, and why."""
    say: list[Value] = field(default_factory=list)
    """To the broker."""
    remarks: list[Remark] = field(default_factory=list)
    """For the log."""


class Dialogue(Generic[Owner, Waiter]):
    """Who waits for which answer, and what the broker said unasked."""

    __slots__ = ("_link", "_tally", "notices", "pending")

    def __init__(self, link: Link[Owner], tally: Tally) -> None:
        self._link = link
        self._tally = tally
        self.notices = Notices()
        self.pending: dict[int, Waiter] = {}
        """Who waits for the answer to which request."""

    def want(
        self, filters: tuple[str, ...], options: Options, owner: Owner, waiters: list[Waiter]
    ) -> tuple[list[Interest[Owner]], list[Subscribe]]:
        """From now on this is wanted; what was made of it, and what to say.

        Each filter is a request under its interest's own number, with a waiter for its answer.
        """
        interests = [self._link.want(each, options, owner) for each in filters]
        for interest, waiter in zip(interests, waiters, strict=True):
            self.pending[interest.number] = waiter
        return interests, [each.subscribe(each.number) for each in interests]

    def connected(
        self, epoch: int, max_frame_bytes: int, max_payload_bytes: int, resumed: Resumed
    ) -> list[Subscribe | Unsubscribe | Will]:
        """A new connection is proven; what to say first on it.  As `Link.connected`."""
        if resumed.resumption is Resumption.NONE:
            self._tally.begin()
        else:
            self._tally.resume(resumed.taken)
        return self._link.connected(epoch, max_frame_bytes, max_payload_bytes, resumed)

    @contextmanager
    def leaving(
        self, will: Will, tell: Callable[[Will], object]
    ) -> Iterator[Callable[[int], Will]]:
        """Inside, a will is left, and the answer waited for; what is given says it under a number.

        Without a connection it holds when there is one.  When it is refused, or was never said, the
        one before it is ours; when whoever waited is interrupted, the broker is told that one.
        """
        before, self._link.will = self._link.will, will
        said = False

        def under(request: int) -> Will:
            nonlocal said
            said = True
            return replace(will, request=request)

        try:
            yield under
        except BaseException as error:  # an interrupt or a cancellation too
            if isinstance(error, BusBroken) or (said and isinstance(error, DeadlineExceeded)):
                return
            self._link.will = before
            if said and not isinstance(error, BusError):
                tell(before or Will())
            raise

    def consider(self, received: Received[Owner]) -> Outcome[Owner, Waiter]:
        """What to do about it; its deliveries are for the caller to hand out."""
        outcome: Outcome[Owner, Waiter] = Outcome(say=list(received.replies))
        if received.confirmed is not None:
            self._tally.confirm(received.confirmed)
        for answer in received.answers:
            if type(answer) is Answer and answer.request in self._link.interests:
                self._link.interests[answer.request].choice = answer.choice
            waiter = self.pending.pop(answer.request, None)
            if waiter is not None:
                outcome.answers.append((waiter, answer))
        for interest, words in received.ended:
            outcome.say += self._link.drop(interest)
            outcome.ended.append((interest.owner, ending_of(interest, words)))
        told = [self.notices.take(each) for each in received.notices]
        told += [self.notices.take_unreadable(each) for each in received.unreadable]
        outcome.remarks += filter(None, told)
        return outcome

    def lost(self, cause: BaseException | None) -> list[tuple[Waiter, BusBroken]]:
        """The connection is gone, and with it every answer: whom to tell, and what."""
        self._link.lost()
        told = []
        if not isinstance(cause, ORDINARY_ENDS):
            self._link.lose_track()
        for request in list(self.pending):
            waiter = self.pending.pop(request, None)  # whoever gave up meanwhile has taken it out
            if waiter is not None:
                told.append((waiter, connection_lost(cause)))
        return told
