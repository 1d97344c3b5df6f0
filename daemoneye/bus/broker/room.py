"""How much groups hold, in bytes, and in whose share of the room for all that is.  Pure.

What waits in a group, or is in the hands of its members, counts for the identity that began it, or
when that has left, for the member that is in it longest: so whoever begins groups that nobody works
for fills no more than its own share, and none that others work for.
"""

from __future__ import annotations

from collections import Counter

from daemoneye.bus.limits import Limits

ROOM_SHARE = 4
"""The groups that one identity began may hold so much of `outbound_bytes`: one divided by this."""


class Room:
    """What all groups hold."""

    __slots__ = ("_of", "bytes")

    def __init__(self) -> None:
        self.bytes = 0
        """In all."""
        self._of: Counter[str] = Counter()

    def take(self, founder: str, size: int) -> None:
        """A group that this identity began holds so much more."""
        self.bytes += size
        self._of[founder] += size

    def give_back(self, founder: str, size: int) -> None:
        """It holds so much less."""
        self.bytes -= size
        self._of[founder] -= size
        if not self._of[founder]:
            del self._of[founder]

    def pass_on(self, founder: str, heir: str, size: int) -> None:
        """So much of it is in the share of another identity from now on."""
        self.take(heir, size)
        self.give_back(founder, size)

    def held(self, founder: str) -> int:
        """What the groups hold that this identity began."""
        return self._of[founder]

    def has(self, founder: str, size: int, limits: Limits) -> bool:
        """Whether a group that this identity began may hold so much more."""
        return (
            self.bytes + size <= limits.outbound_bytes
            and self._of[founder] + size <= limits.outbound_bytes // ROOM_SHARE
        )

    def lack(self, wanted: Counter[str], limits: Limits) -> str:
        """Why groups may not hold so much more, by who began them; or ""."""
        share = limits.outbound_bytes // ROOM_SHARE
        for founder, size in wanted.items():
            held = self._of[founder]
            if held + size > share:
                return (
                    f"the groups that {founder} began have no room: they hold {held} bytes, and of"
                    f" {limits.outbound_bytes} those of one identity may hold {share}"
                )
        if self.bytes + wanted.total() > limits.outbound_bytes:
            return f"groups have no room: all of them hold {self.bytes} bytes"
        return ""
