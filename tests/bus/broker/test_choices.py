"""Who of a group gets the next message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from sys import getrefcount

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.choices import OWNERS, RANKS, Line, heaviest
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


def chosen(
    choice: Choice, members: list[Member], key: str, has_room: Callable[[Member], bool]
) -> Member | None:
    """Who gets a message of this key: its owner, if the choice knows one, or who is asked first."""
    if choice in OWNERS:
        owner = OWNERS[choice](members, key)
        return owner if owner is not None and has_room(owner) else None
    line = Line(choice)
    for each in members:
        line.put(each)
    return next(filter(has_room, (line[position] for position in range(len(line)))), None)


def by_key(members: list[Member], key: str) -> Member:
    owner = heaviest(members, key)
    assert owner is not None
    return owner


@pytest.mark.parametrize("choice", RANKS)
def test_nobody_is_chosen_where_nobody_has_room(choice: Choice) -> None:
    assert chosen(choice, crew(3), "k", nobody) is None


@pytest.mark.parametrize("choice", [each for each in Choice if each is not Choice.DEFAULT])
def test_every_choice_of_the_wire_is_made(choice: Choice) -> None:
    members = crew(3)
    assert chosen(choice, members, "k", anybody) in members


def test_standby_and_keys_wait_for_their_member_and_the_others_take_who_is_free() -> None:
    members = crew(3)

    def all_but_the_oldest(member: Member) -> bool:
        return member is not members[0]

    assert chosen(Choice.STANDBY, members, "", all_but_the_oldest) is None
    assert chosen(Choice.LEAST_IN_FLIGHT, members, "", all_but_the_oldest) is members[1]
    assert chosen(Choice.ROUND_ROBIN, members, "", all_but_the_oldest) is members[1]
    mine = next(key for key in KEYS if by_key(members, key) is members[0])
    assert chosen(Choice.BY_KEY, members, mine, all_but_the_oldest) is None


@given(st.integers(2, 8), st.data())
def test_a_key_moves_only_when_its_own_member_goes(count: int, data: st.DataObject) -> None:
    members = crew(count)
    gone = data.draw(st.sampled_from(members))
    left = [each for each in members if each is not gone]
    for key in data.draw(st.lists(st.text(max_size=5), max_size=20)):
        before, after = by_key(members, key), by_key(left, key)
        assert after is before or before is gone


def test_no_key_is_remembered_when_its_member_is_found() -> None:
    members, key = crew(2), "".join(["key ", "of a publish"])
    before = getrefcount(key)
    for _ in range(3):
        assert heaviest(members, key) in members
    assert getrefcount(key) == before


def test_keys_are_spread_over_all() -> None:
    members = crew(4)
    shares = Counter(by_key(members, key) for key in KEYS)
    assert all(150 < shares[each] < 350 for each in members)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 9)), max_size=40))
def test_a_line_is_in_the_order_of_what_is_last_known_of_its_members(
    steps: list[tuple[int, bool, int]],
) -> None:
    members, line = crew(5), Line(Choice.ROUND_ROBIN)
    known: dict[int, int] = {}
    for which, there, last in steps:
        if there:
            members[which].last = known[which] = last
            line.put(members[which])
        else:
            assert line.remove(members[which]) is (known.pop(which, None) is not None)
        order = sorted(known, key=lambda each: (known[each], members[each].number))
        assert [line[position] for position in range(len(line))] == [members[n] for n in order]
