"""What a member of a group has in its hands, and when it may say what became of it.  Pure.

A delivery is ours for a time, on the connection it came on, while its subscription lasts.  Outside
of that it is somebody else's, and what we would say of it the broker would refuse: so it is refused
here, with the reason.  What we cannot know (our word was slower than our time) the broker says.

What is said counts from when it is written, and no more when the broker answers that it is wrong:
who waited in vain, or said what the broker does not take, says the right word afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from math import inf, nan
from typing import Protocol

from daemoneye.bus.frames import Settle, Settling
from daemoneye.errors import (
    BusBroken,
    BusClosed,
    BusError,
    DeadlineExceeded,
    LocalProtocolError,
)

MAX_REASON = 1000
"""How much of a reason is told, in characters."""

_NO_ANSWER = (BusBroken, BusClosed, DeadlineExceeded)
"""After these nobody knows what the broker made of a word that was written."""


class State(StrEnum):
    """What became of a delivery, as its member knows it."""

    HELD = "held"
    SETTLED = "settled"


_NEXT: dict[tuple[State, Settling], State] = {
    (State.HELD, Settling.ACK): State.SETTLED,
    (State.HELD, Settling.RETRY): State.SETTLED,
    (State.HELD, Settling.REJECT): State.SETTLED,
    (State.HELD, Settling.EXTEND): State.HELD,
}
"""What may be said in which state, and what it is then."""

_WORDS = {
    Settling.ACK: "acknowledged",
    Settling.RETRY: "given back for another try",
    Settling.REJECT: "rejected",
    Settling.EXTEND: "extended",
}


class Place(Protocol):
    """Where deliveries come from: the client's link."""

    @property
    def connection(self) -> int:
        """Which connection it is; another one after each loss."""

    def wants(self, subscription: int) -> bool:
        """Whether a subscription goes on."""


class Hold:
    """One delivery in our hands."""

    __slots__ = (
        "_before",
        "_connection",
        "_place",
        "_said",
        "_seconds",
        "_state",
        "_subscription",
        "_until",
        "count",
        "number",
    )

    def __init__(
        self, number: int, count: int, place: Place, subscription: int, seconds: float = 0.0
    ) -> None:
        self.number = number
        """Of this delivery."""
        self.count = count
        """The how-manieth it is of this message."""
        self._place = place
        self._connection = place.connection
        self._subscription = subscription
        self._seconds = seconds
        self._until = inf
        self._state = State.HELD
        self._said = ""
        # What was said last, and what there was before it.
        self._before: tuple[Settle, State, str, float] | None = None

    def begin(self, now: float) -> None:
        """It has come: from now on, on the monotonic clock, its time runs, if we know how long."""
        if self._seconds:
            self._until = now + self._seconds

    def is_ours(self, now: float) -> bool:
        """Whether something can still be said of it, as far as we know."""
        return self._connection == self._place.connection and now < self._until

    def settle(self, what: Settling, now: float, seconds: float = 0.0, reason: str = "") -> Settle:
        """What to say to the broker, which is done with that.

        Raises LocalProtocolError when it is not ours any more; then it is as it was.
        """
        said = Settle(what, (self.number,), _seconds(seconds), _reason(reason))
        state = _NEXT.get((self._state, what))
        if state is None:
            raise self._refusal(what, f"it was {self._said} already", "say it once")
        if not self._place.wants(self._subscription):
            why = "its subscription is over, so it went to another member"
            raise self._refusal(what, why, "settle it inside the `with` block")
        if self._connection != self._place.connection:
            why = "the connection it came on is lost, so it went to another member"
            raise self._refusal(what, why, "it will be handled again: make that harmless")
        if now >= self._until:
            why = "its time is up, so it went to another member"
            raise self._refusal(what, why, "call extend() in time, or settle sooner")
        self._before = said, self._state, self._said, self._until
        self._state, self._said = state, _WORDS[what]
        if what is Settling.EXTEND:
            self._until = now + said.seconds
        return said

    def take_back(self, said: Settle) -> None:
        """The broker does not take this: what was before is, if nothing was said since."""
        if self._before is not None and self._before[0] is said:
            _, self._state, self._said, self._until = self._before

    def _refusal(self, what: Settling, why: str, hint: str) -> LocalProtocolError:
        return LocalProtocolError(
            f"delivery {self.number} cannot be {_WORDS[what]}: {why}", hint=hint
        )

    def __repr__(self) -> str:
        return f"<Hold of delivery {self.number}, {self._state}>"


class Word:
    """What somebody wants to say of a delivery, and to have answered."""

    __slots__ = ("_hold", "_reason", "_said", "_seconds", "_what")

    def __init__(self, hold: Hold, what: Settling, seconds: float, reason: str) -> None:
        self._hold = hold
        self._what = what
        self._seconds = seconds
        self._reason = reason
        self._said: Settle | None = None

    def say(self, now: float, request: int) -> Settle:
        """What to write now, under this number.  Raises as `Hold.settle`."""
        self._said = self._hold.settle(self._what, now, self._seconds, self._reason)
        return replace(self._said, request=request)

    @contextmanager
    def answered(self) -> Iterator[None]:
        """It is written, and its answer waited for, inside; an error of the broker undoes it."""
        try:
            yield
        except _NO_ANSWER:
            raise
        except BusError:
            if self._said is not None:
                self._hold.take_back(self._said)
            raise


def _seconds(given: float) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        seconds = nan
    if not 0.0 <= seconds < inf:
        raise LocalProtocolError(f"{given!r:.100} is no number of seconds", hint="0 or more")
    return seconds


def _reason(given: object) -> str:
    """What can travel of a reason: the name of a file may hold what is no text."""
    return str(given)[:MAX_REASON].encode("utf-8", "backslashreplace").decode()[:MAX_REASON]
