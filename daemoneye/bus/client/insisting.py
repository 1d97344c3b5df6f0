"""How long a confirmed publish is repeated that somebody had no room for.  Pure.

The broker refuses it at once and whole, so that nothing of it is anywhere: saying it again is the
client's part.  The pauses begin short, for a receiver that only lags behind, and grow, so that a
receiver that is stopped costs little.
"""

from __future__ import annotations

from daemoneye.bus.client.deadlines import after

INSIST_FOR = 1.0
"""Seconds until the refusal is the caller's; its own timeout, where that is shorter."""

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.05


class Insisting:
    """The pauses of one publish; times are seconds on any clock that only rises."""

    __slots__ = ("_pause", "_until", "deadline")

    def __init__(self, timeout: float, now: float) -> None:
        self.deadline = after(timeout, now)
        """By when the publish has to have an end."""
        self._until = now + min(timeout, INSIST_FOR)
        self._pause = FIRST_PAUSE

    def pause(self, now: float) -> float | None:
        """Seconds until it is tried again after a refusal; None: it was the last time."""
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause if now + pause < self._until else None
