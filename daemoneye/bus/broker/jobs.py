"""One message in the hands of a group, from its publish until somebody has handled it.  Pure.

    waiting ──▶ in flight ──▶ handled
       ▲  ▲        │  │
       │  └─delayed┘  └──▶ dead, or lost for another reason
       └──── its member left, its time was up

Where a job is says what it is: in the queue of its group, among the delayed ones, in the hands of
a member (`place`), or nowhere any more.  What its publisher was promised ends with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from daemoneye.bus.frames import Answer
from daemoneye.errors import DeadlineExceeded, Rejected

if TYPE_CHECKING:
    from daemoneye.bus.broker.members import Member  # members hold jobs, and jobs name them
    from daemoneye.bus.broker.session import Session

REJECTED = "rejected"
"""Lost: a member said that nobody can handle it."""
EXHAUSTED = "exhausted"
"""Lost: it was tried as often as may be."""
ABANDONED = "abandoned"
"""Lost: the group had no member for too long."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What the messages of a publish share, as a group has them."""

    topic: str
    """Where."""
    publisher: str
    """Who, proven."""
    key: str = ""
    """Its partition key."""
    expires_at: int = 0
    """Unix time in ns; 0: never."""
    lapses_at: float = inf
    """The same on the broker's clock; inf: never."""
    is_kept: bool = False
    """Whether it is at least once: kept while nobody can take it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A publish, opened for groups."""

    letter: Letter
    """What its messages share."""
    frames: tuple[bytes, ...]
    """A publish of one message each, stamped with who published it; of those that find no room in
    any of the groups, none."""
    messages: int
    """How many there are in all."""

    @property
    def bytes(self) -> int:
        """What it takes to keep all of it."""
        return sum(map(len, self.frames))


class Pledge:
    """A publisher waits until groups have handled what it published."""

    __slots__ = ("error", "left", "request", "session", "subscribers")

    def __init__(self, session: Session, request: int) -> None:
        self.session: Session | None = session
        """Who waits; None when it has gone."""
        self.request = request
        """Under which number."""
        self.left = 0
        """How many jobs it waits for."""
        self.subscribers = 0
        """How many took it."""
        self.error: Rejected | DeadlineExceeded | None = None
        """What went wrong with the first of them that was not handled."""

    def answer(self) -> Answer:
        """What to tell when none is left and nothing went wrong."""
        return Answer(self.request, subscribers=self.subscribers)


class Job:
    """One message of a group."""

    __slots__ = (
        "count",
        "deadline",
        "delivery",
        "frame",
        "given_up_at",
        "lapses_at",
        "letter",
        "number",
        "place",
        "pledge",
        "tried",
    )

    def __init__(self, number: int, frame: bytes, letter: Letter, pledge: Pledge | None) -> None:
        self.number = number
        """Rises with every job of the broker: in this order they are tried, and tried again."""
        self.frame = frame
        """Its message, stamped with who published it."""
        self.letter = letter
        """What it shares with the others of its publish."""
        self.pledge = pledge
        """Who waits for what becomes of it."""
        self.count = 0
        """How often it was tried."""
        self.tried: tuple[int, ...] = ()
        """By which members (their numbers), in order."""
        self.place: Member | None = None
        """In whose hands it is."""
        self.delivery = 0
        """The number it was given under last."""
        self.deadline = inf
        """Until when its member may keep it; of a delayed one, when it is tried again; of one
        that nobody may read, when it is given up; inf: nobody waits for it."""
        self.lapses_at = letter.lapses_at
        """When it has expired, on the broker's clock; inf: never, or it does not wait."""
        self.given_up_at = 0.0
        """Until when it waits for a member that may read its topic; 0: there was one so far."""

    @property
    def size(self) -> int:
        """What it takes to keep it, in bytes."""
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<Job {self.number} on {self.letter.topic}, tried {self.count} times>"
