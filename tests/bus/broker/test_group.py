"""One group: who may have what next, room, and the law of counting whatever happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.group import Group, Work
from daemoneye.bus.broker.jobs import Job, Letter
from daemoneye.bus.broker.members import Member
from daemoneye.bus.frames import Choice
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter
from tests.bus.broker.test_choices import crew

LIMITS = Limits()


def group_of(members: list[Member], choice: Choice = Choice.STANDBY) -> Group:
    group = Group("g", TopicFilter("a.b"), choice, 0.0)
    for each in members:
        group.join(each)
    return group


def job(number: int, key: str = "", size: int = 10) -> Job:
    return Job(number, bytes(size), Letter("a.b", "p", key), None)


def given_next(group: Group) -> tuple[Job, Member] | None:
    """Hand out the next, under its own number."""
    found = group.next(LIMITS, lambda _session, _topic: True)
    if found is not None:
        group.hand(*found, found[0].number, 30.0)
    return found


def test_a_choice_that_nobody_made_is_least_in_flight() -> None:
    assert group_of([], Choice.DEFAULT).choice is Choice.LEAST_IN_FLIGHT


def test_room_is_for_so_many_and_for_so_much() -> None:
    group, limits = group_of([]), Limits(group_messages=2, group_bytes=25)
    group.put(job(1))
    assert group.has_room(1, 15, limits)
    assert not group.has_room(1, 16, limits)
    assert not group.has_room(2, 2, limits)


def test_what_was_tried_goes_to_who_has_not_tried_it_then_to_anybody_but_the_last() -> None:
    members = crew(3)
    group = group_of(members)
    group.put(job(1))
    turns = []
    for _ in range(6):
        found = given_next(group)
        assert found is not None
        turns.append(members.index(found[1]))
        group.take_away(found[0])
        group.queue.put_back(found[0])
    assert turns[:3] == [0, 1, 2]
    assert turns[3:] == [0, 1, 0]


def test_what_did_not_reach_a_member_is_no_try() -> None:
    group = group_of(crew(1))
    group.put(job(1))
    found = given_next(group)
    assert found is not None
    group.take_away(found[0])
    group.untry(found[0])
    assert (found[0].count, found[0].tried) == (0, ())


def test_work_adds_up() -> None:
    total, one = Work.none(), Work.none()
    one.offered, one.handled = 3, 1
    one.lost["rejected"] += 2
    total.add(one)
    total.add(one)
    assert (total.offered, total.handled, dict(total.lost)) == (6, 2, {"rejected": 4})


@given(
    st.sampled_from([Choice.STANDBY, Choice.BY_KEY, Choice.ROUND_ROBIN]),
    st.lists(st.sampled_from(["put", "give", "ack", "reject", "again", "delay", "drop"])),
)
def test_the_law_holds(choice: Choice, steps: list[str]) -> None:
    group, numbered = group_of(crew(2), choice), 0
    for step in steps:
        in_hand = [each for m in group.members.values() for each in m.in_flight.values()]
        if step == "put":
            numbered += 1
            group.put(job(numbered, f"k{numbered % 3}"))
        elif step == "give":
            given_next(group)
        elif step == "drop" and group.waiting:
            group.drop(next(iter([*group.queue, *group.delayed])), "expired")
        elif in_hand and step in ("ack", "reject", "again", "delay"):
            group.take_away(in_hand[0])
            if step == "again":
                group.queue.put_back(in_hand[0])
            elif step == "delay":
                group.delay(in_hand[0], 60.0)
            else:
                group.finish(in_hand[0], "" if step == "ack" else "rejected")
        work = group.work
        assert work.offered == (work.handled + work.lost.total() + group.waiting + group.in_flight)
        assert group.bytes == 10 * (group.waiting + group.in_flight)
