"""Who waits for whom: the order of starts and the ranks of the end."""

from __future__ import annotations

from daemoneye.supervisor.dependencies import dependencies, start_order, stop_ranks
from daemoneye.supervisor.spec import BROKER, ChildSpec, Plan


def test_children_start_after_those_they_wait_for_otherwise_in_the_order_of_the_plan() -> None:
    graph = {"a": ("c",), "b": (), "c": (), "d": ("a", "b")}
    assert start_order(graph) == ("c", "a", "b", "d")


def test_nobody_stops_before_those_who_wait_for_it() -> None:
    graph = {"a": (), "b": ("a",), "c": ("b", "a"), "d": ()}
    assert stop_ranks(graph) == (("c", "d"), ("b",), ("a",))


def test_s51_the_broker_is_the_last_rank_alone() -> None:
    graph = {BROKER: (), "alone": (), "base": (BROKER,), "top": ("base", BROKER)}
    assert stop_ranks(graph) == (("alone", "top"), ("base",), (BROKER,))


def test_everybody_who_uses_the_bus_waits_for_the_broker() -> None:
    plan = Plan(
        (
            ChildSpec("broker", "m:f"),
            ChildSpec("user", "m:f"),
            ChildSpec("named", "m:f", depends_on=("user", "broker")),
            ChildSpec("loner", "m:f", uses_bus=False),
        )
    )
    assert dependencies(plan) == {
        "broker": (),
        "user": ("broker",),
        "named": ("user", "broker"),
        "loner": (),
    }


def test_without_a_broker_nobody_waits_for_one() -> None:
    assert dependencies(Plan((ChildSpec("user", "m:f"),))) == {"user": ()}


def test_a_diamond_of_many_layers_is_ordered_in_no_time() -> None:
    graph: dict[str, tuple[str, ...]] = {"0a": (), "0b": ()}
    for layer in range(1, 60):
        below = (f"{layer - 1}a", f"{layer - 1}b")
        graph |= {f"{layer}a": below, f"{layer}b": below}
    assert len(start_order(graph)) == 120
    assert len(stop_ranks(graph)) == 60
