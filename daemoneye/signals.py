"""Signals and process groups, for a supervisor: a part of the border to the operating system.

Where `system.FEATURES.process_groups` is not, there is no supervisor, and these are names alone.
"""

from __future__ import annotations

import errno
import os
import signal
import sys

if sys.platform != "win32":
    SIGKILL, SIGCONT, SIGHUP, SIGUSR2 = (
        *(signal.SIGKILL, signal.SIGCONT),
        *(signal.SIGHUP, signal.SIGUSR2),
    )
    WNOHANG = os.WNOHANG
else:  # names alone: without `process_groups` there is no supervisor to send them
    SIGKILL = SIGCONT = SIGHUP = SIGUSR2 = signal.SIGTERM
    WNOHANG = 1


def signal_group(group: int, number: int) -> None:
    """Signal everything in a process group; 0 asks whether there is anything.

    Raises ProcessLookupError when there is nothing, OSError where there are no groups.
    """
    if sys.platform != "win32":
        os.killpg(group, number)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def leads_group() -> bool:
    """Whether this process was the first of its group."""
    return sys.platform != "win32" and os.getpgrp() == os.getpid()


def block_signals(*numbers: signal.Signals) -> None:
    """Hold these back in this thread, and in what it starts, which inherits that."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def let_signals_through() -> None:
    """Hold nothing back in this thread; what waited comes now."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
