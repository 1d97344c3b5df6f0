"""What escapes from a child is reaped when it dies, and ended when the child is over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from daemoneye.supervisor import guardian, orphans
from tests.support import is_running, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a subreaper is Linux's")


def started(mark: str | None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **({orphans.CHILD_MARK: mark} if mark else {})}
    process = subprocess.Popen(["sleep", "600"], env=environment)
    # It is told of when its exec begins, and its environment can be read when that is over.
    if mark:
        wait_for(lambda: guardian.variable_of(process.pid, orphans.CHILD_MARK) == mark, "its mark")
    return process


@pytest.mark.parametrize(
    ("mark", "living", "ends"),
    [("a.1", {"a.2", "b.1"}, True), ("a.1", {"a.1"}, False), (None, set(), False)],
    ids=["its child is over", "its child lives", "it belongs to nobody we know"],
)
def test_who_is_ended(mark: str | None, living: set[str], ends: bool) -> None:
    process = started(mark)
    try:
        assert process.pid in orphans.strangers(set())
        assert orphans.end_strays([process.pid], living) == ends
        if ends:
            wait_for(lambda: not is_running(process.pid), "its end")
        assert is_running(process.pid) is not ends
    finally:
        process.kill()
        process.wait()


def test_who_is_our_own_is_no_stranger() -> None:
    process = started("a.1")
    assert process.pid not in orphans.strangers({process.pid})
    process.kill()
    process.wait()


def test_the_dead_are_reaped_by_their_number() -> None:
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "its end")
    assert orphans.end_strays([pid], set()) == 0
    assert not psutil.pid_exists(pid)
    assert orphans.end_strays([pid], set()) == 0


def test_a_subreaper_gets_what_lost_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys, time; from daemoneye.supervisor import orphans\n"
        "assert orphans.become_subreaper()\n"
        "subprocess.run(['sh', '-c', 'DAEMONEYE_CHILD=a.1 setsid sleep 600 &'], check=True)\n"
        "deadline = time.monotonic() + 5\n"
        "while not (found := orphans.strangers(set())) and time.monotonic() < deadline: pass\n"
        "time.sleep(0.1)\n"
        "assert orphans.end_strays(orphans.strangers(set()), {'a.2'}) == 1\n"
        "os.waitpid(found[0], 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], timeout=20, check=False)
    assert ran.returncode == 0
