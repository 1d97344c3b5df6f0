"""Who has fallen silent on the bus, noticed by looking once in each interval.  Pure.

Both ends keep such a vigil: the broker over its sessions, a client over its one connection.  Who
reads a connection marks it as heard, and that is all that a message costs.  At the end of each
interval every connection is looked at: one that was not heard since the last look is pinged, and
one that was not heard in `missed` intervals on end is given up.  That is after `missed` intervals
of silence at the earliest, and one later at the latest.

Intervals end at whole multiples of their length on the monotonic clock, which the processes of a
machine share: they wake up together, and the machine sleeps in between.

A look that comes late by half an interval or more does not count: it was the keeper of the vigil
who was away (stopped, suspended), and what the others said meanwhile is not read yet.  It asks
again, and gives nobody up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

from daemoneye.errors import BusBroken

Key = TypeVar("Key")

ASK_AGAIN_INTERVAL = 0.02
"""Seconds until a ping is tried again that found others writing."""


class Watched:
    """What a vigil remembers of one connection."""

    __slots__ = ("heard", "silent_intervals")

    def __init__(self) -> None:
        self.heard = True
        """Whether something came since the last look; whoever reads sets this."""
        self.silent_intervals = 0
        """At how many looks on end nothing had come."""


@dataclass(frozen=True, slots=True)
class Silence(Generic[Key]):
    """What one look found."""

    asked: list[Key] = field(default_factory=list)
    """To be pinged."""
    lost: list[Key] = field(default_factory=list)
    """To be given up."""


class Vigil:
    """When to look, and what is found."""

    __slots__ = ("_interval", "_missed", "next_at")

    def __init__(self, interval: float, missed: int, now: float) -> None:
        self.keep(interval, missed, now)

    def keep(self, interval: float, missed: int, now: float) -> None:
        """From now on by these numbers; with an interval of 0 s nobody is looked at."""
        self._interval = interval
        self._missed = missed
        self.next_at = self._end_of_interval(now)
        """When to look, on the monotonic clock."""

    def look(self, connections: Iterable[tuple[Key, Watched]], now: float) -> Silence[Key]:
        """Look at all of them, at `next_at` or later."""
        counts = now - self.next_at < self._interval / 2
        self.next_at = self._end_of_interval(now)
        found: Silence[Key] = Silence()
        for key, watched in connections:
            if watched.heard:
                watched.heard = False
                watched.silent_intervals = 0
                continue
            watched.silent_intervals += counts
            if watched.silent_intervals >= self._missed:
                found.lost.append(key)
            else:
                found.asked.append(key)
        return found

    def _end_of_interval(self, now: float) -> float:
        """The next multiple that is not closer than half an interval: so no two looks coincide."""
        interval = self._interval
        if not interval:
            return inf
        end = (now // interval + 1) * interval
        return end if end - now >= interval / 2 else end + interval


class BrokerVigil:
    """A client's: over its one connection."""

    __slots__ = ("_ask_again_at", "_silence_timeout", "_vigil", "watched")

    def __init__(self, interval: float, missed: int, now: float) -> None:
        """By the numbers of the Welcome."""
        self.watched = Watched()
        self._vigil = Vigil(interval, missed, now)
        self._silence_timeout = interval * missed
        self._ask_again_at = inf  # while a ping is due that nobody could write

    @property
    def next_at(self) -> float:
        """When to look, on the monotonic clock."""
        return min(self._vigil.next_at, self._ask_again_at)

    def look(self, now: float) -> bool:
        """Whether to ping the broker.  Raises BusBroken when it was silent for too long."""
        if now < self._vigil.next_at:
            return not self.watched.heard
        silence = self._vigil.look(((None, self.watched),), now)
        if silence.lost:
            raise BusBroken(
                f"nothing came from the broker in {self._silence_timeout:g} s",
                hint="it may be stopped or busy",
            )
        return bool(silence.asked)

    def asked(self, written: bool, now: float) -> None:
        """Whether the ping could be written: if not, it is due again in a moment.

        Who looks at whole seconds meets whoever publishes at whole seconds, each time.
        """
        self._ask_again_at = inf if written else now + ASK_AGAIN_INTERVAL
