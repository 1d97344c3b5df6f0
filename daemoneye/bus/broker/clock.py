"""The time by which a broker's own deadlines are measured, and when the next one is due.  Pure.

It stands still while the broker does (stopped, suspended, starved), because that is nobody's
fault: nobody loses a session, or work in hand, for time in which nobody was served.

Rules that wait for something say so with `wake_at`; the shell looks at `alarm_at`, and when it has
passed has them all look again, with `keep_time`.  That costs nothing while nothing is waited for.
"""

from __future__ import annotations

from math import inf


class Clock:
    """Seconds for which clients were served so far."""

    __slots__ = ("alarm_at", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.alarm_at = inf
        """When somebody has to look again; may be early, never late."""

    def pass_time(self, seconds: float) -> None:
        """Clients were served for so long."""
        self.now += seconds

    def wake_at(self, at: float) -> None:
        """Something is due then."""
        self.alarm_at = min(self.alarm_at, at)

    @property
    def rings(self) -> bool:
        """Whether something is due."""
        return self.now >= self.alarm_at

    def reset(self) -> None:
        """Everybody looks now, and says anew what is due next."""
        self.alarm_at = inf
