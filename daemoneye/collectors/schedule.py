"""When the next collection is due.  Pure.

No drift: a collection with interval `i` is due at the multiples of `i` on the monotonic clock, not
`i` after the last one ended.  All processes of a machine share that clock, so collections of one
interval wake it once and not many times.  The first is due at once, and the one after it at the
first multiple at least half an interval later.

No pile-up: when a collection took so long that others were missed, one is due and the rest are
skipped and counted.

Cost: a look at each collection; a collector has a handful.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Due:
    """A collection whose time has come."""

    name: str
    due_at: float
    """When it should have begun, on the monotonic clock."""
    skipped: int
    """How many of its times passed unused before this one."""


class Schedule:
    """Several collections, each with an interval in seconds."""

    def __init__(self, intervals: Mapping[str, float], now: float) -> None:
        self._intervals = dict(intervals)
        self._due_at = dict.fromkeys(intervals, now)

    @property
    def next_at(self) -> float | None:
        """When the next collection is due; None when there are none."""
        return min(self._due_at.values(), default=None)

    def due(self, now: float) -> list[Due]:
        """What is due, earliest first, those of one time in the order they were given.

        Each is told once: its next time lies after `now`.
        """
        names = [name for name, due_at in self._due_at.items() if due_at <= now]
        found = [self._take(name, now) for name in names]
        return sorted(found, key=lambda each: each.due_at)

    @property
    def paused(self) -> bool:
        """Whether `pause` was called and `resume` was not."""
        return bool(self._intervals) and not self._due_at

    def pause(self) -> None:
        """Nothing is due until `resume`."""
        self._due_at.clear()

    def resume(self, now: float) -> None:
        """Everything is due at once; what a pause left out counts as nobody's failure."""
        self._due_at = dict.fromkeys(self._intervals, now)

    def replace(self, intervals: Mapping[str, float], now: float) -> None:
        """Take other intervals: who keeps its own keeps its next time, the rest are due at once.

        A paused schedule stays paused.
        """
        paused = self.paused
        kept = {
            name: self._due_at[name]
            for name in self._due_at.keys() & intervals.keys()
            if intervals[name] == self._intervals[name]
        }
        self._intervals = dict(intervals)
        self._due_at = {} if paused else {name: kept.get(name, now) for name in intervals}

    def _take(self, name: str, now: float) -> Due:
        interval, due_at = self._intervals[name], self._due_at[name]
        next_at = _multiple_after(now, due_at + interval / 2, interval)
        self._due_at[name] = next_at
        # Counted from the next time, which is exact; `now` lies anywhere between two of them.
        return Due(name, due_at, max(0, round((next_at - due_at) / interval) - 1))


def _multiple_after(now: float, earliest: float, interval: float) -> float:
    """The first multiple of `interval` that is later than `now` and not before `earliest`."""
    count = math.ceil(max(now, earliest) / interval)
    # Division rounds; the product is what is compared, so that no time is told twice.
    return (count if count * interval > now else count + 1) * interval
