"""What a supervisor holds while a run directory is its own: lock, scope, switch, guardian, keys."""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from pathlib import Path

from daemoneye.errors import RemoteProtocolError
from daemoneye.foreign import brief
from daemoneye.rundir import RunDir, RunLock
from daemoneye.strict_json import read_object
from daemoneye.supervisor import orphans
from daemoneye.supervisor.guardian import Tree, look
from daemoneye.supervisor.scope import (
    HAS_GUARDIAN,
    Duty,
    GuardianProcess,
    Switch,
    end_escaped,
    scope_of,
    sweep,
)

log = logging.getLogger("daemoneye.supervisor")

GUARDIAN_INTERVAL = 1.0
"""Seconds between two guardians, so that one that cannot live does not keep us busy."""

GUARDIAN_LOOK_INTERVAL = 2.0
"""Seconds between two looks whether the guardian was stopped, of which nothing else tells."""

_LONGEST_REPORT_BYTES = 1 << 20

_ENDED, _STOPPED = "ended unasked", "was stopped, and is killed"


class Tenure:
    """The right to be the supervisor of a run directory, and all that hangs on it."""

    def __init__(self, run_dir: RunDir, whole: bool, clients: tuple[str, ...] = ()) -> None:
        """Take the directory over; `whole`: all that descends from this process is ours.

        Named `clients` get a key each.

        Raises AlreadyRunning when another supervisor lives there, ConfigError when the directory
        cannot be trusted.  What an earlier supervisor left is ended first.
        """
        run_dir.make()
        self.run_dir = run_dir
        """The run directory."""
        self.scope = scope_of(run_dir)
        """The mark of everything that is ours."""
        with ExitStack() as undone:
            self._before = set(orphans.strangers(())) if whole else None
            self._lock = RunLock.acquire(run_dir)
            undone.callback(self._lock.release)
            self.swept = sweep(self.scope)
            """How many processes an earlier supervisor had left."""
            run_dir.make()  # an earlier one takes the place of the sockets away as it ends
            report = run_dir.path / "guardian.json"
            _take_in(report)
            self.switch = Switch()
            """What kills our children when we and the guardian are gone."""
            undone.callback(self.switch.close)
            self.keys = run_dir.make_keys(clients)
            """What proves the operator and the named clients on the bus, by name."""
            undone.callback(run_dir.remove_keys)
            files = [run_dir.control_path, run_dir.bus_path, *map(run_dir.key_path, self.keys)]
            self._guard = _Guard(
                Duty(self.scope, whole, report, run_dir.lock_path, files), self.switch.key
            )
            undone.pop_all()

    @property
    def guardian(self) -> GuardianProcess | None:
        """The guardian that lives; None where there is none, or none at the moment."""
        return self._guard.process

    def next_deadline(self) -> float | None:
        """When `replace_guardian` should be called."""
        return self._guard.next_deadline()

    def replace_guardian(self, now: float) -> str | None:
        """Start another guardian if ours has died or was stopped; what became of it, once each."""
        return self._guard.replace(now)

    def end(self, nothing_left: bool) -> None:
        """Give the directory up.  What cannot be killed is left to the guardian.

        When nothing is left of any child, what escaped from one ends here, before the guardian,
        who would have ended it, is sent away: all that is marked, and when everything below this
        process is ours, all that came to be below it meanwhile.
        """
        if nothing_left:
            end_escaped(self.scope, self._strays())
        self.run_dir.remove_keys()
        if nothing_left:
            self.run_dir.remove_socket_dir()
        self._lock.release()
        if self.guardian is not None:
            if nothing_left:
                self.guardian.dismiss()
            else:
                self.guardian.leave_to_it()
        self.switch.close()

    def _strays(self) -> Tree:
        """Children of this process that neither it nor a program around it has started."""
        if self._before is None:
            return {}
        own = self._before | ({self.guardian.pid} if self.guardian else set())
        found = orphans.strangers(own)
        return {pid: started for pid in found if (started := look(pid)) is not None}


def _take_in(report: Path) -> None:
    """Say how an earlier supervisor ended, when its guardian wrote that down, and only once."""
    try:
        with open(report, "rb") as file:
            found = read_object(file.read(_LONGEST_REPORT_BYTES), "the guardian's report")
        report.unlink()
    except FileNotFoundError:
        return
    except (OSError, RemoteProtocolError) as error:
        log.warning("%s cannot be read, and is taken away: %s", report, error)
        with suppress(OSError):
            report.unlink()
        return
    pids = found.get("killed_pids")
    log.warning(
        "an earlier supervisor (pid %s) was killed; its guardian ended %d processes",
        brief(str(found.get("supervisor_pid"))),
        len(pids) if isinstance(pids, list) else 0,
    )


class _Guard:
    """One guardian after another."""

    def __init__(self, duty: Duty, key: int) -> None:
        self._duty = duty
        self._key = key
        self.process = GuardianProcess(duty, key) if HAS_GUARDIAN else None
        self._next_at: float | None = None
        self._look_at = 0.0
        self._fate = _ENDED

    def next_deadline(self) -> float | None:
        return self._next_at if self.process is None else self._look_at

    def replace(self, now: float) -> str | None:
        told = None
        if self.process is not None:
            self._look(self.process, now)
            if self.process.has_ended():
                told = f"the guardian (pid {self.process.pid}) {self._fate}"
                self._fate = _ENDED
                self.process.leave_to_it()
                self.process = None
                self._next_at = now
        if self._next_at is not None and now >= self._next_at:
            self._start(now)
        return told

    def _look(self, process: GuardianProcess, now: float) -> None:
        """A stopped guardian would not act when it has to; it is ours, and we need another."""
        if now < self._look_at:
            return
        self._look_at = now + GUARDIAN_LOOK_INTERVAL
        if process.is_stopped():
            self._fate = _STOPPED
            process.kill()

    def _start(self, now: float) -> None:
        self._next_at = now + GUARDIAN_INTERVAL
        try:
            self.process = GuardianProcess(self._duty, self._key)
        except OSError:
            return  # no processes or descriptors left; tried again at the next turn
        self._next_at = None
