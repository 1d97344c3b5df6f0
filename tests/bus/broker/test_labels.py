"""Labels: the first that is free, and nothing is left behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.labels import Labels


def test_who_comes_back_has_the_first_that_is_free() -> None:
    labels = Labels()
    assert [labels.take("a") for _ in range(3)] == ["a#0", "a#1", "a#2"]
    assert labels.take("b") == "b#0"
    labels.give_back("a#1")
    labels.give_back("a#0")
    assert [labels.take("a") for _ in range(3)] == ["a#0", "a#1", "a#3"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9))))
def test_it_is_always_the_lowest_that_nobody_has(steps: list[tuple[str, int]]) -> None:
    labels = Labels()
    taken: list[str] = []
    for name, which in steps:
        if which < 5 or not taken:
            label = labels.take(name)
            free = next(n for n in range(len(taken) + 1) if f"{name}#{n}" not in taken)
            assert label == f"{name}#{free}"
            taken.append(label)
        else:
            labels.give_back(taken.pop(which % len(taken)))
    for label in taken:
        labels.give_back(label)
    assert not labels._given
    assert not labels._free
