"""One publish at a time: a confirmed one that somebody has no room for changes nothing at all."""

from __future__ import annotations

from daemoneye.bus.broker.agenda import WORK_IN_A_TURN
from daemoneye.bus.broker.directory import MATCHED_FOR_ONE, REACHED_FOR_ONE
from daemoneye.bus.frames import (
    Answer,
    Credit,
    Overflow,
    StreamMark,
    Subscribe,
    read_outer,
    single_publishes,
)
from daemoneye.bus.publishes import message_of
from tests.bus.support import NOW, Bus, Client

TICK = "events.process.lifecycle"


def refused(client: Client) -> Answer:
    """The answer that is heard last."""
    answer = client.read()[-1]
    assert isinstance(answer, Answer)
    return answer


def full() -> tuple[Bus, Client, Client, Client]:
    """A bus whose first subscriber may lose nothing and has no room; another one has."""
    bus = Bus()
    careful, other, source = bus.client("careful"), bus.client("other"), bus.procmond()
    careful.subscribe(
        "events.#", overflow=Overflow.BLOCK, max_messages=2, credit_messages=1, credit_bytes=1 << 20
    )
    other.subscribe("events.#")
    source.publish(TICK, b"sent")
    assert careful.events() == other.events() == [b"sent"]
    for payload in (b"1", b"2"):
        source.publish(TICK, payload, request=9)
        assert refused(source).subscribers == 2
    assert other.events() == [b"1", b"2"]
    return bus, careful, other, source


def test_a_confirmed_publish_that_finds_no_room_is_refused_and_says_whose() -> None:
    _, _, other, source = full()
    source.publish(TICK, b"3", request=9)
    answer = refused(source)
    assert (answer.error, answer.subscribers) == ("BackPressure", 0)
    assert answer.detail.startswith("careful has no room: the outbox of events.# is full (2 messag")
    assert "nothing was sent to anybody" in answer.hint
    assert other.read() == []


def test_a_refusal_for_want_of_room_is_counted_and_changes_nothing_else() -> None:
    bus, careful, _, source = full()
    before = bus.router.statistics()
    taken = source.sequences[TICK]
    source.publish(TICK, b"3", request=9)
    after = bus.router.statistics()
    assert dict(after.refused) == {"back-pressure": 1}
    assert (after.lost, after.queued, after.queued_bytes - before.queued_bytes) == (
        {},
        before.queued,
        len(source.session.outbox._urgent[0]),
    )
    source.sequences[TICK] = taken  # the number was not used: it may be said again
    careful.say(Credit(1, 10, 1 << 20))
    assert careful.events() == [b"1", b"2"]
    source.publish(TICK, b"again", request=9)
    assert refused(source).subscribers == 2
    assert careful.events() == [b"again"]


def test_an_unconfirmed_publish_loses_the_newest_there_and_that_is_told() -> None:
    bus, careful, other, source = full()
    source.publish(TICK, b"3")
    assert other.events() == [b"3"]
    assert bus.router.statistics().lost == {"overflow": 1}
    careful.say(Credit(1, 10, 1 << 20))
    heard = careful.read()
    assert StreamMark((1,), {"overflow": 1}) in heard
    assert [each.payload for each in heard if hasattr(each, "payload")] == [b"1", b"2"]


def test_room_for_all_clients_is_made_at_its_cost_too_and_counted() -> None:
    _, careful, _, _ = full()
    careful.session.outbox.shed(1 << 20)
    assert careful.session.outbox.tally().lost == {"overflow": 2}


def test_a_target_that_has_room_is_served_though_others_have_none() -> None:
    _, _, other, source = full()
    source.publish(TICK, b"3", request=9, target="other")
    assert refused(source).subscribers == 1
    assert other.events() == [b"3"]


def test_what_a_block_subscription_accepted_is_not_lost_for_want_of_room_for_its_client() -> None:
    bus = Bus(client_bytes=20_000)
    careful, source = bus.client("careful"), bus.procmond()
    careful.subscribe("events.#", overflow=Overflow.BLOCK, max_messages=1 << 16, credit_messages=1)
    accepted, answer = -1, Answer(9)
    while not answer.error:
        accepted += 1
        source.publish(TICK, bytes(100), request=9)
        answer = refused(source)
    assert answer.error == "BackPressure"
    assert "bytes wait for it" in answer.detail
    tally = careful.session.outbox.tally()
    assert (tally.lost, tally.offered, tally.queued) == ({}, accepted, accepted)


def test_what_a_block_subscription_accepted_is_not_lost_for_want_of_room_for_all() -> None:
    bus = Bus(outbound_bytes=20_000)
    careful, other, source = bus.client("careful"), bus.client("other"), bus.procmond()
    careful.subscribe("events.#", overflow=Overflow.BLOCK, max_messages=1 << 16, credit_messages=1)
    source.publish(TICK, bytes(100), request=9)
    for _ in range(3):
        source.publish(TICK, bytes(1000), request=9)
        assert not refused(source).error
    other.subscribe("control.health.#", credit_messages=1, overflow=Overflow.DROP_OLDEST)
    for _ in range(40):
        source.publish("control.health.status.procmond", bytes(1000))
    source.publish(TICK, bytes(20_000), request=9)
    assert "bytes wait for all clients" in refused(source).detail
    assert not careful.session.outbox.tally().lost
    assert other.session.outbox.tally().lost["overflow"]


def test_what_came_unconfirmed_goes_before_what_a_block_subscription_accepted() -> None:
    bus = Bus(client_bytes=20_000)
    careful, source = bus.client("careful"), bus.procmond()
    careful.subscribe("events.#", overflow=Overflow.BLOCK, max_messages=1 << 16, credit_messages=1)
    for number in range(5):
        source.publish(TICK, b"%d" % number, request=9)
        assert not refused(source).error
    for _ in range(30):
        source.publish(TICK, bytes(1000))
    tally = careful.session.outbox.tally()
    assert tally.lost["overflow"]
    assert tally.offered == 35 == tally.lost.total() + tally.queued + tally.delivered
    careful.say(Credit(1, 99, 1 << 20))
    assert careful.events()[:5] == [b"0", b"1", b"2", b"3", b"4"]


def test_what_is_opened_for_groups_counts_as_work() -> None:
    bus = Bus()
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.say(Subscribe(1, "events.demo.jobs", group="g", credit_messages=10))
    every = [boss.frame("events.demo.jobs", *([b""] * 2000)) for _ in range(2)]
    bus.router.receive(boss.session, every, NOW)
    (group,) = bus.router.directory.groups
    assert (group.work.offered, group.work.lost) == (2000, {"overflow": 2000 - 1024})
    assert boss.session in bus.router.unfinished
    bus.router.resume(boss.session, NOW)
    assert boss.session not in bus.router.unfinished
    assert (group.work.offered, group.in_flight, group.waiting) == (4000, 10, 1024)


def test_of_what_finds_no_room_nothing_is_opened() -> None:
    frame = read_outer(Bus().client("a").frame("events.a", *([b"x"] * 50)))
    found = single_publishes(frame, b"", 1 << 20, 3)
    assert [message_of(each).sequence for each in found] == [1, 2, 3]
    assert single_publishes(frame, b"", 1 << 20, 0) == []


def test_topics_that_very_many_hear_are_looked_up_over_several_turns() -> None:
    bus = Bus()
    readers = [bus.client(f"reader{number}") for number in range(8)]
    for reader in readers:
        reader.say(*(Subscribe(number, "events.#") for number in range(1, 257)))
    source = bus.client("source")
    frames = [source.frame(f"events.t{number}", b"%d" % number) for number in range(40)]
    bus.router.receive(source.session, frames, NOW)
    each = 1 + 8 * 256 // MATCHED_FOR_ONE + 8 // REACHED_FOR_ONE
    turns = 1
    while waits := bus.router.unfinished.get(source.session):
        assert len(waits) >= 40 - turns * (WORK_IN_A_TURN // each + 1)
        bus.router.next_turn()
        bus.router.resume(source.session, NOW)
        turns += 1
    assert turns == 3
    for reader in readers:
        assert reader.events() == [b"%d" % number for number in range(40)]
    frames = [source.frame(f"events.t{number}", b"x") for number in range(40)]
    bus.router.receive(source.session, frames, NOW)  # they are known now
    assert not bus.router.unfinished
    assert readers[0].events() == [b"x"] * 40
