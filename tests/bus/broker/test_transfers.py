"""Large payloads that go in chunks: whole or not at all, and nothing above waits for them."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.arrivals import CHUNK_BYTES
from daemoneye.bus.frames import (
    BadBody,
    Carriage,
    Chunk,
    Envelope,
    Ping,
    Release,
    Unsubscribe,
    encode,
)
from tests.bus.carriers import CHUNKS, DESCRIPTORS, Carrier, Yard, lost, payloads
from tests.bus.support import NOW, Heard

BATCH = "events.process.batch"
CONFIG = "control.collector.config"
LARGE = bytes(range(256)) * 2048


def scene(*rules: AccessRule, **limits: float) -> tuple[Yard, Carrier, Carrier]:
    """A yard, a publisher, and a subscriber to everything that takes chunks."""
    yard = Yard(*rules, **limits)
    publisher = yard.carrier("agent-1")
    subscriber = yard.carrier("agent-2", CHUNKS)
    subscriber.subscribe("events.#")
    return yard, publisher, subscriber


def begin(yard: Yard, publisher: Carrier, subscriber: Carrier) -> list[Heard]:
    """Publish LARGE and read until the first chunk has come."""
    publisher.pass_on(BATCH, LARGE)
    yard.read_unread()
    heard: list[Heard] = []
    while not subscriber.chunks:
        heard += subscriber.read_once(at_once=1) or []
    return heard


def last_words(heard: list[Heard]) -> list[Chunk]:
    """Those that say that the rest will not come."""
    return [each for each in heard if isinstance(each, Chunk) and not each.size]


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(LARGE)])
def test_chunks_make_the_payload_and_the_publish_follows_them(size: int) -> None:
    yard, publisher, subscriber = scene()
    publisher.pass_on(BATCH, LARGE[:size])
    yard.read_unread()
    heard = subscriber.read()
    assert payloads(heard) == [LARGE[:size]]
    assert subscriber.chunks == -(-size // CHUNK_BYTES)
    assert isinstance(heard[-1], Envelope)
    assert yard.in_flight == (0, 0)


def test_control_and_the_brokers_own_go_between_chunks() -> None:
    yard, publisher, subscriber = scene()
    subscriber.subscribe("control.#", 2)
    begin(yard, publisher, subscriber)
    publisher.publish(CONFIG, b"now")
    yard.router.tell(subscriber.session, Ping(3))
    before = subscriber.chunks
    heard = subscriber.read(at_once=1)
    urgent = next(n for n, each in enumerate(heard) if isinstance(each, Ping))
    control = next(n for n, each in enumerate(heard) if getattr(each, "topic", "") == CONFIG)
    chunks = [n for n, each in enumerate(heard) if isinstance(each, Chunk)]
    assert subscriber.chunks == len(LARGE) // CHUNK_BYTES
    assert before == 1
    assert urgent < control < chunks[1]
    assert payloads(heard) == [b"now", LARGE]


def test_a_large_control_message_overtakes_large_events_and_both_are_whole() -> None:
    yard, publisher, subscriber = scene()
    subscriber.subscribe("control.#", 2)
    begin(yard, publisher, subscriber)
    publisher.pass_on(CONFIG, LARGE[::-1])
    yard.read_unread()
    assert payloads(subscriber.read()) == [LARGE[::-1], LARGE]


def test_events_are_not_starved_by_large_control() -> None:
    yard, publisher, subscriber = scene()
    subscriber.subscribe("control.#", 2)
    publisher.pass_on(CONFIG, LARGE * 8)
    yard.read_unread()
    subscriber.read_once(at_once=1)
    publisher.publish(BATCH, b"patience")
    assert payloads(subscriber.read(at_once=1))[0] == b"patience"


def test_what_has_begun_is_finished_while_what_waits_is_dropped() -> None:
    yard, publisher, subscriber = scene(large_bytes=4 * len(LARGE))
    begin(yard, publisher, subscriber)
    for number in range(6):
        publisher.pass_on(BATCH, bytes([number]) * len(LARGE))
        yard.read_unread()
    heard = subscriber.read()
    assert [each[0] for each in payloads(heard)] == [0, 5]
    assert payloads(heard)[0] == LARGE
    assert lost(heard) == {"overflow": 5}


def test_what_expires_on_its_way_is_finished() -> None:
    yard, publisher, subscriber = scene()
    publisher.pass_on(BATCH, LARGE, expires_at=NOW + 5)
    yard.read_unread()
    subscriber.read_once(NOW, at_once=1)
    assert payloads(subscriber.read(NOW + 9)) == [LARGE]


def test_an_unsubscribed_transfer_is_given_up_and_what_follows_is_understood() -> None:
    yard, publisher, subscriber = scene()
    begin(yard, publisher, subscriber)
    subscriber.say(Unsubscribe(1))
    heard = subscriber.read()
    assert payloads(heard) == []
    assert len(last_words(heard)) == 1
    assert yard.in_flight == (0, 0)
    subscriber.subscribe("events.#", 2)
    begin(yard, publisher, subscriber)
    assert payloads(subscriber.read()) == [LARGE]
    seen = yard.router.statistics()
    assert (seen.delivered, sum(seen.lost.values()), seen.queued) == (1, 0, 0)


def test_one_of_two_subscriptions_may_end_on_the_way() -> None:
    for kept in (1, 2):
        yard, publisher, subscriber = scene()
        subscriber.subscribe(BATCH, 2)
        publisher.publish("events.file.x", b"")
        begin(yard, publisher, subscriber)
        subscriber.say(Unsubscribe(3 - kept))
        heard = subscriber.read()
        assert payloads(heard) == [LARGE]
        assert subscriber.session.tallies()[kept].queued == 0


def test_rights_that_are_taken_away_on_the_way_end_it() -> None:
    yard, publisher, _ = scene()
    reader = yard.carrier("reader", CHUNKS, role="observer")
    reader.subscribe("events.#")
    begin(yard, publisher, reader)
    deny = AccessRule("role:observer", "read-only", "events.process.#", deny=True)
    yard.router.set_rules(yard.router.limits, AccessList((deny,)))
    heard = reader.read()
    assert payloads(heard) == []
    assert len(last_words(heard)) == 1
    assert lost(heard) == {"denied": 1}


DENY = AccessRule("role:observer", "read-only", "events.process.#", deny=True)


@pytest.mark.parametrize("takes", [DESCRIPTORS, CHUNKS], ids=["descriptor", "chunks"])
@pytest.mark.parametrize("wanted", ["events.#", "events.process.#"])
@pytest.mark.parametrize("writes", range(1, 7))
def test_what_is_not_begun_does_not_arrive_when_rights_are_taken_away(
    takes: Carriage, wanted: str, writes: int
) -> None:
    yard = Yard()
    publisher, reader = yard.carrier("agent-1"), yard.carrier("reader", takes, role="observer")
    reader.subscribe(wanted)
    publisher.pass_on(BATCH, LARGE[: 2 * CHUNK_BYTES])
    publisher.publish(BATCH, b"small")
    yard.read_unread()
    heard: list[Heard] = []
    for _ in range(writes):
        heard += reader.read_once(room=CHUNK_BYTES // 2) or []
    outbox = reader.session.outbox
    outbox.take(1 << 20, NOW)
    sent = yard.router.statistics().delivered
    begun = outbox.sending.begun > 0 and outbox.sending.frames[0].run is not None
    yard.router.set_rules(yard.router.limits, AccessList((DENY,)))
    assert outbox.sending.passing is None
    heard += reader.read()
    assert not [each for each in heard if isinstance(each, BadBody)]
    arrived = payloads(heard)
    seen = yard.router.statistics()
    assert len(arrived) == seen.delivered == sent + begun
    assert (seen.lost.get("denied", 0), seen.queued) == (2 - len(arrived), 0)
    reader.release()
    assert yard.in_flight == (0, 0)
    assert not reader.arrivals._growing


def test_a_frame_whose_descriptor_is_there_follows_it_though_rights_are_taken_away() -> None:
    yard = Yard()
    publisher = yard.carrier("agent-1")
    reader = yard.carrier("reader", role="observer")
    reader.subscribe("events.#")
    publisher.publish(BATCH, b"before")
    publisher.pass_on(BATCH, LARGE)
    heard = reader.read_once(room=1) or []
    assert list(reader.session.outbox.holding.given) == [1]
    yard.router.set_rules(yard.router.limits, AccessList((DENY,)))
    publisher.pass_on("events.metrics", LARGE[::-1])
    heard += reader.read()
    assert payloads(heard) == [LARGE, LARGE[::-1]]
    assert lost(heard) == {"denied": 1}


def test_what_was_taken_back_gives_its_credit_back() -> None:
    yard = Yard()
    publisher = yard.carrier("agent-1")
    reader = yard.carrier("reader", role="observer")
    reader.subscribe("events.#", credit_messages=2)
    for _ in range(2):
        publisher.publish(BATCH, b"secret")
    reader.session.take(1 << 16, NOW)
    yard.router.set_rules(yard.router.limits, AccessList((DENY,)))
    for _ in range(2):
        publisher.publish("events.metrics", b"open")
    assert payloads(reader.read()) == [b"open", b"open"]


def test_a_connection_that_breaks_on_the_way_loses_it_and_closes_it() -> None:
    yard, publisher, subscriber = scene()
    begin(yard, publisher, subscriber)
    yard.router.close(subscriber.session)
    assert yard.in_flight == (0, 0)
    assert yard.router.parcels.released == list(yard.memory.contents)
    seen = yard.router.statistics()
    assert (seen.published, seen.lost) == (1, {"disconnected": 1})


def test_the_last_words_of_a_session_stand_behind_a_whole_chunk() -> None:
    yard, publisher, subscriber = scene()
    publisher.pass_on(BATCH, LARGE)
    yard.read_unread()
    data = b"".join(bytes(each) for each in subscriber.session.take(1 << 16, NOW))
    cut = len(data) // 2
    subscriber.session.written(cut)
    yard.router.end("agent-2", 1, "signal:9")
    rest = b"".join(bytes(each) for each in subscriber.session.take(1 << 16, NOW))
    frames = subscriber.cutter.feed(data[:cut] + rest)
    heard = [each for raw in frames for each in subscriber._understood(raw)]
    assert "signal:9" in getattr(heard[-1], "detail", "")


def test_chunks_cost_the_credit_of_the_whole_payload() -> None:
    yard, publisher, subscriber = scene()
    begin(yard, publisher, subscriber)
    balance = subscriber.session.subscriptions[1].balance
    assert balance.sent_messages == 1
    assert len(LARGE) < balance.sent_bytes < len(LARGE) + 300


def test_no_chunk_is_larger_than_a_frame_may_be() -> None:
    yard, publisher, subscriber = scene(frame_bytes=4096)
    publisher.pass_on(BATCH, LARGE)
    yard.read_unread()
    assert payloads(subscriber.read()) == [LARGE]
    assert subscriber.chunks == len(LARGE) // 4096


class Broken:
    """Content that can be read up to a point."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __getitem__(self, part: slice, /) -> bytes:
        if part.start < CHUNK_BYTES:
            return LARGE[part]
        if self.error is not None:
            raise self.error
        return b""


@pytest.mark.parametrize("error", [OSError(9, "no"), MemoryError(), None])
def test_what_cannot_be_read_is_lost_and_told_and_all_else_goes_on(error: Exception | None) -> None:
    yard, publisher, subscriber = scene()
    publisher.pass_on(BATCH, LARGE)
    (parcel,) = yard.router.parcels.unread
    parcel.content = Broken(error)
    publisher.pass_on(BATCH, LARGE[::-1])
    yard.read_unread()
    heard = subscriber.read()
    assert payloads(heard) == [LARGE[::-1]]
    assert lost(heard) == {"unreadable": 1}
    assert len(last_words(heard)) == 1
    assert yard.in_flight == (0, 0)
    seen = yard.router.statistics()
    assert (seen.delivered, seen.lost, seen.queued) == (1, {"unreadable": 1}, 0)


# ---- a kernel that passes no more ---------------------------------------------------------------


def refused(yard: Yard, publisher: Carrier) -> Carrier:
    """A subscriber to everything whose next descriptor the kernel has not taken."""
    subscriber = yard.carrier("agent-3")
    subscriber.subscribe("events.#")
    publisher.pass_on(BATCH, LARGE)
    subscriber.session.take(1 << 16, NOW)
    parcel = subscriber.session.outbox.sending.passing
    assert parcel is not None
    parcel.content = memoryview(LARGE)
    return subscriber


def test_what_cannot_be_passed_goes_in_chunks_and_so_does_the_next() -> None:
    yard, publisher, _ = scene()
    subscriber = refused(yard, publisher)
    subscriber.session.outbox.pass_no_more()
    publisher.pass_on(BATCH, LARGE[::-1])
    yard.read_unread()
    assert payloads(subscriber.read()) == [LARGE, LARGE[::-1]]
    assert subscriber.got == []
    assert subscriber.session.outbox.holding.bytes == 0


def test_what_is_not_passed_yet_and_nobody_wants_any_more_is_let_go_of() -> None:
    yard, publisher, _ = scene()
    subscriber = refused(yard, publisher)
    yard.router.receive(subscriber.session, [encode(Unsubscribe(1))], NOW)
    assert subscriber.session.passing is None
    assert payloads(subscriber.read()) == []
    assert subscriber.session.outbox.holding.bytes == 0


def test_what_is_closed_is_not_passed_whatever_becomes_of_its_subscription() -> None:
    yard = Yard()
    publisher, subscriber = yard.carrier("agent-1"), yard.carrier("agent-3")
    subscriber.subscribe("events.process.#")
    publisher.pass_on(BATCH, LARGE)
    subscriber.session.take(1 << 16, NOW)
    passing = subscriber.session.outbox.sending.passing
    assert passing is not None
    subscriber.say(Release((passing.number,)))
    assert (yard.in_flight, yard.router.parcels.released) == ((len(LARGE), 1), [])
    subscriber.say(Unsubscribe(1))
    assert subscriber.session.passing is None
    assert (yard.in_flight, yard.router.parcels.released) == ((0, 0), [passing.descriptor])
    assert payloads(subscriber.read()) == []


def test_what_was_passed_stays_with_the_client_though_the_next_cannot_be_passed() -> None:
    yard = Yard()
    publisher, subscriber = yard.carrier("agent-1"), yard.carrier("agent-3")
    subscriber.subscribe("events.#")
    publisher.pass_on(BATCH, LARGE)
    second = publisher.pass_on(BATCH, LARGE[::-1])
    subscriber.read_once(room=20)
    outbox = subscriber.session.outbox
    outbox.take(1 << 16, NOW)
    assert outbox.sending.passing is not None
    outbox.sending.passing.content = memoryview(LARGE[::-1])
    outbox.pass_no_more()
    assert payloads(subscriber.read()) == [LARGE, LARGE[::-1]]
    assert (subscriber.got, list(outbox.holding.given)) == ([1], [1])
    assert yard.router.parcels.released == [second]


def test_the_last_words_of_a_session_pass_nothing() -> None:
    yard, publisher, _ = scene()
    subscriber = refused(yard, publisher)
    yard.router.end("agent-3", 1, "signal:9")
    subscriber.session.take(1 << 16, NOW)
    assert subscriber.session.passing is None
    assert yard.in_flight == (len(LARGE), 1)  # the other subscriber's
