"""Deadlines: in their order, told once, and no more of them kept than there are, or nearly."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.deadlines import SPARE, Deadlines


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=60))
def test_it_is_like_looking_at_all_of_them(steps: list[tuple[str, int]]) -> None:
    at = dict.fromkeys("abcd", inf)
    deadlines: Deadlines[str] = Deadlines(at.__getitem__)
    for name, when in steps:
        if when == 0:
            at[name] = inf  # it is over
            continue
        at[name] = float(when)
        deadlines.note(name)
        assert deadlines.next_at == min(at.values())
        if when == 9:
            while (thing := deadlines.take(5.0)) is not None:
                assert at[thing] == min(at.values()) <= 5.0
                at[thing] = inf
            assert all(each > 5.0 for each in at.values())


def test_what_is_over_takes_no_room_for_long() -> None:
    at: dict[int, float] = {}
    deadlines: Deadlines[int] = Deadlines(at.__getitem__)
    for number in range(10_000):
        at[number] = 30.0 + number
        deadlines.note(number)
        if number >= 10:
            at[number - 10] = inf
        assert len(deadlines) <= 2 * 11 + SPARE
    assert deadlines.next_at == 30.0 + 9990
