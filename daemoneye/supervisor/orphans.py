"""Escaped grandchildren: processes that left their parent come to the supervisor, and end with it.

For a supervisor that owns its process (Linux): as a *subreaper* it becomes the parent of whatever
below it loses its own.  The dead among them are reaped, by their number and never all at once,
because the exit code of a child of ours belongs to its handle.  The living are left alone while
the child that started them lives, which their environment names, and are ended behind it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection

from daemoneye import signals, system
from daemoneye.supervisor import guardian

LOOK_INTERVAL = 5.0
"""Seconds between two looks."""

CHILD_MARK = "DAEMONEYE_CHILD"
"""Environment variable of a child and all below it: which incarnation they belong to."""

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def mark_of(child: str, number: int) -> str:
    """The mark of an incarnation."""
    return f"{child}.{number}"


def become_subreaper() -> bool:
    """Take in whatever loses its parent below this process; False where that cannot be had."""
    if not system.FEATURES.subreaper:
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def strangers(own: Collection[int]) -> list[int]:
    """The children of this process that it did not start itself."""
    return [pid for pid in guardian.children_of(os.getpid()) if pid not in own]


def end_strays(pids: Collection[int], living: Collection[str]) -> int:
    """Reap the dead among these children, and kill those whose incarnation is over; how many.

    One that cleared its environment belongs to nobody we know: it ends with the supervisor.
    """
    killed = 0
    for pid in pids:
        started = guardian.look(pid)
        if started is None:
            _reap(pid)
            continue
        mark = guardian.variable_of(pid, CHILD_MARK)
        if mark and mark not in living:
            guardian.kill(pid, started)
            killed += 1
    return killed


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, signals.WNOHANG)
    except ChildProcessError:
        pass  # somebody was faster
