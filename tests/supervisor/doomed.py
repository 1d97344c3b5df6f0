"""A stand-in for a supervisor that is about to be killed: a scope, a guardian, difficult children.

    python -m tests.supervisor.doomed RUN_DIR TOKEN guarded|embedded|alone [KIND…]

It prints `guardian PID`, then `child PID` for each, then `started`, and waits.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from daemoneye.rundir import RunDir, RunLock
from daemoneye.supervisor.guardian import MARK
from daemoneye.supervisor.launcher import LaunchedProcess
from daemoneye.supervisor.scope import Duty, GuardianProcess, Switch, scope_of, sweep
from tests.processes.difficult import KINDS


def main(run_path: str, token: str, guarded: str, *kinds: str) -> None:
    """Start everything, say so, and wait for the end."""
    run_dir = RunDir(Path(run_path))
    run_dir.make()
    lock = RunLock.acquire(run_dir)
    scope = scope_of(run_dir)
    print("swept", sweep(scope), flush=True)
    run_dir.control_path.touch()
    switch = Switch()
    if guarded == "embedded":  # an application with a child of its own
        print("own", subprocess.Popen(["sleep", "600"]).pid, flush=True)
    if guarded != "alone":
        report = run_dir.path / "guardian.json"
        duty = Duty(scope, guarded == "guarded", report, run_dir.lock_path, [run_dir.control_path])
        print("guardian", GuardianProcess(duty, switch.key).pid, flush=True)
    processes = []
    for kind in kinds:
        birth, close = switch.birth({MARK: scope})
        process = LaunchedProcess(birth, KINDS[kind], (None, int(token)), kind)
        process.start()
        close()
        processes.append(process)
        print("child", process.pid, flush=True)
    print("started", flush=True)
    time.sleep(600)
    del lock


if __name__ == "__main__":
    main(*sys.argv[1:])
