"""Places: a share for each credential, and some that only agents get."""

from __future__ import annotations

import pytest

from daemoneye.bus.broker.places import Places
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Credential

LIMITS = Limits(connections=32, identity_connections=3, agent_connections=5)
KEY = bytes(32)


def credential(name: str = "a", role: str = "worker", incarnation: int = 0) -> Credential:
    return Credential(name, role, KEY, incarnation=incarnation)


def filled(places: Places[object], wanted: Credential) -> list[object]:
    """Take places until there is no more; who has them."""
    taken: list[object] = []
    while not places.refusal(wanted):
        taken.append(object())
        places.take(taken[-1], wanted)
    return taken


@pytest.mark.parametrize(("role", "share"), [("worker", 3), ("collector", 3), ("agent", 5)])
def test_a_credential_has_its_share_and_no_more(role: str, share: int) -> None:
    places: Places[object] = Places(LIMITS)
    wanted = credential(role=role)
    taken = filled(places, wanted)
    assert len(taken) == share
    assert places.refusal(wanted) == f"a has {share} connections already"
    places.leave(taken[0])
    assert len(filled(places, wanted)) == 1


def test_a_new_incarnation_does_not_wait_for_the_places_of_its_last() -> None:
    places: Places[object] = Places(LIMITS)
    assert [len(filled(places, credential(incarnation=number))) for number in (1, 2)] == [3, 3]


def test_one_place_in_sixteen_is_kept_for_agents() -> None:
    places: Places[object] = Places(LIMITS)
    for number in range(11):
        filled(places, credential(f"w{number}"))
    assert len(places) == 30
    assert "kept for the role agent" in places.refusal(credential("late"))
    assert places.refusal(credential("operator", "agent")) == ""


def test_who_leaves_without_a_place_or_twice_changes_nothing() -> None:
    places: Places[object] = Places(LIMITS)
    places.take(1, credential())
    for _ in range(2):
        places.leave(1)
        places.leave(2)
    assert len(filled(places, credential())) == 3
