"""Processes of a contest: started together, told to go together, ended whatever happens."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).parents[1]
START_BUDGET = 60.0  # s for a process until it is ready; 64 of them begin together
BUDGET = 20.0  # s for all that it has to say once it was told to go
SERVER_BUDGET = 10.0  # s for a server until it can be used
TICKS = 0.03  # s by which the kernel's two accounts of CPU time differ: one is in ticks of 10 ms
PATIENCE = 2.0  # s for a server to end when asked to


class Failed(Exception):
    """A process ended or said nothing in time: its contest has no figures."""


class Cannot(Exception):
    """A process says that what it was asked for is not possible with this peer."""


class Worker:
    """A process that says `ready`, is told to go, and answers in lines of text."""

    def __init__(
        self,
        command: Sequence[str],
        budget: float = BUDGET,
        start_budget: float = START_BUDGET,
    ) -> None:
        self._command = " ".join(command)
        self._budget = budget
        self._deadline = time.monotonic() + start_budget
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # A group of its own: Ctrl-C is for the benchmark, which ends its processes in order.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            bufsize=0,
            process_group=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it; nothing here has anything to save."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            assert stream is not None
            stream.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def line(self) -> str:
        """The next line it prints.  Raises Failed, Cannot."""
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        while b"\n" not in self._unread:
            left = max(0.0, self._deadline - time.monotonic())
            if not select.select([fd], [], [], left)[0]:
                raise Failed(f"{self._command}: no answer in time")
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                raise Failed(f"{self._command}: {self._last_words()}")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        text = line.decode()
        if text.startswith("cannot "):
            raise Cannot(text.removeprefix("cannot "))
        return text

    def numbers(self) -> list[int]:
        """The next line, as numbers."""
        return [int(word) for word in self.line().split()]

    def wait_ready(self) -> None:
        """Wait until it is connected and subscribed."""
        while self.line() != "ready":
            continue

    def go(self) -> None:
        """Tell it to begin, or to go on; from now on its budget counts."""
        self._deadline = time.monotonic() + self._budget
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"go\n")
        except BrokenPipeError:
            raise Failed(f"{self._command}: {self._last_words()}") from None

    def _last_words(self) -> str:
        self.process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with {self.process.returncode}"


@contextmanager
def running(command: Sequence[str], budget: float = BUDGET) -> Iterator[Worker]:
    """A worker that is ready."""
    with Worker(command, budget) as worker:
        worker.wait_ready()
        yield worker


@contextmanager
def server(
    command: Sequence[str], log: Path, is_up: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """A peer's server, once it can be used; asked to end, and ended."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, process_group=0
        )
    try:
        deadline = time.monotonic() + SERVER_BUDGET
        while not is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                words = log.read_text(errors="replace").strip().splitlines()
                raise Failed(f"{command[0]} does not come up: {words[-1] if words else 'silent'}")
            time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process up to now; to the nanosecond where the kernel says so."""
    spent = sum(map(scheduled_ns, Path(f"/proc/{pid}/task").glob("*/schedstat"))) / 1e9
    times = psutil.Process(pid).cpu_times()
    counted = times.user + times.system
    return spent if abs(spent - counted) <= TICKS else counted


def scheduled_ns(schedstat: Path) -> int:
    """How long a thread has been on a processor; 0 when it has ended."""
    try:
        return int(schedstat.read_text().split()[0])
    except (OSError, ValueError):
        return 0


def python(*arguments: str) -> list[str]:
    """The command line of a module of ours."""
    return [sys.executable, "-m", *arguments]
