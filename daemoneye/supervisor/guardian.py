"""The guardian: ends what a dead supervisor left behind.

    python -I -S guardian.py LEASH KEY SUPERVISOR whole|marked SCOPE REPORT LOCK FILE…

It is a sibling of the children in a session of its own, started before the first of them, and it
imports nothing but what the interpreter has built in: 10 MB, and nothing of ours can break it.

It pulls instead of being told, because what it is told always lacks the child that was just being
born.  Once a second it looks at what descends from the supervisor.  When its leash ends without the
word DISMISSED, that last look and everything that carries the scope's mark, with all that hangs
below, gets GRACE_SECONDS to go by itself; children do, at the end of their lifelines.  Then the
guardian drops its key of the kernel's switch, which kills every child that is left at once, and
kills the rest one by one by their identity, until three looks in a row find nobody.

It stands on /proc, so it is for Linux.  Not handled: a process in uninterruptible sleep, and one
that clears its environment and leaves its parent within the second between two looks.

The module is imported too, for its looks at /proc: a new supervisor sweeps before it starts.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

MARK = "DAEMONEYE_SCOPE"
"""Environment variable of every child, and so of whatever descends from one: the scope's id."""

GUARDIAN_MARK = "DAEMONEYE_GUARDIAN"
"""Environment variable of a guardian, with the same id."""

DISMISSED = b"."
"""What the leash says at an orderly end."""

GRACE_SECONDS = 2.0
"""How long the children of a dead supervisor may take to go by themselves."""

LOOK_INTERVAL = 1.0
_IGNORED = "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"
_GIVE_UP_SECONDS = 20.0
_POLL_INTERVAL = 0.03

Tree = dict[int, int]
"""Processes by identity: pid → start time in clock ticks since boot."""


# ---- looks at /proc ------------------------------------------------------------------------


def _read(path: str) -> bytes:
    """The contents of a file of /proc; empty when the process is gone or a stranger's."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        chunks = []
        while chunk := os.read(fd, 1 << 16):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _stat(pid: int) -> list[bytes]:
    """What stands behind the name in a living process's stat; empty for a zombie, or none."""
    raw = _read(f"/proc/{pid}/stat")
    if not raw:
        return []
    fields = raw[raw.rindex(b")") + 2 :].split()  # the name before may hold anything
    return [] if fields[0] in b"ZX" else fields


def look(pid: int) -> int | None:
    """The start time of a living process; None when there is none, or only a zombie."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal, or by a debugger."""
    fields = _stat(pid)
    return bool(fields) and fields[0] in b"Tt"


def has_living_members(group: int) -> bool:
    """Whether anything but zombies is in this process group."""
    wanted = str(group).encode()
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return any(fields[2] == wanted for pid in pids if (fields := _stat(pid)))


def is_alive(pid: int, started: int) -> bool:
    """Whether the process with this identity lives, and not another with its number."""
    return look(pid) == started


def variable_of(pid: int, name: str) -> str:
    """An environment variable a process was born with; empty when there is none to be seen."""
    begin = f"{name}=".encode()
    for entry in _read(f"/proc/{pid}/environ").split(b"\0"):
        if entry.startswith(begin):
            return entry[len(begin) :].decode("utf-8", "replace")
    return ""


def is_marked(pid: int, variable: str, scope: str) -> bool:
    """Whether a process was born with this mark in its environment."""
    return variable_of(pid, variable) == scope


def marked(scope: str, variable: str = MARK) -> Tree:
    """Everything alive that carries the mark, but ourselves."""
    found: Tree = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        if is_marked(int(name), variable, scope) and (seen := look(int(name))):
            found[int(name)] = seen
    return found


def children_of(pid: int) -> list[int]:
    """The direct children of a process, of all its threads."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    told = (_read(f"/proc/{pid}/task/{thread}/children") for thread in threads)
    return [int(each) for text in told for each in text.split()]


def below(roots: Tree) -> Tree:
    """The given processes and everything that hangs below them, but ourselves."""
    found = dict(roots)
    waiting = list(roots)
    while waiting:
        for child in children_of(waiting.pop()):
            if child not in found and child != os.getpid() and (seen := look(child)):
                found[child] = seen
                waiting.append(child)
    return found


def kill(pid: int, started: int) -> None:
    """SIGKILL to exactly this process, or to nobody."""
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return
        try:
            if is_alive(pid, started):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except OSError:
            pass  # it went between the two lines
        finally:
            os.close(handle)


def end_all(scope: str, known: Tree, give_up_seconds: float = _GIVE_UP_SECONDS) -> Tree:
    """Kill the known, the marked and what hangs below, until three looks find nobody.

    Returns everything that was found.
    """
    found: Tree = {}
    deadline = time.monotonic() + give_up_seconds
    empty_looks = 0
    while empty_looks < 3 and time.monotonic() < deadline:
        left = _living(scope, {**known, **found})
        for pid, started in left.items():
            kill(pid, started)
        empty_looks = 0 if left else empty_looks + 1
        found.update(left)
        time.sleep(_POLL_INTERVAL)
    return found


def _living(scope: str, known: Tree) -> Tree:
    roots = {pid: started for pid, started in known.items() if is_alive(pid, started)}
    return below({**roots, **marked(scope)})


# ---- the guardian's own life ---------------------------------------------------------------


class Charge:
    """Whom a guardian watches, as its command line says."""

    __slots__ = ("files", "key", "leash", "lock", "report", "scope", "supervisor", "whole")

    def __init__(self, arguments: list[str]) -> None:
        leash, key, supervisor, whole, scope, report, lock, *files = arguments
        self.leash = int(leash)
        """Its other end is the supervisor's alone, so it ends when the supervisor does."""
        self.key = int(key)
        """Our write end of the kernel's switch; −1 where there is none."""
        self.supervisor = int(supervisor)
        """The pid of the supervisor."""
        self.whole = whole == "whole"
        """Everything below the supervisor is its own; else only what is marked, and below that."""
        self.scope = scope
        """The mark's value."""
        self.report = report
        """Where to write what was found."""
        self.lock = lock
        """The run directory's lock: files are removed only while the dead pid is in it."""
        self.files = files
        """Sockets and keys that a dead supervisor cannot remove."""


def _look_around(charge: Charge, known: Tree) -> Tree:
    """Everything that belongs to the supervisor now, and what did before and still lives."""
    known = {pid: started for pid, started in known.items() if is_alive(pid, started)}
    own = {}
    for pid in children_of(charge.supervisor):
        seen = look(pid) if pid != os.getpid() else None
        if seen and (charge.whole or pid in known or is_marked(pid, MARK, charge.scope)):
            own[pid] = seen
    return below({**known, **own})


def _watch(charge: Charge) -> Tree | None:
    """Look around each second until the supervisor is gone; None when it dismissed us."""
    known: Tree = {}
    if sys.platform == "linux":  # as this module is
        waiting = select.poll()
        os.set_blocking(charge.leash, False)
        waiting.register(charge.leash, select.POLLIN)
        try:
            waiting.register(os.pidfd_open(charge.supervisor), select.POLLIN)
        except OSError:
            pass  # an old kernel, or it is gone already; the leash says so too
    ended = False
    while True:
        if sys.platform == "linux":
            ended = bool(waiting.poll(LOOK_INTERVAL * 1000))
        try:
            word = os.read(charge.leash, 1)
        except BlockingIOError:
            word = None
        if word == DISMISSED:
            return None
        if ended or word == b"":
            return below(known)
        known = _look_around(charge, known)


def _wait_for_leaving(charge: Charge, known: Tree) -> Tree:
    """Give everybody GRACE_SECONDS to go; everything that was seen while waiting."""
    deadline = time.monotonic() + GRACE_SECONDS
    empty_looks = 0
    while empty_looks < 3 and time.monotonic() < deadline:
        left = _living(charge.scope, known)
        known.update(left)
        empty_looks = 0 if left else empty_looks + 1
        time.sleep(_POLL_INTERVAL)
    return known


def _tidy(charge: Charge) -> None:
    """Remove the dead supervisor's files, unless another supervisor has taken the place."""
    if _read(charge.lock).strip() != str(charge.supervisor).encode():
        return
    for path in (*charge.files, charge.lock):
        try:
            os.unlink(path)
        except OSError:
            continue


def _write_report(charge: Charge, killed: Tree, took_seconds: float) -> None:
    text = (
        f'{{"supervisor_pid": {charge.supervisor}, "ended_at": {time.time():.3f}, '
        f'"took_seconds": {took_seconds:.3f}, "killed_pids": {sorted(killed)}}}\n'
    )
    draft = charge.report + ".new"
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, text.encode())
        os.close(fd)
        os.replace(draft, charge.report)
    except OSError:
        pass  # a full or vanished disk must not keep us from ending


def main(arguments: list[str]) -> None:
    """Watch until the leash ends; then leave, or end what is left."""
    for each in signal.Signals:
        if each.name in _IGNORED:
            signal.signal(each, signal.SIG_IGN)
    charge = Charge(arguments)
    known = _watch(charge)
    if known is None:
        return
    began = time.monotonic()
    known = _wait_for_leaving(charge, known)
    if charge.key >= 0:
        os.close(charge.key)
    killed = end_all(charge.scope, known)
    _tidy(charge)
    _write_report(charge, killed, time.monotonic() - began)


if __name__ == "__main__":
    main(sys.argv[1:])
