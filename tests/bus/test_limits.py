"""Limits: defaults that are promised, and bad ones refused by name."""

from __future__ import annotations

import pytest

from daemoneye.bus.limits import Limits
from daemoneye.errors import ConfigError


def test_the_defaults_are_the_promised_ones() -> None:
    limits = Limits()
    assert limits.frame_bytes == 1 << 20
    assert limits.early_frame_bytes == 4 << 10
    assert limits.subscriptions == 256
    assert (limits.subscription_messages, limits.subscription_bytes) == (1024, 8 << 20)
    assert (limits.client_bytes, limits.outbound_bytes) == (32 << 20, 256 << 20)
    assert (limits.connections, limits.unauthenticated_connections) == (1024, 256)
    assert (limits.payload_bytes, limits.large_from_bytes) == (64 << 20, 256 << 10)
    assert (limits.large_bytes, limits.large_descriptors) == (256 << 20, 64)


def test_what_is_named_replaces_a_default() -> None:
    limits = Limits.of({"connections": 5.0, "write_timeout": 1})
    assert limits.connections == 5
    assert isinstance(limits.connections, int)
    assert limits.write_timeout == 1.0
    assert limits.backlog == Limits().backlog


def test_every_unknown_name_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        Limits.of({"conections": 5, "frames": 1})
    assert len(caught.value.problems) == 2
    assert "connections" in caught.value.hint


@pytest.mark.parametrize("number", [0, -1, float("nan"), float("inf")])
def test_a_senseless_number_is_told(number: float) -> None:
    with pytest.raises(ConfigError) as caught:
        Limits.of({"write_timeout": number, "drain_timeout": -3})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("number", [0.5, float("nan"), float("inf")])
def test_a_number_of_things_is_whole(number: float) -> None:
    with pytest.raises(ConfigError, match="limits"):
        Limits.of({"connections": number})


@pytest.mark.parametrize(
    ("name", "least", "too_little"),
    [
        ("missed_heartbeats", 2, 1),
        ("heartbeat_interval", 0.05, 0.04),
        ("write_timeout", 1e-9, 0),
        ("large_descriptors", 0, -1),
    ],
)
def test_a_limit_may_be_the_least_and_nothing_below(
    name: str, least: float, too_little: float
) -> None:
    assert Limits.unmet(name, least) == ""
    assert Limits.of({name: least})
    assert Limits.unmet(name, too_little)
    with pytest.raises(ConfigError) as caught:
        Limits.of({name: too_little})
    assert Limits.unmet(name, too_little) in caught.value.problems[0]


def test_small_payloads_go_apart_only_where_clients_are_told_to_send_them_so() -> None:
    assert Limits().least_large_bytes == 64 << 10
    assert Limits(large_from_bytes=50).least_large_bytes == 50
