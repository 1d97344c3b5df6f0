"""Groups: who gets what, what is tried again, and what dies of it."""

from __future__ import annotations

from itertools import pairwise

from daemoneye.bus.frames import Answer, Credit, Envelope, Settling, Unsubscribe
from daemoneye.bus.proto import events_pb2
from tests.bus.broker.crews import JOBS, law, members, payloads
from tests.bus.support import NOW, Bus

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
