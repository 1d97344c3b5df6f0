"""The client of the control endpoint, against a supervisor that says what it is told to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from daemoneye.cli.control import ControlClient
from daemoneye.cli.exits import exit_of
from daemoneye.errors import DaemoneyeError, DeadlineExceeded, NotRunning, UnknownChild
from daemoneye.rundir import RunDir
from tests.cli.fakes import supervisor_that_answers


def client(directory: Path, timeout: float = 5.0) -> ControlClient:
    return ControlClient(RunDir.find(directory / "run"), timeout)


def test_a_question_gets_its_answer(tidy: Path) -> None:
    with supervisor_that_answers(tidy, {"text": "procmond has stopped"}) as asked:
        assert client(tidy).ask("stop", child="procmond") == {"text": "procmond has stopped"}
    assert asked == [{"verb": "stop", "child": "procmond"}]


def test_an_error_comes_back_as_the_same_class(tidy: Path) -> None:
    refusal = {"ok": False, "error": "UnknownChild", "message": "no child x", "hint": "try y"}
    with (
        supervisor_that_answers(tidy, refusal),
        pytest.raises(UnknownChild, match="no child x") as e,
    ):
        client(tidy).ask("stop", child="x")
    assert e.value.hint == "try y"


@pytest.mark.parametrize("name", ["AlreadyRunning", "Refused", "Sequence", "SystemExit", ""])
def test_an_error_that_is_no_plain_one_of_ours_is_still_an_error(tidy: Path, name: str) -> None:
    answer = {"ok": False, "error": name, "message": "no"}
    with supervisor_that_answers(tidy, answer), pytest.raises(DaemoneyeError, match="no"):
        client(tidy).ask("status")


def test_the_code_of_a_refusal_is_kept_where_its_class_means_another(tidy: Path) -> None:
    answer = {"ok": False, "error": "SupervisionError", "message": "not now", "code": 75}
    with supervisor_that_answers(tidy, answer), pytest.raises(DaemoneyeError, match="not now") as e:
        client(tidy).ask("stop", child="x")
    assert exit_of(e.value) == 75


def test_nobody_there_is_told_with_how_to_start(tidy: Path) -> None:
    with pytest.raises(NotRunning) as nobody:
        client(tidy).ask("status")
    assert "daemoneye run" in nobody.value.hint
    RunDir.find(tidy / "run").make()
    with pytest.raises(NotRunning):
        client(tidy).ask("status")


def test_a_stale_socket_is_nobody(tidy: Path) -> None:
    place = RunDir.find(tidy / "run")
    place.make()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place.control_path))
    with pytest.raises(NotRunning):
        client(tidy).ask("status")
    place.control_path.unlink()


def test_an_end_before_the_answer_is_told(tidy: Path) -> None:
    with (
        supervisor_that_answers(tidy, b"\0\0"),
        pytest.raises(NotRunning, match="before it answered"),
    ):
        client(tidy).ask("status")


def test_no_answer_ends_with_the_deadline(tidy: Path) -> None:
    with (
        supervisor_that_answers(tidy, None),
        pytest.raises(DeadlineExceeded, match="did not answer"),
    ):
        client(tidy, timeout=0.05).ask("status")
