"""What clients want said when they end without a word of their own.  Pure.

One will for each session, set and taken back by its client.  A goodbye ends it.  Any other end
sends it, after a wait in which the same incarnation may come back, because then nothing has ended;
but at once when its process has ended: who comes instead says what is true then, and a will that
came later would take the place of that.  Of a child the supervisor says it, with the true cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from daemoneye.bus.broker.clock import Clock
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import Correlation, Heading, Will

STAGE = "will"
"""The stage of the correlation of every will."""

CLEAN = "goodbye"
"""The one cause of an end that sends no will."""

WAITING_AT_MOST = 1024
"""So many may wait for their clients to come back: with one more, the oldest waits no longer."""

WAITING_OF_ONE = 64
"""The same of one identity, whose own oldest it is then: so nobody shortens the wait of another."""

SENT_AT_ONCE = 64
"""So many are sent in one turn; the next begins at once."""


@dataclass(slots=True)
class Last:
    """A will that waits to be sent."""

    session: Session
    """Whose it is; it is over."""
    will: Will
    """What was wanted."""
    cause: str
    """How it ended, as far as is known."""
    due_at: float
    """When it is sent, on the broker's clock."""

    @property
    def heading(self) -> Heading:
        """How it is published."""
        said = Correlation(stage=STAGE, tags=(("cause", self.cause),))
        will = self.will
        return Heading(will.topic, "", will.content_type, said, retain=will.retain)


class Wills:
    """The wills of all sessions."""

    __slots__ = ("_clock", "_of", "_set", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set: dict[Session, Will] = {}
        self._of: Counter[str] = Counter()  # how many of each identity wait
        self._waiting: dict[Session, Last] = {}  # in the order in which they ended

    def __len__(self) -> int:
        return len(self._set) + len(self._waiting)

    def set(self, session: Session, will: Will) -> None:
        """This is its will from now on."""
        self._set[session] = will

    def clear(self, session: Session) -> None:
        """It has none; harmless when it had none."""
        self._set.pop(session, None)

    def came(self, session: Session) -> None:
        """A client is there (again): of the same incarnation nothing has ended."""
        for other in list(self._waiting):
            if _is_same(other, session):
                last = self._take(other)
                if other is session:
                    self._set[session] = last.will

    def left(self, session: Session, cause: str, timeout: float) -> None:
        """Its connection is gone; harmless when that is known."""
        will = self._set.pop(session, None)
        if will is None or cause == CLEAN:
            return
        due_at = self._clock.now + timeout
        self._waiting[session] = Last(session, will, cause, due_at)
        self._clock.wake_at(due_at)
        name = session.identity.name
        self._of[name] += 1
        if self._of[name] > WAITING_OF_ONE:
            mine = [each for who, each in self._waiting.items() if who.identity.name == name]
            self._wait_no_longer(mine[:-WAITING_OF_ONE])
        elif len(self._waiting) > WAITING_AT_MOST:
            self._wait_no_longer(list(self._waiting.values())[:-WAITING_AT_MOST])

    def ended(self, identity: str, incarnation: int, cause: str) -> None:
        """That incarnation (0: any) will not come back, and this is why."""
        for session, last in self._waiting.items():
            who = session.identity
            if who.name == identity and incarnation in (0, who.incarnation):
                last.cause = cause
                self._wait_no_longer([last])

    def hurry(self, session: Session) -> None:
        """Its process has ended, nobody knows how; harmless when nothing waits."""
        if session in self._waiting:
            self._wait_no_longer([self._waiting[session]])

    @property
    def waiting(self) -> Collection[Session]:
        """Whose wills wait for somebody to come back."""
        return self._waiting.keys()

    def due(self) -> list[Last]:
        """What is to be sent now."""
        due = [last for last in self._waiting.values() if last.due_at <= self._clock.now]
        del due[SENT_AT_ONCE:]
        for last in due:
            self._take(last.session)
        for last in self._waiting.values():
            self._clock.wake_at(last.due_at)
        return due

    def _wait_no_longer(self, these: Iterable[Last]) -> None:
        for last in these:
            last.due_at = min(last.due_at, self._clock.now)
            self._clock.wake_at(last.due_at)

    def _take(self, session: Session) -> Last:
        name = session.identity.name
        self._of[name] -= 1
        if not self._of[name]:
            del self._of[name]
        return self._waiting.pop(session)


def _is_same(one: Session, other: Session) -> bool:
    mine, theirs = one.identity, other.identity
    return (mine.name, mine.incarnation) == (theirs.name, theirs.incarnation)
