"""Who has connected and has proved nothing yet: few, and not for long.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from daemoneye.bus.limits import Limits

Key = TypeVar("Key")


class Lobby(Generic[Key]):
    """Who has connected and has not proved anything yet, with a deadline for each.

    All have the same timeout, so the oldest is the next to expire and one dict in order of arrival
    is enough.  Who has to go is found by a walk over at most as many as may wait, and only when
    there are too many.
    """

    __slots__ = ("_of_process", "_waiting", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._waiting: dict[Key, tuple[int, float]] = {}
        self._of_process: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, key: Key, pid: int, now: float) -> list[Key]:
        """Somebody has connected; returns who has to go for it (already taken off the list).

        A process with more than its share loses its oldest; when all places are taken the process
        that holds most of them does.  A pid of 0 is nobody's and has no share.
        """
        self._waiting[key] = (pid, now + self.limits.authentication_timeout)
        self._of_process[pid] = self._of_process.get(pid, 0) + 1
        evicted = []
        if pid and self._of_process[pid] > self.limits.unauthenticated_per_process:
            evicted.append(self._oldest_of(pid))
        elif len(self._waiting) > self.limits.unauthenticated_connections:
            evicted.append(self._oldest_of(max(self._of_process, key=self._of_process.__getitem__)))
        for each in evicted:
            self.leave(each)
        return evicted

    def make_room(self) -> Key | None:
        """Take off the oldest of the greediest process, when anybody waits at all."""
        if not self._waiting:
            return None
        key = self._oldest_of(max(self._of_process, key=self._of_process.__getitem__))
        self.leave(key)
        return key

    def leave(self, key: Key) -> None:
        """It has proved itself, or is gone; harmless when it is not here."""
        pid, _ = self._waiting.pop(key, (None, 0.0))
        if pid is None:
            return
        self._of_process[pid] -= 1
        if not self._of_process[pid]:
            del self._of_process[pid]

    def expire(self, now: float) -> list[Key]:
        """Take off everybody whose time is over."""
        late = []
        for key, (_, deadline) in self._waiting.items():
            if deadline > now:
                break
            late.append(key)
        for key in late:
            self.leave(key)
        return late

    def shift(self, seconds: float) -> None:
        """Nobody was listened to for so long: everybody has as much more time."""
        for key, (pid, deadline) in self._waiting.items():
            self._waiting[key] = pid, deadline + seconds

    def next_deadline(self) -> float | None:
        """When to look again; None when nobody waits."""
        for _, deadline in self._waiting.values():
            return deadline
        return None

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._waiting))

    def _oldest_of(self, pid: int) -> Key:
        return next(key for key, (owner, _) in self._waiting.items() if owner == pid)
