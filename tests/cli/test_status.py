"""The pictures of `status`, `health` and `explain`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from daemoneye.cli.main import main
from daemoneye.cli.screen import Screen
from daemoneye.cli.status import bus_words, explanation_lines, status_lines
from tests.cli.fakes import NOW, Document, child, status, supervisor_that_answers


def screen(width: int, *, colour: bool = False) -> Screen:
    return Screen(io.StringIO(), width, colour, terminal=True)


def picture(document: Document, width: int = 100) -> list[str]:
    return list(status_lines(document, screen(width), now=NOW))


def test_a_healthy_instance_is_a_sentence_and_a_table() -> None:
    assert picture(status(child("broker"), child("procmond", pid=4243, restarts=2))) == [
        "default is healthy: 2 of 2 running, up 1 min 16 s, pid 4240",
        "NAME      STATE     PID      UPTIME  RESTARTS    CPU  MEMORY  HEARTBEAT",
        "broker    RUNNING  4242  1 min 15 s         0  0.3 %  24 MiB  0.4 s ago",
        "procmond  RUNNING  4243  1 min 15 s         2  0.3 %  24 MiB  0.4 s ago",
        "bus: 3 clients, 2 subscriptions, 10 published, 10 delivered, 0 lost",
    ]


def failing() -> Document:
    return child(
        "procmond",
        "BACKOFF",
        pid=None,
        uptime_seconds=None,
        heartbeat_age_seconds=None,
        rss_bytes=None,
        cpu_percent=None,
        reason="failed: signal:9",
        next_attempt_at="2026-09-21T14:13:20.400000+00:00",
    )


def test_what_is_not_well_has_its_reason_and_a_next_step() -> None:
    lines = picture(status(child("broker"), failing(), overall="degraded"))
    assert lines[0].startswith("default is degraded: 1 of 2 running")
    assert lines[3] == "procmond  BACKOFF     -           -         0      -       -          -"
    assert lines[5] == "  procmond is BACKOFF: failed: signal:9; next attempt in 0.4 s"
    assert lines[6] == "→ daemoneye explain procmond"


def test_of_a_broker_that_does_not_run_no_zeros_are_told() -> None:
    document = status(child("broker", "BACKOFF", pid=None), child("procmond"))
    assert "bus: the broker does not run" in picture(document)
    assert "bus: the broker does not run" in status_lines(
        status(child("procmond")), screen(100), now=NOW, bus=bus_words(document)
    )


def test_it_can_be_read_in_forty_columns() -> None:
    lines = picture(status(child("broker"), failing(), overall="degraded"), width=40)
    assert all(len(line) <= 40 for line in lines)
    assert lines[2].split() == ["NAME", "STATE", "PID", "RESTARTS"]
    assert "→ daemoneye explain procmond" in lines


def test_what_is_lost_is_told_by_reason() -> None:
    document = status(child("broker"))
    document["broker"] |= {
        "lost_total": 8,
        "lost_overflow_total": 1,
        "lost_broker_restart_total": 7,
        "lost_expired_total": 0,
    }
    assert picture(document)[-1].endswith("8 lost (broker-restart 7, overflow 1)")


@pytest.mark.parametrize("why", ["exhausted", "rejected", "abandoned"])
def test_what_groups_gave_up_is_told_with_where_to_see_it(why: str) -> None:
    document = status()
    document["broker"] |= {"lost_total": 1, f"lost_{why}_total": 1}
    assert picture(document)[-1] == (
        "→ daemoneye bus sub '$bus.dead.#' shows what groups give up, as it happens"
    )


def test_one_client_is_no_clients() -> None:
    document = status(child("broker"))
    document["broker"] |= {"clients": 1, "subscriptions": 1}
    assert "bus: 1 client, 1 subscription, 10 published" in picture(document)[-1]


def test_colour_only_underlines_words_that_are_there_anyway() -> None:
    coloured = status_lines(status(child("broker")), screen(100, colour=True), now=NOW)
    text = "\n".join(coloured)
    assert "\x1b[32mRUNNING\x1b[0m" in text
    assert "\x1b[32mhealthy\x1b[0m" in text


def test_foreign_text_in_a_reason_is_harmless() -> None:
    lines = picture(status(child("a", "DEGRADED", reason="\x1b[2J")))
    assert not any("\x1b" in line for line in lines)


def explanation() -> Document:
    return {
        "schema_version": 1,
        "child": failing(),
        "since": "2026-09-21T14:13:18+00:00",
        "why": "it failed 2 times in a row",
        "next_step": "it is started again",
        "next_at": "2026-09-21T14:13:20.400000+00:00",
        "what_would_change_it": ["restart procmond: try now", "mend its disk"],
        "happenings": [
            {
                "at": "2026-09-21T14:13:18+00:00",
                "kind": "crashed",
                "child": "procmond",
                "number": 2,
                "text": "failed: signal:9",
            }
        ],
        "crash": {
            "number": 2,
            "pid": 4242,
            "cause": "exit:1",
            "why": "",
            "signal_name": "",
            "ours": False,
            "uptime_seconds": 2.0,
            "exception": "builtins.ValueError: no",
            "stacks": "",
            "traceback": "Traceback:\n  File x\nValueError: no\n",
        },
    }


def test_an_explanation_says_why_what_next_what_to_do_and_what_was_before() -> None:
    assert list(explanation_lines(explanation(), screen(100), now=NOW)) == [
        "procmond is BACKOFF for 2 s",
        "  why:  it failed 2 times in a row",
        "  next: it is started again (in 0.4 s)",
        "  → daemoneye restart procmond: try now",
        "  → mend its disk",
        "last failure: exit:1 after 2 s, incarnation 2, pid 4242",
        "  ValueError: no",
        "  │ Traceback:",
        "  │   File x",
        "  │ ValueError: no",
        "before:",
        "  14:13:18  failed: signal:9",
    ]


def test_a_hang_is_told_with_who_killed_it_and_what_its_main_thread_did() -> None:
    document = explanation()
    document["crash"] |= {
        "cause": "hang(deadlocked)",
        "why": "no progress for 9 s; killed by daemoneye",
        "signal_name": "SIGKILL",
        "ours": True,
        "exception": "",
        "traceback": "",
        "stacks": "thread printer (1):\n  File p\nthread MainThread (2):\n  File a\n    \x1b()\n",
    }
    lines = list(explanation_lines(document, screen(100), now=NOW))
    at = lines.index("last failure: hang(deadlocked) after 2 s, incarnation 2, pid 4242")
    assert lines[at + 1 : at + 5] == [
        "  no progress for 9 s; killed by daemoneye",
        "  what its main thread did, the innermost last:",
        "  │   File a",
        "  │     \\x1b()",
    ]
    document["crash"] |= {"ours": False, "why": ""}
    lines = list(explanation_lines(document, screen(100), now=NOW))
    assert lines[at].startswith("last failure: SIGKILL after 2 s")


def test_what_is_suggested_reaches_the_same_instance() -> None:
    lines = explanation_lines(explanation(), screen(100), now=NOW, place=" --run-dir /x")
    assert "  → daemoneye --run-dir /x restart procmond: try now" in lines
    pictured = status_lines(status(failing()), screen(100), now=NOW, place=" --run-dir /x")
    assert list(pictured)[-1] == "→ daemoneye --run-dir /x explain procmond"


def test_status_prints_json_as_the_supervisor_sent_it(
    tidy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = status(child("broker"), child("procmond"))
    with supervisor_that_answers(tidy, document):
        assert main(["status", "--json", "--run-dir", str(tidy / "run")]) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_status_of_one_child_shows_only_that_one(
    tidy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = status(child("broker"), child("procmond"))
    with supervisor_that_answers(tidy, document, document):
        assert main(["--run-dir", str(tidy / "run"), "status", "procmond", "--json"]) == 0
        assert [row["name"] for row in json.loads(capsys.readouterr().out)["children"]] == [
            "procmond"
        ]
        assert main(["status", "procmon", "--run-dir", str(tidy / "run")]) == 5
    assert "did you mean 'procmond'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overall", "code"), [("healthy", 0), ("starting", 4), ("degraded", 4), ("failed", 4)]
)
def test_health_is_an_exit_code_and_a_word(
    tidy: Path, capsys: pytest.CaptureFixture[str], overall: str, code: int
) -> None:
    answer = {"schema_version": 1, "overall": overall, "reason": "because", "children": []}
    with supervisor_that_answers(tidy, answer):
        assert main(["health", "--run-dir", str(tidy / "run")]) == code
    assert capsys.readouterr().out == f"{overall}: because\n"


@pytest.mark.parametrize("command", ["status", "health"])
def test_nothing_running_is_exit_code_3_and_how_to_start(
    tidy: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "--run-dir", str(tidy / "run")]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"daemoneye --run-dir {tidy / 'run'} run" in captured.err
