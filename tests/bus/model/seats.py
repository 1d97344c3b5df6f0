"""Who takes part: messages, subscriptions and seats, as the model keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemoneye.bus.frames import Envelope, Overflow
from tests.bus.support import Client


@dataclass(frozen=True)
class Message:
    """What was published, as the model keeps it."""

    number: int
    """Its payload, and different from all others."""
    publisher: str
    topic: str
    target: str = ""


@dataclass
class Wish:
    """A subscription, as the model keeps it."""

    filter: str
    overflow: Overflow
    granted: int
    """Messages, cumulative."""


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
    marked: tuple[int, ...] = ()

    def live(self, numbers: tuple[int, ...]) -> frozenset[int]:
        """Those of these subscriptions that it still has."""
        return frozenset(number for number in numbers if number in self.wishes)


@dataclass(frozen=True)
class Got:
    """A message came."""

    subscriptions: frozenset[int]
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
