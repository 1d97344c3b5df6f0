"""Taking turns, with a place for what a thread wants in the midst of its own turn.

A signal handler runs between any two steps of the main thread, so it may publish while that very
thread is inside a publish.  Waiting for itself it would wait for ever; what it wants is put aside
instead and done before the turn ends.  A finaliser that the garbage collector runs is the same.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from daemoneye.errors import DeadlineExceeded, LocalProtocolError

MOST_ASIDE = 1024
"""How much may be put aside in one turn."""


class Turn:
    """A lock that knows when its own thread has it already."""

    __slots__ = ("aside", "busy", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.busy = False
        """Whether a turn is going on; with the lock, that means: one of our own thread."""
        self.aside: deque[Callable[[], object]] = deque()
        """What to do before it ends."""

    def put_aside(self, act: Callable[[], object]) -> bool:
        """Have it done later, in our own thread's turn; False when there is no room."""
        if len(self.aside) >= MOST_ASIDE:
            return False
        self.aside.append(act)
        return True

    def finish(self) -> None:
        """End the turn: do what was put aside; called with the lock."""
        self.busy = False
        while self.aside:
            self.busy = True
            try:
                if self.aside:  # a handler that came between those two lines has done it itself
                    self.aside.popleft()()
            finally:
                self.busy = False

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Have a turn; False when it is our own thread's already, and nothing may be touched."""
        with self.lock, self._entered() as ours:
            yield ours

    @contextmanager
    def taken_nowait(self) -> Iterator[bool]:
        """Have a turn if there is one at once; else False, and nothing may be touched."""
        if not self.lock.acquire(blocking=False):
            yield False
            return
        try:
            with self._entered() as ours:
                yield ours
        finally:
            self.lock.release()

    @contextmanager
    def alone(self, deadline: float = math.inf) -> Iterator[None]:
        """Have a turn for what cannot be put aside, because its answer is waited for.

        Raises LocalProtocolError in the midst of our own thread's turn, and DeadlineExceeded when
        others have not ended theirs at `deadline`, on the monotonic clock.
        """
        left = max(0.0, deadline - time.monotonic())
        if not self.lock.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
            raise DeadlineExceeded(
                "nothing was asked: another thread waits for the broker to read what it publishes",
                hint="the broker may be stopped or busy",
            )
        try:
            with self._entered() as ours:
                if not ours:
                    raise LocalProtocolError(
                        "the broker cannot be asked from within a publish of the same thread",
                        hint="in a signal handler publish(), or set a flag and ask outside of it",
                    )
                yield
        finally:
            self.lock.release()

    @contextmanager
    def _entered(self) -> Iterator[bool]:
        if self.busy:
            yield False
            return
        self.busy = True
        try:
            yield True
        finally:
            self.finish()
