"""When collections are due: on their multiples, never piled up, missed ones counted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.collectors.schedule import Due, Schedule


def test_the_first_collection_is_due_at_once() -> None:
    schedule = Schedule({"sample": 5.0}, now=101.0)
    assert schedule.next_at == 101.0
    assert schedule.due(101.0) == [Due("sample", 101.0, 0)]


@pytest.mark.parametrize(
    ("began_at", "second_at"),
    [(100.0, 105.0), (101.0, 105.0), (102.5, 105.0), (102.6, 110.0), (104.9, 110.0)],
)
def test_the_second_is_due_at_the_first_multiple_half_an_interval_away(
    began_at: float, second_at: float
) -> None:
    schedule = Schedule({"sample": 5.0}, began_at)
    schedule.due(began_at)
    assert schedule.next_at == second_at


def test_a_late_collection_does_not_move_those_after_it() -> None:
    schedule = Schedule({"sample": 1.0}, 10.0)
    schedule.due(10.4)
    assert schedule.next_at == 11.0
    schedule.due(11.9)
    assert schedule.next_at == 12.0


def test_what_was_missed_is_skipped_and_counted() -> None:
    schedule = Schedule({"sample": 1.0}, 10.0)
    schedule.due(10.0)
    assert schedule.due(14.5) == [Due("sample", 11.0, 3)]
    assert schedule.next_at == 15.0


def test_nothing_is_due_twice() -> None:
    schedule = Schedule({"sample": 1.0}, 10.0)
    schedule.due(11.0)
    assert schedule.due(11.0) == []


def test_several_are_told_earliest_first_and_else_as_they_were_given() -> None:
    schedule = Schedule({"slow": 4.0, "fast": 1.0}, 0.0)
    assert [due.name for due in schedule.due(0.0)] == ["slow", "fast"]
    assert [due.name for due in schedule.due(4.0)] == ["fast", "slow"]


def test_a_pause_leaves_out_and_a_resume_begins_anew() -> None:
    schedule = Schedule({"sample": 1.0}, 10.0)
    schedule.pause()
    assert schedule.paused
    assert schedule.next_at is None
    assert schedule.due(20.0) == []
    schedule.resume(20.0)
    assert schedule.due(20.0) == [Due("sample", 20.0, 0)]


def test_other_intervals_are_due_at_once_and_equal_ones_keep_their_time() -> None:
    schedule = Schedule({"slow": 60.0, "fast": 1.0}, 0.0)
    schedule.due(0.0)
    schedule.replace({"slow": 60.0, "fast": 2.0}, 3.0)
    assert [due.name for due in schedule.due(3.0)] == ["fast"]
    assert schedule.next_at == 4.0


def test_other_intervals_do_not_end_a_pause() -> None:
    schedule = Schedule({"sample": 1.0}, 0.0)
    schedule.pause()
    schedule.replace({"sample": 2.0}, 1.0)
    assert schedule.paused


def test_without_collections_nothing_is_ever_due() -> None:
    schedule = Schedule({}, 0.0)
    assert schedule.next_at is None
    assert not schedule.paused


INTERVALS = st.floats(0.01, 3600.0)
STEPS = st.lists(st.floats(0.0, 10_000.0), min_size=1, max_size=50)


@given(INTERVALS, st.floats(0.0, 1e6), STEPS)
def test_times_rise_stay_on_multiples_and_account_for_every_one_of_them(
    interval: float, began_at: float, steps: list[float]
) -> None:
    schedule = Schedule({"sample": interval}, began_at)
    now, told, times = began_at, 0, []
    for step in steps:
        now += step
        for due in schedule.due(now):
            assert due.due_at <= now
            assert due.skipped >= 0
            told += 1 + due.skipped
            times.append(due.due_at)
        next_at = schedule.next_at
        assert next_at is not None
        assert now < next_at <= now + 1.5 * interval + 1e-6
    assert times == sorted(set(times))
    for time in times[1:]:
        assert math.isclose(time / interval, round(time / interval), rel_tol=1e-9)
    assert next_at is not None
    assert abs(told - (next_at - began_at) / interval) <= 1.0
