"""Who of a group gets the next message."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.choices import CHOICES, by_key
from daemoneye.bus.broker.groups import Groups
from daemoneye.bus.broker.members import Member
from daemoneye.bus.frames import Choice, Subscribe
from tests.bus.support import Bus

KEYS = [f"key{number}" for number in range(1000)]


def crew(count: int) -> list[Member]:
    """So many members of one group, the oldest first."""
    bus = Bus()
    for number in range(count):
        bus.client(f"m{number}").say(Subscribe(1, "a.b", group="g"))
    groups: Groups = bus.router.directory.groups
    (group,) = groups
    return list(group.members.values())


def anybody(_: Member) -> bool:
    return True


def nobody(_: Member) -> bool:
    return False


@pytest.mark.parametrize("choice", CHOICES)
def test_nobody_is_chosen_where_nobody_has_room(choice: Choice) -> None:
    assert CHOICES[choice](crew(3), "k", nobody) is None


@pytest.mark.parametrize("choice", [each for each in Choice if each is not Choice.DEFAULT])
def test_every_choice_of_the_wire_is_made(choice: Choice) -> None:
    members = crew(3)
    assert CHOICES[choice](members, "k", anybody) in members


def test_standby_and_keys_wait_for_their_member_and_the_others_take_who_is_free() -> None:
    members = crew(3)

    def all_but_the_oldest(member: Member) -> bool:
        return member is not members[0]

    assert CHOICES[Choice.STANDBY](members, "", all_but_the_oldest) is None
    assert CHOICES[Choice.LEAST_IN_FLIGHT](members, "", all_but_the_oldest) is members[1]
    assert CHOICES[Choice.ROUND_ROBIN](members, "", all_but_the_oldest) is members[1]
    mine = next(key for key in KEYS if by_key(members, key, anybody) is members[0])
    assert by_key(members, mine, all_but_the_oldest) is None


@given(st.integers(2, 8), st.data())
def test_a_key_moves_only_when_its_own_member_goes(count: int, data: st.DataObject) -> None:
    members = crew(count)
    gone = data.draw(st.sampled_from(members))
    left = [each for each in members if each is not gone]
    for key in data.draw(st.lists(st.text(max_size=5), max_size=20)):
        before, after = by_key(members, key, anybody), by_key(left, key, anybody)
        assert after is before or before is gone


def test_keys_are_spread_over_all() -> None:
    members = crew(4)
    shares = Counter(member for key in KEYS if (member := by_key(members, key, anybody)))
    assert all(150 < shares[each] < 350 for each in members)
