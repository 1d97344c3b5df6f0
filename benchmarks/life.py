"""How long lives take: from `daemoneye run` to ready, from a child's death to its next life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks.measure import Figure, Pace, percentile
from benchmarks.processes import Failed
from daemoneye import ChildSpec, DaemoneyeError, Supervisor
from daemoneye.cli.control import ControlClient
from daemoneye.rundir import RunDir

TABLE = "lives"
BUDGET = 30.0  # s for one of them, before the benchmark gives up


def starting(pace: Pace) -> list[Figure]:
    """`daemoneye run` with its built-in collectors: exec until every child is RUNNING."""
    took = []
    for _ in range(pace.starts):
        with tempfile.TemporaryDirectory(prefix="de-bench-") as directory:
            start = time.monotonic()
            took.append(until_all_run(Path(directory) / "run") - start)
    return [
        Figure("run: exec to all RUNNING p50", percentile(took, 0.5), "s", "less", TABLE),
        Figure("run: exec to all RUNNING worst", max(took), "s", "less", TABLE),
    ]


def until_all_run(directory: Path) -> float:
    """Start an instance, and end it when all runs; the moment when it did."""
    command = [sys.executable, "-m", "daemoneye", "run", "--run-dir", str(directory)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    instance = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]  # two of its many
    try:
        wait_until(lambda: all_run(ControlClient(RunDir.find(str(directory)))), "all RUNNING")
        return time.monotonic()
    finally:
        instance.send_signal(signal.SIGTERM)
        instance.wait(timeout=BUDGET)


def all_run(client: ControlClient) -> bool:
    """Whether every child of the instance is RUNNING."""
    try:
        states = {child["state"] for child in client.ask("status")["children"]}
    except DaemoneyeError:  # it is not that far
        return False
    return bool(states == {"RUNNING"})


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look every 2 ms, and give up after the budget.  Raises Failed."""
    deadline = time.monotonic() + BUDGET
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {BUDGET:g} s for {what}")
        time.sleep(0.002)


def recovering(pace: Pace) -> list[Figure]:
    """A small worker is killed: SIGKILL until its next incarnation is RUNNING."""
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory:
        spec = ChildSpec("victim", "benchmarks.life:victim", restart="permanent")
        with Supervisor([spec], run_dir=directory) as supervisor:
            supervisor.wait_ready(timeout=BUDGET)
            took = [1000 * until_it_runs_again(supervisor) for _ in range(pace.deaths)]
    return [
        Figure("kill -9 to RUNNING p50", percentile(took, 0.5), "ms", "less", TABLE),
        Figure("kill -9 to RUNNING worst", max(took), "ms", "less", TABLE),
    ]


def until_it_runs_again(supervisor: Supervisor) -> float:
    """Kill the victim; seconds until another one runs."""
    supervisor.restart("victim", timeout=BUDGET)  # an operator's wish: it clears the ledger
    dead = supervisor.children()["victim"].pid
    assert dead is not None
    start = time.monotonic()
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: runs_again(supervisor, dead), "the victim to run again")
    return time.monotonic() - start


def runs_again(supervisor: Supervisor, dead: int) -> bool:
    """Whether the victim is RUNNING in another process."""
    now = supervisor.children()["victim"]
    return now.pid != dead and now.state == "RUNNING"


class Child(Protocol):
    """What the victim sees of itself."""

    stopping: threading.Event

    def ready(self) -> None:
        """Say that it can serve."""


def victim(child: Child) -> None:
    """Is there, until it is killed or told to stop."""
    child.ready()
    child.stopping.wait()


BENCHMARKS = (starting, recovering)
