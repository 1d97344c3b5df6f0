"""What differs between two scans of the processes of a machine.  Pure.

A process is known by (pid, creation time), because a pid alone is used again.  So a pid that ends
and is reborn between two scans shows as one stop and one start, never as a change.

Cost: one pass over each scan, one dict look-up for each process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ProcessId = tuple[int, float]

# Creation times are told in whole seconds of boot time on some systems: nothing that looks this
# little older than the collector's first scan is said to have existed before it.
_BIRTH_TOLERANCE = 2.0


@dataclass(frozen=True, slots=True)
class Image:
    """The program a process runs: what only an exec changes, and so is read once."""

    name: str
    """What the system calls it."""
    executable: str = ""
    """Path; empty when it may not be read or there is none."""
    command_line: tuple[str, ...] = ()
    """With secrets replaced; empty when it may not be read."""
    user: str = ""
    """Name, or the number where it has none."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as one scan saw it."""

    pid: int
    created_at: float
    """Unix time; with `pid`, the identity."""
    parent_pid: int
    image: Image
    status: str = ""
    """running, sleeping, zombie … in psutil's words."""
    cpu_seconds: float | None = None
    """User and system time so far; None when it may not be read."""
    rss_bytes: int | None = None
    virtual_bytes: int | None = None
    threads: int | None = None

    @property
    def identity(self) -> ProcessId:
        """What tells this process from every other of this machine's uptime."""
        return self.pid, self.created_at


@dataclass(frozen=True, slots=True)
class Scan:
    """All processes at one moment."""

    processes: Mapping[ProcessId, Process]
    taken_at: float
    """Unix time: what events say."""
    clock: float
    """Monotonic time: what intervals are taken from, because the wall clock jumps."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened between two scans, in the order of pids."""

    started: tuple[Process, ...] = ()
    executed: tuple[Process, ...] = ()
    """The same process, running another program."""
    stopped: tuple[Process, ...] = ()
    """As the last scan that had it saw it."""
    adopted: tuple[Process, ...] = ()
    """The same process below another parent."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A process and its share of one CPU since the scan before."""

    process: Process
    cpu_percent: float | None
    """None in the first scan that has the process, or where CPU time may not be read."""


def compare(before: Scan, after: Scan) -> Changes:
    """What started, changed and stopped from one scan to the next."""
    started, executed, adopted = [], [], []
    known = before.processes
    for identity, process in after.processes.items():
        old = known.get(identity)
        if old is None:
            started.append(process)
            continue
        if process.image is not old.image and _runs_another_program(old.image, process.image):
            executed.append(process)
        if process.parent_pid != old.parent_pid:
            adopted.append(process)
    stopped = [known[identity] for identity in known.keys() - after.processes.keys()]
    return Changes(*(_by_pid(group) for group in (started, executed, stopped, adopted)))


def existed_before(process: Process, began_at: float) -> bool:
    """Whether a process seen to start is older than the collector: it was hidden at first."""
    return process.created_at < began_at - _BIRTH_TOLERANCE


def usages(before: Scan | None, after: Scan) -> list[Usage]:
    """The CPU share of each process between two scans; without a first one, all are unknown."""
    if before is None or after.clock <= before.clock:
        return [Usage(process, None) for process in after.processes.values()]
    elapsed = after.clock - before.clock
    return [
        Usage(process, _cpu_percent(before.processes.get(identity), process, elapsed))
        for identity, process in after.processes.items()
    ]


def top(found: Iterable[Usage], count: int) -> list[Usage]:
    """Up to `count` that used most CPU and up to `count` that hold most memory, busiest first.

    Who used no CPU at all is among the first only when it is among the largest.
    """
    everyone = list(found)
    busiest = sorted((use for use in everyone if use.cpu_percent), key=_cpu_order)[:count]
    largest = sorted((use for use in everyone if use.process.rss_bytes), key=_memory_order)[:count]
    chosen = {use.process.identity: use for use in (*busiest, *largest)}
    return sorted(chosen.values(), key=_cpu_order)


def _runs_another_program(old: Image, new: Image) -> bool:
    # A name alone may be changed by the process itself; a read that was denied says nothing.
    return (old.executable, old.command_line) != (new.executable, new.command_line) and bool(
        new.executable or new.command_line
    )


def _cpu_percent(old: Process | None, new: Process, elapsed: float) -> float | None:
    if old is None or old.cpu_seconds is None or new.cpu_seconds is None:
        return None
    return max(0.0, new.cpu_seconds - old.cpu_seconds) / elapsed * 100.0


def _cpu_order(use: Usage) -> tuple[float, int, int]:
    return -(use.cpu_percent or 0.0), -(use.process.rss_bytes or 0), use.process.pid


def _memory_order(use: Usage) -> tuple[int, int]:
    return -(use.process.rss_bytes or 0), use.process.pid


def _by_pid(processes: Iterable[Process]) -> tuple[Process, ...]:
    return tuple(sorted(processes, key=lambda process: process.identity))
