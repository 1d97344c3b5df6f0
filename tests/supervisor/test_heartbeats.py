"""What signs of life say: alive, silent, stuck in its work, cut off, or unwell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.supervisor.contract import BeatHeard, Facts
from daemoneye.supervisor.heartbeats import Heartbeats, Level
from daemoneye.supervisor.spec import Timeouts

TIMEOUTS = Timeouts()
BEGUN = Heartbeats(100.0)


def beat(busy: float = 0.0, **fields: object) -> BeatHeard:
    return replace(
        BeatHeard("a", 1, busy_seconds=busy, doing="sample"),
        **fields,  # type: ignore[arg-type]  # fields of BeatHeard, as the test names them
    )


def after(*beats: tuple[float, BeatHeard]) -> Heartbeats:
    signs = BEGUN
    for now, one in beats:
        signs = signs.heard(one, now)
    return signs


def reason(signs: Heartbeats, now: float, facts: Facts | None = None) -> str:
    return signs.reason(now, TIMEOUTS, facts)


@pytest.mark.parametrize(
    ("now", "level"),
    [
        (100.0, Level.FINE),
        (109.9, Level.FINE),
        (110.0, Level.SOFT),
        (129.9, Level.SOFT),
        (130.0, Level.HARD),
    ],
)
def test_silence_passes_the_soft_and_the_hard_limit(now: float, level: Level) -> None:
    assert BEGUN.level(now, TIMEOUTS) is level


@pytest.mark.parametrize(
    ("busy", "level"), [(0.0, Level.FINE), (9.9, Level.FINE), (10.0, Level.SOFT), (30, Level.HARD)]
)
def test_work_passes_the_same_limits_when_a_beat_reports_it(busy: float, level: Level) -> None:
    signs = Heartbeats(0.0).heard(beat(busy), 100.0)
    assert signs.level(100.5, TIMEOUTS) is level


def test_waiting_for_work_is_healthy_however_long() -> None:
    signs = after(*((100.0 + second, beat()) for second in range(10_000)))
    assert signs.level(10_100.0, TIMEOUTS) is Level.FINE
    assert reason(signs, 10_100.0) == ""


def test_a_piece_of_work_that_ends_just_before_the_limit_is_never_a_complaint() -> None:
    signs = Heartbeats(90.0).heard(beat(9.5), 100.0)
    assert signs.level(100.9, TIMEOUTS) is Level.FINE
    assert signs.heard(beat(0.3), 101.0).level(101.0, TIMEOUTS) is Level.FINE


def test_many_short_pieces_of_work_never_add_up() -> None:
    signs = after(*((100.0 + second, beat(0.9)) for second in range(200)))
    assert signs.level(300.0, TIMEOUTS) is Level.FINE


def test_the_reason_names_the_work_and_how_long_it_takes() -> None:
    signs = Heartbeats(80.0).heard(beat(12.0), 100.0)
    assert reason(signs, 100.0) == "busy with sample for 12 s"


def test_a_paused_child_is_not_watched_for_progress_but_for_life() -> None:
    signs = after((101.0, beat(paused=True)))
    assert signs.level(101.0, TIMEOUTS) is Level.FINE
    assert signs.is_paused()
    assert signs.level(131.0, TIMEOUTS) is Level.HARD


@pytest.mark.parametrize(
    ("busy", "level"), [(1.0, Level.FINE), (10.0, Level.SOFT), (30.0, Level.HARD)]
)
def test_an_order_to_pause_does_not_hide_the_work_in_hand(busy: float, level: Level) -> None:
    signs = Heartbeats(0.0).heard(beat(busy, paused=True), 100.0)
    assert signs.is_told_to_pause()
    assert not signs.is_paused()
    assert signs.level(100.0, TIMEOUTS) is level


def test_s38_work_that_stood_still_together_with_the_supervisor_is_not_late() -> None:
    """Both were stopped for two minutes; our clock stood still, the child's did not."""
    signs = after((100.5, beat(0.4)), (101.5, beat(121.4)))
    assert signs.level(101.5, TIMEOUTS) is Level.FINE


def test_s38_new_work_cannot_be_older_than_the_beat_before_it() -> None:
    signs = after((100.5, beat()), (101.5, beat(120.0)))
    assert signs.level(101.5, TIMEOUTS) is Level.FINE


@pytest.mark.parametrize(
    ("facts", "silent", "word"),
    [
        (Facts("stopped"), True, "stopped"),
        (Facts("tracing-stop"), True, "stopped"),
        (Facts("disk-sleep"), True, "io"),
        (Facts("running", cpu_percent=99.0), True, "gil"),
        (Facts("running", cpu_percent=99.0), False, "busy"),
        (Facts("sleeping"), True, "deadlock"),
        (Facts("sleeping"), False, "deadlock"),
        (None, True, "deadlock"),
    ],
)
def test_s35_s36_s37_the_facts_say_why_it_hangs(
    facts: Facts | None, silent: bool, word: str
) -> None:
    now = 130.0 if silent else 101.0
    assert BEGUN.hang_word(now, TIMEOUTS, facts) == word


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts("stopped"), ": frozen by a signal (SIGSTOP or Ctrl-Z)"),
        (Facts("tracing-stop"), ": held by a debugger"),
        (Facts("disk-sleep"), ": waiting for a disk or a device"),
        (Facts("running", cpu_percent=99.0), ": computing"),
        (Facts("sleeping"), ": blocked or deadlocked"),
        (Facts(), ""),
        (None, ""),
    ],
)
def test_silence_is_told_with_its_age_and_what_the_process_looks_like(
    facts: Facts | None, words: str
) -> None:
    assert reason(BEGUN, 112.0, facts) == f"no heartbeat for 12 s{words}"


def test_work_that_only_waits_is_told_to_be_blocked() -> None:
    signs = Heartbeats(80.0).heard(beat(12.0), 100.0)
    assert reason(signs, 100.0, Facts("sleeping")) == (
        "busy with sample for 12 s, blocked or deadlocked"
    )


def test_alive_but_cut_off_from_the_bus_is_a_state_with_a_name() -> None:
    cut = beat(uses_bus=True, bus_connected=False)
    signs = after((101.0, cut), (102.0, cut))
    assert reason(signs, 102.0) == ""
    signs = signs.heard(cut, 103.0)
    assert reason(signs, 103.0) == "alive but cut off from the bus"
    assert reason(signs.heard(beat(uses_bus=True, bus_connected=True), 104.0), 104.0) == ""


def test_a_child_without_a_bus_client_is_not_cut_off() -> None:
    signs = after(*((100.0 + second, beat()) for second in range(1, 10)))
    assert reason(signs, 109.0) == ""


def test_all_reasons_are_told_the_gravest_first() -> None:
    cut = beat(12.0, uses_bus=True)
    signs = replace(Heartbeats(80.0).heard(cut, 100.0), complaint="no disk")
    signs = signs.heard(replace(cut, busy_seconds=14.0), 102.0)
    assert reason(signs, 102.0) == (
        "busy with sample for 14 s; alive but cut off from the bus; no disk"
    )


@given(st.floats(0.0, 1e6), st.floats(0.0, 100.0))
def test_the_next_limit_lies_ahead_or_the_child_hangs(heard_at: float, later: float) -> None:
    signs, now = Heartbeats(heard_at), heard_at + later
    limit = signs.next_limit(now, TIMEOUTS)
    assert limit > now or signs.level(now, TIMEOUTS) is Level.HARD
    assert signs.level(limit, TIMEOUTS) > signs.level(heard_at, TIMEOUTS)
