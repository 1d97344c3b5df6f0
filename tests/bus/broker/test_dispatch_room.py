"""Groups: what waits for a member, for room and for a receipt, how long, and what is lost by it."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessRule
from daemoneye.bus.frames import Answer, Envelope, Guarantee, Settling, Subscribe
from daemoneye.bus.proto import events_pb2
from tests.bus.broker.crews import EVENTS, JOBS, SECOND, error_of, law, members, payloads
from tests.bus.support import NOW, Bus

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
