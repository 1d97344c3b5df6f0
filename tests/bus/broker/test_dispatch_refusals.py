"""Groups: what is refused, who may not read, and what a group cannot take."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.frames import (
    Answer,
    Choice,
    Chunk,
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
from tests.bus.broker.crews import EVENTS, JOBS, law, members, payloads
from tests.bus.broker.test_retained import with_tags_without_a_value
from tests.bus.support import NOW, Bus, Client

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
