"""Who of a group gets the next message.  Pure.

Every choice is an order in which members are asked.  For some a message has an owner besides: it
waits for that one alone, and the order is for what has been tried without success.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias

from daemoneye.bus.broker.members import Member
from daemoneye.bus.frames import Choice

Rank: TypeAlias = tuple[int, int]

_ODD, _ALL = 0x9E3779B97F4A7C15, (1 << 64) - 1
"""By this a number is multiplied, and so many bits of it are kept: that mixes all of them."""


def _business(member: Member) -> Rank:
    """The one with the fewest in flight; of equals, the one that has waited longest."""
    return len(member.in_flight), member.last


def _turn(member: Member) -> Rank:
    """The one that has waited longest, however much it has in flight."""
    return member.last, 0


def _age(member: Member) -> Rank:
    """The oldest."""
    return member.number, 0


RANKS: dict[Choice, Callable[[Member], Rank]] = {
    Choice.LEAST_IN_FLIGHT: _business,
    Choice.ROUND_ROBIN: _turn,
    Choice.BY_KEY: _business,
    Choice.STANDBY: _age,
}
"""Who is asked first: the one of the lowest rank, and of equal ones the oldest."""


def heaviest(members: Iterable[Member], key: str) -> Member | None:
    """The one that this key belongs to.

    By rendezvous hashing: who comes takes keys from all in equal parts, who goes leaves its own to
    the others, and nobody else's key moves.
    """
    number = _number(key)
    return max(members, key=lambda each: _weight(number, each.label), default=None)


def oldest(members: Iterable[Member], key: str) -> Member | None:
    """The first of them; the others wait for its end."""
    return next(iter(members), None)


OWNERS: dict[Choice, Callable[[Iterable[Member], str], Member | None]] = {
    Choice.BY_KEY: heaviest,
    Choice.STANDBY: oldest,
}
"""Whose a message of a key is, of those who may have it (the oldest first), room or none."""


def _weight(key: int, label: str) -> int:
    return (key ^ _number_of_label(label)) * _ODD & _ALL


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


_number_of_label = lru_cache(maxsize=1 << 12)(_number)
"""Of labels alone, which are names of identities: keys are what publishers like."""


class Line:
    """Members that may have room, in the order in which they are asked."""

    __slots__ = ("_entries", "_rank", "_ranks")

    def __init__(self, choice: Choice) -> None:
        self._rank = RANKS[choice]
        self._entries: list[tuple[Rank, int, Member]] = []
        self._ranks: dict[Member, Rank] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, position: int) -> Member:
        return self._entries[position][2]

    def put(self, member: Member) -> None:
        """It may have room, or its rank has changed."""
        self.remove(member)
        rank = self._ranks[member] = self._rank(member)
        insort(self._entries, (rank, member.number, member))

    def remove(self, member: Member) -> bool:
        """It is not asked; whether it would have been."""
        rank = self._ranks.pop(member, None)
        if rank is None:
            return False
        del self._entries[bisect_left(self._entries, (rank, member.number))]
        return True
