"""`start`, `stop`, `restart`, `pause`, `resume`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemoneye.cli.main import main
from tests.cli.fakes import supervisor_that_answers
from tests.cli.instance import Instance


@pytest.mark.parametrize("order", ["start", "stop", "restart", "pause", "resume"])
def test_an_order_is_given_and_its_end_is_told(
    tidy: Path, capsys: pytest.CaptureFixture[str], order: str
) -> None:
    with supervisor_that_answers(tidy, {"text": "procmond is done"}) as asked:
        assert main([order, "procmond", "--run-dir", str(tidy / "run")]) == 0
    assert asked == [{"verb": order, "child": "procmond"}]
    assert capsys.readouterr().out.startswith("procmond is done, after ")


def test_an_order_answers_in_json(tidy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with supervisor_that_answers(tidy, {"text": "procmond has stopped"}):
        assert main(["stop", "procmond", "--json", "--run-dir", str(tidy / "run")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["order"], document["child"]) == ("stop", "procmond")
    assert document["text"] == "procmond has stopped"


def test_an_unknown_child_is_exit_code_5(tidy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = {
        "ok": False,
        "error": "UnknownChild",
        "message": "no child is named 'x'",
        "hint": "y",
    }
    with supervisor_that_answers(tidy, refusal):
        assert main(["stop", "x", "--run-dir", str(tidy / "run")]) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "daemoneye: no child is named 'x'\n  → y\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("restart", "procmnd"),
            "daemoneye: no child is named 'procmnd'; did you mean 'procmond'?\n"
            "  → children: broker, perfmond, procmond\n",
        ),
        (
            ("stop", "nix"),
            "daemoneye: no child is named 'nix'\n  → children: broker, perfmond, procmond\n",
        ),
        (
            ("pause", "broker"),
            "daemoneye: broker is no collector: only collectors can be paused\n"
            "  → `daemoneye stop broker` ends it until it is started again\n",
        ),
    ],
)
def test_what_is_refused_is_told_with_a_way_on(
    instance: Instance, arguments: tuple[str, str], said: str
) -> None:
    order, name = arguments
    done = instance.command(order, name)
    assert (done.returncode, done.stdout, done.stderr) == (1 if name == "broker" else 5, "", said)
    if name != "broker":
        others = [instance.command(each, name) for each in ("status", "explain")]
        assert [each.stderr for each in others] == [said, said]
