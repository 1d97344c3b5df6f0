"""The client's side of the protocol: against the real router in memory, and against rubbish."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from daemoneye.bus.client.answers import checked
from daemoneye.bus.client.interests import Interest, Options
from daemoneye.bus.client.link import Link, Received, Resumed
from daemoneye.bus.frames import (
    Answer,
    Carriage,
    Confirm,
    Credit,
    Envelope,
    Notice,
    Ping,
    Pong,
    Release,
    Replay,
    Resumption,
    StreamMark,
    Subscribe,
    Value,
    Will,
    encode,
)
from daemoneye.bus.limits import MAX_STAMP_BYTES
from daemoneye.errors import RemoteProtocolError, TooLarge
from daemoneye.framing import pack
from tests.bus.carriers import CHUNKS, DESCRIPTORS, Yard
from tests.bus.support import EPOCH, NOW, Bus, Client

FRAME_BYTES = 1 << 20


@dataclass
class Joined:
    """A link whose other end is a session of a real router."""

    bus: Bus = field(default_factory=Bus)
    link: Link[str] = field(default_factory=Link)

    def __post_init__(self) -> None:
        self.connect()

    def connect(self, epoch: int = EPOCH) -> None:
        """A (new) connection; what is wanted is said again."""
        self.session = self.bus.client("operator")
        self.session.say(*self.link.connected(epoch, FRAME_BYTES))
        self.hear()

    def want(self, filter_text: str, owner: str = "me", **options: int | Replay) -> Interest[str]:
        interest = self.link.want(filter_text, Options(**options), owner)  # type: ignore[arg-type]  # fields by name
        self.session.say(interest.subscribe(interest.number))
        self.hear()
        return interest

    def hear(self) -> Received[str]:
        """What the link makes of everything the broker has for it."""
        data = b""
        while buffers := self.session.session.take(1 << 16, NOW):
            part = b"".join(buffers)
            self.session.session.written(len(part))
            data += part
        return self.link.receive(data)

    def events(self) -> list[tuple[str, Envelope]]:
        """Each event with its owner."""
        return [(o, event) for o, delivery in self.hear().deliveries for event in delivery.events]

    def payloads(self) -> list[bytes]:
        return [bytes(event.payload) for _, event in self.events()]


def publisher(joined: Joined) -> Client:
    return joined.bus.procmond()


def heard(*values: Value) -> Received[str]:
    link: Link[str] = Link()
    link.connected(EPOCH, FRAME_BYTES)
    return link.receive(b"".join(pack(encode(value)) for value in values))


def test_events_reach_the_owner_who_wants_them() -> None:
    joined = Joined()
    joined.want("events.process.#", "me")
    joined.want("events.network.#", "you")
    publisher(joined).publish("events.process.lifecycle", b"1", b"2")
    assert [(owner, e.payload, e.sequence) for owner, e in joined.events()] == [
        ("me", b"1", 1),
        ("me", b"2", 2),
    ]


def test_an_owner_with_two_filters_that_match_gets_one_copy() -> None:
    joined = Joined()
    first, second = joined.want("events.#"), joined.want("events.process.#")
    publisher(joined).publish("events.process.lifecycle", b"1")
    ((_, delivery),) = joined.hear().deliveries
    assert delivery.interests == (first, second)
    assert [event.payload for event in delivery.events] == [b"1"]


def test_two_owners_get_the_same_events() -> None:
    joined = Joined()
    joined.want("events.#", "me")
    joined.want("events.process.#", "you")
    publisher(joined).publish("events.process.lifecycle", b"1")
    assert [owner for owner, _ in joined.events()] == ["me", "you"]


def test_what_is_forgotten_is_not_delivered() -> None:
    joined = Joined()
    interest = joined.want("events.#")
    publisher(joined).publish("events.process.lifecycle", b"1")
    unsubscribe = joined.link.forget(interest)
    assert joined.events() == []
    joined.session.say(unsubscribe)
    (answer,) = map(checked, joined.hear().answers)
    assert answer.request == unsubscribe.request


def test_an_owner_is_forgotten_with_all_it_wanted_and_no_other_is() -> None:
    joined = Joined()
    mine = [joined.want("events.#"), joined.want("control.#")]
    other = joined.want("events.#", owner="you")
    assert [each.subscription for each in joined.link.forget_owner("me")] == [
        each.number for each in mine
    ]
    assert joined.link.forget_owner("me") == []
    assert list(joined.link.interests) == [other.number]


def test_what_the_broker_does_not_serve_takes_its_owners_other_filters_along() -> None:
    joined = Joined()
    one, two = joined.want("events.#"), joined.want("control.#")
    assert [each.subscription for each in joined.link.drop(one)] == [two.number]
    assert joined.link.interests == {}


def test_a_run_that_is_consumed_pays_for_each_interest_it_matched() -> None:
    joined = Joined()
    numbers = [
        joined.want(each, max_messages=2).number for each in ("events.#", "events.process.#")
    ]
    publisher(joined).publish("events.process.lifecycle", b"1")
    ((_, delivery),) = joined.hear().deliveries
    grants = [each for each in delivery.consumed() if isinstance(each, Credit)]
    assert [(each.subscription, each.messages) for each in grants] == [
        (number, 3) for number in numbers
    ]


def test_bytes_may_come_in_any_pieces() -> None:
    joined = Joined()
    joined.want("events.#")
    publisher(joined).publish("events.process.lifecycle", b"1", b"2")
    found = []
    while buffers := joined.session.session.take(1 << 16, NOW):
        joined.session.session.written(1)
        received = joined.link.receive(bytes(buffers[0])[:1])
        found += [e.payload for _, delivery in received.deliveries for e in delivery.events]
    assert found == [b"1", b"2"]


# ---- credit -------------------------------------------------------------------------------------


def test_the_broker_stops_at_the_window_and_goes_on_after_a_grant() -> None:
    joined = Joined()
    interest = joined.want("events.#", max_messages=4)
    source = publisher(joined)
    source.publish("events.process.lifecycle", b"0", b"1", b"2", b"3")
    assert joined.payloads() == [b"0", b"1", b"2", b"3"]
    source.publish("events.process.lifecycle", b"4", b"5", b"6", b"7")
    assert joined.payloads() == []
    grant = interest.taken(4, 400)
    assert grant is not None
    joined.session.say(grant)
    assert joined.payloads() == [b"4", b"5", b"6", b"7"]


# ---- losses and gaps ----------------------------------------------------------------------------


def test_what_the_broker_says_was_lost_stands_at_the_next_event_only() -> None:
    joined = Joined()
    interest = joined.want("events.#", max_messages=2)
    source = publisher(joined)
    source.publish("events.process.lifecycle", b"0", b"1")
    assert [dict(event.lost) for _, event in joined.events()] == [{}, {}]
    for number in range(2, 7):
        source.publish("events.process.lifecycle", b"%d" % number)
    grant = interest.taken(2, 200)
    assert grant is not None
    joined.session.say(grant)
    assert [(e.payload, dict(e.lost)) for _, e in joined.events()] == [
        (b"5", {"overflow": 3}),
        (b"6", {}),
    ]


def test_losses_that_are_told_alone_wait_for_the_next_event_of_their_owner() -> None:
    joined = Joined()
    joined.want("events.process.#")
    joined.want("events.demo.#", owner="you")
    source = publisher(joined)
    source.publish("events.process.lifecycle", b"late", expires_at=NOW)
    assert joined.events() == []
    operator = joined.bus.client("other")
    operator.publish("events.demo.tick", b"yours")
    source.publish("events.process.lifecycle", b"mine")
    assert [(owner, e.payload, dict(e.lost)) for owner, e in joined.events()] == [
        ("you", b"yours", {}),
        ("me", b"mine", {"expired": 1}),
    ]


@pytest.mark.parametrize(("epoch", "reason"), [(EPOCH, "disconnected"), (8, "broker-restart")])
def test_what_went_with_a_connection_is_counted_from_sequences(epoch: int, reason: str) -> None:
    joined = Joined()
    joined.want("events.#")
    source = publisher(joined)
    source.publish("events.process.lifecycle", b"1", b"2")
    assert len(joined.events()) == 2
    joined.bus.router.close(joined.session.session)
    source.publish("events.process.lifecycle", b"3", b"4", b"5")
    joined.connect(epoch)
    source.publish("events.process.lifecycle", b"6", b"7")
    assert [(e.payload, dict(e.lost)) for _, e in joined.events()] == [
        (b"6", {reason: 3}),
        (b"7", {}),
    ]


def test_a_reconnect_is_told_although_nothing_seems_to_be_missing() -> None:
    joined = Joined()
    joined.want("events.#")
    joined.bus.router.close(joined.session.session)
    joined.connect()
    publisher(joined).publish("events.process.lifecycle", b"1", b"2")
    assert [dict(event.lost) for _, event in joined.events()] == [{"disconnected": 0}, {}]


def test_each_publisher_and_topic_has_a_gap_of_its_own() -> None:
    joined = Joined()
    joined.want("events.#")
    source = publisher(joined)
    source.publish("events.process.tree", b"1")
    source.publish("events.process.batch", b"1")
    joined.events()
    joined.bus.router.close(joined.session.session)
    source.publish("events.process.tree", b"2")
    source.publish("events.process.batch", b"2", b"3")
    joined.connect()
    source.publish("events.process.tree", b"3")
    source.publish("events.process.batch", b"4")
    lost = [dict(event.lost) for _, event in joined.events()]
    assert lost == [{"disconnected": 1}, {"disconnected": 2}]


def test_a_gap_is_no_business_of_a_subscription_made_after_it() -> None:
    joined = Joined()
    joined.want("events.#", "old")
    source = publisher(joined)
    source.publish("events.process.tree", b"1")
    joined.events()
    joined.bus.router.close(joined.session.session)
    source.publish("events.process.tree", b"2")
    joined.connect()
    joined.want("events.process.#", "new")
    source.publish("events.process.tree", b"3")
    assert {owner: dict(e.lost) for owner, e in joined.events()} == {
        "old": {"disconnected": 1},
        "new": {},
    }


def test_owners_that_are_subscribed_again_one_after_the_other_have_gaps_of_their_own() -> None:
    joined = Joined()
    joined.want("events.process.#", "first")
    joined.want("events.process.+", "second")
    source = publisher(joined)
    source.publish("events.process.tree", b"1")
    joined.events()
    joined.bus.router.close(joined.session.session)
    source.publish("events.process.tree", b"2")
    joined.session = joined.bus.client("operator")
    first, second = joined.link.connected(EPOCH, FRAME_BYTES)
    joined.session.say(first)
    source.publish("events.process.tree", b"3", b"4")
    joined.session.say(second)
    source.publish("events.process.tree", b"5")
    got = joined.events()
    assert [(o, e.payload, dict(e.lost)) for o, e in got] == [
        ("first", b"3", {"disconnected": 1}),
        ("first", b"4", {}),
        ("first", b"5", {}),
        ("second", b"5", {"disconnected": 3}),
    ]


# ---- everything else ----------------------------------------------------------------------------


def test_answers_notices_and_counts_come_out_as_they_are() -> None:
    answer, notice = Answer(5), Notice("denied", "events.x", "no")
    received = heard(answer, notice, Confirm(1024), Ping(3))
    assert (received.answers, received.notices) == ((answer,), (notice,))
    assert (received.confirmed, received.replies) == (1024, (Pong(3),))
    assert not received.only_deliveries


def test_a_refused_and_a_withdrawn_subscription_have_ended() -> None:
    joined = Joined()
    interest = joined.want("events.#")
    words = [Answer(interest.number, error="AccessDenied")]
    words += [Notice("unsubscribed", subscription=interest.number)]  # type: ignore[list-item]  # both end it
    for each in words:
        assert joined.link.receive(pack(encode(each))).ended == ((interest, each),)


def test_a_body_that_is_not_what_it_claims_is_told_and_paid_for() -> None:
    joined = Joined()
    interest = joined.want("events.#")
    source = publisher(joined)
    raw = source.frame("events.process.tree", b"1", b"2")
    source.router.receive(source.session, [raw.replace(b"\x18\x02", b"\x18\x03")], NOW)
    received = joined.hear()
    assert [each.count for each in received.unreadable] == [3]
    ((_, delivery),) = received.deliveries
    assert (delivery.events, delivery.messages) == ([], 3)
    assert interest.received[0] == 3


def test_what_a_later_broker_may_say_is_passed_over() -> None:
    assert heard(StreamMark((99,)), Pong(1)).only_deliveries


def test_a_number_said_over_and_over_is_one_subscription() -> None:
    joined = Joined()
    interest = joined.want("events.#")
    mark = StreamMark((interest.number,) * 300_000)
    publish = publisher(joined).frame("events.process.tree", b"x")
    received = joined.link.receive(pack(encode(mark)) + pack(publish))
    ((_, delivery),) = received.deliveries
    assert delivery.interests == (interest,)
    assert interest.received[0] == 1


def test_rubbish_ends_the_connection() -> None:
    link: Link[str] = Link()
    link.connected(EPOCH, FRAME_BYTES)
    with pytest.raises(RemoteProtocolError):
        link.receive(pack(b"\xff\xff"))


def test_a_stamped_frame_may_be_larger_than_a_client_may_send() -> None:
    link: Link[str] = Link()
    link.connected(EPOCH, 100)
    largest = 100 + MAX_STAMP_BYTES
    assert link.receive(largest.to_bytes(4, "big")).only_deliveries
    link.connected(EPOCH, 100)
    with pytest.raises(TooLarge):
        link.receive((largest + 1).to_bytes(4, "big"))


def test_after_a_reconnect_everything_wanted_is_said_again() -> None:
    joined = Joined()
    one, two = joined.want("events.#"), joined.want("control.#")
    joined.link.forget(one)
    (again,) = joined.link.connected(8, FRAME_BYTES)
    assert isinstance(again, Subscribe)
    assert (again.subscription, again.filter, again.request) == (
        two.number,
        "control.#",
        two.number,
    )


# ---- large payloads -----------------------------------------------------------------------------

BATCH = "events.process.batch"
LARGE = b"0123456789" * 50


class Carrying:
    """A link whose broker passes it descriptors, with no kernel between."""

    def __init__(self, takes: Carriage = DESCRIPTORS) -> None:
        self.yard = Yard()
        self.link: Link[str] = Link()
        self.source = self.yard.carrier("agent-1")
        self.takes = takes
        self.connect()

    def connect(self) -> None:
        self.session = self.yard.carrier("agent-2", self.takes)
        self.session.say(*self.link.connected(EPOCH, FRAME_BYTES, 1 << 20))
        self.hear()

    def want(self, filter_text: str, owner: str = "me") -> Interest[str]:
        interest = self.link.want(filter_text, Options(), owner)
        self.session.say(interest.subscribe(interest.number))
        self.hear()
        return interest

    def hear(self) -> Received[str]:
        """What the link makes of all that comes; descriptors are looked at as the shell does."""
        session, every = self.session.session, Received[str]([])
        while buffers := session.take(1 << 16, NOW):
            if session.passing is not None:
                self.link.came([memoryview(self.yard.memory.contents[session.passing])])
            data = b"".join(buffers)
            session.written(len(data))
            received = self.link.receive(data)
            every.deliveries += received.deliveries
            every.replies += received.replies
            every.unreadable += received.unreadable
        return every

    @property
    def held(self) -> int:
        """How many the broker still counts as with us."""
        return len(self.session.session.outbox.holding.given)


@pytest.mark.parametrize("takes", [DESCRIPTORS, CHUNKS], ids=["descriptor", "chunks"])
def test_a_large_payload_is_a_read_only_view_of_what_came(takes: Carriage) -> None:
    carrying = Carrying(takes)
    carrying.want("events.#")
    carrying.source.cut(BATCH, LARGE)
    carrying.source.pass_on(BATCH, LARGE)
    carrying.yard.read_unread()
    deliveries = [delivery for _, delivery in carrying.hear().deliveries]
    assert len(deliveries) == 2
    for delivery in deliveries:
        (event,) = delivery.events
        assert isinstance(event.payload, memoryview)
        assert event.payload.readonly
        assert event.payload == LARGE
        assert delivery.bytes > len(LARGE)


def test_it_is_let_go_of_when_its_owner_is_done() -> None:
    carrying = Carrying()
    carrying.want("events.#")
    carrying.source.pass_on(BATCH, LARGE)
    ((_, delivery),) = carrying.hear().deliveries
    assert carrying.held == 1
    carrying.session.say(*delivery.consumed())
    assert carrying.held == 0
    assert delivery.dropped() == []


def test_two_owners_share_it_and_both_have_to_be_done() -> None:
    carrying = Carrying()
    carrying.want("events.#")
    carrying.want("events.process.#", "you")
    carrying.source.pass_on(BATCH, LARGE)
    (_, mine), (_, yours) = carrying.hear().deliveries
    assert mine.events[0].payload is yours.events[0].payload
    carrying.session.say(*mine.consumed())
    assert carrying.held == 1
    carrying.session.say(*yours.dropped())
    assert carrying.held == 0


def test_what_nobody_wants_any_more_is_let_go_of_at_once() -> None:
    carrying = Carrying()
    interest = carrying.want("events.#")
    carrying.source.pass_on(BATCH, b"x")
    ((_, delivery),) = carrying.hear().deliveries
    carrying.session.say(*delivery.consumed())
    carrying.source.pass_on(BATCH, LARGE)
    carrying.link.forget(interest)
    received = carrying.hear()
    assert received.deliveries == []
    carrying.session.say(*received.replies)
    assert carrying.held == 0


def test_what_is_no_memory_of_that_size_is_told_and_let_go_of() -> None:
    carrying = Carrying()
    carrying.want("events.#")
    descriptor = carrying.source.pass_on(BATCH, LARGE)
    carrying.yard.memory.contents[descriptor] = LARGE[1:]
    received = carrying.hear()
    ((_, delivery),) = received.deliveries
    assert delivery.events == []
    assert "sealed memory" in received.unreadable[0].reason
    carrying.session.say(*received.replies)
    assert carrying.held == 0


def test_what_came_on_a_lost_connection_is_not_told_on_the_next() -> None:
    carrying = Carrying()
    carrying.want("events.#")
    carrying.source.pass_on(BATCH, LARGE)
    ((_, delivery),) = carrying.hear().deliveries
    carrying.connect()
    assert [each for each in delivery.consumed() if isinstance(each, Release)] == []


def test_descriptors_that_no_publish_owns_are_an_error_of_the_broker() -> None:
    carrying = Carrying()
    with pytest.raises(RemoteProtocolError):
        carrying.link.came([None] * 9)


# ---- retained values ----------------------------------------------------------------------------


def events_of(received: Received[str]) -> list[bytes]:
    return [bytes(each.payload) for _, run in received.deliveries for each in run.events]


def test_a_retained_value_that_was_heard_is_paid_for_and_not_handed_out() -> None:
    joined = Joined()
    source = joined.bus.procmond()
    interest = joined.want("events.#")
    source.publish("events.process.tree", b"1", retain=True)
    assert events_of(joined.hear()) == [b"1"]
    joined.session = joined.bus.client("operator")
    joined.session.say(*joined.link.connected(EPOCH, FRAME_BYTES))
    received = joined.hear()
    assert [run.messages for _, run in received.deliveries] == [1]
    assert events_of(received) == []
    assert interest.received[0] == 2
    source.publish("events.process.tree", b"2", retain=True)
    ((_, run),) = joined.hear().deliveries
    assert dict(run.events[0].lost) == {"disconnected": 0}


def test_what_was_lost_before_a_value_that_was_heard_is_told_with_the_next() -> None:
    joined = Joined()
    source = joined.bus.procmond()
    for topic in ("tree", "batch"):
        source.publish(f"events.process.{topic}", b"1", retain=True)
    joined.want("events.#", max_messages=8)
    source.publish("events.process.tree", b"2", retain=True)
    joined.hear()
    other = joined.bus.client("other")
    for number in range(9):  # more than there is room for, so that something is lost first
        raw = other.frame(f"events.other.t{number}", b"x", retain=True)
        joined.bus.router.receive(other.session, [raw], NOW + 1)
    joined.session = joined.bus.client("operator")
    joined.session.say(*joined.link.connected(EPOCH, FRAME_BYTES))
    received = joined.hear()
    events = [each for _, run in received.deliveries for each in run.events]
    lost = sum((Counter(dict(each.lost)) for each in events), Counter())
    assert not received.deliveries[0][1].events
    assert (len(received.deliveries), len(events), lost["overflow"]) == (5, 3, 3)


def test_who_asks_for_all_gets_all_and_counts_no_gap_for_it() -> None:
    joined = Joined()
    source = joined.bus.procmond()
    joined.want("events.#", replay=Replay.ALL)
    source.publish("events.process.tree", b"1", retain=True)
    joined.hear()
    joined.session = joined.bus.client("operator")
    joined.session.say(*joined.link.connected(EPOCH, FRAME_BYTES))
    assert events_of(joined.hear()) == [b"1"]
    source.publish("events.process.tree", b"2")
    ((_, run),) = joined.hear().deliveries
    assert (run.events[0].payload, dict(run.events[0].lost)) == (b"2", {})


def test_a_will_that_was_taken_back_is_taken_back_in_a_session_that_goes_on() -> None:
    link: Link[str] = Link()
    assert link.connected(1, FRAME_BYTES) == []
    link.will = Will("a", b"gone")
    assert link.connected(1, FRAME_BYTES) == [link.will]
    link.will = Will()
    assert link.connected(1, FRAME_BYTES) == []
    again = Resumed(5, Resumption.COMPLETE)
    assert link.connected(1, FRAME_BYTES, resumed=again) == [Will()]


def test_what_may_take_the_place_of_our_value_is_told_with_its_topic_and_time() -> None:
    joined, heard = Joined(), list[tuple[str, int]]()
    joined.want("events.#")
    joined.link.watch(("events.demo.state",), lambda *told: heard.append(told))
    source = joined.bus.client("source")
    source.publish("events.demo.other", b"", retain=True)
    source.publish("events.demo.state", b"")
    joined.hear()
    assert heard == []
    source.publish("events.demo.state", b"1", b"2", retain=True)
    joined.hear()
    assert heard == [("events.demo.state", NOW)]


def test_a_state_that_was_lost_by_overflow_comes_again_with_a_new_session() -> None:
    joined = Joined()
    joined.want("events.demo.#", max_messages=1)
    source = joined.bus.client("source")

    def heard() -> list[tuple[bytes, dict[str, int]]]:
        found = []
        for _, delivery in joined.hear().deliveries:
            found += [(bytes(each.payload), dict(each.lost)) for each in delivery.events]
            joined.session.say(*delivery.consumed())
        return found

    source.publish("events.demo.state", b"1")
    source.publish("events.demo.state", b"lost", retain=True)
    source.publish("events.demo.state", b"3")
    assert heard() == [(b"3", {"overflow": 2})]
    for again in ([b"lost"], []):
        joined.bus.router.close(joined.session.session)
        joined.link.lost()
        joined.session = joined.bus.client("operator")
        joined.session.say(*joined.link.connected(EPOCH, FRAME_BYTES))
        assert [payload for _ in range(3) for payload, _ in heard()] == again
