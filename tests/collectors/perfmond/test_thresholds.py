"""A threshold is told when it is crossed for long enough, and again when it is left for good."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.collectors.perfmond.thresholds import Crossing, Threshold, Watch, replaced

CPU = Threshold("cpu-high", 90.0, "percent", patience=3)


def told(values: list[float], threshold: Threshold = CPU) -> list[tuple[int, bool]]:
    watch = Watch({threshold.rule: threshold})
    return [
        (position, crossing.entered)
        for position, value in enumerate(values)
        for crossing in watch.observe({(threshold.rule, "cpu"): value})
    ]


@pytest.mark.parametrize(
    ("values", "crossings"),
    [
        ([50, 60, 89.9], []),
        ([95, 95], []),
        ([95, 95, 95], [(2, True)]),
        ([95, 50, 95, 95, 50], []),
        ([95, 95, 95, 95, 95], [(2, True)]),
        ([95, 95, 95, 85, 95], [(2, True)]),
        ([95, 95, 95, 81], [(2, True)]),
        ([95, 95, 95, 80.9], [(2, True), (3, False)]),
        ([90, 90, 90, 10, 90, 90, 90], [(2, True), (3, False), (6, True)]),
    ],
)
def test_when_it_is_told(values: list[float], crossings: list[tuple[int, bool]]) -> None:
    assert told(values) == crossings


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 4))
def test_crossing_and_leaving_take_turns(values: list[float], patience: int) -> None:
    edges = [entered for _, entered in told(values, Threshold("r", 90.0, "percent", patience))]
    assert all(before != after for before, after in pairwise([False, *edges]))


def test_each_subject_stands_for_itself() -> None:
    volume = Threshold("volume-full", 90.0, "percent")
    watch = Watch({"volume-full": volume})
    found = watch.observe({("volume-full", "/"): 95.0, ("volume-full", "/home"): 5.0})
    assert found == [Crossing(volume, "/", True, 95.0)]


def test_a_figure_that_is_gone_leaves_what_it_crossed() -> None:
    volume = Threshold("volume-full", 90.0, "percent")
    watch = Watch({"volume-full": volume})
    watch.observe({("volume-full", "/mnt"): 95.0})
    assert watch.observe({}) == [Crossing(volume, "/mnt", False, 0.0)]
    assert watch.observe({}) == []


def test_a_figure_nobody_asked_about_is_not_watched() -> None:
    assert Watch({}).observe({("cpu-high", "cpu"): 100.0}) == []


def test_other_thresholds_do_not_tell_again_what_is_known() -> None:
    watch = Watch({"cpu-high": Threshold("cpu-high", 90.0, "percent")})
    watch.observe({("cpu-high", "cpu"): 95.0})
    lower = replaced(watch, {"cpu-high": Threshold("cpu-high", 50.0, "percent")})
    assert lower.observe({("cpu-high", "cpu"): 95.0}) == []
    assert [each.entered for each in lower.observe({("cpu-high", "cpu"): 10.0})] == [False]
