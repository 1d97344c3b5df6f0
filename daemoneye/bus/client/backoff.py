"""How long to wait between attempts to connect: doubling, with full jitter.  Pure.

At once, then within 100 ms, doubling up to 5 s, for ever.  Each wait is drawn between zero and
that ceiling, so that a thousand clients of a broker that was restarted do not return together.
"""

from __future__ import annotations

FIRST_CEILING = 0.1
LAST_CEILING = 5.0


class Backoff:
    """The waits after one loss of a connection."""

    __slots__ = ("_ceiling",)

    def __init__(self) -> None:
        self._ceiling = FIRST_CEILING

    def wait(self, drawn: float) -> float:
        """Seconds until the next attempt; `drawn` is a random number from 0 to 1."""
        ceiling, self._ceiling = self._ceiling, min(2 * self._ceiling, LAST_CEILING)
        return drawn * ceiling
