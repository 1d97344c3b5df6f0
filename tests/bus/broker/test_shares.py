"""A client's share of the room for large payloads: what goes, by which policy, and what stays."""

from __future__ import annotations

from daemoneye.bus.frames import Carriage, Correlation
from tests.bus.carriers import Carrier, Yard, lost, payloads

BATCH = "events.process.batch"
WHOLE = b"0123456789" * 10


def scene(**limits: float) -> tuple[Yard, Carrier, Carrier]:
    """A yard, a publisher, and a subscriber to everything; both have read what was said so far."""
    yard = Yard(**limits)
    publisher, subscriber = yard.carrier("agent-1"), yard.carrier("agent-2")
    subscriber.subscribe("events.#")
    return yard, publisher, subscriber


def test_a_stuck_subscriber_keeps_its_share_and_loses_the_rest() -> None:
    yard, publisher, stuck = scene(large_bytes=400, large_descriptors=64)
    quick = yard.carrier("agent-3")
    quick.subscribe("events.#")
    heard = []
    for number in range(20):
        publisher.pass_on(BATCH, bytes([number]) * 50)
        heard += payloads(quick.read())
        quick.release()
    assert len(heard) == 20
    assert yard.in_flight == (100, 2)
    found = stuck.read()
    assert [each[0] for each in payloads(found)] == [18, 19]
    assert lost(found) == {"overflow": 18}
    assert "refused" not in str(publisher.read())


def test_who_lets_go_of_nothing_is_given_a_share_and_the_next_when_it_does() -> None:
    yard, publisher, subscriber = scene(large_bytes=400)
    for _ in range(3):
        publisher.pass_on(BATCH, WHOLE[:60])
        subscriber.read()
    assert len(subscriber.got) == 2
    subscriber.release(subscriber.got[0])
    assert len(payloads(subscriber.read())) == 1
    assert yard.in_flight == (120, 2)


def test_room_is_not_made_by_dropping_what_may_not_be_missed() -> None:
    yard = Yard(large_bytes=400)
    publisher = yard.carrier("agent-0")
    strict = yard.carrier("strict")
    strict.subscribe("events.#", overflow="disconnect")
    for _ in range(2):
        publisher.pass_on(BATCH, b"x" * 200, target="strict")
    ((session, ending),) = yard.router.doomed.items()
    assert session is strict.session
    assert ending.reason == "overflow"
    assert yard.in_flight == (0, 0)


def test_the_newest_goes_where_the_policy_says_so() -> None:
    yard, publisher, _ = scene(large_bytes=400)
    patient = yard.carrier("patient")
    patient.subscribe("events.#", overflow="drop-newest")
    for number in range(4):
        publisher.pass_on(BATCH, bytes([number]) * 50, target="patient")
    assert [each[0] for each in payloads(patient.read())] == [0, 1]


def test_small_events_are_not_dropped_for_large_ones() -> None:
    _, publisher, subscriber = scene(large_bytes=400)
    publisher.publish(BATCH, b"small")
    for number in range(4):
        publisher.pass_on(BATCH, bytes([number]) * 50)
    heard = subscriber.read()
    assert payloads(heard)[0] == b"small"
    assert lost(heard) == {"overflow": 2}


def test_b14_a_publish_past_the_bound_of_a_subscription_is_oversize_and_keeps_no_payload() -> None:
    yard = Yard(turn_bytes=4096)
    publisher, subscriber = yard.carrier("agent-1"), yard.carrier("agent-2")
    subscriber.subscribe("events.#", max_bytes=1)
    for _ in range(3):
        publisher.pass_on(BATCH, WHOLE, correlation=Correlation("x" * 10_000))
    heard = subscriber.read()
    assert (payloads(heard), lost(heard)) == ([], {"oversize": 3})
    assert yard.in_flight == (0, 0)
    publisher.pass_on(BATCH, WHOLE)
    assert payloads(subscriber.read()) == [WHOLE]


def test_b14_a_client_that_takes_no_more_than_so_much_misses_the_rest_as_oversize() -> None:
    yard, publisher, _ = scene()
    frugal = yard.carrier("frugal", takes=Carriage(False, 50))
    plain = yard.client("plain")
    for each in (frugal, plain):
        each.subscribe("events.#")
    publisher.cut(BATCH, b"x" * 50)
    publisher.cut(BATCH, b"x" * 51)
    heard = frugal.read()
    assert (payloads(heard), lost(heard)) == ([b"x" * 50], {"oversize": 1})
    assert lost(plain.read()) == {"oversize": 2}
