"""Named clients: what is wrong with them is told, all of it, before anything is made."""

from __future__ import annotations

import pytest

from daemoneye.supervisor.bus_plan import BusPlan, NamedClient
from daemoneye.supervisor.spec import ChildSpec, Plan


def complaints(*clients: NamedClient) -> list[tuple[str, str]]:
    child = ChildSpec("procmond", "m:f", uses_bus=False)
    plan = Plan((child,), bus=BusPlan(clients=clients))
    return [(each.key, each.text) for each in plan.problems()]


def test_an_observer_is_what_a_client_is_when_nothing_is_said() -> None:
    assert NamedClient("dashboard").role == "observer"
    assert complaints(NamedClient("dashboard"), NamedClient("a", role="collector", kind="x")) == []


@pytest.mark.parametrize("name", ["", "A", "a.b", "../a", "a" * 65, "a\n"])
def test_a_name_that_is_no_identity_is_told(name: str) -> None:
    ((key, text),) = complaints(NamedClient(name))
    assert key == f"bus.clients.{name}.name"
    assert "expected 1 to 64 of a-z" in text


@pytest.mark.parametrize("name", ["operator", "supervisor", "broker", "guardian"])
def test_a_name_that_means_somebody_is_reserved(name: str) -> None:
    assert "reserved" in complaints(NamedClient(name))[0][1]


def test_a_name_of_a_child_or_of_another_client_is_taken() -> None:
    assert "a child has this name" in complaints(NamedClient("procmond"))[0][1]
    assert len(complaints(NamedClient("a"), NamedClient("a"))) == 1


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (NamedClient("a", role="observr"), "role"),
        (NamedClient("a", role="collector"), "kind"),
        (NamedClient("a", kind="process"), "kind"),
    ],
)
def test_a_role_that_makes_no_sense_is_told(client: NamedClient, key: str) -> None:
    assert [each for each, _ in complaints(client)] == [f"bus.clients.a.{key}"]
