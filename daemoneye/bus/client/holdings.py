"""Large payloads that came to a client: what is claimed of them, and who still uses them.  Pure.

What came with a descriptor is in use until every owner it was for is done with it; then the broker
is told once.  What was not told belongs to a connection that is gone, and the broker knows.
"""

from __future__ import annotations

from daemoneye.bus.arrivals import Arrivals
from daemoneye.bus.frames import OuterFrame, Release
from daemoneye.errors import TooLarge


class Held:
    """A payload that came with a descriptor and is for some owners here."""

    __slots__ = ("_holdings", "_users", "number")

    def __init__(self, number: int, users: int, holdings: dict[int, Held]) -> None:
        self.number = number
        """Under which it was delivered."""
        self._holdings = holdings
        self._users = [None] * users  # a list, because threads may take from it at once

    def done(self) -> list[Release]:
        """One of the owners is done with it; what to say."""
        if self._users:
            self._users.pop()
        if self._users or self._holdings.get(self.number) is not self:
            return []
        self._holdings.pop(self.number, None)
        return [Release((self.number,))]


class Holdings:
    """What came ahead of its publish on a connection, and what of it is in use."""

    __slots__ = ("_arrivals", "_held")

    def __init__(self) -> None:
        self._arrivals: Arrivals[memoryview | None] = Arrivals(0)
        self._held: dict[int, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def connected(self, max_payload_bytes: int) -> None:
        """There is a new connection, on which payloads of at most that size may come."""
        self._arrivals = Arrivals(max_payload_bytes)
        self._held.clear()

    @property
    def arrivals(self) -> Arrivals[memoryview | None]:
        """Where what comes is put: the memory behind each descriptor, None for what is none."""
        return self._arrivals

    def claim(self, frame: OuterFrame) -> memoryview | None:
        """The payload of a publish; None when it is not what may be used.

        Raises RemoteProtocolError when nothing came, and TooLarge when it is past the limit: what
        it costs in credit is its size, whatever came.
        """
        if frame.large_bytes > self._arrivals.max_bytes:
            most = self._arrivals.max_bytes
            raise TooLarge(f"a payload of {frame.large_bytes} bytes is past the limit of {most}")
        if frame.descriptors:
            return self._arrivals.claim()
        return self._arrivals.collect(frame.parcel, frame.large_bytes)

    def hold(self, number: int, users: int) -> Held:
        """What came with a descriptor under this number is for so many owners here."""
        held = self._held[number] = Held(number, users, self._held)
        return held
