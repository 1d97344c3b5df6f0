"""What ties a supervisor's tree together, so that nothing of it outlives the supervisor.

                          ┌── leash ──▶ guardian ── key ──┐
    supervisor ───────────┤                               ├──▶ switch ··SIGKILL··▶ children's groups
                          └────────── key ────────────────┘
                          mark in every child's environment

The scope is an id of the run directory.  Its *mark* is in the environment of every child.  Its
*switch* (Linux) is one pipe whose write end only supervisor and guardian hold: each child has an
open description of the read end of its own, for which the kernel was told to send SIGKILL to the
child's group when the pipe's state changes.  When both writers are gone, it does, be the child
hung, stopped or not yet past its imports.  Unlike PR_SET_PDEATHSIG that is tied to no thread.

Before a supervisor starts anything it sweeps: what an earlier one of this scope left is ended.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemoneye import system
from daemoneye.rundir import RunDir
from daemoneye.supervisor import guardian
from daemoneye.supervisor.launcher import Birth
from daemoneye.system import pidfd_open

if sys.platform != "win32":
    import fcntl

HAS_GUARDIAN = system.FEATURES.process_files and os.path.exists("/proc/self/stat")

_SWEEP_PATIENCE_SECONDS = guardian.GRACE_SECONDS + 2.0
_NO_KEY = -1

ESCAPED_SECONDS = 2.0
"""How long an orderly end may take over processes that escaped."""


def scope_of(run_dir: RunDir) -> str:
    """The id that marks what belongs to a run directory; no secret."""
    return hashlib.sha256(os.fsencode(run_dir.path)).hexdigest()[:20]


def sweep(scope: str) -> int:
    """End what an earlier supervisor of this scope left; the number of processes found.

    Its guardian may be at it already: then it gets the time it needs.  Only for the holder of the
    run directory's lock, and before it starts anything.  Takes some 0.1 s when nothing is there.
    """
    if not HAS_GUARDIAN:
        return 0
    deadline = time.monotonic() + _SWEEP_PATIENCE_SECONDS
    while guardian.marked(scope, guardian.GUARDIAN_MARK) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid, started in guardian.marked(scope, guardian.GUARDIAN_MARK).items():
        guardian.kill(pid, started)
    return len(guardian.end_all(scope, {})) if guardian.marked(scope) else 0


def end_escaped(scope: str, strays: guardian.Tree) -> int:
    """End what left its child's group and outlived it; the number of processes found.

    For an orderly end, behind the last child: the strays named, what carries the mark, and all
    below.  One look when nothing is there, and ESCAPED_SECONDS at most.
    """
    if not HAS_GUARDIAN or not (strays or guardian.marked(scope)):
        return 0
    return len(guardian.end_all(scope, strays, ESCAPED_SECONDS))


class Switch:
    """The pipe whose end the kernel answers with SIGKILL; does nothing where there is none."""

    __slots__ = ("_reader", "key")

    def __init__(self) -> None:
        self._reader = self.key = _NO_KEY
        if system.FEATURES.kernel_switch:
            self._reader, self.key = os.pipe()

    def birth(self, mark: dict[str, str]) -> tuple[Birth, Callable[[], None]]:
        """What a child is born with, and what to call once it is born or never will be.

        The child's description of the read end has to stay open in the child, and only there.
        """
        if self._reader < 0:
            return Birth(mark), _nothing
        trigger = os.open(f"/proc/self/fd/{self._reader}", os.O_RDONLY | system.NON_BLOCKING)
        if sys.platform == "linux":  # as always here, see `kernel_switch`
            fcntl.fcntl(trigger, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(trigger, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)

        def arm(pid: int) -> None:
            if sys.platform == "linux":  # the group: it exists since before the exec
                fcntl.fcntl(trigger, fcntl.F_SETOWN, -pid)

        return Birth(mark, (trigger,), arm), lambda: os.close(trigger)

    def close(self) -> None:
        """Let go of it.  Where no guardian holds the other key, this kills what is left."""
        for fd in (self._reader, self.key):
            if fd >= 0:
                os.close(fd)
        self._reader = self.key = _NO_KEY


@dataclass(frozen=True, slots=True)
class Duty:
    """What a guardian has to look after."""

    scope: str
    """The mark's value."""
    whole: bool
    """Everything below this process is ours (`run`), not only what is marked (an application)."""
    report_path: Path
    """Where it writes what it found."""
    lock_path: Path
    """The run directory's lock: files are removed only while the dead supervisor's pid is in it."""
    files: Sequence[Path]
    """What it removes."""


class GuardianProcess:
    """A running guardian, as its supervisor sees it."""

    __slots__ = ("_leash", "_pidfd", "_process")

    def __init__(self, duty: Duty, key: int = _NO_KEY) -> None:
        """Start one.  Raises OSError when that cannot be done."""
        leash_read, self._leash = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", guardian.__file__),
                    *(str(leash_read), str(key), str(os.getpid())),
                    *("whole" if duty.whole else "marked", duty.scope),
                    *(str(duty.report_path), str(duty.lock_path), *map(str, duty.files)),
                ],
                pass_fds=[fd for fd in (leash_read, key) if fd >= 0],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={guardian.GUARDIAN_MARK: duty.scope},
            )
        except OSError:
            os.close(self._leash)
            raise
        finally:
            os.close(leash_read)
        self._pidfd = pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Readable once it has ended; −1 where only `has_ended` tells."""
        return -1 if self._pidfd is None else self._pidfd

    def has_ended(self) -> bool:
        """Whether it is gone, and another has to take its place."""
        return self._process.poll() is not None

    def is_stopped(self) -> bool:
        """Whether somebody has stopped it, so that it would not act."""
        return guardian.is_stopped(self.pid)

    def kill(self) -> None:
        """End it; `has_ended` tells when that is done."""
        self._process.kill()

    def dismiss(self) -> None:
        """Send it away: nothing is left to be looked after."""
        try:
            os.write(self._leash, guardian.DISMISSED)
        except OSError:
            pass  # it is gone already
        self._close()
        try:
            self._process.wait(guardian.GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def leave_to_it(self) -> None:
        """Let go of the leash without a word: whatever is left is the guardian's now."""
        self._close()

    def _close(self) -> None:
        os.close(self._leash)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _nothing() -> None:
    """Nothing to let go of."""
