"""Children that do not want to go: targets for the tests of dying supervisors.

Each takes the usual `child` (or None, where a test has no runtime) and a number that appears in the
arguments of the programs it starts, so that a test finds them even with their environment cleared.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import Protocol


class Child(Protocol):
    """The little of a child's face that is used here."""

    def ready(self) -> None: ...


def deaf(child: Child | None, token: int) -> None:
    """Ignore SIGTERM, and the drain."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _sleep_for_ever(child)


def holding_the_interpreter(child: Child | None, token: int) -> None:
    """Compute in C, so that no other thread of this process runs again."""
    _ready(child)
    re.match(r"(a+)+$", "a" * 60 + "b")


def stopped(child: Child | None, token: int) -> None:
    """Stop, as by Ctrl-Z or a debugger."""
    _ready(child)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)


def with_grandchildren(child: Child | None, token: int) -> None:
    """Start one program in a session of its own, and another that has left home twice."""
    subprocess.Popen(["sleep", f"600.{token}"], start_new_session=True)
    _daemonise(dict(os.environ), token)
    _sleep_for_ever(child)


def with_unmarked_grandchildren(child: Child | None, token: int) -> None:
    """The same with cleared environments, staying for more than a guardian's look."""
    subprocess.Popen(["sleep", f"600.{token}"], start_new_session=True, env={})
    _sleep_for_ever(child)


def with_a_deaf_member(child: Child | None, token: int) -> None:
    """End when asked to, and leave a process in the group that ignores SIGTERM."""
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print(); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as left:
        assert left.stdout
        left.stdout.readline()
        _ready(child)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(600)


def importing(child: Child | None, token: int) -> None:
    """Hang while a module is imported (it is this function's own, but nobody can tell)."""
    time.sleep(600)


class Trap:
    """A spawn argument that never finishes being unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return time.sleep, (600,)


class HeldTrap:
    """A spawn argument whose unpickling never lets go of the interpreter."""

    def __reduce__(self) -> tuple[object, ...]:
        return re.match, (r"(a+)+$", "a" * 60 + "b")


def trapped(child: Child | None, token: int, trap: object = None) -> None:
    """Never reached: a trap among its arguments comes first."""
    sys.exit(3)


def _ready(child: Child | None) -> None:
    if child is not None:
        child.ready()


def _sleep_for_ever(child: Child | None) -> None:
    _ready(child)
    while True:
        time.sleep(600)


def _daemonise(environment: dict[str, str], token: int) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvpe("sleep", ["sleep", f"600.{token}"], environment)
        os._exit(0)


KINDS = {
    "deaf": deaf,
    "gil": holding_the_interpreter,
    "stopped": stopped,
    "grandchildren": with_grandchildren,
    "unmarked": with_unmarked_grandchildren,
    "importing": importing,
}
"""Difficult children by a short name."""
