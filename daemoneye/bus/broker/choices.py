"""Who of a group gets the next message.  Pure.

Each choice takes those that may have it, the oldest member first, and whether one has room; it
gives the one to get it, or None when it has to wait: for any of them, or for a certain one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import TypeAlias

from daemoneye.bus.broker.members import Member
from daemoneye.bus.frames import Choice

HasRoom: TypeAlias = Callable[[Member], bool]


def least_in_flight(members: Sequence[Member], key: str, has_room: HasRoom) -> Member | None:
    """The one with the fewest in flight; of equals, the one that has waited longest."""
    return min(filter(has_room, members), key=_business, default=None)


def round_robin(members: Sequence[Member], key: str, has_room: HasRoom) -> Member | None:
    """The one that has waited longest, however much it has in flight."""
    return min(filter(has_room, members), key=_last, default=None)


def by_key(members: Sequence[Member], key: str, has_room: HasRoom) -> Member | None:
    """The one that this key belongs to, if it has room.

    By rendezvous hashing: who comes takes keys from all in equal parts, who goes leaves its own to
    the others, and nobody else's key moves.
    """
    owner = max(members, key=lambda each: _weight(key, each.label))
    return owner if has_room(owner) else None


def standby(members: Sequence[Member], key: str, has_room: HasRoom) -> Member | None:
    """The oldest, if it has room; the others wait for its end."""
    oldest = members[0]
    return oldest if has_room(oldest) else None


def _business(member: Member) -> tuple[int, int]:
    return len(member.in_flight), member.last


_last = attrgetter("last")


@lru_cache(maxsize=1 << 14)
def _weight(key: str, label: str) -> bytes:
    return blake2b(f"{len(key)} {key} {label}".encode(), digest_size=8).digest()


CHOICES: dict[Choice, Callable[[Sequence[Member], str, HasRoom], Member | None]] = {
    Choice.LEAST_IN_FLIGHT: least_in_flight,
    Choice.ROUND_ROBIN: round_robin,
    Choice.BY_KEY: by_key,
    Choice.STANDBY: standby,
}
"""What each of them does; of members, there is at least one."""
