"""What a member of a group has in its hands, and when it may say what became of it.  Pure.

A delivery is ours for a time, on the connection it came on, while its subscription lasts.  Outside
of that it is somebody else's, and what we would say of it the broker would refuse: so it is refused
here, with the reason.  What we cannot know (our word was slower than our time) the broker says.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from math import inf
from typing import Protocol

from daemoneye.bus.frames import Settle, Settling
from daemoneye.errors import LocalProtocolError

MAX_REASON = 1000
"""How much of a reason is told, in characters."""


def asking(said: Settle, request: int) -> Settle:
    """The same, to be answered."""
    return replace(said, request=request)


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

    def begin(self, now: float) -> None:
        """It has come: from now on, on the monotonic clock, its time runs, if we know how long."""
        if self._seconds:
            self._until = now + self._seconds

    def is_ours(self, now: float) -> bool:
        """Whether something can still be said of it, as far as we know."""
        return self._connection == self._place.connection and now < self._until

    def settle(self, what: Settling, now: float, seconds: float = 0.0, reason: str = "") -> Settle:
        """What to say to the broker.  Raises LocalProtocolError when it is not ours any more."""
        if not 0.0 <= seconds < inf:
            raise LocalProtocolError(f"{seconds!r} is no number of seconds", hint="0 or more")
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
        self._state, self._said = state, _WORDS[what]
        if what is Settling.EXTEND:
            self._until = now + seconds
        return Settle(what, (self.number,), float(seconds), str(reason)[:MAX_REASON])

    def _refusal(self, what: Settling, why: str, hint: str) -> LocalProtocolError:
        return LocalProtocolError(
            f"delivery {self.number} cannot be {_WORDS[what]}: {why}", hint=hint
        )

    def __repr__(self) -> str:
        return f"<Hold of delivery {self.number}, {self._state}>"
