"""The README: its commands are run, its code blocks too, and what it lists is what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye.cli.exits import Exit
from daemoneye.cli.main import COMMANDS
from tests.cli.instance import ROOT, Instance, environment, running
from tests.support import document, nothing_left_behind, scaled, table_in, wait_for

README = document("README.md")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in reading order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMAND_LINES = [line for block in blocks("sh") for line in block.splitlines()]
COLLECTOR, ITS_TEST, LISTENER, LISTENING_TASK, WORKER = blocks("python")
(CONFIGURATION,) = blocks("toml")


def beside_an_instance() -> list[str]:
    """The command lines that are typed while something runs."""
    lines = [line for line in COMMAND_LINES if line.startswith("daemoneye ")]
    return [line for line in lines if line != "daemoneye run"]


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The README's first collector beside the built-in ones, by its own `daemoneye run`."""
    directory = tmp_path_factory.mktemp("readme", numbered=True)
    (directory / "hello_collector.py").write_text(COLLECTOR, encoding="utf-8")
    (directory / "test_hello_collector.py").write_text(ITS_TEST, encoding="utf-8")
    (directory / "daemoneye.toml").write_text(CONFIGURATION, encoding="utf-8")
    assert "daemoneye run" in COMMAND_LINES
    with nothing_left_behind(directory), running(directory) as instance:
        yield instance


LISTED_TEST = re.compile(r"^(\d+)\. \[`(test_\w+)`\]\((tests/\S+\.py)\)$", re.MULTILINE)


def test_every_promise_of_a_subscription_names_tests_that_there_are() -> None:
    rows = table_in(README, "subscription")
    listed = {int(number): (name, path) for number, name, path in LISTED_TEST.findall(README)}
    assert len(rows) > 4
    named: set[int] = set()
    for *_, held_by in rows:
        assert re.fullmatch(r"\d+(, \d+)*", held_by), held_by
        named |= {int(number) for number in held_by.split(", ")}
    assert named == set(listed) == set(range(1, len(listed) + 1))
    for name, path in listed.values():
        assert f"\ndef {name}(" in (ROOT / path).read_text("utf-8"), (name, path)


def test_no_promise_of_a_subscription_has_to_be_looked_up_in_another_row() -> None:
    for row in table_in(README, "subscription"):
        assert len(row) == 7
        for cell in row:
            assert cell
            assert "as above" not in cell


@pytest.mark.parametrize("line", ["make run", "make test"])
def test_the_two_commands_are_targets_of_the_makefile(line: str) -> None:
    assert line in COMMAND_LINES
    done = subprocess.run(
        ["make", "-n", *line.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_pip_form_installs_this_package_and_its_command() -> None:
    project = document("pyproject.toml")
    assert ".venv/bin/pip install ." in COMMAND_LINES
    assert 'daemoneye = "daemoneye.__main__:main"' in project


@pytest.mark.parametrize("line", beside_an_instance())
def test_a_command_does_what_it_is_shown_for(readme: Instance, line: str) -> None:
    arguments = shlex.split(line)[1:]
    if "-f" in arguments:
        arguments += ["--count", "1"]
    done = readme.command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("listener", [LISTENER, LISTENING_TASK], ids=["threads", "asyncio"])
def test_the_first_collector_runs_and_its_events_arrive(readme: Instance, listener: str) -> None:
    assert readme.child("uptime")["state"] == "RUNNING"
    done = subprocess.run(
        [sys.executable, "-c", listener],
        env=environment(readme.directory),
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=False,
    )
    assert done.stdout.startswith("events.performance.uptime uptime {'seconds': "), done.stderr


def test_the_first_collector_has_fifteen_lines() -> None:
    assert len([line for line in COLLECTOR.splitlines() if line.strip()]) <= 15


def test_the_test_of_the_first_collector_passes(readme: Instance) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hello_collector.py"],
        cwd=readme.directory,
        env=environment(readme.directory),
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_worker_is_supervised_and_ends_in_order(tidy: Path) -> None:
    program = tidy / "worker_program.py"
    program.write_text(WORKER, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(program)], env=environment(tidy)) as process:
        instance = Instance(tidy, process)  # type: ignore[arg-type]  # its output is not read
        try:
            wait_for(
                lambda: '"RUNNING"' in instance.command("status", "worker", "--json").stdout,
                "the worker to run",
                within=15,
            )
        finally:
            assert instance.end() == 0


def test_the_table_of_commands_names_every_command_and_no_other() -> None:
    rows = table_in(README.replace("| | |\n", "| Command | |\n"), "Command")
    named = re.findall(r"`(?:daemoneye )?([a-z]+)", " ".join(row[0] for row in rows))
    assert set(named) == set(COMMANDS)


def test_the_exit_codes_are_the_ones_there_are() -> None:
    _, _, codes = README.replace("\n", " ").partition("Exit codes: ")
    listed = {int(code) for code in re.findall(r"(?:^|· )(\d+) ", codes.partition(".")[0])}
    assert listed == {int(code) for code in Exit} - {Exit.INTERRUPTED, Exit.TERMINATED}


def anchors(markdown: str) -> set[str]:
    """What the headings of a page are called in a link."""
    headings = re.findall(r"^#+ (.*)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists(), target
        if anchor:
            assert anchor in anchors((ROOT / path).read_text("utf-8")), target
