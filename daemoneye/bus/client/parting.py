"""What a client that nobody closed still writes: when it is dropped, and when the process ends.

Daemon threads die with the process, and a loop that was closed turns no more, so the tail of a
burst would be lost without a word.  A process that was forked has no part in it: what waits is its
parent's to write.
"""

from __future__ import annotations

import os
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

PATIENCE = 1.0
"""Seconds that all clients of a process together may take for it."""


class _Purse:
    """What is left of the patience."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = PATIENCE


_purse = _Purse()


def at_parting(owner: object, finish: Callable[[float], None]) -> Callable[[], object]:
    """Have `finish` called, with the seconds it may take, once `owner` is no more.

    `finish` must not refer to `owner`.  What is returned undoes it.
    """
    ending = weakref.finalize(owner, _part, finish, os.getpid())
    # A child of `multiprocessing` may end without what `atexit` knows; where nobody has loaded
    # that, this is no such child.
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(owner, ending, exitpriority=0)
    return ending.detach


def _part(finish: Callable[[float], None], pid: int) -> None:
    if os.getpid() != pid:
        return
    began = time.monotonic()
    try:
        finish(_purse.left)
    finally:
        _purse.left = max(0.0, _purse.left - (time.monotonic() - began))
