"""Who waits for whom: the order of starts and the ranks of the end."""

from __future__ import annotations

import pytest

from daemoneye.supervisor.dependencies import cycles, start_order, stop_ranks


def test_children_start_after_those_they_wait_for_otherwise_in_the_order_of_the_plan() -> None:
    graph = {"a": ("c",), "b": (), "c": (), "d": ("a", "b")}
    assert start_order(graph) == ("c", "a", "b", "d")


def test_nobody_stops_before_those_who_wait_for_it() -> None:
    graph = {"a": (), "b": ("a",), "c": ("b", "a"), "d": ()}
    assert stop_ranks(graph, "broker") == (("c", "d"), ("b",), ("a",))


def test_s51_the_broker_is_the_last_rank_alone() -> None:
    graph = {"broker": (), "alone": (), "base": ("broker",), "top": ("base", "broker")}
    assert stop_ranks(graph, "broker") == (("alone", "top"), ("base",), ("broker",))


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": ("b",), "b": (), "c": ("a", "b")}, []),
        ({"a": ("b",), "b": ("a",)}, [("a", "b", "a")]),
        (
            {"a": ("b",), "b": ("a",), "c": ("d",), "d": ("c",)},
            [("a", "b", "a"), ("c", "d", "c")],
        ),
        ({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}, []),
    ],
)
def test_cycles(graph: dict[str, tuple[str, ...]], found: list[tuple[str, ...]]) -> None:
    assert list(cycles(graph)) == found


def test_a_diamond_of_many_layers_is_ordered_in_no_time() -> None:
    graph: dict[str, tuple[str, ...]] = {"0a": (), "0b": ()}
    for layer in range(1, 60):
        below = (f"{layer - 1}a", f"{layer - 1}b")
        graph |= {f"{layer}a": below, f"{layer}b": below}
    assert len(start_order(graph)) == 120
    assert len(stop_ranks(graph, "broker")) == 60
