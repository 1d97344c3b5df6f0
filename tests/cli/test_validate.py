"""Checking a configuration without starting anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemoneye.cli.main import main


def write(directory: Path, text: str) -> str:
    file = directory / "daemoneye.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_a_good_file_is_told_with_what_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "[collectors.perfmond]\nenabled = false\n")
    assert main(["validate", file]) == 0
    assert capsys.readouterr().out == f"{file}: valid; runs procmond\n"


def test_every_problem_is_a_line_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "[bus]\nbacklg = 5\nroutes = true\n")
    assert main(["validate", file]) == 78
    assert capsys.readouterr().out.splitlines() == [
        f"problem  {file}:2: bus.backlg: unknown key; did you mean 'backlog'?",
        f"problem  {file}:3: bus.routes: found true; expected a whole number",
        f"{file}: 2 problems",
    ]


def test_a_warning_does_not_make_a_file_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[collectors.procmond]\nrestart = { max_failures = 50, backoff_interval = "10s" }\n'
    assert main(["validate", write(tmp_path, text)]) == 0
    assert capsys.readouterr().out.startswith("warning  ")


def test_problems_are_told_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "[bus]\nbacklg = 5\n")
    assert main(["validate", file, "--json"]) == 78
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is False
    assert document["problems"] == [
        {
            "source": file,
            "line": 2,
            "key": "bus.backlg",
            "message": "unknown key",
            "expected": None,
            "suggestion": "backlog",
        }
    ]


def test_a_missing_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path / "nowhere.toml")]) == 78
    assert "there is no configuration file" in capsys.readouterr().err
