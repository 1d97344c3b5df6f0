"""Insisting: pauses that grow, and an end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.client.insisting import INSIST_FOR, LONGEST_PAUSE, Insisting


def pauses(timeout: float, now: float = 0.0, each_takes: float = 0.0) -> list[float]:
    """All that one publish makes, when each attempt takes so long."""
    insisting, found = Insisting(timeout, now), []
    while (pause := insisting.pause(now)) is not None:
        found.append(pause)
        now += pause + each_takes
        assert len(found) < 1000
    return found


def test_pauses_double_from_two_milliseconds_up_to_fifty() -> None:
    assert pauses(5.0)[:7] == [0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05]


def test_the_last_attempt_is_made_before_the_second_is_over() -> None:
    assert INSIST_FOR - LONGEST_PAUSE <= sum(pauses(5.0)) < INSIST_FOR


def test_a_shorter_timeout_of_the_caller_ends_it_sooner() -> None:
    assert pauses(0.01) == [0.002, 0.004]
    assert pauses(0.0) == []


@given(st.floats(0.0, 10.0), st.floats(0.0, 1e6), st.floats(0.0, 0.5))
def test_it_ends_in_time_whatever_an_attempt_takes(
    timeout: float, now: float, each_takes: float
) -> None:
    made = pauses(timeout, now, each_takes)
    assert all(0.0 < each <= LONGEST_PAUSE for each in made)
    assert sum(made) <= min(timeout, INSIST_FOR) + 1e-6
