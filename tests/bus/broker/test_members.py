"""A member: how much it may be given, and a stream that loses nothing."""

from __future__ import annotations

from daemoneye.bus.broker.streams import OVERFLOW
from daemoneye.bus.frames import Credit, Subscribe
from daemoneye.bus.limits import Limits
from tests.bus.support import Bus, Client

JOBS = "control.demo.jobs"


def scene(**options: int) -> tuple[Bus, Client, Client]:
    """A bus, a publisher, and the one member of a group."""
    bus = Bus()
    boss, worker = bus.client("boss"), bus.client("worker")
    worker.say(Subscribe(1, JOBS, group="g", **options))  # type: ignore[arg-type]  # by name
    worker.read()
    return bus, boss, worker


def test_room_ends_with_credit_and_comes_again_with_it() -> None:
    bus, boss, worker = scene(credit_messages=1)
    ((_, member),) = bus.router.directory.groups.memberships(worker.session)
    assert member.has_room(Limits())
    boss.publish(JOBS, b"1", b"2")
    assert not member.has_room(Limits())
    worker.jobs()
    worker.say(Credit(1, 2, 1 << 20))
    assert [each.payload for each in worker.jobs()] == [b"2"]


def test_room_is_bounded_in_bytes_too() -> None:
    bus, boss, worker = scene(credit_bytes=1000)
    boss.publish(JOBS, *([bytes(600)] * 4))
    assert len(worker.jobs()) == 2  # one past the credit at most
    ((_, member),) = bus.router.directory.groups.memberships(worker.session)
    assert not member.has_room(Limits())


def test_what_an_outbox_has_no_room_for_goes_back_and_is_not_counted_there() -> None:
    bus, boss, worker = scene()
    boss.publish(JOBS, b"1", b"2")
    (stream,) = worker.session.outbox.streams.values()
    stream.lose_all(OVERFLOW)
    assert (stream.tally.offered, stream.tally.lost.total()) == (0, 0)
    bus.pass_time(0)
    found = worker.jobs()
    assert [(each.payload, each.tries) for each in found] == [(b"1", 1), (b"2", 1)]
