"""Whatever a supervisor dies of, its guardian or the kernel's switch ends the rest of the tree."""

from __future__ import annotations

import ast
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from daemoneye.rundir import RunDir
from daemoneye.supervisor import guardian
from daemoneye.supervisor.scope import HAS_GUARDIAN, scope_of, sweep
from daemoneye.supervisor.tenure import Tenure
from tests.processes.difficult import KINDS
from tests.support import is_running, wait_for

pytestmark = pytest.mark.skipif(not HAS_GUARDIAN, reason="the guardian stands on /proc")


@dataclass
class Doomed:
    """A stand-in supervisor in a process of its own."""

    run_dir: RunDir
    token: int
    process: subprocess.Popen[str]
    guardian: int = 0
    swept: int = 0
    own: int = 0
    children: list[int] = field(default_factory=list)

    def wait_started(self) -> None:
        """Read what it says until it says that everything runs."""
        assert self.process.stdout
        for line in self.process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == "guardian":
                self.guardian = int(number)
            elif word == "own":
                self.own = int(number)
            elif word == "swept":
                self.swept = int(number)
            elif word == "child":
                self.children.append(int(number))
            elif word == "started":
                return
        raise AssertionError("it ended before everything was started")

    def kill(self, *pids: int) -> None:
        """SIGKILL to it and to others, all at once."""
        for pid in (self.process.pid, *pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def left(self) -> list[str]:
        """Everything of the tree that lives, the guardian apart."""
        marked = guardian.marked(scope_of(self.run_dir))
        named = [
            each.pid
            for each in psutil.process_iter(["cmdline"])
            if f"600.{self.token}" in (each.info["cmdline"] or ())
        ]
        pids = {*marked, *named, *filter(is_running, self.children)}
        return [f"{pid} {guardian._read(f'/proc/{pid}/cmdline')!r}" for pid in pids]

    def is_over(self) -> bool:
        """Nothing is left, not even the guardian."""
        return not self.left() and not (self.guardian and is_running(self.guardian))


class Place:
    """Makes doomed supervisors of one run directory, and cleans up behind failed tests."""

    def __init__(self, run_dir: RunDir) -> None:
        self.run_dir = run_dir
        self.made: list[Doomed] = []

    def start(self, *kinds: str, guarded: str = "guarded") -> Doomed:
        """A supervisor with these children, all of them started."""
        token = random.randrange(10**8, 10**9)
        line = [sys.executable, "-m", "tests.supervisor.doomed", str(self.run_dir.path)]
        process = subprocess.Popen(
            [*line, str(token), guarded, *kinds],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        doomed = Doomed(self.run_dir, token, process)
        self.made.append(doomed)
        doomed.wait_started()
        return doomed


@pytest.fixture
def place(tidy: Path) -> Iterator[Place]:
    place = Place(RunDir(tidy))
    yield place
    for doomed in place.made:
        doomed.process.kill()
        doomed.process.wait()
        assert doomed.process.stdout
        doomed.process.stdout.close()
    for doomed in place.made:
        wait_for(doomed.is_over, "the end of everything", within=6.0)


def test_after_a_kill_nothing_of_the_tree_is_left_after_three_seconds(place: Place) -> None:
    doomed = place.start(*KINDS)
    wait_for(lambda: len(doomed.left()) >= len(KINDS) + 3, "the grandchildren")
    wait_for(lambda: _has_looked_at(doomed), "a look of the guardian")
    doomed.kill()
    wait_for(lambda: not doomed.left(), "an empty tree", within=3.0)


def test_the_guardian_leaves_a_report_removes_the_files_and_goes(place: Place) -> None:
    doomed = place.start("deaf")
    doomed.kill()
    wait_for(doomed.is_over, "the guardian's end", within=3.5)
    report = json.loads((place.run_dir.path / "guardian.json").read_text())
    assert report["supervisor_pid"] == doomed.process.pid
    assert not place.run_dir.control_path.exists()
    assert not place.run_dir.lock_path.exists()


def test_supervisor_and_guardian_killed_together_take_every_child_along(place: Place) -> None:
    doomed = place.start("deaf", "gil", "stopped", "importing")
    doomed.kill(doomed.guardian)
    wait_for(lambda: not doomed.left(), "an empty tree", within=1.0)


def test_without_a_guardian_the_switch_still_kills_the_children(place: Place) -> None:
    doomed = place.start("deaf", "stopped", guarded="alone")
    doomed.kill()
    wait_for(lambda: not doomed.left(), "an empty tree", within=1.0)


def test_an_application_that_dies_keeps_the_children_that_are_not_ours(place: Place) -> None:
    doomed = place.start("deaf", "grandchildren", guarded="embedded")
    wait_for(lambda: _has_looked_at(doomed), "a look of the guardian")
    doomed.kill()
    wait_for(doomed.is_over, "the guardian's end", within=4.0)
    assert is_running(doomed.own)
    os.kill(doomed.own, signal.SIGKILL)


def test_a_guardian_ignores_what_a_terminal_and_a_service_send(place: Place) -> None:
    doomed = place.start("deaf")
    wait_for(lambda: _ignores(doomed.guardian, signal.SIGTERM), "the guardian's first breath")
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(doomed.guardian, each)
    time.sleep(0.05)  # they are delivered by now, if anything is
    assert is_running(doomed.guardian)


def test_a_new_supervisor_first_ends_what_the_last_one_left(place: Place) -> None:
    first = place.start("grandchildren", guarded="alone")
    wait_for(lambda: len(first.left()) >= 3, "the grandchildren")
    first.kill()
    wait_for(lambda: len(first.left()) == 2, "the end of the child alone")
    second = place.start("deaf")
    assert second.swept == 2
    assert not [each for each in first.left() if str(first.token) in each]


def test_a_new_supervisor_waits_for_the_guardian_of_the_last_one(place: Place) -> None:
    first = place.start("deaf")
    first.kill()
    second = place.start("deaf")
    assert not is_running(first.guardian)
    assert place.run_dir.control_path.exists()
    assert len(second.left()) == 1


def test_the_next_supervisor_takes_the_report_in(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    doomed = place.start("deaf")
    doomed.kill()
    wait_for(doomed.is_over, "the guardian's end", within=3.5)
    report = place.run_dir.path / "guardian.json"
    for told in (f"(pid {doomed.process.pid}) was killed", "cannot be read"):
        assert report.exists()
        Tenure(place.run_dir, whole=False).end(nothing_left=True)
        assert told in caplog.text
        assert not report.exists()
        report.write_text("rubbish")
    report.unlink()


def test_a_long_run_directory_leaves_no_place_of_sockets_behind(tidy: Path) -> None:
    run_dir = RunDir(tidy / ("r" * 100))
    tenure = Tenure(run_dir, whole=False)
    assert run_dir.socket_dir.exists()
    tenure.end(nothing_left=True)
    assert not run_dir.socket_dir.exists()


def test_a_sweep_of_an_empty_scope_finds_nobody() -> None:
    assert sweep("no-such-scope") == 0


def test_it_kills_only_the_process_it_identified() -> None:
    process = subprocess.Popen(["sleep", "600"])
    seen = guardian.look(process.pid)
    assert seen is not None
    guardian.kill(process.pid, seen - 1)  # one that had this number before
    assert is_running(process.pid)
    guardian.kill(process.pid, seen)
    assert process.wait(5) == -signal.SIGKILL


def test_it_sees_who_was_stopped() -> None:
    process = subprocess.Popen(["sleep", "600"])
    try:
        assert not guardian.is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: guardian.is_stopped(process.pid), "its stop")
    finally:
        process.kill()
        process.wait()
    assert not guardian.is_stopped(process.pid)


def test_it_needs_nothing_but_the_interpreter() -> None:
    tree = ast.parse(Path(guardian.__file__).read_text())
    named = [n for each in ast.walk(tree) if isinstance(each, ast.Import) for n in each.names]
    assert {each.name for each in named} == {"os", "select", "signal", "sys", "time"}


def _ignores(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def _has_looked_at(doomed: Doomed) -> bool:
    """Whether two seconds have passed in the guardian's life; it looks once in each."""
    return bool(psutil.Process(doomed.guardian).create_time() < time.time() - 2.2)
