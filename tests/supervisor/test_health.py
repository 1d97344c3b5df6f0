"""Health reports: the worst of all, with the reason; names for ends."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from daemoneye.supervisor.health import (
    ChildHealth,
    Overall,
    exit_word,
    overall_of,
    report,
    signal_name,
)
from daemoneye.supervisor.lifecycle import State


def row(name: str, state: State, reason: str = "", desired: str = "up") -> ChildHealth:
    return ChildHealth(name, state, desired, None, 1, 0, None, None, None, None, reason, None)


def test_a_row_has_the_fields_that_status_promises() -> None:
    names = [one.name for one in fields(ChildHealth)]
    assert names[:12] == [
        "name",
        "state",
        "desired",
        "pid",
        "incarnation",
        "restarts",
        "uptime_seconds",
        "heartbeat_age_seconds",
        "rss_bytes",
        "cpu_percent",
        "reason",
        "next_attempt_at",
    ]


@pytest.mark.parametrize(
    ("state", "overall"),
    [
        (State.PENDING, "starting"),
        (State.STARTING, "starting"),
        (State.RUNNING, "healthy"),
        (State.PAUSED, "healthy"),
        (State.DEGRADED, "degraded"),
        (State.STOPPING, "degraded"),
        (State.STOPPED, "healthy"),
        (State.EXITED, "healthy"),
        (State.BACKOFF, "degraded"),
        (State.QUARANTINED, "failed"),
        (State.FATAL, "failed"),
        (State.LOST, "failed"),
    ],
)
def test_how_well_a_child_is_in_each_state(state: State, overall: str) -> None:
    assert overall_of(row("a", state)) == Overall(overall)


def test_a_child_that_is_stopped_on_purpose_is_not_missed_while_it_goes() -> None:
    assert overall_of(row("a", State.STOPPING, desired="down")) is Overall.HEALTHY


@pytest.mark.parametrize("state", [State.STOPPING, State.STOPPED])
def test_an_essential_child_is_missed_though_it_was_stopped_on_purpose(state: State) -> None:
    missed = replace(row("a", state, desired="down"), essential=True)
    assert overall_of(missed) is Overall.DEGRADED


def test_a_child_that_is_done_but_failed_is_not_healthy() -> None:
    assert overall_of(row("a", State.EXITED, "exit:1")) is Overall.DEGRADED


def test_the_whole_is_as_well_as_its_worst_child_and_says_which() -> None:
    children = (
        row("a", State.RUNNING),
        row("b", State.DEGRADED, "the disk is full"),
        row("c", State.STARTING),
        row("d", State.BACKOFF, "exit:1"),
    )
    whole = report(children)
    assert whole.overall is Overall.DEGRADED
    assert whole.reason == "b is DEGRADED: the disk is full; d is BACKOFF: exit:1"
    assert whole.children == children


def test_all_well_needs_no_reason() -> None:
    whole = report((row("a", State.RUNNING), row("b", State.PAUSED)))
    assert (whole.overall, whole.reason) == (Overall.HEALTHY, "")
    assert report(()).overall is Overall.HEALTHY


@pytest.mark.parametrize(
    ("exit_code", "word", "name"),
    [
        (0, "exit:0", ""),
        (1, "exit:1", ""),
        (-9, "signal:9", "SIGKILL"),
        (-11, "signal:11", "SIGSEGV"),
        (-64, "signal:64", "SIG64"),
        (None, "", ""),
    ],
)
def test_words_for_exit_codes(exit_code: int | None, word: str, name: str) -> None:
    assert (exit_word(exit_code), signal_name(exit_code)) == (word, name)


def test_the_reason_of_the_whole_names_some_and_counts_the_others() -> None:
    rows = tuple(row(f"c{number}", State.FATAL, "x" * 500) for number in range(1000))
    whole = report(rows)
    assert whole.reason.startswith("c0 is FATAL: ")
    assert whole.reason.endswith("; and 990 more")
    assert len(whole.reason) < 6000
