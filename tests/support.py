"""What many tests need: deadlines in one scaled unit, conditions to wait for, and a look at leaks.

Everything here is short and says what it waits for when it fails.  `DAEMONEYE_TEST_SCALE=3` makes
every deadline three times as long, on a slow or busy machine; no test waits longer than it must.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import psutil

from daemoneye import system

T = TypeVar("T")

SCALE = float(os.environ.get("DAEMONEYE_TEST_SCALE", "1"))
MARK = "DAEMONEYE_TEST_MARK"
"""Set in the environment of what a test starts, so that nothing of it can hide by leaving home."""


def scaled(seconds: float) -> float:
    """A timeout on this machine for what takes `seconds` at most on an idle one."""
    return seconds * SCALE


def wait_for(
    condition: Callable[[], T], what: str, *, within: float = 5.0, every: float = 0.01
) -> T:
    """The first true answer of `condition`; failure after `within` scaled seconds names `what`."""
    deadline = time.monotonic() + scaled(within)
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {scaled(within):g} s for {what}; last seen: {answer!r}")
        time.sleep(every)
    return answer


def is_running(pid: int) -> bool:
    """Whether this process lives: there, and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(pid: int, *, within: float = 5.0) -> None:
    """Wait until this process has ended."""
    wait_for(lambda: not is_running(pid), f"the end of process {pid}", within=within)


def marked_processes(mark: str) -> list[psutil.Process]:
    """Every living process that carries `mark` in its environment, wherever it went."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:  # gone, or a stranger's
            continue
    return found


def open_descriptors() -> set[tuple[int, str]]:
    """This process's descriptors with what they are; empty where /proc does not say."""
    found = set()
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the descriptor of this very listing
            continue
        if target.startswith(("socket:", "pipe:", "/")) and not target.startswith("/dev/"):
            found.add((int(name), target))
    return found


def sockets_below(directory: Path) -> list[Path]:
    """The socket files left in `directory`."""
    return [path for path in directory.rglob("*") if path.is_socket()]


@dataclass(frozen=True)
class Belongings:
    """What this process holds at one moment; two of them show what a test left behind."""

    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[int, str]]

    @classmethod
    def now(cls) -> Belongings:
        """What this process holds right now."""
        return cls(frozenset(threading.enumerate()), frozenset(open_descriptors()))

    def added_since(self, before: Belongings) -> list[str]:
        """What is here and was not there, in words."""
        threads = [f"thread {each.name}" for each in self.threads - before.threads]
        added = sorted(self.descriptors - before.descriptors)
        return threads + [f"descriptor {number} ({target})" for number, target in added]


def left_behind(mark: str, before: Belongings, directory: Path) -> list[str]:
    """Processes, threads, descriptors and sockets that are there and should not be, in words."""
    processes = [_describe(process) for process in marked_processes(mark)]
    sockets = [f"socket {path}" for path in sockets_below(directory)]
    return processes + Belongings.now().added_since(before) + sockets


@contextmanager
def nothing_left_behind(directory: Path, *, within: float = 3.0) -> Iterator[None]:
    """Fail when what runs inside leaves a process, thread, descriptor or socket; kill processes.

    Endings take their time, so what is left is looked at until it is gone or `within` has passed.
    """
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    before = Belongings.now()
    outer = os.environ.get(MARK)
    os.environ[MARK] = mark
    try:
        yield
        deadline = time.monotonic() + scaled(within)
        while (left := left_behind(mark, before, directory)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, "left behind: " + "; ".join(left)
    finally:
        os.environ.pop(MARK)
        if outer is not None:  # what a whole package of tests shares is looked after around us
            os.environ[MARK] = outer
        for process in marked_processes(mark):
            process.kill()


def _describe(process: psutil.Process) -> str:
    try:
        return f"process {process.pid} ({' '.join(process.cmdline())[:120]})"
    except psutil.Error:
        return f"process {process.pid}"


@contextmanager
def without(*features: str) -> Iterator[None]:
    """This process in a world that lacks these features of `system.Features`."""
    whole = system.FEATURES
    system.FEATURES = replace(whole, **dict.fromkeys(features, False))
    try:
        yield
    finally:
        system.FEATURES = whole


def lacking() -> list[str]:
    """The features this process does not have, by nature or by `without`."""
    return [name for name, here in asdict(system.FEATURES).items() if not here]


def tells_of_peers() -> bool:
    """Whether this kernel hands out the process at the other end of a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return system.is_peer_alive(ours) is not None


def document(name: str) -> str:
    """The text of a file of the repository, by its path from the root."""
    return (Path(__file__).parents[1] / name).read_text(encoding="utf-8")


def table_in(markdown: str, first_heading: str) -> list[list[str]]:
    """The cells of the rows of the first Markdown table whose first column has this heading."""
    _, _, below = markdown.partition(f"| {first_heading} |")
    rows = []
    for line in below.split("\n")[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
