"""What the launcher's tests start in processes of their own; importing it must cost nothing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from multiprocessing.connection import Connection


def tell_about_yourself(pipe: Connection, inherited: tuple[int, ...] = ()) -> None:
    """Answer with what this process was born with, then wait for the end of the pipe."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    open_fds = [fd for fd in range(3, 64) if _is_open(fd)]
    pipe.send_bytes(
        json.dumps(
            {
                "pid": os.getpid(),
                "session": os.getsid(0),
                "group": os.getpgrp(),
                "scope": os.environ.get("DAEMONEYE_SCOPE"),
                "blocked": sorted(blocked),
                "inheritable": [fd for fd in open_fds if os.get_inheritable(fd)],
                "passed": [fd for fd in inherited if _is_open(fd)],
                "main": getattr(sys.modules["__main__"], "__file__", None),
                "tracker": "multiprocessing.resource_tracker" in sys.modules
                and sys.modules["multiprocessing.resource_tracker"]._resource_tracker._fd,
            }
        ).encode()
    )
    try:
        pipe.recv_bytes()
    except EOFError:
        pass


def exit_with(code: int) -> None:
    """End at once with this code; a negative one is a signal."""
    if code < 0:
        os.kill(os.getpid(), -code)
        time.sleep(60)
    sys.exit(code)


def sleep_long() -> None:
    """Do nothing for much longer than any test waits."""
    time.sleep(600)


def touch(path: str) -> None:
    """Leave a file behind, as proof of having run."""
    with open(path, "w", encoding="ascii"):
        pass


def _is_open(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True
