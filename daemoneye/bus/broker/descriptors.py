"""Descriptors that clients pass: looked at when they come, and closed when nobody holds them.

Closing one can take as long as its sender likes: a socket that lingers over what it has not sent, a
file of a file system that its sender serves.  So only sealed memory is closed where everybody would
wait for it; all else is left to a thread, which is there from the first of them on.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable

from daemoneye.bus.broker.parcels import NO_DESCRIPTOR
from daemoneye.bus.broker.session import Passed
from daemoneye.errors import RemoteProtocolError
from daemoneye.system import sealed_bytes

MOST_FOREIGN = 64
"""How many may wait to be closed; past it, who passes one more is cut off.

That one still waits with the others: nobody can take it back, and left open it would be there for
ever.  What bounds those is how many descriptors the kernel lets the broker have."""

NONE_TAKEN = "a descriptor came on a connection on which none is taken"


class Descriptors:
    """All that were passed to a broker and are open."""

    __slots__ = ("_foreign", "_given", "_go", "_thread", "_waiting", "closed")

    def __init__(self) -> None:
        self._foreign: set[int] = set()  # those that are open, and still with a client's session
        self._waiting: deque[int] = deque()
        self._go = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._given = 0
        self.closed = 0
        """How many the thread has closed."""

    @property
    def waiting(self) -> int:
        """How many wait for the thread, or are being closed."""
        return self._given - self.closed

    def take_in(self, passed: Iterable[int], some_lost: bool) -> list[Passed]:
        """What has come, in order; whoever gets it gives it back to `close`."""
        things = []
        for fd in passed:
            size = sealed_bytes(fd)
            if size is None:
                self._foreign.add(fd)
            things.append(Passed(fd, size or 0))
        if some_lost:
            things.append(Passed(NO_DESCRIPTOR, 0))
        return things

    def check(self, things: Iterable[Passed]) -> None:
        """Raises RemoteProtocolError when one of these would wait behind too many."""
        if self.waiting >= MOST_FOREIGN and any(
            each.descriptor in self._foreign for each in things
        ):
            raise RemoteProtocolError(
                f"{self.waiting} descriptors that are no sealed memory wait to be closed"
            )

    def refuse(self, passed: Iterable[int]) -> None:
        """Close what nobody may pass there.  Raises RemoteProtocolError in any case."""
        for fd in passed:
            self._leave(fd)
        raise RemoteProtocolError(NONE_TAKEN)

    def close(self, released: list[int]) -> None:
        """Nobody holds these any more."""
        while released:
            fd = released.pop()
            if fd in self._foreign:
                self._foreign.discard(fd)
                self._leave(fd)
            else:
                os.close(fd)

    def stop(self, timeout: float) -> None:
        """Let the thread end when all are closed, and wait for that."""
        if self._thread is not None:
            self._go.release()  # for nothing that waits: its end
            self._thread.join(timeout)

    def _leave(self, fd: int) -> None:
        self._given += 1
        self._waiting.append(fd)
        self._go.release()
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="bus-closer", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there are too many threads just now: with the next one
                return
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._go.acquire()
            if not self._waiting:
                return
            try:
                os.close(self._waiting.popleft())
            except OSError:
                pass  # what it says of its last bytes is not for us, and it is closed
            self.closed += 1
