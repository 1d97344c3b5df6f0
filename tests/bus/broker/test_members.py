"""A member: how much it may be given, and a stream that loses nothing."""

from __future__ import annotations

from daemoneye.bus.broker.jobs import Job, Letter
from daemoneye.bus.broker.members import CROWDED_PAUSE, Member
from daemoneye.bus.broker.streams import OVERFLOW
from daemoneye.bus.frames import Credit, Subscribe
from daemoneye.bus.limits import Limits
from tests.bus.support import NOW, Bus, Client

JOBS = "control.demo.jobs"
ONE_MORE = Job(0, b"", Letter(JOBS, "boss"), None)


def scene(**options: int) -> tuple[Bus, Client, Client]:
    """A bus, a publisher, and the one member of a group."""
    bus = Bus()
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.say(Subscribe(1, JOBS, group="g", **options))  # type: ignore[arg-type]  # by name
    worker.read()
    return bus, boss, worker


def member_of(bus: Bus, worker: Client) -> Member:
    ((_, member),) = bus.router.directory.groups.memberships(worker.session)
    return member


def turns_until_it_is_quiet(bus: Bus) -> int:
    """How often the clock rings on end while nobody reads anything, and no time passes."""
    for turns in range(100):
        if not bus.router.clock.rings:
            return turns
        bus.router.keep_time(NOW)
    return 100


def test_room_ends_with_credit_and_comes_again_with_it() -> None:
    bus, boss, worker = scene(credit_messages=1)
    member = member_of(bus, worker)
    assert member.has_room(ONE_MORE, Limits())
    boss.publish(JOBS, b"1", b"2")
    assert not member.has_room(ONE_MORE, Limits())
    worker.jobs()
    worker.say(Credit(1, 2, 1 << 20))
    assert [each.payload for each in worker.jobs()] == [b"2"]


def test_room_is_bounded_in_bytes_too() -> None:
    bus, boss, worker = scene(credit_bytes=1000)
    boss.publish(JOBS, *([bytes(600)] * 4))
    assert len(worker.jobs()) == 2  # one past the credit at most
    member = member_of(bus, worker)
    assert not member.has_room(ONE_MORE, Limits())


def test_what_an_outbox_has_no_room_for_goes_back_and_is_not_counted_there() -> None:
    bus, boss, worker = scene()
    boss.publish(JOBS, b"1", b"2")
    (stream,) = worker.session.outbox.streams.values()
    stream.lose_all(OVERFLOW)
    assert (stream.tally.offered, stream.tally.lost.total()) == (0, 0)
    bus.pass_time(0)
    assert worker.jobs() == []  # whoever is crowded out has a pause
    bus.pass_time(CROWDED_PAUSE)
    found = worker.jobs()
    assert [(each.payload, each.tries) for each in found] == [(b"1", 1), (b"2", 1)]


def test_what_has_no_room_in_its_queue_is_not_given_and_taken_back_for_ever() -> None:
    bus, boss, worker = scene(max_bytes=200_000)
    worker.say(Subscribe(2, "events.#"))
    boss.publish("events.demo.big", bytes(100_000))
    worker.session.take(1 << 16, NOW)  # which the kernel never takes
    for _ in range(3):
        boss.publish(JOBS, bytes(90_000))
    (group,) = bus.router.directory.groups
    assert (group.in_flight, group.waiting) == (2, 1)
    assert turns_until_it_is_quiet(bus) <= 1
    worker.say(Credit(1, 1024, 8 << 20))
    assert (group.in_flight, group.waiting) == (2, 1)
    assert turns_until_it_is_quiet(bus) == 0


def test_who_is_full_is_given_more_when_what_it_had_is_written() -> None:
    bus, boss, worker = scene(max_messages=1)
    boss.publish(JOBS, b"1", b"2", b"3")
    read: list[bytes] = []
    for _ in range(3):
        read += [each.payload for each in worker.jobs()]
        bus.pass_time(0)
    assert read == [b"1", b"2", b"3"]


def test_who_is_crowded_out_by_what_others_are_sent_is_given_more_when_there_is_room() -> None:
    bus = Bus(client_bytes=300_000)
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.say(Subscribe(1, JOBS, group="g"), Subscribe(2, "events.#"))
    for _ in range(3):
        boss.publish("events.demo.big", bytes(95_000))
    boss.publish(JOBS, bytes(30_000))
    (group,) = bus.router.directory.groups
    assert (group.in_flight, group.waiting) == (0, 1)
    assert worker.session.outbox.tally().lost == {}
    assert turns_until_it_is_quiet(bus) <= 1
    assert len(worker.events()) == 3
    bus.pass_time(CROWDED_PAUSE)
    assert [len(each.payload) for each in worker.jobs()] == [30_000]


def test_what_the_bound_of_all_clients_takes_back_is_not_given_again_at_once() -> None:
    bus, boss, worker = scene()
    boss.publish(JOBS, b"1", b"2")
    (stream,) = worker.session.outbox.streams.values()
    for _ in range(3):
        stream.lose_all(OVERFLOW)
        assert turns_until_it_is_quiet(bus) == 1
        assert not stream.queue
        bus.pass_time(CROWDED_PAUSE)
        assert len(stream.queue) == 2


def test_what_is_being_written_counts_once_against_the_credit() -> None:
    bus, boss, worker = scene(credit_bytes=300_000)
    boss.publish(JOBS, b"s")
    worker.jobs()
    boss.publish(JOBS, bytes(160_000))
    worker.session.take(1 << 16, NOW)
    boss.publish(JOBS, b"y")
    (group,) = bus.router.directory.groups
    assert (group.in_flight, group.waiting) == (3, 0)
