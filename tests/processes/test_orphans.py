"""After `kill -9` of a supervisor nothing of its tree is left after 3 s, at whatever moment.

`DAEMONEYE_TEST_KILLS=60` kills more often.  Two children hold the interpreter and so a processor
each, which makes every batch a test under load as well.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from daemoneye.rundir import RunDir
from daemoneye.supervisor import guardian
from daemoneye.supervisor.scope import HAS_GUARDIAN, scope_of
from tests.support import SCALE, scaled, sockets_below

pytestmark = pytest.mark.skipif(not HAS_GUARDIAN, reason="the promise stands on /proc")

KILLS = int(os.environ.get("DAEMONEYE_TEST_KILLS", "10"))
AT_ONCE = 2
PROMISE_SECONDS = 3.0
LATEST_SECONDS = 2.0


class Victim:
    """A supervisor that will be killed."""

    def __init__(self, directory: Path) -> None:
        self.token = random.randrange(10**8, 10**9)
        self.run_dir = RunDir(directory)
        self.scope = scope_of(self.run_dir)
        self.kill_at = time.monotonic() + random.uniform(0.0, LATEST_SECONDS) * SCALE
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.doomed_run", str(directory), str(self.token)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> int:
        """Kill it when its time has come; how many processes it had by then."""
        time.sleep(max(0.0, self.kill_at - time.monotonic()))
        had = len(self.left())
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return had

    def left(self) -> dict[int, str]:
        """Every process of its tree that lives, with what it is."""
        marked = guardian.marked(self.scope) | guardian.marked(self.scope, guardian.GUARDIAN_MARK)
        own = {pid: line[:60] for pid in marked if (line := _command_line(pid)) is not None}
        for each in psutil.process_iter(["cmdline"]):
            words = each.info["cmdline"] or []
            if f"600.{self.token}" in words:
                own[each.pid] = " ".join(words)
        return own


def _command_line(pid: int) -> str | None:
    """Asked once: between two questions a process may become a zombie, which lives no more."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return None


@contextmanager
def victims(number: int) -> Iterator[list[Victim]]:
    """That many supervisors, and nothing of them afterwards, whatever the test says."""
    directories = [Path(tempfile.mkdtemp(prefix="de-")) for _ in range(number)]
    started = [Victim(directory) for directory in directories]
    try:
        yield started
    finally:
        for victim in started:
            victim.process.kill()
            victim.process.wait()
            for pid in victim.left():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for directory in directories:
            shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("batch", range(-(-KILLS // AT_ONCE)))
def test_nothing_survives_a_kill_at_a_random_moment(batch: int) -> None:
    with victims(AT_ONCE) as doomed:
        for victim in sorted(doomed, key=lambda each: each.kill_at):
            had = victim.kill()
            deadline = time.monotonic() + scaled(PROMISE_SECONDS)
            while (left := victim.left()) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not left, f"of {had} processes, killed at {victim.kill_at}: {left}"
            assert not sockets_below(victim.run_dir.path)
