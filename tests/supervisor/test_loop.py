"""When turns are due, and what it means when one could not be."""

from __future__ import annotations

import pytest

from daemoneye.supervisor.loop import GAP_SECONDS, Pace


@pytest.mark.parametrize("now", [100.0, 101.0, 101.0 + GAP_SECONDS])
def test_a_turn_that_comes_early_or_a_little_late_is_no_gap(now: float) -> None:
    assert Pace(due_at=101.0, ran_at=100.0).gap(now) == 0.0


def test_time_that_was_missed_counts_from_the_last_turn() -> None:
    assert Pace(due_at=101.0, ran_at=100.0).gap(115.0) == 15.0
    assert Pace(due_at=100.0, ran_at=100.0).gap(115.0) == 15.0
