"""Ledger, backoff, window, quarantine, and the common rate of restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.supervisor.lifecycle import State
from daemoneye.supervisor.restarts import (
    Failure,
    Ledger,
    RestartRate,
    Verdict,
    backoff,
    is_clean_end,
    is_restarted,
)
from daemoneye.supervisor.spec import RestartPolicy
from tests.supervisor.simulation import longest

POLICY = RestartPolicy()


def shortest(low: float, high: float) -> float:
    return low


def fail_each(
    interval: float, times: int, policy: RestartPolicy = POLICY, healthy: float = 0.0
) -> tuple[Ledger, list[Verdict]]:
    """A child that becomes ready and fails again and again, after its delay and `interval`."""
    ledger, verdicts, now = Ledger(), [], 0.0
    for _ in range(times):
        ledger, verdict = ledger.enter(Failure(now, True, healthy), policy, longest)
        verdicts.append(verdict)
        now += verdict.delay + interval
    return ledger, verdicts


@pytest.mark.parametrize(
    ("restart", "exit_code", "clean", "restarted"),
    [
        ("permanent", 0, True, True),
        ("permanent", 1, False, True),
        ("permanent", -15, False, True),
        ("transient", 0, True, False),
        ("transient", 1, False, True),
        ("transient", -15, True, False),
        ("transient", -2, True, False),
        ("transient", -9, False, True),
        ("transient", -11, False, True),
        ("temporary", 0, True, False),
        ("temporary", 1, False, False),
        ("temporary", -15, True, False),
    ],
)
def test_s16_s18_s20_restart_types_as_in_otp(
    restart: str, exit_code: int, clean: bool, restarted: bool
) -> None:
    policy = RestartPolicy(restart)
    assert is_clean_end(policy, exit_code) is clean
    assert is_restarted(policy, clean) is restarted


def test_s17_success_codes_are_clean_ends() -> None:
    policy = RestartPolicy("transient", success_codes=(0, 3))
    assert is_clean_end(policy, 3)
    assert not is_clean_end(policy, 2)


def test_an_end_without_an_exit_code_is_never_clean() -> None:
    assert not is_clean_end(RestartPolicy("transient"), None)


@pytest.mark.parametrize(
    ("in_a_row", "was_ready", "seconds"),
    [
        (1, True, 0.0),
        (2, True, 0.2),
        (3, True, 0.4),
        (4, True, 0.8),
        (5, True, 1.6),
        (10, True, 51.2),
        (11, True, 60.0),
        (10_000, True, 60.0),
        (1, False, 0.2),
        (2, False, 0.4),
    ],
)
def test_s15_backoff(in_a_row: int, was_ready: bool, seconds: float) -> None:
    assert backoff(in_a_row, was_ready, POLICY) == pytest.approx(seconds)


def test_s15_a_loop_of_crashes_backs_off_and_is_quarantined_at_the_sixth() -> None:
    _, verdicts = fail_each(0.0, 8)
    assert [(one.state, one.delay) for one in verdicts] == [
        (State.BACKOFF, 0.0),
        (State.BACKOFF, 0.2),
        (State.BACKOFF, 0.4),
        (State.BACKOFF, 0.8),
        (State.BACKOFF, 1.6),
        (State.QUARANTINED, 60.0),
        (State.QUARANTINED, 60.0),
        (State.QUARANTINED, 60.0),
    ]


def test_jitter_is_drawn_between_a_half_and_one() -> None:
    ledger, _ = Ledger().enter(Failure(0.0, True, 0.0), POLICY, shortest)
    _, verdict = ledger.enter(Failure(0.0, True, 0.0), POLICY, shortest)
    assert verdict.delay == pytest.approx(0.1)


def test_failures_outside_the_window_do_not_quarantine() -> None:
    _, verdicts = fail_each(12.0, 20)
    assert {one.state for one in verdicts} == {State.BACKOFF}


def test_quarantine_ends_with_a_decay_time_of_healthy_running() -> None:
    ledger, verdicts = fail_each(0.0, 6)
    assert verdicts[-1].state is State.QUARANTINED
    short, _ = ledger.enter(Failure(500.0, True, 119.0), POLICY, longest)
    assert short.last == Verdict(State.QUARANTINED, 60.0)
    _, verdict = ledger.enter(Failure(500.0, True, 120.0), POLICY, longest)
    assert verdict.state is State.BACKOFF


@pytest.mark.parametrize(
    ("healthy", "left"), [(29.9, 12), (30.0, 6), (59.9, 6), (60.0, 3), (90.0, 1), (120.0, 0)]
)
def test_each_decay_time_of_healthy_running_halves_the_count_rounded_down(
    healthy: float, left: int
) -> None:
    ledger = Ledger(in_a_row=12, last=Verdict(State.BACKOFF, 10.0))
    assert ledger.forgiven(healthy, POLICY).in_a_row == left


def test_the_decay_time_is_twice_the_last_delay_when_that_is_longer() -> None:
    ledger = Ledger(in_a_row=12, last=Verdict(State.BACKOFF, 40.0))
    assert ledger.forgiven(79.9, POLICY).in_a_row == 12
    assert ledger.forgiven(80.0, POLICY).in_a_row == 6


def test_s21_dying_just_before_the_decay_time_slows_down_all_the_same() -> None:
    _, verdicts = fail_each(29.9, 40, healthy=29.9)
    assert verdicts[-1].delay == 60.0


def test_s21_dying_just_after_the_decay_time_never_becomes_a_hot_loop() -> None:
    ledger, verdicts = fail_each(30.1, 100, healthy=30.1)
    assert {one.state for one in verdicts} == {State.BACKOFF}
    assert ledger.in_a_row == 1


def test_s22_a_first_crash_after_a_while_then_a_loop_is_limited() -> None:
    ledger, _ = Ledger().enter(Failure(20.0, True, 20.0), POLICY, longest)
    now, states = 20.0, []
    for _ in range(6):
        ledger, verdict = ledger.enter(Failure(now, True, 0.0), POLICY, longest)
        states.append(verdict.state)
        now += verdict.delay
    assert State.QUARANTINED in states


def test_s23_healthy_long_enough_to_forget_everything_is_restarted_at_once() -> None:
    ledger, _ = fail_each(12.0, 5)
    _, verdict = ledger.enter(Failure(1000.0, True, 90.0), POLICY, longest)
    assert verdict == Verdict(State.BACKOFF, 0.0)


def test_give_up_after_so_many_failures_in_a_row() -> None:
    _, verdicts = fail_each(0.0, 3, RestartPolicy(give_up_after=3))
    assert [one.state for one in verdicts] == [State.BACKOFF, State.BACKOFF, State.FATAL]


def test_s63_the_ledger_stays_small_however_often_a_child_fails() -> None:
    ledger, _ = fail_each(0.0, 1000)
    assert len(ledger.recent) == POLICY.max_failures + 1


def test_s31_fifty_restarts_at_once_are_spread() -> None:
    rate, now, taken = RestartRate.full(10.0, 20, 0.0), 0.0, []
    while len(taken) < 50:
        now = rate.next_at(now)
        rate = rate.take(now)
        taken.append(now)
    assert taken[:20] == [0.0] * 20
    assert taken[-1] == pytest.approx(3.0, abs=0.11)


@given(st.lists(st.floats(0.0, 0.5), max_size=200))
def test_never_more_than_a_burst_of_restarts_in_a_second(waits: list[float]) -> None:
    rate, now, taken = RestartRate.full(10.0, 20, 0.0), 0.0, []
    for wait in waits:
        now = rate.next_at(now + wait)
        rate = rate.take(now)
        taken.append(now)
    for first, last in zip(taken, taken[20:], strict=False):
        assert last >= first + 1.0 - 1e-6
    assert len(rate.taken) <= 20


@given(st.floats(0.0, 100.0), st.integers(1, 60))
def test_the_time_named_for_the_next_restart_is_enough(wait: float, drawn: int) -> None:
    rate = RestartRate.full(10.0, 20, 0.0)
    for _ in range(drawn):
        rate = rate.take(rate.next_at(rate.at))
    at = rate.next_at(rate.at + wait)
    assert rate.next_at(at) == at


@given(
    st.lists(st.tuples(st.floats(0.0, 200.0), st.booleans(), st.floats(0.0, 200.0)), max_size=100)
)
def test_no_history_of_failures_leads_to_a_delay_past_its_bounds(
    history: list[tuple[float, bool, float]],
) -> None:
    ledger, now = Ledger(), 0.0
    for wait, was_ready, healthy in history:
        now += wait
        ledger, verdict = ledger.enter(Failure(now, was_ready, healthy), POLICY, longest)
        assert 0.0 <= verdict.delay <= 60.0
        assert ledger.in_a_row >= 1
