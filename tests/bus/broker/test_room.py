"""The room of groups: at the share of one identity, at that of all, and one byte past each."""

from __future__ import annotations

from collections import Counter

from daemoneye.bus.broker.room import ROOM_SHARE, Room
from daemoneye.bus.limits import Limits

LIMITS = Limits(outbound_bytes=400)


def lacking(room: Room, **wanted: int) -> str:
    return room.lack(Counter(wanted), LIMITS)


def test_an_identity_has_its_share_and_not_a_byte_more() -> None:
    room = Room()
    assert ROOM_SHARE == 4
    room.take("a", 60)
    assert room.has("a", 40, LIMITS)
    assert not room.has("a", 41, LIMITS)
    assert room.has("b", 100, LIMITS)
    assert lacking(room, a=40, b=100) == ""
    assert lacking(room, a=41) == (
        "the groups that a began have no room: they hold 60 bytes, and of 400 those of one"
        " identity may hold 100"
    )
    assert lacking(room, a=40, b=101).startswith("the groups that b began")


def test_all_of_them_together_have_no_more_than_there_is() -> None:
    room = Room()
    for founder in "abcd":
        room.take(founder, 90)
    assert room.bytes == 360
    assert room.has("e", 40, LIMITS)
    assert not room.has("e", 41, LIMITS)
    assert lacking(room, a=10, e=30) == ""
    assert lacking(room, a=10, e=31) == "groups have no room: all of them hold 360 bytes"


def test_what_is_given_back_can_be_taken_again() -> None:
    room = Room()
    room.take("a", 100)
    room.give_back("a", 30)
    assert (room.held("a"), room.bytes) == (70, 70)
    assert room.has("a", 30, LIMITS)
    room.give_back("a", 70)
    assert (room.held("a"), room.bytes) == (0, 0)
