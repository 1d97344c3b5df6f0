"""What a plan demands of the limits: what is told would work, and one less would not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.places import Places
from daemoneye.bus.demands import doubts, unmet_demands
from daemoneye.bus.limits import KIB, Limits
from daemoneye.bus.memory import own_carriage
from daemoneye.bus.orders import Credential

KEY = bytes(32)


def test_the_defaults_do_for_hundreds_of_children() -> None:
    assert list(unmet_demands(Limits(), 900)) == []


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"connections": 1}, "connections"),
        ({"frame_bytes": KIB}, "frame_bytes"),
        ({"client_bytes": 64 * KIB}, "client_bytes"),
        ({"outbound_bytes": 1 << 20}, "outbound_bytes"),
        ({"large_bytes": 1 << 20}, "large_bytes"),
        ({"subscription_messages": 1 << 17}, "subscription_messages_at_most"),
        ({"client_bytes": 70_000, "frame_bytes": 4 * KIB, "turn_bytes": 1 << 20}, "client_bytes"),
    ],
)
def test_what_is_told_would_work_and_one_less_would_not(limits: dict[str, int], name: str) -> None:
    chosen = Limits.of(limits)
    (demand,) = unmet_demands(chosen, 2)
    assert demand.names[0] == name
    said, _, least_said, *_ = demand.expected.split()
    least = int(least_said)
    assert said == name
    assert list(unmet_demands(replace(chosen, **{name: least}), 2)) == []
    assert len(list(unmet_demands(replace(chosen, **{name: least - 1}), 2))) == 1


def test_no_payload_may_be_larger_than_clients_take() -> None:
    (demand,) = unmet_demands(Limits(payload_bytes=1 << 40), 2)
    assert demand.names == ("payload_bytes",)
    most = int(demand.expected.split()[0])
    assert own_carriage().max_payload_bytes == most
    assert list(unmet_demands(Limits(payload_bytes=most), 2)) == []
    assert len(list(unmet_demands(Limits(payload_bytes=most + 1), 2))) == 1


@given(st.integers(0, 100), st.integers(0, 5))
def test_with_the_fewest_connections_everybody_has_a_place(others: int, agents: int) -> None:
    children = others + agents
    demand = next(unmet_demands(Limits(connections=1), children, agents), None)
    limits = Limits(connections=int(demand.expected.split()[2]) if demand else 1)
    places: Places[str] = Places(limits)
    everybody = [Credential(f"c{n}", "worker", KEY) for n in range(others)]
    everybody += [Credential(f"a{n}", "agent", KEY) for n in range(agents + 1)]
    for each in everybody:
        assert places.refusal(each) == ""
        places.take(each.identity, each)
    assert len(places) <= limits.connections


def test_more_connections_than_descriptors_are_a_doubt() -> None:
    (doubt,) = doubts(Limits(connections=1_000_000), 1024)
    assert "1024 open (ulimit -n)" in doubt.text
    most = int(doubt.expected.split()[0])
    assert list(doubts(Limits(connections=most), 1024)) == []
    assert list(doubts(Limits(connections=1_000_000), 0)) == []
