"""Which version this is."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import daemoneye
from daemoneye.cli.main import main


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"daemoneye {daemoneye.__version__} ")


def test_the_version_is_told_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == daemoneye.__version__


def test_the_package_and_its_metadata_agree() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["version"] == daemoneye.__version__
