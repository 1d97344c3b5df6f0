"""The scanners see real processes of this machine, and survive what they may not read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daemoneye.collectors.procmond.comparison import compare
from daemoneye.collectors.procmond.scan import (
    ProcScanner,
    PsutilScanner,
    Scanner,
    read_image,
    system_scanner,
)
from tests.support import wait_for

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(params=[pytest.param(ProcScanner, marks=on_linux), PsutilScanner])
def scanner(request: pytest.FixtureRequest) -> Scanner:
    made: Scanner = request.param()
    return made


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def pids(scanner: Scanner) -> set[int]:
    return {pid for pid, _ in scanner.scan().processes}


def test_a_process_is_seen_by_who_it_is(scanner: Scanner, sleeper: subprocess.Popen[bytes]) -> None:
    identity = (sleeper.pid, psutil.Process(sleeper.pid).create_time())
    wait_for(lambda: psutil.Process(sleeper.pid).name() == "sleep", "the sleeper's exec")
    seen = scanner.scan().processes[identity]
    assert seen.parent_pid == os.getpid()
    assert seen.image.name == "sleep"
    assert seen.image.command_line == ("sleep", "60")
    assert seen.image.executable.endswith(("sleep", "coreutils", "busybox"))
    assert seen.image.user == psutil.Process().username()
    assert seen.rss_bytes
    assert seen.threads == 1


def test_this_process_is_measured_as_psutil_measures_it(scanner: Scanner) -> None:
    me = psutil.Process()
    seen = scanner.scan().processes[me.pid, me.create_time()]
    times = me.cpu_times()
    assert seen.cpu_seconds == pytest.approx(times.user + times.system, abs=1.0)
    assert seen.rss_bytes == pytest.approx(me.memory_info().rss, rel=0.2)


def test_a_start_and_a_stop_show_between_scans(scanner: Scanner) -> None:
    before = scanner.scan()
    with subprocess.Popen(["sleep", "60"]) as process:
        during = scanner.scan()
        process.kill()
    after = scanner.scan()
    assert process.pid in [each.pid for each in compare(before, during).started]
    assert process.pid in [each.pid for each in compare(during, after).stopped]


def test_an_exec_shows_under_the_same_identity(scanner: Scanner) -> None:
    command = ["sh", "-c", "read line; exec sleep 60"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_for(lambda: psutil.Process(process.pid).name() != "python", "the shell")
        before = scanner.scan()
        assert process.stdin is not None
        process.stdin.close()
        wait_for(lambda: psutil.Process(process.pid).name() == "sleep", "the exec")
        found = compare(before, scanner.scan())
        process.kill()
    executed = {each.pid: each.image for each in found.executed}
    assert executed[process.pid].command_line == ("sleep", "60")


def test_a_process_that_ended_uncollected_is_no_process(scanner: Scanner) -> None:
    process = subprocess.Popen(["true"])
    try:
        zombie = psutil.Process(process.pid)
        wait_for(lambda: zombie.status() == psutil.STATUS_ZOMBIE, "a zombie")
        assert process.pid not in pids(scanner)
    finally:
        process.wait()


def test_secrets_never_leave_the_scanner(scanner: Scanner) -> None:
    code = "input()"
    command = [sys.executable, "-c", code, "--password=hunter2", "--token", "hunter2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_for(lambda: "--token" in psutil.Process(process.pid).cmdline(), "the command line")
        seen = next(e for e in scanner.scan().processes.values() if e.pid == process.pid)
        process.kill()
    assert seen.image.command_line[-3:] == ("--password=***", "--token", "***")


@on_linux
def test_what_did_not_change_is_not_made_again(sleeper: subprocess.Popen[bytes]) -> None:
    scanner = ProcScanner()
    wait_for(lambda: psutil.Process(sleeper.pid).status() == "sleeping", "sleep")
    time.sleep(0.05)  # what the kernel accounts to a process that just fell asleep arrives late
    identity = (sleeper.pid, psutil.Process(sleeper.pid).create_time())
    assert scanner.scan().processes[identity] is scanner.scan().processes[identity]


@on_linux
def test_both_scanners_see_the_same_processes() -> None:
    def both_agree() -> bool:
        return set(ProcScanner().scan().processes) == set(PsutilScanner().scan().processes)

    wait_for(both_agree, "two scans of the same moment")


@on_linux
def test_a_proc_with_strange_entries_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    line = "1 (we (ird) name) S 0 1 1 0 -1 0 0 0 0 0 3 2 0 0 20 0 1 0 50 4096 2 0 1 2 3 0\n"
    for entry, content in (("1", line), ("2", "rubbish"), ("3", None), ("self", line)):
        (tmp_path / entry).mkdir()
        if content is not None:
            (tmp_path / entry / "stat").write_text(content)
    (process,) = ProcScanner(str(tmp_path)).scan().processes.values()
    assert (process.pid, process.image.name, process.threads) == (1, "we (ird) name", 1)


def test_the_program_of_a_process_that_is_gone_is_known_by_name_only() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert read_image(process.pid, 1.0, "true").command_line == ()


def test_a_pid_that_was_given_away_is_not_mistaken() -> None:
    image = read_image(os.getpid(), psutil.Process().create_time() - 60.0, "earlier")
    assert (image.name, image.command_line) == ("earlier", ())


@on_linux
def test_linux_is_scanned_the_cheap_way() -> None:
    assert isinstance(system_scanner(), ProcScanner)
