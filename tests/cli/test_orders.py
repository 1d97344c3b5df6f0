"""`start`, `stop`, `restart`, `pause`, `resume`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemoneye.cli.main import main
from tests.cli.fakes import supervisor_that_answers
from tests.cli.instance import Instance, running


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


def test_a_broker_that_is_stopped_on_purpose_is_told_to_whoever_needs_it(short_dir: Path) -> None:
    with running(short_dir) as owned:
        stopped = owned.command("stop", "broker")
        assert stopped.returncode == 0
        assert stopped.stderr == "  → nothing can be published until `daemoneye start broker`\n"
        for asked in (("bus", "pub", "events.demo.x", "1"), ("events",), ("bus", "clients")):
            done = owned.command(*asked)
            assert done.returncode == 69
            assert "nobody listens at" in done.stderr
            assert done.stderr.endswith(
                "  → it was stopped, and stays so: `daemoneye start broker`\n"
            )
        assert owned.command("start", "broker").returncode == 0
        assert owned.command("bus", "pub", "events.demo.x", "1").returncode == 0
