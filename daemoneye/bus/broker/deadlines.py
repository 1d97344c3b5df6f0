"""What is due when, of many things of which most are over before.  Pure.

A heap: to note a deadline, and to find one that has passed, costs the same however many there are.
What is over, or has another deadline meanwhile, stays in it until it comes up, or until half of it
is like that.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")

SPARE = 64
"""So many entries more than twice as many as were needed are kept before it is looked which are."""


class Deadlines(Generic[T]):
    """Those of things that know their own."""

    __slots__ = ("_entries", "_most", "_of", "_order")

    def __init__(self, of: Callable[[T], float]) -> None:
        """`of` says the deadline that a thing has now; inf: none any more."""
        self._of = of
        self._entries: list[tuple[float, int, T]] = []
        self._order = count()
        self._most = SPARE

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, thing: T) -> None:
        """It has a deadline, or another than before."""
        heappush(self._entries, (self._of(thing), next(self._order), thing))
        if len(self._entries) > self._most:
            self._entries = [each for each in self._entries if self._of(each[2]) == each[0]]
            heapify(self._entries)
            self._most = 2 * len(self._entries) + SPARE

    def take(self, now: float) -> T | None:
        """A thing whose deadline has passed, the earliest; it is told once."""
        if self.next_at > now:
            return None
        return heappop(self._entries)[2]

    @property
    def next_at(self) -> float:
        """When the next one passes; inf: never."""
        entries = self._entries
        while entries and self._of(entries[0][2]) != entries[0][0]:
            heappop(entries)
        return entries[0][0] if entries else inf
