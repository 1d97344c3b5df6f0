"""All groups: who joins and leaves, and what is forgotten and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from daemoneye.bus.broker.dispatch import WORK_OF_GROUPS
from daemoneye.bus.broker.groups import DUE_IN_A_TURN, Groups
from daemoneye.bus.frames import Answer, Choice, Credit, Guarantee, Settling, Subscribe, Unsubscribe
from tests.bus.support import NOW, Bus, Client

JOBS = "control.demo.jobs"


def groups_of(bus: Bus) -> Groups:
    return bus.router.directory.groups


def test_a_group_is_its_name_and_its_filter() -> None:
    bus = Bus()
    client = bus.client("a")
    for number, (name, filter_text) in enumerate(
        [("g", JOBS), ("g", "control.#"), ("h", JOBS), ("g", JOBS)], 1
    ):
        client.say(Subscribe(number, filter_text, group=name))
    assert len(groups_of(bus)) == 3
    assert groups_of(bus).members == bus.router.directory.subscriptions == 4
    assert len(groups_of(bus).match(tuple(JOBS.split(".")))) == 3


def test_who_comes_back_has_the_label_it_had() -> None:
    bus = Bus()
    for number in range(3):
        bus.client("same").say(Subscribe(1, JOBS, group="g"))
        bus.client(f"other{number}").say(Subscribe(1, JOBS, group="g"))
    (group,) = groups_of(bus)
    second = next(each for each in group.members.values() if each.label == "same#1")
    bus.router.close(second.session)
    bus.client("same").say(Subscribe(1, JOBS, group="g"))
    assert sorted(each.label for each in group.members.values()) == [
        *("other0#0", "other1#0", "other2#0"),
        *("same#0", "same#1", "same#2"),
    ]


def test_a_group_that_nothing_waits_in_may_choose_anew_and_one_with_work_may_not() -> None:
    bus = Bus()
    boss, first = bus.client("boss"), bus.client("first")
    assert not first.subscribe(JOBS, group="g", choice="standby").error
    bus.router.close(first.session)
    second = bus.client("second")
    assert not second.subscribe(JOBS, group="g", choice="round-robin").error
    bus.router.close(second.session)
    boss.publish(JOBS, b"x")
    answer = bus.client("third").subscribe(JOBS, group="g", choice="standby")
    assert "goes by round-robin" in answer.detail


def test_what_a_forgotten_group_counted_is_not_forgotten() -> None:
    bus = Bus(group_timeout=10)
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.say(Subscribe(1, JOBS, group="g"))
    boss.publish(JOBS, b"x")
    worker.ack(*worker.jobs())
    bus.router.close(worker.session)
    bus.pass_time(11)
    assert len(groups_of(bus)) == 0
    assert groups_of(bus).work().handled == 1


def test_nothing_is_left_of_groups_when_all_is_over() -> None:
    bus = Bus(group_timeout=10)
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.say(Subscribe(1, JOBS, group="g"), Subscribe(2, "control.#", group="h"))
    for number in range(5):
        boss.publish(JOBS, b"%d" % number, guarantee=Guarantee.BEST_EFFORT)
    worker.jobs()
    for each in (worker, boss):
        bus.router.close(each.session)
    bus.pass_time(11)
    groups = groups_of(bus)
    assert (len(groups), groups.members, groups.room.bytes) == (0, 0, 0)
    assert not groups.in_flight
    assert not groups.pledges
    assert not groups.ended
    assert bus.router.directory.backlog.bytes == 0


# ---- who hangs ----------------------------------------------------------------------------------


def team(bus: Bus, *names: str, **options: Any) -> list[Client]:
    """Members of one group, the oldest first."""
    found = [bus.client(name) for name in names]
    for each in found:
        each.say(Subscribe(1, JOBS, group="g", **options))
    return found


def payloads(client: Client) -> list[bytes]:
    return [each.payload for each in client.jobs()]


def test_what_was_tried_goes_to_who_has_room_when_nobody_untried_has() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (full,) = team(bus, "full", choice=Choice.ROUND_ROBIN, credit_messages=1)
    (free,) = team(bus, "free")
    boss.publish(JOBS, b"1")
    boss.publish(JOBS, b"x")
    assert payloads(full) == [b"1"]
    (given,) = free.jobs()
    free.settle(Settling.RETRY, given)
    (again,) = free.jobs()
    assert (again.payload, again.tries) == (b"x", 2)


@pytest.mark.parametrize("choice", [each for each in Choice if each is not Choice.DEFAULT])
def test_who_let_a_deadline_pass_is_given_nothing_until_it_says_a_word(choice: Choice) -> None:
    bus = Bus()
    boss = bus.client("boss")
    hung, fine = team(bus, "one", "two", choice=choice)
    boss.publish(JOBS, b"0", partition_key="k")
    if not (held := hung.jobs()):
        hung, fine, held = fine, hung, fine.jobs()
    bus.pass_time(30.1)
    fine.ack(*fine.jobs())
    for number in range(8):
        boss.publish(JOBS, b"%d" % number, partition_key="k")
        assert payloads(hung) == []
        given = fine.jobs()
        assert [each.payload for each in given] == [b"%d" % number]
        fine.ack(*given)
    hung.ack(*held)  # late, but a word
    for number in range(2):
        boss.publish(JOBS, b"%d" % number, partition_key="k")
    assert payloads(hung)


def test_credit_is_a_word_too_and_that_of_another_subscription_is_none() -> None:
    bus = Bus()
    boss = bus.client("boss")
    hung, fine = team(bus, "hung", "fine", choice="standby")
    hung.say(Subscribe(2, "events.#"))
    boss.publish(JOBS, b"x")
    hung.jobs()
    bus.pass_time(30.1)
    assert payloads(fine) == [b"x"]
    hung.say(Credit(2, 5000, 1 << 24))
    boss.publish(JOBS, b"y")
    assert (payloads(hung), payloads(fine)) == ([], [b"y"])
    hung.say(Credit(1, 5000, 1 << 24))
    boss.publish(JOBS, b"z")
    assert (payloads(hung), payloads(fine)) == ([b"z"], [])


def test_where_all_are_silent_they_are_tried_like_any_other() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (alone,) = team(bus, "alone", choice="standby")
    boss.publish(JOBS, b"x")
    alone.jobs()
    bus.pass_time(30.1)
    assert payloads(alone) == [b"x"]
    bus.router.close(alone.session)
    assert not next(iter(groups_of(bus))).silent


def test_so_many_deadlines_are_looked_after_in_a_turn_and_the_others_in_the_next() -> None:
    bus = Bus(in_flight=1000)
    boss = bus.client("boss")
    hung, fine = team(bus, "hung", "fine", choice="standby")
    boss.publish(JOBS, *([b"x"] * 700))
    bus.pass_time(0)
    assert len(payloads(hung)) == 700
    clock, groups = bus.router.clock, groups_of(bus)
    clock.pass_time(30.1)
    bus.router.keep_time(NOW)
    overdue = [job for _, job in groups.in_flight.values() if job.deadline <= clock.now]
    assert len(overdue) == 700 - DUE_IN_A_TURN
    assert clock.rings
    bus.pass_time(0)
    assert len(payloads(fine)) == 700


def test_so_many_jobs_are_handed_out_in_a_turn_and_the_others_in_the_next() -> None:
    bus = Bus(in_flight=1000)
    boss, (worker,) = bus.client("boss"), team(bus, "worker")
    boss.publish(JOBS, *([b"x"] * 1000))
    (group,) = groups_of(bus)
    assert (group.in_flight, group.waiting) == (WORK_OF_GROUPS, 1000 - WORK_OF_GROUPS)
    assert bus.router.clock.rings
    bus.router.keep_time(NOW)
    assert (group.in_flight, group.waiting) == (1000, 0)
    assert [each.tries for each in worker.jobs()] == [1] * 1000


def looks_at(bus: Bus, boss: Client, **heading: Any) -> int:
    """How much is looked at for one job more."""
    (group,) = groups_of(bus)
    before = group.looks
    boss.publish(JOBS, b"x", **heading)
    return group.looks - before


@pytest.mark.parametrize("choice", [each for each in Choice if each is not Choice.DEFAULT])
def test_who_is_full_costs_the_others_nothing(choice: Choice) -> None:
    bus = Bus(in_flight=1)
    boss, many = bus.client("boss"), [bus.client(f"m{number}") for number in range(100)]
    for each in many:
        each.say(Subscribe(1, JOBS, group="g", choice=choice))
    for number in range(300):
        boss.publish(JOBS, b"x", partition_key=f"k{number}")
    bus.pass_time(0)
    first = many[0]
    given = first.jobs()
    first.ack(*given)
    assert looks_at(bus, boss, partition_key="k0") <= 2


def test_keys_that_wait_for_who_is_full_cost_others_nothing() -> None:
    bus = Bus(in_flight=1)
    boss = bus.client("boss")
    one, two = team(bus, "one", "two", choice="by-key")
    for number in range(400):
        boss.publish(JOBS, b"x", partition_key=f"k{number}")
    (group,) = groups_of(bus)
    assert (group.in_flight, group.waiting) == (2, 398)
    handled = 0
    while given := two.jobs():
        two.ack(*given)
        handled += len(given)
    assert group.waiting > 100  # all for the other one
    assert group.looks <= 400 + 2 * handled  # each key, and each that is given, and who is full
    bus.router.close(one.session)
    while given := two.jobs():
        two.ack(*given)
        handled += len(given)
    assert handled == 400


# ---- who leaves with very much ------------------------------------------------------------------


def laden(bus: Bus) -> tuple[Client, list[int]]:
    """A client that is in so many groups that it has more in hand than is given back in a turn."""
    boss, laden = bus.client("boss"), bus.client("laden")
    count = DUE_IN_A_TURN // 64 + 4
    wishes = [
        Subscribe(number, JOBS, group=f"g{number}", credit_messages=64)
        for number in range(1, count + 1)
    ]
    laden.say(*wishes)
    for number in range(64):
        boss.publish(JOBS, b"%d" % number)
        bus.pass_time(0)
    given = [each.delivery for each in laden.jobs()]
    assert len(given) == len(groups_of(bus).in_flight) == 64 * count
    return laden, given


def check_law(bus: Bus) -> None:
    for group in groups_of(bus):
        waits = group.waiting + group.in_flight
        assert group.work.offered == group.work.handled + group.work.lost.total() + waits


def test_what_one_client_had_in_hand_is_given_back_over_turns() -> None:
    bus = Bus(groups=1 << 10)
    client, given = laden(bus)
    heirs = [bus.client(f"heir{number}") for number in range(2)]
    for heir in heirs:
        heir.say(
            *(
                Subscribe(number, JOBS, group=group.name)
                for number, group in enumerate(groups_of(bus), 1)
            )
        )
    bus.router.close(client.session)
    groups, clock = groups_of(bus), bus.router.clock
    left = [job for _, job in groups.in_flight.values() if job.place and job.place.is_gone]
    assert 0 < len(left) <= len(given) - DUE_IN_A_TURN
    check_law(bus)
    while clock.rings:
        bus.router.keep_time(NOW)
        check_law(bus)
    got: list[bytes] = []
    while jobs := [each for heir in heirs for each in heir.jobs()]:
        got += [each.payload for each in jobs]
        for each in jobs:
            _, job = groups.in_flight[each.delivery]
            assert job.place is not None
            next(heir for heir in heirs if heir.session is job.place.session).ack(each)
        bus.pass_time(0)
    assert len(got) == len(given)
    assert groups.work().handled == len(given)
    assert not groups.in_flight


def test_what_is_still_to_be_given_back_is_not_its_own_any_more() -> None:
    bus = Bus(groups=1 << 10)
    client, given = laden(bus)
    groups = groups_of(bus)
    groups.leave(client.session)
    (first, *_) = [each for each in given if each in groups.in_flight]
    client.settle(Settling.ACK, first, request=9)
    answer = client.read()[-1]
    assert isinstance(answer, Answer)
    assert "is not in your hands" in answer.detail
    client.say(Subscribe(400, JOBS, group="g1"))
    bus.pass_time(0)
    assert not any(job.place and job.place.is_gone for _, job in groups.in_flight.values())
    check_law(bus)


def test_a_group_that_its_founder_left_is_in_the_share_of_who_works_there() -> None:
    bus = Bus()
    boss, founder, other = bus.client("boss"), bus.client("founder"), bus.client("other")
    (same,) = team(bus, "founder")
    for each in (founder, other):
        each.subscribe(JOBS, group="g")
    boss.publish(JOBS, bytes(1000))
    groups, (group,) = groups_of(bus), groups_of(bus)
    held = group.bytes
    assert held > 1000
    same.say(Unsubscribe(1))
    assert (group.founder, groups.room.held("founder")) == ("founder", held)
    founder.say(Unsubscribe(1))
    assert group.founder == "other"
    assert (groups.room.held("founder"), groups.room.held("other")) == (0, held)
    assert groups.room.bytes == held
    check_law(bus)


def test_what_a_group_without_members_loses_it_loses_over_turns() -> None:
    bus = Bus()
    boss = bus.client("boss")
    count = DUE_IN_A_TURN + 100
    (worker,) = team(bus, "worker", credit_messages=1)
    boss.publish(JOBS, *[b""] * count, guarantee=Guarantee.BEST_EFFORT)
    bus.router.close(worker.session)
    (group,) = groups_of(bus)
    assert count - group.waiting == DUE_IN_A_TURN + 1  # and the one that was in hand
    check_law(bus)
    bus.pass_time(0)
    assert group.waiting == 0
    assert bus.router.statistics().lost == {"disconnected": count}
    check_law(bus)


def test_who_comes_meanwhile_gets_what_is_not_lost_yet() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = team(bus, "worker", credit_messages=1)
    boss.publish(JOBS, *[b""] * 1000, guarantee=Guarantee.BEST_EFFORT)
    bus.router.close(worker.session)
    (group,) = groups_of(bus)
    left = group.waiting
    team(bus, "next", credit_messages=1)
    bus.pass_time(0)
    assert group.waiting + group.in_flight == left > 0
    check_law(bus)


def test_what_is_to_be_tried_later_is_lost_with_the_last_member_too() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = team(bus, "worker")
    boss.publish(JOBS, b"x", guarantee=Guarantee.BEST_EFFORT)
    (given,) = worker.jobs()
    worker.settle(Settling.RETRY, given, seconds=500.0)
    bus.router.close(worker.session)
    assert bus.router.statistics().lost == {"disconnected": 1}
    check_law(bus)


def test_an_abandoned_group_gives_up_over_turns_and_is_forgotten() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = team(bus, "worker", credit_messages=1)
    boss.publish(JOBS, *[b""] * 1000)
    bus.router.close(worker.session)
    (group,) = groups_of(bus)
    assert group.waiting == 1000
    bus.router.clock.pass_time(600)
    bus.router.keep_time(NOW)
    assert group.waiting == 1000 - DUE_IN_A_TURN
    assert len(groups_of(bus)) == 1
    bus.pass_time(0)
    assert len(groups_of(bus)) == 0
    assert bus.router.statistics().lost == {"abandoned": 1000}
    check_law(bus)
