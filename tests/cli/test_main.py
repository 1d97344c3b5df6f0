"""Finding the command, and turning errors into words and exit codes."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from daemoneye.cli import bus, version
from daemoneye.cli.main import COMMANDS, main
from daemoneye.errors import ConfigError, NotRunning
from tests.cli.instance import DAEMONEYE, environment
from tests.support import scaled

HEAVY = ("asyncio", "google.protobuf", "importlib.metadata", "multiprocessing", "psutil")


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the smallest command end with `error`."""

    def run(options: object) -> int:
        raise error

    monkeypatch.setattr(version, "run", run)


def test_without_a_command_there_is_help_and_the_code_for_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(f"  {name}" in captured.err for name in COMMANDS)


def test_help_is_asked_for_and_so_it_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "usage: daemoneye COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: daemoneye {command}" in capsys.readouterr().out


def test_a_misspelt_command_is_told_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stauts"]) == 2
    assert capsys.readouterr().err == (
        "daemoneye: there is no command 'stauts'\n  → did you mean `daemoneye status`?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["status", "--jsn"], ["explain"], ["run", "--for", "5 fortnights"], ["bus"], ["--bogus"]],
)
def test_wrong_arguments_are_told_in_the_form_of_all_errors(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("daemoneye: ")
    assert "--help" in captured.err


def test_a_value_that_looks_like_an_option_is_told_as_what_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "--for", "-1s"]) == 2
    assert "--for: expected one argument, which cannot begin with -" in capsys.readouterr().err


def test_an_error_says_what_and_what_next_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(NotRunning("nobody \x1b[2J here", hint="start it"), monkeypatch)
    assert main(["version"]) == 3
    assert capsys.readouterr().err == "daemoneye: nobody \\x1b[2J here\n  → start it\n"


def test_an_error_of_configuration_lists_every_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(
        ConfigError("2 problems", problems=["a:1: x", "a:2: y"], hint="mend them"), monkeypatch
    )
    assert main(["version"]) == 78
    assert capsys.readouterr().err == "daemoneye: 2 problems\n  a:1: x\n  a:2: y\n  → mend them\n"


def test_a_bug_is_told_as_one_and_shown_only_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(ValueError("impossible"), monkeypatch)
    assert main(["version"]) == 1
    quiet = capsys.readouterr().err
    assert "ValueError: impossible" in quiet
    assert "--debug" in quiet
    assert "Traceback" not in quiet
    assert main(["version", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_told_with_what_can_be_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x"), monkeypatch)
    assert main(["version"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("daemoneye: /x: No space left on device\n  → make room there")


def test_no_space_for_what_is_printed_is_no_matter_of_the_run_directory() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "daemoneye", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=scaled(20),
        )
    assert done.returncode == 1
    assert done.stderr.endswith("No space left on device\n  → make room where this is written to\n")


def test_an_interruption_is_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(KeyboardInterrupt(), monkeypatch)
    assert main(["version"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m daemoneye --help | head -c 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("u", "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_was_closed_leads_nowhere(closed: str) -> None:
    command = f"{sys.executable} -m daemoneye version {closed}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("daemoneye ") is (">&-" not in closed.split())


def test_the_entry_point_imports_nothing_before_it_is_called() -> None:
    code = "import sys, daemoneye.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("daemoneye")} == {
        "daemoneye",
        "daemoneye.__main__",
    }


@pytest.mark.parametrize("command", ["status", "health", "explain", "stop"])
def test_quick_commands_import_nothing_heavy(tidy: Path, command: str) -> None:
    name = ["x"] if command in ("explain", "stop") else []
    arguments = [command, *name, "--run-dir", str(tidy / "run")]
    code = f"""
import sys
from daemoneye.cli.main import main
code = main({arguments})
print(code, *sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == ["3"]


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        (["t", "--raw", "hi"], "hi"),
        (["t", "--raw", "-"], "-"),
        (["t", "--target", "x", "hi"], "hi"),
        (["t", "--target=x", "-5"], "-5"),
        (["--raw", "t", "--", "--json"], "--json"),
        (["t", "- a -- b", "--raw"], "- a -- b"),
        (["t", '{"a": 1}', "--json"], '{"a": 1}'),
        (["t", "--raw"], None),
    ],
)
def test_options_stand_before_between_and_behind_texts(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], payload: str | None
) -> None:
    taken: list[Namespace] = []

    def run(options: Namespace) -> int:
        taken.append(options)
        return 0

    monkeypatch.setattr(bus, "run", run)
    assert main(["bus", "pub", *arguments]) == 0
    (options,) = taken
    assert (options.topic, options.payload) == ("t", payload)


def test_what_is_too_much_is_told_by_the_command_that_would_know_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bus", "pub", "t", "a", "--raw", "b", "--bogus=1"]) == 2
    said = capsys.readouterr().err
    assert "unrecognized arguments" in said
    assert "→ daemoneye bus pub --help" in said


def test_an_error_fits_a_narrow_terminal(tidy: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*DAEMONEYE, "bus", "pub", "events.demo.x", "{bad"],
            env=environment(tidy, COLUMNS="40", TERM="xterm"),
            stderr=theirs,
            timeout=scaled(20),
            check=False,
        )
        said = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    first, *others = said.split("\r\n")
    assert first.startswith("\x1b[31mdaemoneye:\x1b[0m the payload begins")
    plain = [first.replace("\x1b[31m", "").replace("\x1b[0m", ""), *others]
    assert max(map(len, plain)) <= 40
    assert len(plain) > 3
    assert "  → --raw sends it as it is" in plain
