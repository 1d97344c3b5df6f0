"""Reads the processes of this machine.  A shell: it reads and decides nothing.

A scan happens every second for as long as the machine runs, so it has to be cheap: what changes
(times, sizes, parent, state) is read each time, what only an exec changes (path, command line,
user) once.  On Linux that is one read of `/proc/PID/stat` for each process, and a process whose
line is unchanged costs nothing more (80 processes: 0.3 ms of CPU time, against 4.2 ms through
psutil).  An exec is seen there by the name and the addresses of code and stack, which a process
that may not be traced by us hides: of another user's process only a change of name is seen.

A process that vanishes while it is read, or may not be read, is ordinary.  A process that has
ended and was not collected by its parent (a zombie) is no process any more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import psutil

from daemoneye import system
from daemoneye.collectors.procmond.comparison import Image, Process, ProcessId, Scan
from daemoneye.collectors.procmond.messages import MAX_ARGUMENTS, bounded
from daemoneye.collectors.redaction import redact_command_line

_STATES = {
    b"R": psutil.STATUS_RUNNING,
    b"S": psutil.STATUS_SLEEPING,
    b"D": psutil.STATUS_DISK_SLEEP,
    b"T": psutil.STATUS_STOPPED,
    b"t": psutil.STATUS_TRACING_STOP,
    b"Z": psutil.STATUS_ZOMBIE,
    b"X": psutil.STATUS_DEAD,
    b"I": psutil.STATUS_IDLE,
    b"P": psutil.STATUS_PARKED,
}
_ENDED = (b"Z", b"X")
_READ_CHARACTERS = 4096
# Room for the longest line the kernel writes: 52 numbers and a name of at most 64 bytes.
_LINE_BYTES = 2048


class Scanner(Protocol):
    """Gives one scan after the other; remembers what it has read of each process."""

    def scan(self) -> Scan:
        """All processes as they are now."""


def system_scanner() -> Scanner:
    """The cheapest scanner this platform has."""
    return ProcScanner() if system.FEATURES.process_files else PsutilScanner()


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of a process from one scan to the next."""

    line: bytes
    """Its line of `/proc/PID/stat`: equal means unchanged."""
    fingerprint: tuple[bytes, ...]
    """Changes with an exec."""
    process: Process


class ProcScanner:
    """Reads `/proc` (Linux)."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root
        self._known: dict[int, _Known] = {}
        self._ticks_per_second = system.clock_ticks()
        self._page_bytes = system.page_bytes()
        # Read once: it moves when the wall clock is set, and identities must not.
        self._booted_at = psutil.boot_time()

    def scan(self) -> Scan:
        """All processes as they are now.  Raises OSError when `/proc` itself cannot be read."""
        taken_at, clock = time.time(), time.monotonic()
        known: dict[int, _Known] = {}
        for pid, line in self._lines():
            before = self._known.get(pid)
            if before is not None and before.line == line:
                known[pid] = before
            elif (now := self._read(pid, line, before)) is not None:
                known[pid] = now
        self._known = known
        processes = {found.process.identity: found.process for found in known.values()}
        return Scan(processes, taken_at, clock)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        for entry in os.listdir(self._root):
            if not entry.isdigit():
                continue
            try:
                descriptor = os.open(f"{self._root}/{entry}/stat", os.O_RDONLY)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            try:
                yield int(entry), os.read(descriptor, _LINE_BYTES)
            except ProcessLookupError:
                continue
            finally:
                os.close(descriptor)

    def _read(self, pid: int, line: bytes, before: _Known | None) -> _Known | None:
        # The name stands in parentheses and may itself have blanks and parentheses.
        head, _, rest = line.rpartition(b")")
        fields = rest.split()
        if len(fields) < 26 or (fields[0] in _ENDED and int(fields[17]) <= 1):
            return None
        created_at = self._booted_at + int(fields[19]) / self._ticks_per_second
        fingerprint = (head, *fields[23:26])
        if before is None or before.process.created_at != created_at:
            image = read_image(pid, created_at, _name(head))
        elif before.fingerprint != fingerprint:
            image = read_image(pid, created_at, _name(head))
            image = before.process.image if image == before.process.image else image
        else:
            image = before.process.image
        process = Process(
            pid=pid,
            created_at=created_at,
            parent_pid=int(fields[1]),
            image=image,
            status=_STATES.get(fields[0], ""),
            cpu_seconds=(int(fields[11]) + int(fields[12])) / self._ticks_per_second,
            rss_bytes=int(fields[21]) * self._page_bytes,
            virtual_bytes=int(fields[20]),
            threads=int(fields[17]),
        )
        return _Known(line, fingerprint, process)


class PsutilScanner:
    """Asks psutil (every platform).  Sees an exec by its change of name."""

    def __init__(self) -> None:
        self._images: dict[ProcessId, Image] = {}

    def scan(self) -> Scan:
        """All processes as they are now."""
        taken_at, clock = time.time(), time.monotonic()
        found = [process for each in psutil.process_iter() if (process := self._read(each))]
        self._images = {process.identity: process.image for process in found}
        return Scan({process.identity: process for process in found}, taken_at, clock)

    def _read(self, process: psutil.Process) -> Process | None:
        try:
            with process.oneshot():
                status = process.status()
                if status == psutil.STATUS_ZOMBIE:
                    return None
                created_at, name = process.create_time(), process.name()
                image = self._images.get((process.pid, created_at))
                if image is None or image.name != name:
                    image = read_image(process.pid, created_at, name)
                return _measured(process, created_at, image, status)
        except psutil.Error:
            return None


def read_image(pid: int, created_at: float, name: str) -> Image:
    """The program of a process, as far as it may be read; `name` stands in for one that is gone."""
    try:
        process = psutil.Process(pid)
        # The pid may have been given to another process since it was listed.
        if abs(process.create_time() - created_at) > 0.02:
            return Image(name)
    except psutil.Error:
        return Image(name)
    with process.oneshot():
        return Image(
            name=_readable(process, "name") or name,
            executable=_readable(process, "exe"),
            command_line=_command_line(process),
            user=_readable(process, "username"),
        )


def _measured(process: psutil.Process, created_at: float, image: Image, status: str) -> Process:
    parent_pid = process.ppid()
    try:
        memory, times = process.memory_info(), process.cpu_times()
    except psutil.AccessDenied:
        return Process(process.pid, created_at, parent_pid, image, status)
    return Process(
        pid=process.pid,
        created_at=created_at,
        parent_pid=parent_pid,
        image=image,
        status=status,
        cpu_seconds=times.user + times.system,
        rss_bytes=memory.rss,
        virtual_bytes=memory.vms,
        threads=process.num_threads(),
    )


def _readable(process: psutil.Process, fact: str) -> str:
    try:
        return str(process.as_dict([fact])[fact] or "")
    except psutil.NoSuchProcess:
        return ""


def _command_line(process: psutil.Process) -> tuple[str, ...]:
    try:
        arguments = process.cmdline()
    except (psutil.Error, OSError):
        return ()
    # Redacted before it is cut to its bounds: half a token would be recognised by nobody.  What
    # lies far beyond the bounds need not be looked at.
    readable = [argument[:_READ_CHARACTERS] for argument in arguments[: MAX_ARGUMENTS + 1]]
    return bounded(redact_command_line(readable))


def _name(head: bytes) -> str:
    return head.partition(b"(")[2].decode("utf-8", "replace")
