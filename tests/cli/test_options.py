"""Arguments that several commands share."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

import pytest

from daemoneye.cli import options
from daemoneye.cli.main import COMMANDS


def test_the_run_directory_is_the_one_named() -> None:
    asked = Namespace(run_dir="/somewhere", instance=None)
    assert options.run_dir_of(asked, {}).path == Path("/somewhere")


def test_the_instance_comes_from_the_command_line_then_the_environment_then_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "daemoneye.toml").write_text('instance = "green"\n', encoding="utf-8")
    environ = {"XDG_RUNTIME_DIR": "/run/user/5", "HOME": str(tmp_path)}
    asked = Namespace(run_dir=None, instance=None)
    assert options.run_dir_of(asked, environ).path.name == "green"
    assert options.run_dir_of(asked, {**environ, "DAEMONEYE_INSTANCE": "blue"}).path.name == "blue"
    asked.instance = "red"
    assert options.run_dir_of(asked, environ).path.name == "red"


def test_an_instance_that_is_typed_is_stronger_than_a_directory_in_the_environment() -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/5", "DAEMONEYE_RUN_DIR": "/else"}
    asked = Namespace(run_dir=None, instance="red")
    assert options.run_dir_of(asked, environ).path == Path("/run/user/5/daemoneye/red")
    asked.run_dir = "/typed"
    assert options.run_dir_of(asked, environ).path == Path("/typed")


def test_commands_in_a_text_are_made_to_reach_the_instance_that_was_asked() -> None:
    place = options.place_typed(Namespace(run_dir="/a b", instance="red"))
    assert place == " --run-dir '/a b' --instance red"
    assert options.reaching("`daemoneye bus clients` lists them; daemoneye is one", " --x") == (
        "`daemoneye --x bus clients` lists them; daemoneye is one"
    )
    assert options.reaching("`daemoneye status`", "") == "`daemoneye status`"


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"validate", "version"}))
def test_every_command_about_an_instance_is_known_in_a_text(command: str) -> None:
    assert options.reaching(f"daemoneye {command}", " --x") == f"daemoneye --x {command}"


def test_options_count_before_and_behind_a_command() -> None:
    parser = ArgumentParser()
    options.add_everywhere(parser)
    inner = parser.add_subparsers().add_parser("inner")
    options.add_everywhere(inner, below=True)
    assert parser.parse_args(["--run-dir", "a", "inner"]).run_dir == "a"
    assert parser.parse_args(["inner", "--run-dir", "a"]).run_dir == "a"


def test_a_duration_of_the_command_line_is_longer_than_nothing() -> None:
    assert options.duration("10s") == 10.0
    for text in ("0", "soon"):
        with pytest.raises(ArgumentTypeError):
            options.duration(text)


def test_a_count_is_a_whole_number_above_nothing() -> None:
    assert options.positive("3") == 3
    for text in ("0", "-1", "1.5", "many"):
        with pytest.raises(ArgumentTypeError):
            options.positive(text)
