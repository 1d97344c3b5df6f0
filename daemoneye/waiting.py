"""Waiting for descriptors: epoll where there is one, else poll, else select.

A part of the border to the operating system, see `system`; who waits knows only READABLE and
WRITABLE.
"""

from __future__ import annotations

import select
import sys
from typing import Protocol

from daemoneye import system

READABLE, WRITABLE = 1, 4  # POLLIN and POLLOUT, wherever there is a poll

_LONGEST_POLL = (1 << 31) - 1
"""What `poll` takes at most, in ms."""


SELECTED_AT_MOST = 500
"""How many descriptors `select` is given: Windows takes 512, others none above the number 1023."""


class _Polls(Protocol):
    """What `select.poll`, `select.epoll` and `_Select` have in common."""

    def register(self, fd: int, what: int, /) -> None: ...

    def modify(self, fd: int, what: int, /) -> None: ...

    def unregister(self, fd: int, /) -> None: ...

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]: ...


class _Select:
    """What `select.poll` does, for who has only `select`; a hang-up counts as readable."""

    __slots__ = ("_watched",)

    def __init__(self) -> None:
        self._watched: dict[int, int] = {}

    def register(self, fd: int, what: int) -> None:
        self._watched[fd] = what

    modify = register

    def unregister(self, fd: int) -> None:
        del self._watched[fd]

    def poll(self, timeout_ms: float | None = None, /) -> list[tuple[int, int]]:
        read = [fd for fd, what in self._watched.items() if what & READABLE]
        write = [fd for fd, what in self._watched.items() if what & WRITABLE]
        # Windows tells a connect that failed in the third list alone.
        timeout = None if timeout_ms is None else timeout_ms / 1000
        readable, writable, failed = select.select(read, write, self._watched, timeout)
        found = dict.fromkeys(readable, READABLE)
        for fd in (*writable, *failed):
            found[fd] = found.get(fd, 0) | WRITABLE
        return list(found.items())


def _poll() -> _Polls:
    if sys.platform != "win32" and system.FEATURES.poll:
        return select.poll()
    return _Select()


class Watch:
    """Waits for one descriptor, any number of times, by one thread at a time."""

    __slots__ = ("_poll", "fd")

    def __init__(self, fd: int, what: int = READABLE) -> None:
        """Waits for `what` (READABLE, WRITABLE) and for the descriptor's end.

        A negative one is that of what was closed already: it has come to its end.
        """
        self.fd = fd
        self._poll = _poll()
        if fd >= 0:
            self._poll.register(fd, what)

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it came within `timeout` seconds; False after some weeks in any case."""
        if self.fd < 0:
            return True
        try:
            if timeout is None:
                return bool(self._poll.poll())
            return bool(self._poll.poll(min(timeout * 1000, _LONGEST_POLL)))
        except OSError:
            return True  # closed meanwhile: `select` raises, and whoever reads or writes is told


class Poller:
    """Waits for many descriptors at once: epoll where there is one, else poll, else select.

    Cost of a wait with epoll: that of the descriptors that are ready, not of all.
    """

    __slots__ = ("_poll", "_unit", "_watched", "at_most")

    def __init__(self) -> None:
        self._poll, self._unit = _poll(), 1000.0
        self.at_most = SELECTED_AT_MOST if isinstance(self._poll, _Select) else sys.maxsize
        """How many descriptors may be watched."""
        if sys.platform == "linux" and system.FEATURES.epoll:
            self._poll, self._unit, self.at_most = select.epoll(), 1.0, sys.maxsize
        self._watched: set[int] = set()

    def watch(self, fd: int, what: int) -> None:
        """From now on wait for `what` (READABLE, WRITABLE) of this descriptor, and for its end."""
        if fd in self._watched:
            self._poll.modify(fd, what)
        else:
            self._poll.register(fd, what)
            self._watched.add(fd)

    def forget(self, fd: int) -> None:
        """No more of it; before it is closed, because its number may be another's afterwards."""
        if fd in self._watched:
            self._watched.discard(fd)
            self._poll.unregister(fd)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Descriptors and what is up with them; empty after `timeout` seconds."""
        return self._poll.poll(None if timeout is None else timeout * self._unit)

    def close(self) -> None:
        """Let go of the kernel's table."""
        if sys.platform == "linux" and isinstance(self._poll, select.epoll):
            self._poll.close()
