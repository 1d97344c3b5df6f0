"""Who takes part: messages, subscriptions and seats, as the model keeps them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from daemoneye.bus.frames import Envelope, Subscribe
from tests.bus.support import Client


@dataclass(frozen=True)
class Message:
    """What was published, as the model keeps it."""

    number: int
    """Its payload, and different from all others."""
    publisher: str
    topic: str
    target: str = ""
    expires_at: int = 0
    """Unix time in ns; 0: never."""


@dataclass
class Wish:
    """A subscription, as the model keeps it."""

    said: Subscribe
    """What its client says on each connection."""
    granted: int
    """Messages, cumulative."""

    @property
    def filter(self) -> str:
        return self.said.filter


@dataclass(frozen=True)
class Membership:
    """A subscription that is in a group, as the model keeps it."""

    group: str
    filter: str

    @property
    def key(self) -> tuple[str, str]:
        """What a group is known by."""
        return self.group, self.filter


@dataclass
class Seat:
    """A name on the bus, and who has it just now."""

    name: str
    client: Client | None = None
    wishes: dict[int, Wish] = field(default_factory=dict)
    memberships: dict[int, Membership] = field(default_factory=dict)
    credit: dict[int, int] = field(default_factory=dict)
    """Of its memberships."""
    in_hand: list[Job] = field(default_factory=list)
    """What it was given by groups and has not settled."""
    serving: dict[int, str] = field(default_factory=dict)
    """The topics that it serves, by subscription."""
    called: list[int] = field(default_factory=list)
    """The slots of the calls that came and that it has not replied to."""
    marked: tuple[int, ...] = ()
    """Whose the next message is that is written."""
    coming: deque[Coming] = field(default_factory=deque)
    """What was written and has not come; while it is away, what went with the connection."""
    published: list[bytes] = field(default_factory=list)
    """The frames that it said last."""
    will: Message | None = None
    """What is to be said when it ends without a goodbye."""
    received: int = 0
    """How many messages came in its session."""
    since: list[Missed] = field(default_factory=list)
    """The losses that were told behind the last message that came."""
    waited_until: float | None = None
    """While it has no connection: when the broker gives it up."""
    unsaid: dict[int, Wish] = field(default_factory=dict)
    """Subscriptions that it has had and has not said on this connection."""

    @property
    def is_here(self) -> bool:
        """Whether it has a connection."""
        return self.client is not None and self.waited_until is None

    def clear(self) -> None:
        """Nobody has it any more."""
        vars(self).update(vars(Seat(self.name)))

    def live(self, numbers: Iterable[int]) -> frozenset[int]:
        """Those of these subscriptions that it still has."""
        return frozenset(number for number in numbers if number in self.wishes)


@dataclass(frozen=True)
class Got:
    """A message came."""

    subscriptions: frozenset[int]
    """Whom it was written to; or, once it came, those of them that there still are."""
    event: Envelope

    @property
    def number(self) -> int:
        return int(bytes(self.event.payload))


@dataclass(frozen=True)
class Missed:
    """A loss was told."""

    subscriptions: frozenset[int]
    lost: Mapping[str, int]


@dataclass(frozen=True)
class Job:
    """A message of a group came."""

    subscription: int
    membership: Membership
    delivery: int
    count: int
    number: int
    """Of the message."""


@dataclass(frozen=True)
class Called:
    """A call came."""

    subscription: int
    slot: int
    event: Envelope

    @property
    def number(self) -> int:
        return int(bytes(self.event.payload))


@dataclass(frozen=True)
class Answered:
    """A call ended, or any other request did."""

    request: int
    outcome: str
    """What the reply says; of an answer, its error."""
    by: str = ""
    """Who replied."""


@dataclass(frozen=True)
class Noticed:
    """The broker told something about a slot."""

    slot: int
    code: str


OfCalls: TypeAlias = Called | Answered | Noticed


@dataclass(frozen=True)
class Coming:
    """A whole frame, on its way."""

    messages: int
    items: tuple[Got | Missed | Job | OfCalls, ...]
    """What it is to who reads it."""
