"""Large payloads on their way in: what is claimed, what is refused, and whose room it costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.deliveries import Ending
from daemoneye.bus.broker.parcels import NO_DESCRIPTOR, Parcel
from daemoneye.bus.broker.session import Passed
from daemoneye.bus.broker.uploads import HOARDING
from daemoneye.bus.frames import (
    Answer,
    BadBody,
    Carriage,
    Chunk,
    Confirm,
    Correlation,
    Envelope,
    Notice,
    Overflow,
    Release,
    Subscribe,
    Unsubscribe,
    encode,
    parcel_stamp,
)
from daemoneye.errors import RemoteProtocolError, TooLarge
from tests.bus.carriers import CHUNKS, DESCRIPTORS, Carrier, Yard, lost, payloads
from tests.bus.support import NOW, Heard

BATCH = "events.process.batch"
WHOLE = b"0123456789" * 10
SECOND = 1_000_000_000


def scene(**limits: float) -> tuple[Yard, Carrier, Carrier]:
    """A yard, a publisher, and a subscriber to everything; both have read what was said so far."""
    yard = Yard(**limits)
    publisher, subscriber = yard.carrier("agent-1"), yard.carrier("agent-2")
    subscriber.subscribe("events.#")
    return yard, publisher, subscriber


# ---- what comes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sends", [Carrier.pass_on, Carrier.cut], ids=["descriptor", "chunks"])
@pytest.mark.parametrize("takes", [DESCRIPTORS, CHUNKS], ids=["descriptor", "chunks"])
def test_how_it_comes_and_how_it_goes_have_nothing_to_do_with_each_other(
    sends: object, takes: object
) -> None:
    yard = Yard()
    publisher, subscriber = yard.carrier("agent-1"), yard.carrier("agent-2", takes)  # type: ignore[arg-type]  # one of the two
    subscriber.subscribe("events.#")
    sends(publisher, BATCH, WHOLE, content_type="text/plain")  # type: ignore[operator]  # one of the two
    yard.read_unread()
    (event,) = [each for each in subscriber.read() if isinstance(each, Envelope)]
    assert (event.payload, event.topic, event.sequence) == (WHOLE, BATCH, 1)
    assert (event.content_type, event.publisher.name) == ("text/plain", "agent-1")
    subscriber.release()
    assert yard.in_flight == (0, 0)
    assert sorted(yard.router.parcels.released) == sorted(yard.memory.contents)


def test_a_large_publish_is_confirmed_at_once() -> None:
    _, publisher, _ = scene()
    publisher.pass_on(BATCH, WHOLE)
    publisher.cut(BATCH, WHOLE)
    assert publisher.read() == [Confirm(1), Confirm(2)]


def test_a_receipt_says_how_many_took_it() -> None:
    yard, publisher, _ = scene()
    yard.carrier("agent-3").subscribe(BATCH)
    publisher.pass_on(BATCH, WHOLE, request=4)
    publisher.pass_on("events.file.x", WHOLE, request=5)
    said = [each for each in publisher.read() if isinstance(each, Answer)]
    assert [(each.request, each.subscribers) for each in said] == [(4, 2), (5, 1)]


def test_what_nobody_wants_is_closed_at_once() -> None:
    yard = Yard()
    publisher = yard.carrier("agent-1")
    descriptor = publisher.pass_on(BATCH, WHOLE)
    publisher.cut(BATCH, WHOLE)
    assert yard.in_flight == (0, 0)
    assert yard.router.parcels.released == [descriptor]


def test_targets_and_expiry_hold_for_large_payloads() -> None:
    yard, publisher, subscriber = scene()
    other = yard.carrier("agent-3")
    other.subscribe("events.#")
    publisher.pass_on(BATCH, WHOLE, target="agent-3")
    publisher.pass_on(BATCH, WHOLE, expires_at=NOW + 1)
    heard = other.read(NOW + 1)
    assert (payloads(heard), lost(heard)) == ([WHOLE], {"expired": 1})
    heard = subscriber.read(NOW + 1)
    assert (payloads(heard), lost(heard)) == ([], {"expired": 1})
    other.release()
    assert yard.in_flight == (0, 0)


def test_small_and_large_keep_the_order_in_which_they_were_published() -> None:
    _, publisher, subscriber = scene()
    publisher.publish(BATCH, b"1")
    publisher.pass_on(BATCH, b"2" * 50)
    publisher.publish(BATCH, b"3")
    publisher.cut(BATCH, b"4" * 50)
    publisher.publish(BATCH, b"5")
    heard = [each for each in subscriber.read() if isinstance(each, Envelope)]
    assert [bytes(each.payload[:1]) for each in heard] == [b"1", b"2", b"3", b"4", b"5"]
    assert [each.sequence for each in heard] == [1, 2, 3, 4, 5]


# ---- what is refused ----------------------------------------------------------------------------


def refusal(publisher: Carrier) -> str:
    """What the publisher is told."""
    (notice,) = [each for each in publisher.read() if isinstance(each, Notice)]
    return notice.detail


@pytest.mark.parametrize(
    "passed",
    [Passed(7, 0), Passed(7, len(WHOLE) - 1), Passed(7, len(WHOLE) + 1)],
    ids=["not sealed", "too small", "too large"],
)
def test_what_is_no_sealed_memory_of_that_size_is_refused_and_closed(passed: Passed) -> None:
    yard, publisher, subscriber = scene()
    publisher.pass_on(BATCH, WHOLE, passed=passed)
    assert "no sealed memory" in refusal(publisher)
    assert payloads(subscriber.read()) == []
    assert yard.router.parcels.released == [7]
    publisher.pass_on(BATCH, WHOLE)
    assert payloads(subscriber.read()) == [WHOLE]


def test_a_descriptor_that_was_lost_here_is_told_as_back_pressure() -> None:
    yard, publisher, _ = scene()
    publisher.pass_on(BATCH, WHOLE, passed=Passed(NO_DESCRIPTOR, 0))
    assert "BackPressure" in refusal(publisher)
    assert yard.router.parcels.released == []


def test_what_may_not_be_published_is_closed() -> None:
    deny = AccessRule("role:collector", "write-only", BATCH, deny=True)
    yard = Yard(deny)
    publisher = yard.carrier("procmond", role="collector", kind="process")
    yard.carrier("agent-2").subscribe("events.#")
    descriptor = publisher.pass_on(BATCH, WHOLE)
    assert "AccessDenied" in refusal(publisher)
    publisher.cut(BATCH, WHOLE, request=3)
    (answer,) = [each for each in publisher.read() if isinstance(each, Answer)]
    assert answer.error == "AccessDenied"
    assert yard.in_flight == (0, 0)
    assert yard.router.parcels.released == [descriptor]


def test_a_sequence_that_does_not_rise_is_refused_and_closed() -> None:
    yard, publisher, _ = scene()
    publisher.publish(BATCH, b"x")
    publisher.sequences[BATCH] = 0
    descriptor = publisher.pass_on(BATCH, WHOLE)
    assert "does not rise" in refusal(publisher)
    assert yard.router.parcels.released == [descriptor]


def test_a_payload_at_the_limit_is_taken_and_one_past_it_is_not() -> None:
    yard, publisher, subscriber = scene(payload_bytes=100)
    publisher.pass_on(BATCH, b"x" * 100)
    descriptor = publisher.pass_on(BATCH, b"x" * 101)
    assert "TooLarge" in refusal(publisher)
    assert payloads(subscriber.read()) == [b"x" * 100]
    assert yard.router.parcels.released == [descriptor]
    publisher.cut(BATCH, b"x" * 100)
    with pytest.raises(TooLarge):
        publisher.begin(101)


def test_a_payload_that_is_too_small_to_go_apart_is_refused() -> None:
    yard, publisher, subscriber = scene(large_from_bytes=256 << 10)
    publisher.cut(BATCH, b"x" * (65535), size=1 << 15)
    assert "too small to go apart" in refusal(publisher)
    publisher.cut(BATCH, b"x" * (65536), size=1 << 15)
    assert [len(each) for each in payloads(subscriber.read())] == [65536]
    assert yard.in_flight == (0, 0)
    assert yard.router.statistics().refused == {"senseless": 1}


@pytest.mark.parametrize(
    ("frame_bytes", "heading"), [(4096, 0), (1 << 15, 15_000)], ids=["frames", "heading"]
)
def test_a_small_payload_that_fits_into_no_frame_goes_apart(frame_bytes: int, heading: int) -> None:
    _, publisher, subscriber = scene(large_from_bytes=256 << 10, frame_bytes=frame_bytes)
    wide = Correlation("x" * heading)
    publisher.cut(BATCH, b"x" * 20_000, size=4000, correlation=wide)
    assert [len(each) for each in payloads(subscriber.read())] == [20_000]


def test_a_large_payload_is_no_wish_for_an_absent_collector() -> None:
    yard, publisher, _ = scene()
    publisher.pass_on("control.collector.config", WHOLE, target="procmond")
    assert "has to fit into a frame" in refusal(publisher)
    assert not yard.router.handed_up


@pytest.mark.parametrize(
    "claims",
    [parcel_stamp(0, 1), parcel_stamp(0, 2), parcel_stamp(5, 0)],
    ids=["none came", "two", "no such parcel"],
)
def test_a_publish_that_owns_what_did_not_come_ends_its_session(claims: bytes) -> None:
    yard, publisher, _ = scene()
    raw = publisher.frame_of(BATCH, 100) + claims
    with pytest.raises(RemoteProtocolError):
        yard.router.receive(publisher.session, [raw], NOW)


def test_a_descriptor_without_a_large_payload_is_refused_and_closed() -> None:
    yard, publisher, _ = scene()
    yard.router.uploads.came(publisher.session, [Passed(7, 100)])
    raw = publisher.frame(BATCH, b"x") + parcel_stamp(0, 1)
    yard.router.receive(publisher.session, [raw], NOW)
    assert "no sealed memory of 0 bytes" in refusal(publisher)
    assert yard.router.parcels.released == [7]


def test_the_end_of_a_session_closes_what_it_holds_and_what_nobody_claimed() -> None:
    yard, publisher, subscriber = scene()
    first = publisher.pass_on(BATCH, WHOLE)
    subscriber.read()
    second = publisher.pass_on(BATCH, WHOLE)
    publisher.begin(100)
    yard.router.uploads.came(publisher.session, [Passed(7, 100)])
    yard.router.close(publisher.session)
    yard.router.close(publisher.session)
    assert yard.router.parcels.released == [7]
    assert yard.in_flight == (200, 2)
    yard.router.close(subscriber.session)
    assert sorted(yard.router.parcels.released) == sorted((7, first, second))
    assert yard.in_flight == (0, 0)


def test_what_comes_after_the_end_is_closed_with_the_connection() -> None:
    yard, publisher, _ = scene()
    yard.router.close(publisher.session)
    yard.router.uploads.came(publisher.session, [Passed(7, 100)])
    yard.router.close(publisher.session)
    assert yard.router.parcels.released == [7]


def test_a_descriptor_is_in_flight_from_when_it_comes() -> None:
    yard, publisher, _ = scene(large_descriptors=1)
    idle = yard.carrier("idle")
    yard.router.uploads.came(idle.session, [Passed(7, 100), Passed(NO_DESCRIPTOR, 0)])
    assert yard.in_flight == (0, 1)
    publisher.pass_on(BATCH, WHOLE)
    assert "BackPressure" in refusal(publisher)
    yard.router.close(idle.session)
    assert yard.in_flight == (0, 0)
    publisher.pass_on(BATCH, WHOLE)
    assert yard.in_flight == (100, 1)


def test_a_descriptor_that_no_publish_owns_for_too_long_ends_its_session() -> None:
    yard, publisher, _ = scene(write_timeout=10)
    router, parcels = yard.router, yard.router.parcels
    quick = yard.carrier("quick")
    assert router.uploads.seconds_left() is None
    router.uploads.came(publisher.session, [Passed(7, 100)])
    parcels.clock.pass_time(4)
    quick.pass_on(BATCH, WHOLE)
    router.uploads.came(quick.session, [Passed(8, 100)])
    assert router.uploads.seconds_left() == 6
    parcels.clock.pass_time(6)
    router.uploads.give_up_overdue({publisher.session})
    assert not router.doomed
    router.uploads.give_up_overdue(set())
    ((session, ending),) = router.doomed.items()
    assert (session, ending.reason) == (publisher.session, "unclaimed")
    router.close(session)
    assert 7 in parcels.released
    assert router.uploads.seconds_left() == 4
    router.close(quick.session)
    assert router.uploads.seconds_left() is None


def test_word_that_the_rest_will_not_come_gives_the_room_back() -> None:
    yard, publisher, _ = scene()
    publisher.begin(100)
    assert yard.in_flight == (1, 0)
    publisher.say(Chunk(99, 0))
    assert yard.in_flight == (0, 0)


# ---- room ---------------------------------------------------------------------------------------


def fill(yard: Yard, publisher: Carrier, *names: str) -> list[Carrier]:
    """As many subscribers, each stuck with two payloads of 50 bytes that nobody else has."""
    stuck = [yard.carrier(name) for name in names]
    for each in stuck:
        each.subscribe("events.#")
        for _ in range(2):
            publisher.pass_on(BATCH, b"x" * 50, target=each.session.identity.name)
    return stuck


def test_room_is_made_at_the_cost_of_what_waits_for_the_greediest() -> None:
    yard = Yard(large_bytes=400)
    publisher = yard.carrier("agent-0")
    first, *others = fill(yard, publisher, "a", "b", "c", "d")
    assert yard.in_flight == (400, 8)
    quick = yard.carrier("quick")
    quick.subscribe("events.#")
    publisher.pass_on(BATCH, b"y" * 50, target="quick")
    assert payloads(quick.read()) == [b"y" * 50]
    heard = first.read()
    assert (len(payloads(heard)), lost(heard)) == (1, {"overflow": 1})
    assert [len(payloads(each.read())) for each in others] == [2, 2, 2]


def test_who_was_given_all_and_lets_go_of_nothing_for_long_is_cut_off_for_it() -> None:
    yard = Yard(large_bytes=400, write_timeout=10)
    publisher = yard.carrier("agent-0")
    stuck = fill(yard, publisher, "a", "b", "c", "d")
    for each in stuck:
        each.read()
    quick = yard.carrier("quick")
    quick.subscribe("events.#")
    yard.router.parcels.clock.pass_time(9)
    publisher.pass_on(BATCH, b"y" * 50, target="quick", now_ns=NOW + 99 * SECOND)
    assert "BackPressure" in refusal(publisher)
    assert not yard.router.doomed
    yard.router.parcels.clock.pass_time(2)
    publisher.pass_on(BATCH, b"y" * 50, target="quick")
    assert payloads(quick.read()) == [b"y" * 50]
    ((session, ending),) = yard.router.doomed.items()
    assert session is stuck[0].session
    assert isinstance(ending, Ending)
    assert ending.reason == HOARDING


def test_who_begins_and_does_not_go_on_is_cut_off_when_others_need_the_room() -> None:
    yard = Yard(large_bytes=400, write_timeout=10)
    idle = yard.carrier("idle")
    idle.begin(400, content=b"x" * 350)
    publisher, quick = yard.carrier("agent-0"), yard.carrier("quick")
    quick.subscribe("events.#")
    yard.router.parcels.clock.pass_time(9)
    publisher.cut(BATCH, WHOLE, now_ns=NOW + 99 * SECOND)
    assert "BackPressure" in refusal(publisher)
    yard.router.parcels.clock.pass_time(2)
    publisher.cut(BATCH, WHOLE)
    assert payloads(quick.read()) == [WHOLE]
    assert list(yard.router.doomed) == [idle.session]


def test_who_sends_a_byte_now_and_then_is_cut_off_when_others_need_the_room() -> None:
    yard = Yard(large_bytes=400, write_timeout=10)
    slow, publisher, quick = (yard.carrier(name) for name in ("slow", "agent-0", "quick"))
    quick.subscribe("events.#")
    for second in range(31):
        chunk = Chunk(99, 400, second * 11, b"x" * 11)
        slow.router.receive(slow.session, [encode(chunk)], NOW)
        if second < 30:
            yard.router.parcels.clock.pass_time(1)
    publisher.cut(BATCH, WHOLE)
    assert "BackPressure" in refusal(publisher)
    yard.router.parcels.clock.pass_time(1)
    publisher.cut(BATCH, WHOLE)
    assert payloads(quick.read()) == [WHOLE]
    assert list(yard.router.doomed) == [slow.session]


@pytest.mark.parametrize(
    "heading",
    [{}, {"target": "no name"}, {"retain": True}],
    ids=["no right", "no target", "retained"],
)
def test_a_publish_that_is_refused_anyway_costs_nobody_anything(heading: dict[str, object]) -> None:
    deny = AccessRule("role:observer", "write-only", "events.#", deny=True)
    yard = Yard(deny, large_bytes=400)
    publisher = yard.carrier("agent-0")
    stuck = fill(yard, publisher, "a", "b", "c", "d")
    stranger = publisher if heading else yard.carrier("stranger", role="observer")
    publisher.read()
    wide = b"y" * 400
    descriptor = stranger.pass_on(BATCH, wide, **heading)  # type: ignore[arg-type]  # fields by name
    assert [each for each in stranger.read() if isinstance(each, Notice)]
    assert yard.in_flight == (400, 8)
    assert yard.router.parcels.released == [descriptor]
    assert [len(payloads(each.read())) for each in stuck] == [2, 2, 2, 2]


def test_a_descriptor_of_another_size_costs_nobody_anything() -> None:
    yard = Yard(large_bytes=400)
    publisher = yard.carrier("agent-0")
    fill(yard, publisher, "a", "b", "c", "d")
    publisher.pass_on(BATCH, b"y" * 50, passed=Passed(7, 1 << 60))
    assert yard.in_flight == (400, 8)
    assert not yard.router.doomed


def test_who_may_not_miss_anything_goes_with_all_it_holds_and_nobody_else_pays() -> None:
    yard = Yard(large_bytes=400)
    publisher = yard.carrier("agent-0")
    strict = yard.carrier("strict")
    strict.subscribe("events.#", overflow=Overflow.DISCONNECT)
    others = fill(yard, publisher, "a", "b", "c")
    publisher.pass_on(BATCH, WHOLE, target="strict")
    quick = yard.carrier("quick")
    quick.subscribe("events.#")
    # The greediest first; of equal ones whoever came first.
    publisher.pass_on(BATCH, b"y" * 50, target="quick", request=7)
    assert list(yard.router.doomed) == [strict.session]
    assert [len(payloads(each.read())) for each in others] == [2, 2, 2]
    assert payloads(quick.read()) == [b"y" * 50]
    assert yard.router.statistics().lost == {"disconnected": 1}


def test_what_an_identity_begins_to_send_is_no_more_than_a_share_on_all_its_connections() -> None:
    """A promise costs nothing, so no client may take all of the room by promising."""
    yard, publisher, subscriber = scene(large_bytes=400)
    greedy = [yard.carrier("greedy") for _ in range(4)]
    for each in greedy:
        each.begin(100)
    assert yard.in_flight == (1, 0)
    publisher.pass_on(BATCH, b"y" * 399)
    assert payloads(subscriber.read()) == [b"y" * 399]
    subscriber.release()
    for each in greedy:
        rest = [encode(Chunk(99, 100, 1, b"x" * 99)), each.frame_of(BATCH, 100)]
        rest[1] += parcel_stamp(99, 0)
        each.router.receive(each.session, rest, NOW)
    assert payloads(subscriber.read()) == [b"x" * 100]
    assert all("BackPressure" in refusal(each) for each in greedy[1:])
    greedy[1].begin(100, 7)
    assert yard.in_flight == (1, 0)


def test_another_incarnation_promises_for_itself() -> None:
    yard = Yard(large_bytes=400)
    for incarnation in (1, 2):
        identity = Identity("child", "agent", "", incarnation, pid=4242)
        session = yard.router.open(identity, Declared(), NOW, DESCRIPTORS)
        Carrier(yard.router, session, memory=yard.memory).begin(100)
    assert yard.in_flight == (2, 0)


def test_what_finds_no_room_on_its_way_is_given_up() -> None:
    yard, publisher, _ = scene(large_bytes=400)
    slow, subscriber = yard.carrier("slow"), yard.carrier("agent-3")
    slow.begin(300)
    subscriber.subscribe("events.#")
    publisher.pass_on(BATCH, b"y" * 350)
    subscriber.read()
    yard.router.close(yard.router.directory.named("agent-2")[0])
    rest = [
        encode(Chunk(99, 300, 1, b"x" * 299)),
        slow.frame_of(BATCH, 300) + parcel_stamp(99, 0),
    ]
    slow.router.receive(slow.session, rest, NOW)
    assert "BackPressure" in refusal(slow)
    assert yard.in_flight == (350, 1)


def test_the_descriptors_of_an_identity_that_no_frame_owns_are_no_more_than_a_share() -> None:
    yard, publisher, _ = scene(large_descriptors=32)
    litter = [yard.carrier("evil") for _ in range(3)]
    for number, each in enumerate(litter[:2]):
        them = [Passed(10 * number + n, 100) for n in range(4)]
        yard.router.uploads.came(each.session, them)
    with pytest.raises(RemoteProtocolError):
        yard.router.uploads.came(litter[2].session, [Passed(99, 100)])
    yard.router.close(litter[2].session)
    assert yard.in_flight == (0, 8)
    yard.router.uploads.came(publisher.session, [Passed(100, 100)])
    for each in (*litter, publisher):
        yard.router.close(each.session)
    assert yard.in_flight == (0, 0)


def test_published_is_delivered_and_lost_and_waiting() -> None:
    yard, publisher, subscriber = scene(large_bytes=400)
    for number in range(9):
        publisher.pass_on(BATCH, b"x" * 50, expires_at=NOW + number)
    subscriber.read(NOW + 7, at_once=1)
    subscriber.read_once(NOW + 7)
    tally = subscriber.session.tallies()[1]
    assert tally.offered == 9
    assert tally.queued == tally.offered - tally.delivered - sum(tally.lost.values())
    seen = yard.router.statistics()
    assert seen.published == 9
    assert seen.delivered + sum(seen.lost.values()) + seen.queued == 9


# ---- all together -------------------------------------------------------------------------------


STEPS = (
    "pass",
    "cut",
    "small",
    "read",
    "read a part",
    "take",
    "release",
    "guess",
    "deny",
    "part",
    "leave",
)


class Everybody:
    """Clients that come and go, publish, read a little and let go, as hypothesis has it."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.yard = Yard(large_bytes=400, large_descriptors=8, write_timeout=10)
        self.now = NOW
        self.names = 0
        self.clients = [self.newcomer() for _ in range(4)]

    def newcomer(self) -> Carrier:
        self.names += 1
        takes = self.data.draw(st.sampled_from([DESCRIPTORS, CHUNKS, Carriage(True, 50)]))
        client = self.yard.carrier(f"agent-{self.names}", takes)
        overflow = self.data.draw(st.sampled_from(["drop-oldest", "drop-newest", "latest"]))
        client.say(Subscribe(1, "events.#", Overflow(overflow)))
        return client

    def step(self) -> None:
        """One of them does something."""
        draw = self.data.draw
        position = draw(st.integers(0, len(self.clients) - 1))
        client = self.clients[position]
        passed = draw(st.sampled_from([0, 1, 20 * SECOND]))
        self.now += passed
        self.yard.router.parcels.clock.pass_time(passed / SECOND)
        match draw(st.sampled_from(STEPS)):
            case "pass":
                client.pass_on(BATCH, self.payload(), now_ns=self.now, expires_at=self.expiry())
            case "cut":
                client.cut(BATCH, self.payload(), size=40, now_ns=self.now)
            case "small":
                client.publish(BATCH, b"small")
            case "read" | "read a part" | "take" as how:
                self.read(client, how)
            case "release":
                client.release()
            case "guess":
                client.say(Release(tuple(range(1, 50))))
                client.got.clear()
            case "deny":
                self.deny(client.session.identity.name)
            case "part" if 1 in client.session.subscriptions:
                client.say(Unsubscribe(1))
            case "leave":
                self.yard.router.close(client.session)
        self.go_on()

    def go_on(self) -> None:
        """What the shell does after a turn; who is gone comes anew."""
        self.yard.read_unread()
        while self.yard.router.doomed:
            self.yard.router.close(self.yard.router.doomed.popitem()[0])
        for number, each in enumerate(self.clients):
            if each.session not in self.yard.router.directory:
                self.clients[number] = self.newcomer()

    def read(self, client: Carrier, how: str) -> None:
        """Have the kernel take everything, only a part, or nothing."""
        draw = self.data.draw
        if how == "take":
            client.session.take(1 << 16, self.now)
            return
        at_once = draw(st.sampled_from([1, 1 << 16]))
        room = 1 << 30 if how == "read" else draw(st.sampled_from([1, 90]))
        self.check(client.read_once(self.now, at_once, room) or [])

    def deny(self, name: str) -> None:
        """Take away the right to read what is published, and give it back."""
        deny = AccessRule(name, "read-only", BATCH, deny=True)
        for rules in ([deny], []):
            self.yard.router.set_rules(self.yard.router.limits, AccessList(rules))

    def payload(self) -> bytes:
        """All bytes say how many there are, so what arrives can be told to be whole."""
        size = self.data.draw(st.integers(1, 120))
        return bytes([size]) * size

    def expiry(self) -> int:
        return self.data.draw(st.sampled_from([0, self.now + SECOND]))

    def check(self, heard: list[Heard]) -> None:
        assert not [each for each in heard if isinstance(each, BadBody)]
        for payload in payloads(heard):
            assert payload == b"small" or payload == bytes([len(payload)]) * len(payload)

    def balance(self) -> None:
        """What is in flight is what somebody holds, and no message is unaccounted for."""
        held: set[Parcel] = set()
        for session in self.yard.router.directory:
            holding = session.outbox.holding
            held |= {*holding.waiting.values(), *holding.sending.values()}
            held |= set(holding.given.values())
            passing = session.outbox.sending.passing
            assert passing is None or passing in holding.sending.values()
            for subscription in session.subscriptions.values():
                streams = session.outbox.streams.values()
                queued = sum(run.messages for stream in streams for run in stream.queue)
                on_the_way = sum(stream.messages for stream in streams) - queued
                delivered = sum(stream.tally.delivered for stream in streams)
                assert subscription.balance.sent_messages == delivered + on_the_way
            tally = session.outbox.tally()
            assert tally.queued == sum(
                stream.messages for stream in session.outbox.streams.values()
            )
        assert self.yard.in_flight == (
            sum(parcel.size for parcel in held),
            sum(parcel.descriptor != NO_DESCRIPTOR for parcel in held),
        )
        assert self.yard.router.parcels.bytes <= 400
        released = self.yard.router.parcels.released
        assert len(set(released)) == len(released)
        assert not {parcel.descriptor for parcel in held} & set(released)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_happens_nothing_is_lost_from_the_accounts_and_nothing_stays_open(
    data: st.DataObject,
) -> None:
    everybody = Everybody(data)
    for _ in range(data.draw(st.integers(1, 40))):
        everybody.step()
        everybody.balance()
    router = everybody.yard.router
    for session in list(router.directory):
        router.close(session)
    assert everybody.yard.in_flight == (0, 0)
    assert sorted(router.parcels.released) == sorted(everybody.yard.memory.contents)
    seen = router.statistics()
    assert seen.queued == 0
