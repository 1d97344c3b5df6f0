"""One child as the operating system knows it, and the thread that gives birth to them.

    ChildProcess   pid, creation time, group, lifeline, death, facts
    Starter        starts processes where that may take as long as it does

Starting a process can block: half a second at worst, for ever when the system is out of something.
So it happens in a thread of its own, under a deadline, and the loop is told.

Who is signalled: only our own children that have not been reaped, and their groups while a member
keeps the number from being used again.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import psutil

from daemoneye import signals
from daemoneye.errors import SupervisionError
from daemoneye.lifeline import Passport, SupervisorEnd
from daemoneye.supervisor.child import Boot, Work, boot
from daemoneye.supervisor.contract import Spawn
from daemoneye.supervisor.guardian import MARK, has_living_members
from daemoneye.supervisor.health import Facts
from daemoneye.supervisor.launcher import LaunchedProcess, block_early_signals
from daemoneye.supervisor.orphans import CHILD_MARK, mark_of
from daemoneye.supervisor.scope import HAS_GUARDIAN, Switch
from daemoneye.system import pidfd_open


@dataclass(frozen=True, slots=True)
class Newborn:
    """What one start needs besides its spec."""

    spawn: Spawn
    """Whom to start."""
    passport: Passport
    """Who it will be on the bus."""
    scope: str
    """The mark of this run directory."""
    switch: Switch
    """What kills it when supervisor and guardian are gone."""


class ChildProcess:
    """One incarnation's process, from birth until nothing of its group is left."""

    __slots__ = ("_pidfd", "_process", "_seen", "created_at", "lifeline", "pid")

    def __init__(self, process: LaunchedProcess, lifeline: SupervisorEnd) -> None:
        """Take a started process into care."""
        assert process.pid is not None
        self._process = process
        self.pid: int = process.pid
        """Its process id, and that of its session and group."""
        self.lifeline = lifeline
        """Our end of the private pipe."""
        self._pidfd = pidfd_open(self.pid)
        self._seen = psutil.Process(self.pid)
        self.created_at: float = self._seen.create_time()
        """When it was created, seconds since 1970: with the pid its identity."""

    @classmethod
    def start(cls, newborn: Newborn) -> ChildProcess:
        """Give birth to a child.  Blocks and raises as the system does."""
        spawn, passport = newborn.spawn, newborn.passport
        spec = spawn.spec
        ends: tuple[Any, Any] = multiprocessing.Pipe()  # of another class where there are no groups
        here, there = ends
        birth, born = newborn.switch.birth(
            {MARK: newborn.scope, CHILD_MARK: mark_of(spawn.child, spawn.number)}
        )
        work = Work(spec.target, spec.args, spec.kwargs)
        given = Boot(passport, there, work, dict(spec.settings), spec.timeouts.beat_interval)
        lifeline = SupervisorEnd(here)
        try:
            process = LaunchedProcess(birth, boot, (given,), spec.name)
            process.start()
        except BaseException:  # whatever it was, our end of the lifeline closes
            lifeline.close()
            raise
        finally:
            there.close()
            born()
        return cls(process, lifeline)

    def fileno(self) -> int:
        """Readable once the process is over."""
        return self._process.sentinel if self._pidfd is None else self._pidfd

    def exit_code(self) -> int | None:
        """Reap it if it is over: its exit code, negative for a signal; None while it lives."""
        return self._process.exitcode

    def signal_group(self, *numbers: signal.Signals) -> None:
        """Send signals to everything in its process group, if anything is there."""
        if self.group_is_empty():
            return
        for number in numbers:
            try:
                signals.signal_group(self.pid, number)
            except ProcessLookupError:
                return
            except PermissionError:
                continue  # macOS says so of a group of zombies

    def group_is_empty(self) -> bool:
        """Whether the process is reaped and nothing of its group lives.

        While a member lives its group's number is not given to a new process.  So once our process
        is reaped, a *process* of that number is a stranger, and the group is not ours any more.
        Zombies, which somebody else has to reap, do not count where /proc tells them apart.
        """
        if self._process.exitcode is None:
            return False
        if not _exists(signals.signal_group, self.pid) or _exists(os.kill, self.pid):
            return True
        return HAS_GUARDIAN and not has_living_members(self.pid)

    def facts(self) -> Facts | None:
        """A look from outside; None when it is gone.  Takes about half a millisecond."""
        try:
            with self._seen.oneshot():
                return Facts(
                    status=self._seen.status(),
                    cpu_percent=self._seen.cpu_percent(None),
                    rss_bytes=self._seen.memory_info().rss,
                    descriptors=_descriptors_of(self._seen),
                    threads=self._seen.num_threads(),
                )
        except psutil.Error:
            return None

    def close(self) -> None:
        """Let go of it.  A process that is still there (it cannot be killed) is left alone."""
        self.lifeline.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        if self._process.exitcode is not None:
            self._process.close()

    def discard(self) -> None:
        """Undo a birth nobody waits for any more."""
        self._process.kill()
        self._process.join()
        self.close()


def _exists(ask: Callable[[int, int], None], number: int) -> bool:
    try:
        ask(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody is there, though a stranger
    return True


Outcome: TypeAlias = "ChildProcess | str"
"""A born child, or why there is none."""


@dataclass(slots=True)
class _Birth:
    """One start in the hands of the starter."""

    newborn: Newborn
    """Whom to start."""
    begun_at: float | None = None
    """When the thread began with it; None: it waits its turn."""
    given_up: bool = False
    """Nobody waits for the outcome any more."""


class Starter:
    """Starts children one after another in a thread of its own.

    A start that is past its spec's `spawn_timeout` is given up: it counts as failed, another thread
    goes on with the next, and should the child be born after all it is killed at once.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called, from the thread, when there is something to collect."""
        self._wake = wake
        self._waiting: queue.SimpleQueue[_Birth | None] = queue.SimpleQueue()
        self._done: deque[tuple[_Birth, Outcome]] = deque()
        self._lock = threading.Lock()
        self._current: _Birth | None = None
        self._start_thread()

    def submit(self, newborn: Newborn) -> None:
        """Have a child started; `collect` tells how that went."""
        self._waiting.put(_Birth(newborn))

    def collect(self, now: float) -> list[tuple[Spawn, Outcome]]:
        """What was born, what could not be, and what took too long."""
        with self._lock:
            finished = list(self._done)
            self._done.clear()
            stuck = self._current
            if stuck is not None and _is_overdue(stuck, now):
                stuck.given_up = True
                timeout = stuck.newborn.spawn.spec.timeouts.spawn_timeout
                finished.append((stuck, f"not born in {timeout:g} s"))
                self._current = None
                self._start_thread()
        return [(birth.newborn.spawn, outcome) for birth, outcome in finished]

    def next_deadline(self) -> float | None:
        """When `collect` should be called at the latest."""
        with self._lock:
            current = self._current
            if current is None or current.begun_at is None:
                return None
            return current.begun_at + current.newborn.spawn.spec.timeouts.spawn_timeout

    def is_idle(self) -> bool:
        """Whether nobody is being born, or born and not collected."""
        with self._lock:
            return self._current is None and not self._done and self._waiting.empty()

    def close(self) -> None:
        """Start nothing more; whatever is born from now on is killed."""
        with self._lock:
            if self._current is not None:
                self._current.given_up = True
            finished = list(self._done)
            self._done.clear()
        try:
            while True:
                self._waiting.get_nowait()
        except queue.Empty:
            pass
        self._waiting.put(None)
        for _, outcome in finished:
            if isinstance(outcome, ChildProcess):
                outcome.discard()

    def _start_thread(self) -> None:
        threading.Thread(target=self._work, name="daemoneye-starter", daemon=True).start()

    def _work(self) -> None:
        block_early_signals()
        while (birth := self._waiting.get()) is not None:
            with self._lock:
                birth.begun_at = time.monotonic()
                self._current = birth
            outcome = _attempt(birth.newborn)
            with self._lock:
                if not birth.given_up:
                    self._current = None
                    self._done.append((birth, outcome))
            if birth.given_up:
                if isinstance(outcome, ChildProcess):
                    outcome.discard()
                return  # another thread has taken over
            self._wake()


def _descriptors_of(process: psutil.Process) -> int:
    count = 0
    if sys.platform != "win32":
        count = process.num_fds()
    return count


def _attempt(newborn: Newborn) -> Outcome:
    try:
        return ChildProcess.start(newborn)
    except (OSError, SupervisionError, psutil.Error) as error:
        return str(error)
    except (
        Exception
    ) as error:  # pickling runs code of the target's arguments, which may do anything
        return f"{type(error).__name__}: {error}"


def _is_overdue(birth: _Birth, now: float) -> bool:
    started, timeout = birth.begun_at, birth.newborn.spawn.spec.timeouts.spawn_timeout
    return started is not None and now >= started + timeout
