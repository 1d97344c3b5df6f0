"""A spawned process is born with session, mark and armed switch, on every Python we promise."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemoneye.errors import SupervisionError
from daemoneye.supervisor.launcher import (
    ARGUMENTS_LIMIT_BYTES,
    EARLY_SIGNALS,
    Birth,
    LaunchedProcess,
    block_early_signals,
)
from tests.supervisor import launchable

UNIT = 5.0
Launch = Callable[..., LaunchedProcess]


@pytest.fixture
def launch() -> Iterator[Launch]:
    started: list[LaunchedProcess] = []

    def launch(target: Callable[..., object], *args: object, **birth: Any) -> LaunchedProcess:
        process = LaunchedProcess(Birth(**birth), target, args, "child")
        process.start()
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.join(UNIT)
        process.close()


def told_by(launch: Launch, **birth: Any) -> dict[str, Any]:
    here, there = multiprocessing.Pipe()
    launch(launchable.tell_about_yourself, there, birth.get("inherited", ()), **birth)
    there.close()
    with here:
        assert here.poll(2 * UNIT)
        told: dict[str, Any] = json.loads(here.recv_bytes())
    return told


def test_it_leads_a_session_and_a_group_of_its_own(launch: Launch) -> None:
    told = told_by(launch)
    assert told["session"] == told["group"] == told["pid"]


def test_the_mark_is_in_its_environment_and_not_in_ours(launch: Launch) -> None:
    assert told_by(launch, mark={"DAEMONEYE_SCOPE": "here"})["scope"] == "here"
    assert "DAEMONEYE_SCOPE" not in os.environ


def test_nothing_it_inherits_survives_an_exec(launch: Launch) -> None:
    reader, writer = os.pipe()
    told = told_by(launch, inherited=(reader,))
    os.close(reader)
    os.close(writer)
    assert told["passed"] == [reader]
    assert told["inheritable"] == []


def test_no_resource_tracker_is_started(launch: Launch) -> None:
    told_by(launch)
    assert not told_by(launch)["tracker"]


def test_the_main_module_is_not_run_again(launch: Launch) -> None:
    assert told_by(launch)["main"] is None


def test_early_signals_are_blocked_when_the_launching_thread_says_so(launch: Launch) -> None:
    told: list[dict[str, Any]] = []

    def starter() -> None:
        block_early_signals()
        told.append(told_by(launch))

    thread = threading.Thread(target=starter)
    thread.start()
    thread.join(4 * UNIT)
    assert EARLY_SIGNALS <= set(told[0]["blocked"])
    assert not EARLY_SIGNALS & signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_arming_happens_before_the_child_runs_anything(launch: Launch, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    seen: list[tuple[int, bool]] = []

    def arm(pid: int) -> None:
        seen.append((os.getpgid(pid), trace.exists()))

    process = launch(launchable.touch, str(trace), arm=arm)
    process.join(2 * UNIT)
    assert seen == [(process.pid, False)]
    assert trace.exists()


@pytest.mark.parametrize("code", [0, 1, 70, -signal.SIGKILL, -signal.SIGTERM])
def test_its_exit_code_is_known(launch: Launch, code: int) -> None:
    process = launch(launchable.exit_with, code)
    process.join(2 * UNIT)
    assert process.exitcode == code


def test_its_sentinel_ends_with_it(launch: Launch) -> None:
    process = launch(launchable.sleep_long)
    assert not multiprocessing.connection.wait([process.sentinel], 0)
    process.kill()
    assert multiprocessing.connection.wait([process.sentinel], UNIT)


def test_exiting_does_not_wait_for_it(launch: Launch) -> None:
    process = launch(launchable.sleep_long)
    assert process not in multiprocessing.active_children()


def test_arguments_that_cannot_be_pickled_are_named(launch: Launch) -> None:
    before = set(os.listdir("/dev/fd"))
    with pytest.raises(SupervisionError, match="cannot be passed"):
        launch(launchable.exit_with, lambda: None)
    assert set(os.listdir("/dev/fd")) == before


def test_arguments_larger_than_a_pipe_are_refused_instead_of_blocking(launch: Launch) -> None:
    with pytest.raises(SupervisionError, match="weigh"):
        launch(launchable.exit_with, bytes(ARGUMENTS_LIMIT_BYTES))


def test_a_program_that_cannot_be_started_leaves_no_descriptor_open(
    launch: Launch,
) -> None:
    before = set(os.listdir("/dev/fd"))
    executable = multiprocessing.spawn.get_executable()
    multiprocessing.set_executable("/nonexistent/python")
    try:
        with pytest.raises(FileNotFoundError):
            launch(launchable.sleep_long)
    finally:
        multiprocessing.set_executable(os.fsdecode(executable))
    assert set(os.listdir("/dev/fd")) == before


def test_a_child_that_could_not_be_armed_is_not_left_behind(launch: Launch) -> None:
    before = set(os.listdir("/dev/fd"))
    born: list[int] = []

    def arm(pid: int) -> None:
        born.append(pid)
        raise OSError("no descriptors left")

    with pytest.raises(OSError, match="no descriptors left"):
        launch(launchable.sleep_long, arm=arm)
    with pytest.raises(ProcessLookupError):
        os.kill(born[0], 0)
    assert set(os.listdir("/dev/fd")) == before
