"""A lock that who may not wait for it can still have something done inside of.

A signal handler runs between any two steps of the main thread, so it may close a client while that
very thread has the lock: waiting for it, it would wait for ever.  What it wants done is put aside
instead, and whoever lets go of the lock next does it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Monitor:
    """Held for short moments; what is put aside is done by whoever lets go, so it is never late."""

    __slots__ = ("_lock", "acquire", "aside", "release")

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()  # because it knows whose it is
        # As they are, because a line of ours is one more place for a Ctrl-C to fall into.
        self.acquire = self._lock.acquire
        """Wait for it."""
        self.release = self._lock.release
        """Let go of it; then `attend`, if something is aside."""
        self.aside: deque[Callable[[], object]] = deque()
        """What is to be done inside."""

    @property
    def is_ours(self) -> bool:
        """Whether this very thread has it: then we are a signal handler on top of that."""
        return bool(self._lock._is_owned())

    def do(self, act: Callable[[], object]) -> None:
        """Have this done inside, at once or by whoever has the lock; it must not wait, or raise."""
        self.aside.append(act)
        self.attend()

    def attend(self) -> None:
        """Do what was put aside, unless somebody has the lock, who will."""
        # Looked at again after letting go: what came in between found the lock taken.
        while self.aside and not self.is_ours and self.acquire(blocking=False):
            try:
                while self.aside:
                    self.aside.popleft()()
            finally:
                self.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self.attend()
