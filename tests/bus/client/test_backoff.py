"""Backoff: growing, bounded, and drawn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.client.backoff import FIRST_CEILING, LAST_CEILING, Backoff


def test_the_longest_waits_double_up_to_the_last() -> None:
    backoff = Backoff()
    assert [backoff.wait(1.0) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@given(st.lists(st.floats(0, 1), min_size=1))
def test_a_wait_is_the_drawn_share_of_its_ceiling(draws: list[float]) -> None:
    backoff, longest = Backoff(), Backoff()
    for drawn in draws:
        wait, ceiling = backoff.wait(drawn), longest.wait(1.0)
        assert wait == drawn * ceiling
        assert FIRST_CEILING <= ceiling <= LAST_CEILING
