"""Processes as the messages of `events.process.…`.  Pure.

Text from outside is bounded here: a command line may have megabytes, a frame one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from daemoneye.bus.proto.events_pb2 import (
    ProcessAction,
    ProcessBatch,
    ProcessLifecycle,
    ProcessMetadata,
    ProcessNode,
    ProcessRow,
    ProcessSample,
    ProcessTree,
)
from daemoneye.collectors.procmond.comparison import (
    Process,
    Scan,
    Usage,
    existed_before,
)

# What one command line may take.  The longest part of a batch is then ROWS_IN_PART of them.
MAX_ARGUMENTS = 64
MAX_ARGUMENT_CHARACTERS = 512
MAX_COMMAND_LINE_CHARACTERS = 2048
ROWS_IN_PART = 64
NODES_IN_PART = 512

START = ProcessAction.PROCESS_ACTION_START
EXEC = ProcessAction.PROCESS_ACTION_EXEC
STOP = ProcessAction.PROCESS_ACTION_STOP


def bounded(command_line: Sequence[str]) -> tuple[str, ...]:
    """A command line cut to its bounds; an ellipsis stands where something is missing."""
    kept: list[str] = []
    room = MAX_COMMAND_LINE_CHARACTERS
    for argument in command_line:
        if len(kept) == MAX_ARGUMENTS or room <= 0:
            kept.append("…")
            break
        limit = min(MAX_ARGUMENT_CHARACTERS, room)
        kept.append(argument if len(argument) <= limit else argument[: limit - 1] + "…")
        room -= len(kept[-1])
    return tuple(kept)


def valid(text: str) -> str:
    """Text that protobuf takes: bytes that were no UTF-8 show as replacement characters."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8", "replace")


def lifecycle(
    action: ProcessAction, process: Process, observed_at: float, began_at: float
) -> ProcessLifecycle:
    """One process that started, runs another program, or stopped."""
    message = ProcessLifecycle(
        action=action,
        pid=process.pid,
        parent_pid=process.parent_pid,
        created_at=process.created_at,
        name=valid(process.image.name),
        executable=valid(process.image.executable),
        command_line=_command_line(process),
        user=valid(process.image.user),
        observed_at=observed_at,
    )
    if action == STOP:
        message.lifetime_seconds = max(0.0, observed_at - process.created_at)
    elif action == START:
        message.existed_before = existed_before(process, began_at)
    return message


def metadata(found: Iterable[Usage], observed_at: float, interval: float) -> ProcessMetadata:
    """What the given processes use; `interval` is the time their CPU share is an average over."""
    return ProcessMetadata(
        observed_at=observed_at,
        interval_seconds=interval,
        samples=[_sample(use) for use in found],
    )


def batch(scan: Scan, number: int) -> Iterator[ProcessBatch]:
    """The whole enumeration, in as many parts as it needs."""
    parts = _parts(sorted(scan.processes.values(), key=_pid), ROWS_IN_PART)
    for part, processes in enumerate(parts, 1):
        yield ProcessBatch(
            observed_at=scan.taken_at,
            processes=[_row(process) for process in processes],
            batch=number,
            part=part,
            parts=len(parts),
        )


def tree(scan: Scan, number: int) -> Iterator[ProcessTree]:
    """Who is whose parent, for all processes, in as many parts as it needs."""
    parts = _parts(sorted(scan.processes.values(), key=_pid), NODES_IN_PART)
    for part, processes in enumerate(parts, 1):
        yield _tree(scan, processes, number, part, len(parts))


def adoptions(scan: Scan, processes: Sequence[Process]) -> Iterator[ProcessTree]:
    """The processes that got another parent, as trees without an enumeration's number."""
    parts = _parts(processes, NODES_IN_PART) if processes else []
    for part, some in enumerate(parts, 1):
        yield _tree(scan, some, 0, part, len(parts))


def _tree(
    scan: Scan, processes: Sequence[Process], number: int, part: int, parts: int
) -> ProcessTree:
    nodes = [
        ProcessNode(
            pid=process.pid,
            created_at=process.created_at,
            parent_pid=process.parent_pid,
            name=valid(process.image.name),
        )
        for process in processes
    ]
    return ProcessTree(observed_at=scan.taken_at, nodes=nodes, batch=number, part=part, parts=parts)


def _sample(use: Usage) -> ProcessSample:
    process = use.process
    return ProcessSample(
        pid=process.pid,
        created_at=process.created_at,
        name=valid(process.image.name),
        cpu_percent=use.cpu_percent,
        rss_bytes=process.rss_bytes,
        virtual_bytes=process.virtual_bytes,
        threads=process.threads,
        status=process.status,
    )


def _row(process: Process) -> ProcessRow:
    return ProcessRow(
        pid=process.pid,
        created_at=process.created_at,
        parent_pid=process.parent_pid,
        name=valid(process.image.name),
        executable=valid(process.image.executable),
        command_line=_command_line(process),
        user=valid(process.image.user),
        status=process.status,
        rss_bytes=process.rss_bytes,
        threads=process.threads,
    )


def _command_line(process: Process) -> list[str]:
    return [valid(argument) for argument in process.image.command_line]


def _parts(processes: Sequence[Process], size: int) -> list[Sequence[Process]]:
    # An empty enumeration is still told: one part without rows.
    return [processes[at : at + size] for at in range(0, len(processes), size)] or [()]


def _pid(process: Process) -> int:
    return process.pid
