"""`run`, as a person types it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from daemoneye.cli.run import words_of_place
from daemoneye.rundir import RunDir
from tests.cli.instance import DAEMONEYE, Instance, command, environment, running
from tests.support import sockets_below, wait_for, wait_gone


def test_the_first_lines_say_what_is_started_and_where(instance: Instance) -> None:
    said = instance.said().splitlines()
    assert said[0].startswith("daemoneye ")
    assert said[0].endswith(f"pid {instance.process.pid}")
    assert said[1] == "  starts         broker, procmond, perfmond"
    assert said[3] == f"  run directory  {instance.directory / 'run'}"
    assert said[4].startswith("ready in ")


@pytest.mark.parametrize(
    ("run_dir", "instance", "words"),
    [
        ("/run/user/5/daemoneye/default", "default", ""),
        ("/run/user/5/daemoneye/blue", "blue", " --instance blue"),
        ("/some where", "default", " --run-dir '/some where'"),
    ],
)
def test_another_terminal_is_told_how_to_find_it(run_dir: str, instance: str, words: str) -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/5", "DAEMONEYE_RUN_DIR": run_dir}
    assert words_of_place(RunDir(Path(run_dir)), instance, environ) == words


def test_ctrl_c_ends_everything_in_order(tidy: Path) -> None:
    with running(tidy) as instance:
        pids = [row["pid"] for row in instance.document("status")["children"]]
        assert instance.end(signal.SIGINT) == 0
        assert "everything ends: Ctrl-C (SIGINT)" in instance.said()
        assert instance.said().splitlines()[-1].startswith("daemoneye ended in order after ")
    for pid in pids:
        wait_gone(pid)
    assert sockets_below(tidy) == []


def test_sigterm_ends_it_in_order_too(tidy: Path) -> None:
    with running(tidy) as instance:
        assert instance.end(signal.SIGTERM) == 0


def test_it_ends_in_order_when_its_time_is_up(tidy: Path) -> None:
    done = command(tidy, "run", "--for", "1s")
    assert done.returncode == 0, done.stderr
    assert "everything ends: --for 1 s is over" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("daemoneye ended in order after ")
    assert done.stderr == ""


def test_it_runs_without_anywhere_to_print(tidy: Path) -> None:
    streams = "exec <&- >&- 2>&-; exec "
    words = f"{shlex.join(DAEMONEYE)} run --for 30s"
    with subprocess.Popen(
        ["bash", "-c", streams + words], cwd=tidy, env=environment(tidy), text=True
    ) as process:
        instance = Instance(tidy, process)
        wait_for(lambda: instance.command("health").returncode == 0, "health", within=15)
        assert instance.end() == 0


def test_a_second_run_in_the_same_place_is_refused_with_the_pid_of_the_first(
    instance: Instance,
) -> None:
    done = instance.command("run")
    assert done.returncode == 75
    assert done.stdout == ""
    assert f"pid {instance.process.pid}" in done.stderr
    assert "`daemoneye status` shows it" in done.stderr
    assert instance.child("procmond")["state"] == "RUNNING"


def test_a_bad_configuration_starts_nothing_and_tells_every_problem(tidy: Path) -> None:
    (tidy / "daemoneye.toml").write_text(
        '[collectors.procmnd]\nenabled = 1\n[workers.a]\ntarget = "nowhere:x"\n', encoding="utf-8"
    )
    done = command(tidy, "run")
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "daemoneye: the configuration has 3 problems",
        "  daemoneye.toml:1: collectors.procmnd: no built-in collector has this name; "
        "expected class = \"module:Class\", or one of procmond, perfmond; did you mean 'procmond'?",
        "  daemoneye.toml:2: collectors.procmnd.enabled: found 1; expected true or false",
        "  daemoneye.toml:4: workers.a.target: nowhere:x: cannot be imported: "
        "no module named 'nowhere'",
        "  → mend them and try again; nothing was started or changed",
    ]
    assert not (tidy / "run").exists()


def test_a_killed_child_is_back_at_once_and_the_screen_says_why(tidy: Path) -> None:
    with running(tidy) as instance:
        before = instance.child("procmond")["pid"]
        os.kill(before, signal.SIGKILL)
        wait_gone(before)
        row = wait_for(
            lambda: (row := instance.child("procmond"))["state"] == "RUNNING" and row,
            "procmond to run again",
        )
        assert row["pid"] != before
        assert row["restarts"] == 1
        instance.wait_said("procmond failed: signal:9")
        crash = instance.document("explain", "procmond")["crash"]
        assert (crash["cause"], crash["pid"]) == ("signal:9", before)


@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_classes_of_a_configuration_are_found_beside_it(tidy: Path, place: str) -> None:
    beside = tidy / place
    beside.mkdir()
    (beside / "mine.py").write_text(
        "def work(child):\n    child.ready()\n    child.stopping.wait()\n", encoding="utf-8"
    )
    (beside / "daemoneye.toml").write_text(
        '[workers.mine]\ntarget = "mine:work"\n'
        "[collectors]\nprocmond.enabled = false\nperfmond.enabled = false\n",
        encoding="utf-8",
    )
    with running(tidy, ["--config", str(beside / "daemoneye.toml")]) as instance:
        assert instance.child("mine")["state"] == "RUNNING"
