"""Groups: who gets what, what is tried again, what dies, and that nothing is lost in silence."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.broker.statistics import Statistics
from daemoneye.bus.frames import (
    Answer,
    Choice,
    Chunk,
    Credit,
    Envelope,
    Guarantee,
    Heading,
    Notice,
    Query,
    Settling,
    Subscribe,
    Unsubscribe,
    encode,
    encode_large,
    parcel_stamp,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.proto import events_pb2
from tests.bus.broker.test_retained import with_tags_without_a_value
from tests.bus.support import NOW, Bus, Client, Given

JOBS = "control.demo.jobs"
EVENTS = "events.demo.jobs"
SECOND = 1_000_000_000


def members(bus: Bus, count: int, **options: Any) -> list[Client]:
    """So many members of the group on JOBS."""
    found = [bus.client(f"member{number}") for number in range(count)]
    for each in found:
        assert not each.subscribe(JOBS, group="workers", **options).error
    return found


def law(bus: Bus) -> Statistics:
    """The law of every group, and what was counted."""
    for group in bus.router.directory.groups:
        work = group.work
        assert work.offered == (
            work.handled + work.lost.total() + group.waiting + group.in_flight
        ), group
        assert group.bytes >= 0
    found = bus.router.statistics()
    assert found.group_bytes == sum(group.bytes for group in bus.router.directory.groups)
    streams = [s for each in bus.router.directory for s in each.outbox.streams.values()]
    assert found.queued == sum(stream.messages for stream in streams)
    assert found.message(0.0).lost_total == sum(found.lost.values())  # it can be told
    return found


def error_of(client: Client) -> str:
    """The name of the error in the last answer."""
    answer = client.read()[-1]
    assert isinstance(answer, Answer)
    return answer.error


def payloads(given: list[Given]) -> list[bytes]:
    return [each.payload for each in given]


# ---- who gets what ------------------------------------------------------------------------------


def test_each_message_goes_to_one_member_and_is_over_when_acknowledged() -> None:
    bus = Bus()
    boss = bus.client("boss")
    workers = members(bus, 3)
    boss.publish(JOBS, *(b"%d" % n for n in range(9)), request=1)
    assert boss.read()[-1] == Answer(1, subscribers=1)
    given = [each.jobs() for each in workers]
    every = [job for jobs in given for job in jobs]
    assert sorted(payloads(every)) == [b"%d" % n for n in range(9)]
    assert [len(jobs) for jobs in given] == [3, 3, 3]
    assert all(job.tries == 1 for jobs in given for job in jobs)
    counted = law(bus)
    assert counted.group_in_flight == 9
    assert counted.group_bytes > 9 * len(b"0")  # the member has them, and the group still does
    for worker, jobs in zip(workers, given, strict=True):
        worker.ack(*jobs)
        assert worker.read() == []
    counted = law(bus)
    assert (counted.handled, counted.group_in_flight, counted.group_waiting) == (9, 0, 0)
    assert counted.group_bytes == 0
    assert counted.lost == {}


def test_a_member_sees_who_published_and_the_numbers_of_a_batch() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"a", b"b", content_type="t")
    first, second = (each.event for each in worker.jobs())
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.publisher == ("boss", "agent", 4242, 1)
    assert (first.content_type, first.time_ns, first.header.received_at) == ("t", NOW, NOW)


def test_plain_subscribers_and_several_groups_each_get_all() -> None:
    bus = Bus()
    boss, plain, other = (bus.client(name) for name in ("boss", "plain", "other"))
    plain.subscribe("control.#")
    other.subscribe(JOBS, group="others")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"x", request=1)
    assert boss.read()[-1] == Answer(1, subscribers=3)
    assert plain.events() == [b"x"]
    assert payloads(worker.jobs()) == payloads(other.jobs()) == [b"x"]


def test_round_robin_goes_round() -> None:
    bus = Bus()
    boss = bus.client("boss")
    workers = members(bus, 3, choice="round-robin")
    for number in range(6):
        boss.publish(JOBS, b"%d" % number)
    assert [payloads(each.jobs()) for each in workers] == [
        [b"0", b"3"],
        [b"1", b"4"],
        [b"2", b"5"],
    ]


def test_the_one_with_the_fewest_in_flight_is_next() -> None:
    bus = Bus()
    boss = bus.client("boss")
    one, two = members(bus, 2)
    boss.publish(JOBS, b"0", b"1", b"2", b"3")
    one.ack(*one.jobs())
    two.jobs()
    boss.publish(JOBS, b"4", b"5")
    assert payloads(one.jobs()) == [b"4", b"5"]


def test_a_member_is_given_no_more_than_its_credit_and_the_limit() -> None:
    bus = Bus(in_flight=4)
    boss = bus.client("boss")
    (worker,) = members(bus, 1, credit_messages=2)
    boss.publish(JOBS, *(b"%d" % n for n in range(9)))
    first = worker.jobs()
    assert payloads(first) == [b"0", b"1"]
    worker.say(Credit(1, 9, 1 << 20))
    second = worker.jobs()
    assert payloads(second) == [b"2", b"3"]
    worker.ack(*first)
    assert payloads(worker.jobs()) == [b"4", b"5"]
    assert law(bus).group_waiting == 3


def test_equal_keys_keep_their_order_and_a_full_member_holds_up_only_its_own() -> None:
    bus = Bus(in_flight=1)
    boss = bus.client("boss")
    workers = members(bus, 2, choice="by-key")
    for number in range(40):
        boss.publish(JOBS, b"%d" % number, partition_key=f"key{number % 8}")
    seen: dict[int, list[int]] = {key: [] for key in range(8)}
    owners: dict[int, set[str]] = {key: set() for key in range(8)}
    stuck = workers[0].jobs()  # which it never acknowledges, for now
    assert len(stuck) == 1
    while given := workers[1].jobs():
        for each in given:
            seen[int(each.payload) % 8].append(int(each.payload))
            owners[int(each.payload) % 8].add("1")
        workers[1].ack(*given)
    assert sum(map(len, seen.values())) % 5 == 0  # all of a key, or nothing
    assert 0 < sum(map(len, seen.values())) < 40
    workers[0].ack(*stuck)
    for each in stuck:
        seen[int(each.payload) % 8].append(int(each.payload))
    while given := workers[0].jobs():
        for each in given:
            seen[int(each.payload) % 8].append(int(each.payload))
            owners[int(each.payload) % 8].add("0")
        workers[0].ack(*given)
    assert all(found == list(range(key, 40, 8)) for key, found in seen.items())
    assert all(len(each) == 1 for each in owners.values())
    assert law(bus).handled == 40


def test_a_key_that_is_tried_again_keeps_its_order() -> None:
    bus = Bus()
    boss = bus.client("boss")
    workers = members(bus, 2, choice="by-key")
    for number in range(4):
        boss.publish(JOBS, b"%d" % number, partition_key="same")
    (busy, (first,)), *_ = [(each, jobs) for each in workers if (jobs := each.jobs())]
    busy.settle(Settling.RETRY, first, seconds=5.0)
    assert [each.jobs() for each in workers] == [[], []]
    bus.pass_time(5.0)
    heard: list[bytes] = []
    for _ in range(4):
        for each in workers:
            given = each.jobs()
            heard += payloads(given)
            each.ack(*given)
    assert heard == [b"0", b"1", b"2", b"3"]


# ---- trying again -------------------------------------------------------------------------------


def test_b17_what_a_dead_member_had_goes_to_others_at_once() -> None:
    bus = Bus(in_flight=5)
    boss = bus.client("boss")
    workers = members(bus, 3)
    boss.publish(JOBS, *(b"%d" % n for n in range(30)))
    seen: dict[str, list[bytes]] = {str(each.session): [] for each in workers}
    killed = workers.pop()
    lost = killed.jobs()
    assert len(lost) == 5
    seen[str(killed.session)] += payloads(lost)
    bus.router.close(killed.session)
    handled: list[bytes] = []
    while True:
        given = [(each, each.jobs()) for each in workers]
        if not any(jobs for _, jobs in given):
            break
        for worker, jobs in given:
            for job in jobs:
                assert job.tries == (2 if job.payload in payloads(lost) else 1)
            seen[str(worker.session)] += payloads(jobs)
            handled += payloads(jobs)
            worker.ack(*jobs)
    assert sorted(handled, key=int) == [b"%d" % n for n in range(30)]
    assert all(len(each) == len(set(each)) for each in seen.values())
    counted = law(bus)
    assert (counted.handled, counted.lost) == (30, {})


def test_what_a_member_never_had_is_not_counted_as_tried() -> None:
    bus = Bus()
    boss = bus.client("boss")
    first, second = members(bus, 2, choice="standby")
    boss.publish(JOBS, b"x")
    bus.router.close(first.session)
    (given,) = second.jobs()
    assert given.tries == 1


def test_unsubscribing_gives_back_what_is_in_hand() -> None:
    bus = Bus()
    boss = bus.client("boss")
    first, second = members(bus, 2, choice="standby")
    boss.publish(JOBS, b"x", b"y")
    given = first.jobs()
    first.say(Unsubscribe(1, request=2))
    assert payloads(second.jobs()) == [b"x", b"y"]
    first.ack(*given)
    assert {each.code for each in first.notices()} == {"late"}
    assert law(bus).group_in_flight == 2


def test_b18_who_never_acknowledges_is_tried_no_more_than_five_times() -> None:
    bus = Bus()
    boss, watching = bus.client("boss"), bus.client("watching")
    watching.subscribe("$bus.dead.workers")
    workers = members(bus, 2)
    boss.publish(JOBS, b"x")
    counts: list[tuple[int, int]] = []
    for _ in range(6):
        for number, worker in enumerate(workers):
            counts += [(number, each.tries) for each in worker.jobs()]
        bus.pass_time(29.9)
        assert not any(worker.jobs() for worker in workers)
        bus.pass_time(0.2)
    assert [count for _, count in counts] == [1, 2, 3, 4, 5]
    turns = [number for number, _ in counts]
    assert all(before != after for before, after in pairwise(turns))
    (letter,) = (each for each in watching.read() if isinstance(each, Envelope))
    told = letter.unpack(events_pb2.DeadLetter)
    assert letter.topic == "$bus.dead.workers"
    assert (told.group, told.topic, told.payload, told.publisher) == ("workers", JOBS, b"x", "boss")
    assert (told.delivery_count, told.reason, told.sequence) == (5, "exhausted", 1)
    assert "tried 5 times" in told.cause
    counted = law(bus)
    assert (counted.lost, counted.group_in_flight) == ({"exhausted": 1}, 0)


def test_b19_the_next_takes_over_and_the_old_ones_late_word_changes_nothing() -> None:
    bus = Bus()
    boss = bus.client("boss")
    first, second, third = members(bus, 3, choice="standby")
    boss.publish(JOBS, b"x", b"y")
    held = first.jobs()
    assert payloads(held) == [b"x", b"y"]
    assert second.jobs() == third.jobs() == []
    bus.pass_time(30.1)  # it hangs: connected, and says nothing
    taken = second.jobs()
    assert [(each.payload, each.tries) for each in taken] == [(b"x", 2), (b"y", 2)]
    first.ack(*held)
    told = first.notices()
    assert [(each.code, each.delivery) for each in told] == [
        ("late", each.delivery) for each in held
    ]
    assert law(bus).handled == 0
    bus.router.close(first.session)
    boss.publish(JOBS, b"z")
    assert payloads(second.jobs()) == [b"z"]
    second.ack(*taken)
    counted = law(bus)
    assert (counted.handled, counted.refused["late"]) == (2, 2)


def test_what_a_member_has_not_read_in_time_does_not_come_to_it_any_more() -> None:
    bus = Bus()
    boss = bus.client("boss")
    first, second = members(bus, 2, choice="standby")
    boss.publish(JOBS, b"x", b"y")  # and it reads nothing
    bus.pass_time(30.1)
    assert payloads(second.jobs()) == [b"x", b"y"]
    assert first.jobs() == []
    law(bus)


def test_more_time_is_given_to_who_asks() -> None:
    bus = Bus()
    boss = bus.client("boss")
    first, second = members(bus, 2, choice="standby")
    boss.publish(JOBS, b"x")
    (given,) = first.jobs()
    bus.pass_time(29)
    first.settle(Settling.EXTEND, given, seconds=60)
    bus.pass_time(59)
    assert second.jobs() == []
    bus.pass_time(2)
    assert payloads(second.jobs()) == [b"x"]


def test_another_try_goes_to_another_member_and_not_before_its_time() -> None:
    bus = Bus()
    boss = bus.client("boss")
    workers = members(bus, 3, choice="standby")
    boss.publish(JOBS, b"x")
    (given,) = workers[0].jobs()
    workers[0].settle(Settling.RETRY, given, seconds=2.0)
    bus.pass_time(1.9)
    assert [each.jobs() for each in workers] == [[], [], []]
    bus.pass_time(0.2)
    (again,) = workers[1].jobs()
    workers[1].settle(Settling.RETRY, again)
    (third,) = workers[2].jobs()
    assert third.tries == 3
    workers[2].settle(Settling.RETRY, third)
    (fourth,) = workers[0].jobs()  # all have tried it; the last one is not asked twice
    assert fourth.tries == 4


def test_who_is_alone_gets_it_again() -> None:
    bus = Bus()
    boss, watching = bus.client("boss"), bus.client("watching")
    watching.subscribe("$bus.dead.workers")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"x")
    for count in range(1, 6):
        (given,) = worker.jobs()
        assert given.tries == count
        worker.settle(Settling.RETRY, given)
    assert worker.jobs() == []
    assert law(bus).lost == {"exhausted": 1}
    bus.pass_time(0)
    (letter,) = (each for each in watching.read() if isinstance(each, Envelope))
    told = letter.unpack(events_pb2.DeadLetter)
    assert told.cause == f"tried 5 times; {worker.session} asked for another try"


def test_what_is_rejected_is_a_dead_letter_at_once() -> None:
    bus = Bus()
    boss, watching = bus.client("boss"), bus.client("watching")
    watching.subscribe("$bus.dead.#")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"x")
    worker.settle(Settling.REJECT, *worker.jobs(), reason="no such file")
    bus.pass_time(0)
    (letter,) = (each for each in watching.read() if isinstance(each, Envelope))
    told = letter.unpack(events_pb2.DeadLetter)
    assert (told.reason, told.cause, told.delivery_count) == ("rejected", "no such file", 1)
    assert law(bus).lost == {"rejected": 1}


def test_a_dead_letter_says_that_its_payload_is_too_large_for_it() -> None:
    bus = Bus(frame_bytes=1 << 14)
    boss, watching = bus.client("boss"), bus.client("watching")
    watching.subscribe("$bus.dead.#")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, bytes(10_000))
    worker.settle(Settling.REJECT, *worker.jobs(), reason="no")
    bus.pass_time(0)
    (letter,) = (each for each in watching.read() if isinstance(each, Envelope))
    told = letter.unpack(events_pb2.DeadLetter)
    assert (told.payload, told.payload_bytes) == (b"", 10_000)
    assert told.cause == "no (its payload of 10000 bytes is left out)"


# ---- nobody there, no room ----------------------------------------------------------------------


def test_at_least_once_waits_for_the_next_member_and_best_effort_does_not() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    bus.router.close(worker.session)
    boss.publish(JOBS, b"kept", request=1)
    boss.publish(JOBS, b"not", request=2, guarantee=Guarantee.BEST_EFFORT)
    answers = [each for each in boss.read() if isinstance(each, Answer)]
    assert answers == [Answer(1, subscribers=1), Answer(2, subscribers=0)]
    back = bus.client("back")
    back.say(Subscribe(1, JOBS, group="workers"))
    assert payloads(back.jobs()) == [b"kept"]
    law(bus)


def test_events_are_best_effort_unless_they_say_otherwise() -> None:
    bus = Bus()
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.subscribe(EVENTS, group="workers")
    bus.router.close(worker.session)
    boss.publish(EVENTS, b"not")
    boss.publish(EVENTS, b"kept", guarantee=Guarantee.AT_LEAST_ONCE)
    again = bus.client("worker")
    again.say(Subscribe(1, EVENTS, group="workers"))
    assert payloads(again.jobs()) == [b"kept"]


def test_best_effort_in_the_hands_of_the_last_member_is_lost_with_it() -> None:
    bus = Bus()
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.subscribe(EVENTS, group="workers", credit_messages=1)
    boss.publish(EVENTS, b"1", b"2")
    bus.router.close(worker.session)
    assert law(bus).lost == {"disconnected": 2}


def test_what_waits_for_too_long_for_a_member_is_abandoned() -> None:
    bus = Bus()
    boss, watching = bus.client("boss"), bus.client("watching")
    watching.subscribe("$bus.dead.#")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"0")
    bus.router.close(worker.session)
    boss.publish(JOBS, b"1")
    bus.pass_time(599)
    assert law(bus).group_waiting == 2
    bus.pass_time(2)
    told = [
        each.unpack(events_pb2.DeadLetter) for each in watching.read() if isinstance(each, Envelope)
    ]
    assert [(each.payload, each.reason) for each in told] == [(b"0", "abandoned")] + [
        (b"1", "abandoned")
    ]
    counted = law(bus)
    assert (counted.groups, counted.lost) == (0, {"abandoned": 2})
    boss.publish(JOBS, b"2", request=1)
    assert boss.read()[-1] == Answer(1, subscribers=0)


def test_a_confirmed_publish_without_room_is_refused_whole() -> None:
    bus = Bus(group_messages=10, in_flight=2)
    boss, plain = bus.client("boss"), bus.client("plain")
    plain.subscribe("control.#")
    members(bus, 1)
    boss.publish(JOBS, *([b"x"] * 10), request=1)
    assert boss.read()[-1] == Answer(1, subscribers=2)
    plain.read()
    boss.publish(JOBS, b"y", b"y", b"y", request=2)
    answer = boss.read()[-1]
    assert isinstance(answer, Answer)
    assert answer.error == "BackPressure"
    assert "workers" in answer.detail
    assert plain.events() == []
    boss.publish(JOBS, b"y", b"y", request=3)
    assert boss.read()[-1] == Answer(3, subscribers=2)
    assert law(bus).group_waiting == 10


def test_an_unconfirmed_publish_without_room_loses_the_newest() -> None:
    bus = Bus(group_messages=4, in_flight=1)
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"0")
    boss.publish(JOBS, *(b"%d" % n for n in range(1, 9)))
    found: list[bytes] = []
    while given := worker.jobs():
        found += payloads(given)
        worker.ack(*given)
    assert found == [b"0", b"1", b"2", b"3", b"4"]
    assert law(bus).lost == {"overflow": 4}


def test_group_bytes_bound_what_a_group_has_in_all() -> None:
    bus = Bus(group_bytes=10_000)
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, bytes(6000), request=1)
    boss.publish(JOBS, bytes(6000), request=2)
    first, second = (each for each in boss.read() if isinstance(each, Answer))
    assert (first.error, second.error) == ("", "BackPressure")
    worker.ack(*worker.jobs())
    boss.publish(JOBS, bytes(6000), request=3)
    assert boss.read()[-1] == Answer(3, subscribers=1)


def test_groups_of_one_identity_hold_a_quarter_of_the_room_and_nothing_past_it() -> None:
    bus = Bus(outbound_bytes=1 << 16)
    boss, greedy, other = (bus.client(name) for name in ("boss", "greedy", "other"))
    for number in range(1, 5):
        assert not greedy.subscribe(JOBS, number, group=f"g{number}", credit_messages=1).error
    assert not other.subscribe("control.#", group="g", credit_messages=1).error
    room = bus.router.directory.groups.room
    boss.publish(JOBS, b"", request=1)
    one = room.held("other")
    boss.publish(JOBS, bytes((1 << 12) - 4 * one), request=2)
    left = (1 << 14) - room.held("greedy")
    assert 4 * one <= left < 8 * one
    boss.publish(JOBS, b"", request=3)
    assert [each.subscribers for each in boss.read() if isinstance(each, Answer)] == [5, 5, 5]
    boss.publish(JOBS, b"", request=4)
    assert error_of(boss) == "BackPressure"
    assert room.held("greedy") == 4 * room.held("other") == room.bytes * 4 // 5
    boss.publish("control.demo.other", b"", request=5)  # for the group of the other one alone
    assert boss.read()[-1] == Answer(5, subscribers=1)
    law(bus)


def test_a_full_share_is_named_and_costs_nobody_else_what_is_best_effort() -> None:
    bus = Bus(outbound_bytes=1 << 16)
    boss, greedy, other = (bus.client(name) for name in ("boss", "greedy", "other"))
    assert not greedy.subscribe("events.#", group="g", credit_messages=1).error
    assert not other.subscribe("events.demo.+", group="g", credit_messages=100).error
    boss.publish(EVENTS, *([bytes(1000)] * 10), request=1)
    other.ack(*other.jobs())
    boss.publish(EVENTS, *([bytes(1000)] * 10), request=2)
    answers = [each.subscribers for each in boss.read() if isinstance(each, Answer)]
    assert answers == [2, 2]
    assert len(other.jobs()) == 10
    lost = law(bus).lost["overflow"]
    assert lost > 0
    boss.publish(EVENTS, bytes(1000), request=3)
    assert boss.read()[-1] == Answer(3, subscribers=1)
    assert law(bus).lost["overflow"] == lost + 1
    boss.publish(EVENTS, bytes(1000), request=4, guarantee=Guarantee.AT_LEAST_ONCE)
    answer = boss.read()[-1]
    assert isinstance(answer, Answer)
    assert answer.error == "BackPressure"
    assert "the groups that greedy began have no room" in answer.detail


def test_what_has_expired_goes_to_nobody_and_is_counted() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"old", expires_at=NOW + 5)
    boss.publish(JOBS, b"new")
    assert payloads(worker.jobs(NOW + 10)) == [b"new"]
    bus.pass_time(0)
    counted = law(bus)
    assert (counted.lost, counted.group_in_flight) == ({"expired": 1}, 1)


def test_what_has_expired_keeps_no_place_in_a_group_that_nobody_is_in() -> None:
    bus = Bus(group_messages=3)
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    bus.router.close(worker.session)
    for _ in range(3):
        boss.publish(JOBS, b"old", expires_at=NOW + SECOND)
    boss.publish(JOBS, b"new", request=1)
    assert error_of(boss) == "BackPressure"
    bus.router.clock.pass_time(1)  # and nobody looks at the clock
    boss.publish(JOBS, b"new", request=2)
    assert error_of(boss) == ""
    counted = law(bus)
    assert (counted.lost, counted.group_waiting) == ({"expired": 3}, 1)


def test_who_waits_for_what_expires_is_told_when_it_does() -> None:
    bus = Bus()
    boss, listener = bus.client("boss"), bus.client("listener")
    listener.subscribe("$bus.dead.#")
    (worker,) = members(bus, 1)
    bus.router.close(worker.session)
    boss.publish_until_handled(JOBS, b"old", request=1, expires_at=NOW + 2 * SECOND)
    bus.pass_time(1)
    assert boss.read() == []
    bus.pass_time(1)
    assert error_of(boss) == "DeadlineExceeded"
    assert listener.events() == []


@pytest.mark.parametrize("choice", ["least-in-flight", "by-key"])
def test_what_is_to_be_tried_again_expires_where_it_waits(choice: str) -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1, choice=choice)
    for payload in (b"later", b"now", b"too"):
        boss.publish(JOBS, payload, partition_key=payload.decode(), expires_at=NOW + 5 * SECOND)
    later, *_ = worker.jobs()
    worker.settle(Settling.RETRY, later, seconds=9)
    bus.pass_time(4)
    bus.router.close(worker.session)
    assert law(bus).group_waiting == 3
    bus.pass_time(1)
    counted = law(bus)
    assert (counted.lost, counted.group_waiting) == ({"expired": 3}, 0)


def test_what_nobody_there_may_read_expires_too() -> None:
    bus = Bus(AccessRule("narrow", "read-only", "control.secret.#", deny=True))
    boss, narrow = bus.client("boss"), bus.client("narrow")
    assert not narrow.subscribe("control.#", group="workers").error
    boss.publish("control.secret.key", b"x", expires_at=NOW + SECOND)
    bus.pass_time(1)
    assert law(bus).lost == {"expired": 1}


def test_what_is_in_hand_when_it_expires_may_still_be_handled() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"x", expires_at=NOW + SECOND)
    (job,) = worker.jobs()
    bus.pass_time(2)
    worker.ack(job)
    counted = law(bus)
    assert (counted.handled, counted.lost) == (1, {})


# ---- receipts -----------------------------------------------------------------------------------


def test_a_receipt_can_wait_until_it_is_handled() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish_until_handled(JOBS, b"x", 1)
    assert boss.read() == []
    worker.ack(*worker.jobs())
    assert boss.read() == [Answer(1, subscribers=1)]
    assert not bus.router.directory.groups.pledges


def test_a_receipt_of_several_groups_waits_for_all_of_them() -> None:
    bus = Bus()
    boss, other = bus.client("boss"), bus.client("other")
    other.subscribe("control.#", group="others")
    (worker,) = members(bus, 1)
    boss.publish_until_handled(JOBS, b"x", 1)
    worker.ack(*worker.jobs())
    assert boss.read() == []
    other.settle(Settling.REJECT, *other.jobs(), reason="not mine")
    (answer,) = boss.read()
    assert isinstance(answer, Answer)
    assert answer.error == "Rejected"
    assert "the group others of control.# did not handle it (rejected): not mine" in answer.detail


def test_nobody_to_handle_it_is_told_at_once() -> None:
    bus = Bus()
    boss, plain = bus.client("boss"), bus.client("plain")
    plain.subscribe("control.#")
    boss.publish_until_handled(JOBS, b"x", 1)
    (answer,) = boss.read()
    assert isinstance(answer, Answer)
    assert answer.error == "NoResponder"
    assert answer.detail == f"there is no group to handle {JOBS}"
    assert "with group= first" in answer.hint
    assert "at least once" not in answer.hint  # it is published so
    assert plain.events() == []


def test_best_effort_that_waits_for_no_member_is_told_how_it_would() -> None:
    bus = Bus()
    boss, gone = bus.client("boss"), bus.client("gone")
    gone.subscribe(EVENTS, group="workers")
    bus.router.close(gone.session)
    boss.publish_until_handled(EVENTS, b"x", 1, guarantee=Guarantee.DEFAULT)
    (answer,) = boss.read()
    assert isinstance(answer, Answer)
    assert answer.error == "NoResponder"
    assert f"no group of {EVENTS} has a member" in answer.detail
    assert 'guarantee="at-least-once"' in answer.hint


def test_who_waits_for_a_receipt_and_goes_leaves_nothing_behind() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish_until_handled(JOBS, b"x", 1)
    bus.router.close(boss.session)
    assert not bus.router.directory.groups.pledges
    worker.ack(*worker.jobs())
    assert law(bus).handled == 1


# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.b", "+", "Upper", "x" * 65, "ä"])
def test_bad_input_group_names_are_levels(name: str) -> None:
    bus = Bus()
    answer = bus.client("a").subscribe(JOBS, group=name)
    assert answer.error == "LocalProtocolError"
    assert "cannot be the name of a group" in answer.detail
    assert not bus.router.directory.groups
    assert bus.router.directory.subscriptions == 0


def test_the_first_member_decides_how_to_choose() -> None:
    bus = Bus()
    members(bus, 1, choice="standby")
    other = bus.client("other")
    answer = other.subscribe(JOBS, group="workers", choice="round-robin")
    assert answer.error == "LocalProtocolError"
    assert "goes by standby, not by round-robin" in answer.detail
    assert answer.choice is Choice.DEFAULT
    answers = [
        other.subscribe(JOBS, 2, group="workers"),
        other.subscribe("control.#", 3, group="workers", choice="round-robin"),
        other.subscribe("events.#", 4, group="workers"),
        other.subscribe(JOBS, 5),
    ]
    assert [each.error for each in answers] == [""] * 4
    assert [each.choice for each in answers] == [
        Choice.STANDBY,
        Choice.ROUND_ROBIN,
        Choice.LEAST_IN_FLIGHT,
        Choice.DEFAULT,
    ]


def test_bad_input_a_group_by_key_needs_one_and_nobody_gets_any_without() -> None:
    bus = Bus()
    boss, plain = bus.client("boss"), bus.client("plain")
    plain.subscribe("control.#")
    (worker,) = members(bus, 1, choice="by-key")
    boss.publish(JOBS, b"x", request=1)
    answer = boss.read()[-1]
    assert isinstance(answer, Answer)
    assert answer.error == "LocalProtocolError"
    assert "goes by a key" in answer.detail
    assert plain.events() == payloads(worker.jobs()) == []
    boss.publish(JOBS, b"y")
    assert [each.code for each in boss.notices()] == ["refused"]
    boss.sequences[JOBS] = 0
    boss.publish(JOBS, b"z", partition_key="k")  # the number 1 has not been used
    assert payloads(worker.jobs()) == [b"z"]


def test_bad_input_a_body_that_is_no_batch_goes_to_nobody() -> None:
    bus = Bus()
    boss, plain = bus.client("boss"), bus.client("plain")
    plain.subscribe("control.#")
    members(bus, 1)
    raw = boss.frame(JOBS, b"x", b"y", request=1)
    lie = raw.replace(b"\x18\x02", b"\x18\x03", 1)
    bus.router.receive(boss.session, [lie], NOW)
    answer = boss.read()[-1]
    assert isinstance(answer, Answer)
    assert answer.error == "LocalProtocolError"
    assert plain.events() == []


def test_bad_input_what_is_small_together_and_large_one_by_one_is_refused() -> None:
    bus = Bus(group_bytes=100_000)
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, *([b"x"] * 200), request=1, content_type="t" * 1000)
    answer = boss.read()[-1]
    assert isinstance(answer, Answer)
    assert answer.error == "TooLarge"
    assert "200 messages" in answer.detail
    assert worker.jobs() == []
    boss.publish(JOBS, *([b"x"] * 50), request=2, content_type="t" * 1000)
    assert boss.read()[-1] == Answer(2, subscribers=1)
    assert len(worker.jobs()) == 50


def test_a_large_payload_is_not_for_a_group() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    raw = encode_large(Heading(JOBS), 300_000, NOW, 1, request=1) + parcel_stamp(1, 0)
    content = bytes(100_000)
    chunks = [encode(Chunk(1, 300_000, offset, content)) for offset in (0, 100_000, 200_000)]
    bus.router.receive(boss.session, [*chunks, raw], NOW)
    answer = next(each for each in boss.read() if isinstance(each, Answer))
    assert answer.error == "TooLarge"
    assert "the group workers of control.demo.jobs takes what fits" in answer.detail
    assert worker.jobs() == []
    assert bus.router.parcels.bytes == 0


@pytest.mark.parametrize("what", list(Settling))
def test_bad_input_settling_what_is_not_ones_own_is_an_error(what: Settling) -> None:
    bus = Bus()
    boss = bus.client("boss")
    first, second = members(bus, 2, choice="standby")
    boss.publish(JOBS, b"x")
    (given,) = first.jobs()
    for number in (given.delivery, 0, 1 << 63):
        second.settle(what, number, request=9)
        answer = second.read()[-1]
        assert isinstance(answer, Answer)
        assert (answer.request, answer.error) == (9, "LocalProtocolError")
        assert f"delivery {number} is not in your hands" in answer.detail
    counted = law(bus)
    assert (counted.group_in_flight, counted.refused) == (1, {"late": 3})
    first.ack(given)
    first.ack(given)
    (notice,) = first.notices()
    assert isinstance(notice, Notice)
    assert (notice.code, notice.delivery) == ("late", given.delivery)
    assert law(bus).handled == 1


def test_bad_input_nobody_waits_for_ever() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"x")
    (given,) = worker.jobs()
    worker.settle(Settling.EXTEND, given, seconds=1e9)
    (notice,) = worker.notices()
    assert (notice.code, notice.delivery) == ("refused", given.delivery)
    worker.settle(Settling.RETRY, given, seconds=1e9, request=3)
    answer = worker.read()[-1]
    assert isinstance(answer, Answer)
    assert "are more than 600" in answer.detail
    bus.pass_time(30.1)
    assert [each.tries for each in worker.jobs()] == [2]


# ---- rights -------------------------------------------------------------------------------------


def test_who_loses_the_right_leaves_the_group_and_its_work_goes_on() -> None:
    bus = Bus()
    boss = bus.client("boss")
    first, second = members(bus, 2, choice="standby")
    boss.publish(JOBS, b"x", b"y")
    given = first.jobs()
    rules = (AccessRule("member0", "read-only", "control.#", deny=True),)
    bus.router.set_rules(Limits(), AccessList(rules))
    (notice,) = first.notices()
    assert (notice.code, notice.subscription) == ("unsubscribed", 1)
    assert [(each.payload, each.tries) for each in second.jobs()] == [(b"x", 2), (b"y", 2)]
    first.ack(*given)
    assert {each.code for each in first.notices()} == {"late"}
    law(bus)


def test_a_topic_goes_only_to_members_who_may_read_it() -> None:
    bus = Bus(AccessRule("narrow", "read-only", "control.secret.#", deny=True))
    boss, narrow, wide = (bus.client(name) for name in ("boss", "narrow", "wide"))
    for each in (narrow, wide):
        assert not each.subscribe("control.#", group="workers").error
    for _ in range(4):
        boss.publish("control.secret.key", b"s")
    assert narrow.jobs() == []
    assert len(wide.jobs()) == 4
    bus.router.close(wide.session)
    assert narrow.jobs() == []
    counted = law(bus)
    assert (counted.group_waiting, counted.lost) == (4, {})


def test_what_nobody_there_may_read_waits_for_who_may_as_if_nobody_were_there() -> None:
    bus = Bus(AccessRule("narrow", "read-only", "control.secret.#", deny=True))
    boss, narrow = bus.client("boss"), bus.client("narrow")
    assert not narrow.subscribe("control.#", group="workers").error
    for payload in (b"1", b"2"):
        boss.publish("control.secret.key", payload, request=1)
        assert boss.read()[-1] == Answer(1, subscribers=1)
    boss.publish("control.open", b"open")
    assert payloads(narrow.jobs()) == [b"open"]
    bus.pass_time(Limits().group_timeout - 1)
    wide = bus.client("wide")
    wide.say(Subscribe(1, "control.#", group="workers"))
    assert payloads(wide.jobs()) == [b"1", b"2"]
    law(bus)


def test_what_nobody_there_may_read_in_time_is_a_dead_letter_whoever_comes_and_goes() -> None:
    bus = Bus(AccessRule("narrow", "read-only", "control.secret.#", deny=True))
    boss, narrow = bus.client("boss"), bus.client("narrow")
    assert not narrow.subscribe("control.#", group="workers").error
    boss.publish("control.secret.key", b"1")
    for _ in range(3):
        bus.pass_time(Limits().group_timeout / 4)
        again = bus.client("narrow")
        assert not again.subscribe("control.#", group="workers").error
        assert law(bus).group_waiting == 1
    bus.pass_time(Limits().group_timeout / 4)
    counted = law(bus)
    assert (counted.group_waiting, counted.lost) == (0, {"denied": 1})


def test_rights_that_come_make_what_waits_readable_by_key_in_its_order() -> None:
    deny = AccessRule("narrow", "read-only", "control.secret.#", deny=True)
    bus = Bus(deny)
    boss, narrow = bus.client("boss"), bus.client("narrow")
    assert not narrow.subscribe("control.#", group="workers", choice="by-key").error
    for payload in (b"1", b"2", b"3"):
        boss.publish("control.secret.key", payload, partition_key="k")
    boss.publish("control.open", b"open", partition_key="k")
    (given,) = narrow.jobs()
    assert given.payload == b"open"
    bus.router.set_rules(Limits(), AccessList(()))
    narrow.ack(given)
    for payload in (b"1", b"2", b"3"):
        (given,) = narrow.jobs()
        assert given.payload == payload
        narrow.ack(given)
    law(bus)


def test_what_is_best_effort_and_nobody_there_may_read_is_not_for_the_group() -> None:
    bus = Bus(AccessRule("narrow", "read-only", "events.secret.#", deny=True))
    boss, narrow = bus.client("boss"), bus.client("narrow")
    assert not narrow.subscribe("events.#", group="workers").error
    boss.publish("events.secret.key", b"s", request=1)
    assert boss.read()[-1] == Answer(1, subscribers=0)
    assert law(bus).lost == {}


# ---- what a group cannot take -------------------------------------------------------------------


def test_a_group_silences_nobody_else_on_a_topic_of_best_effort() -> None:
    bus = Bus(group_messages=2)
    boss, plain, watcher = bus.client("boss"), bus.client("plain"), bus.client("w", "observer")
    plain.subscribe("events.#")
    assert not watcher.subscribe("events.#", 1, group="x", choice="by-key").error
    boss.publish(EVENTS, b"no key", request=1)
    assert boss.read()[-1] == Answer(1, subscribers=1)
    for number in range(5):
        boss.publish(EVENTS, b"%d" % number, request=2, partition_key=f"{number}")
        assert not boss.read()[-1].error  # type: ignore[union-attr]  # an answer
    assert plain.events() == [b"no key", b"0", b"1", b"2", b"3", b"4"]
    assert law(bus).lost["no-key"] == 1


def test_a_large_payload_of_best_effort_is_lost_to_the_group_alone() -> None:
    bus = Bus()
    boss, plain = bus.client("boss"), bus.client("plain")
    plain.subscribe(EVENTS, credit_bytes=1 << 20, credit_messages=9)
    (worker,) = (bus.client("w"),)
    assert not worker.subscribe(EVENTS, group="x").error
    raw = encode_large(Heading(EVENTS), 300_000, NOW, 1, request=1) + parcel_stamp(1, 0)
    content = bytes(100_000)
    chunks = [encode(Chunk(1, 300_000, offset, content)) for offset in (0, 100_000, 200_000)]
    bus.router.receive(boss.session, [*chunks, raw], NOW)
    assert next(each for each in boss.read() if isinstance(each, Answer)).subscribers == 1
    (group,) = bus.router.directory.groups
    assert group.work.lost == {"oversize": 1}
    law(bus)


def test_small_together_and_large_one_by_one_is_lost_to_the_group_alone() -> None:
    bus = Bus(group_bytes=100_000)
    boss, plain, worker = bus.client("boss"), bus.client("plain"), bus.client("worker")
    plain.subscribe(EVENTS)
    assert not worker.subscribe(EVENTS, group="x").error
    boss.publish(EVENTS, *([b"x"] * 200), request=1, content_type="t" * 1000)
    assert boss.read()[-1] == Answer(1, subscribers=1)
    assert len(plain.events()) == 200
    assert law(bus).lost == {"oversize": 200}


def test_bad_input_what_is_longer_alone_than_a_member_reads_is_refused() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    room = bus.router.limits.frame_bytes - 1500 * 8 - 100
    raw = with_tags_without_a_value(boss.frame(JOBS, bytes(room), b"", request=1), 1500)
    assert len(raw) <= bus.router.limits.frame_bytes
    bus.router.receive(boss.session, [raw], NOW)
    answer = boss.read()[-1]
    assert isinstance(answer, Answer)
    assert (answer.error, "by itself" in answer.detail) == ("TooLarge", True)
    assert worker.jobs() == []


def test_a_group_of_what_the_broker_says_is_refused() -> None:
    bus = Bus()
    answer = bus.client("a").subscribe("$bus.stats", group="x")
    assert answer.error == "LocalProtocolError"
    assert "for everybody" in answer.detail


def test_a_group_that_is_idle_when_fewer_are_allowed_can_be_joined_again() -> None:
    bus = Bus()
    for number in range(3):
        assert not bus.client(f"c{number}").subscribe(JOBS, group=f"g{number}").error
    (first,) = bus.router.directory.named("c0")
    bus.router.close(first)
    bus.router.set_rules(Limits(groups=2), AccessList(()))
    assert not bus.client("c0").subscribe(JOBS, group="g0").error


def test_a_full_house_of_groups_takes_no_more_until_one_is_idle() -> None:
    bus = Bus(groups=2)
    clients = [bus.client(f"c{number}") for number in range(4)]
    assert not clients[0].subscribe(JOBS, group="a").error
    assert not clients[1].subscribe(JOBS, group="b").error
    answer = clients[2].subscribe(JOBS, group="c")
    assert answer.error == "BusError"
    assert "there are 2 groups already" in answer.detail
    bus.router.close(clients[0].session)
    assert not clients[2].subscribe(JOBS, group="c").error
    assert {each.name for each in bus.router.directory.groups} == {"b", "c"}


def test_one_identity_begins_a_quarter_of_the_groups_and_joins_as_many_as_it_likes() -> None:
    bus = Bus(groups=8)
    greedy, other = bus.client("greedy"), bus.client("other")
    for number in (1, 2):
        assert not greedy.subscribe(JOBS, number, group=f"g{number}").error
    answer = greedy.subscribe(JOBS, 3, group="g3")
    assert (answer.error, "greedy has begun 2 groups" in answer.detail) == ("BusError", True)
    assert not other.subscribe(JOBS, 1, group="g3").error
    assert not greedy.subscribe(JOBS, 3, group="g3").error
    greedy.say(Unsubscribe(1, request=9))
    assert isinstance(greedy.read()[-1], Answer)
    assert not greedy.subscribe(JOBS, 4, group="g4").error


def come_and_go(client: Client, *names: str) -> None:
    """Begin these groups, one after the other, and stay in none of them."""
    for name in names:
        assert not client.subscribe(JOBS, group=name).error
        client.say(Unsubscribe(1))


def test_who_comes_and_goes_keeps_no_more_groups_than_its_share() -> None:
    bus = Bus(groups=8)
    boss, greedy, other = (bus.client(name) for name in ("boss", "greedy", "other"))
    come_and_go(greedy, *"abcdefgh")
    assert [each.name for each in bus.router.directory.groups] == ["g", "h"]
    boss.publish(JOBS, b"x", request=1)  # it waits in all that are left
    assert boss.read()[-1] == Answer(1, subscribers=2)
    answer = greedy.subscribe(JOBS, group="i")
    assert "greedy has begun 2 groups, and one may begin 2 of 8" in answer.detail
    for number, name in enumerate("ij", 1):
        assert not other.subscribe(JOBS, number, group=name).error
    assert law(bus).group_waiting == 2


def test_who_begins_an_idle_group_anew_has_it_in_its_share() -> None:
    bus = Bus(groups=8)
    greedy = bus.client("greedy")
    come_and_go(bus.client("one"), "a", "b")
    come_and_go(bus.client("two"), "c", "d")
    answers = [greedy.subscribe(JOBS, number, group=name) for number, name in enumerate("abc", 1)]
    assert [bool(each.error) for each in answers] == [False, False, True]
    assert "greedy has begun 2 groups" in answers[-1].detail


def test_rows_of_subscriptions_tell_of_groups() -> None:
    bus = Bus()
    boss = bus.client("boss")
    (worker,) = members(bus, 1)
    boss.publish(JOBS, b"x", b"y")
    worker.jobs()
    boss.say(Query("subscriptions", request=5))
    answer = boss.read()[-1]
    assert isinstance(answer, Answer)
    (row,) = answer.subscriptions
    assert (row.identity, row.group, row.in_flight, row.delivered) == ("member0", "workers", 2, 2)


def test_subscribing_tells_how_long_one_may_keep_a_job() -> None:
    bus = Bus(acknowledge_timeout=7)
    worker = bus.client("worker")
    assert worker.subscribe(JOBS, group="g").acknowledge_timeout == 7.0
    assert worker.subscribe(JOBS, 2).acknowledge_timeout == 0.0
