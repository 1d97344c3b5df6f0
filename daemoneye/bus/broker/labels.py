"""The names that members of a group have there: kept when a client comes back.  Pure.

Keys belong to members by their names, so whoever takes the place of one that went gets its keys.
However many there are, to find a name that is free costs the same.
"""

from __future__ import annotations

from heapq import heappop, heappush


class Labels:
    """Those of one group: of each identity the first that is free, from `name#0` on."""

    __slots__ = ("_free", "_given")

    def __init__(self) -> None:
        self._given: dict[str, int] = {}
        """By identity: how many numbers were ever given, those included that are free again."""
        self._free: dict[str, list[int]] = {}
        """By identity: a heap of those that are."""

    def take(self, name: str) -> str:
        """A label for one member more of this identity."""
        free = self._free.get(name)
        if free:
            return f"{name}#{heappop(free)}"
        ordinal = self._given.get(name, 0)
        self._given[name] = ordinal + 1
        return f"{name}#{ordinal}"

    def give_back(self, label: str) -> None:
        """Whose it was has left; of an identity that nobody is left of, nothing is remembered."""
        name, _, ordinal = label.rpartition("#")
        free = self._free.setdefault(name, [])
        heappush(free, int(ordinal))
        if len(free) == self._given[name]:
            del self._free[name], self._given[name]
