"""Frames in, deliveries out: rights, targets, receipts, order, losses, and the law of counting."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.broker.deliveries import CONFIRM_EVERY
from daemoneye.bus.broker.requests import _OBEYED, Requests
from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import (
    LAST_SEQUENCE,
    Answer,
    Confirm,
    Credit,
    Envelope,
    Notice,
    Overflow,
    Ping,
    StreamMark,
    Subscribe,
    Unsubscribe,
)
from daemoneye.bus.limits import Limits
from daemoneye.errors import AccessDenied, InvalidTopic, RemoteProtocolError
from tests.bus.support import EPOCH, NOW, Bus, Client

LIFECYCLE = "events.process.lifecycle"
METADATA = "events.process.metadata"
STATUS = "control.health.status.procmond"


def publish_together(client: Client, *frames: bytes) -> None:
    """All in one turn."""
    client.router.receive(client.session, list(frames), NOW)


# ---- who gets what ------------------------------------------------------------------------------


def test_an_event_reaches_who_subscribed_with_who_sent_it() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    procmond.publish(LIFECYCLE, b"one", b"two")
    mark, first, second = agent.read()
    assert mark == StreamMark((1,))
    assert isinstance(first, Envelope)
    assert isinstance(second, Envelope)
    assert (first.payload, second.payload) == (b"one", b"two")
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.publisher == ("procmond", "collector", 4242, 1)
    assert first.header.received_at == NOW


def test_b9_overlapping_filters_get_one_copy_for_all_that_matched() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", 1)
    agent.subscribe("events.process.+", 2)
    agent.subscribe("events.network.#", 3)
    procmond.publish(LIFECYCLE, b"x")
    mark, _ = agent.read()
    assert mark == StreamMark((1, 2))


@pytest.mark.parametrize(("past", "lost"), [(0, {}), (1, {"oversize": 1})])
def test_b14_a_message_of_the_size_of_an_outbox_arrives_and_one_byte_more_is_counted(
    past: int, lost: dict[str, int]
) -> None:
    bus = Bus()
    reader, publisher = bus.client("reader"), bus.procmond()
    reader.subscribe("events.#", max_bytes=1)
    publisher.publish(LIFECYCLE, bytes(100_000))
    (stream,) = reader.session.outbox.streams.values()
    beyond_payload = stream.bytes - 100_000
    reader.read()
    size = stream.max_bytes - beyond_payload + past
    publisher.publish(LIFECYCLE, bytes(size))
    assert [len(each) for each in reader.events()] == ([] if lost else [size])
    assert reader.session.outbox.tally().lost == lost
    assert bus.router.statistics().lost == lost


@pytest.mark.parametrize(("late", "lost"), [(-1, {}), (0, {"expired": 1}), (1, {"expired": 1})])
def test_b14_what_expires_is_counted_from_that_moment_on(late: int, lost: dict[str, int]) -> None:
    bus = Bus()
    reader, publisher = bus.client("reader"), bus.procmond()
    reader.subscribe("events.#")
    publisher.publish(LIFECYCLE, b"x", expires_at=NOW + 5)
    assert reader.events(NOW + 5 + late) == ([] if lost else [b"x"])
    assert bus.router.statistics().lost == lost


def test_a_mark_stands_only_where_the_stream_changes() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", 1)
    agent.subscribe(METADATA, 2)
    for topic in (LIFECYCLE, LIFECYCLE, METADATA, METADATA, LIFECYCLE):
        procmond.publish(topic, b"x")
    kinds = [each.subscriptions if isinstance(each, StreamMark) else "x" for each in agent.read()]
    assert kinds == [(1,), "x", "x", (1, 2), "x", "x", (1,), "x"]


def test_order_holds_when_a_new_subscription_moves_a_topic_to_another_stream() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", 1)
    procmond.publish(LIFECYCLE, b"1")
    agent.say(Subscribe(2, LIFECYCLE))
    procmond.publish(LIFECYCLE, b"2")
    agent.say(Unsubscribe(2))
    procmond.publish(LIFECYCLE, b"3")
    assert agent.events() == [b"1", b"2", b"3"]


def test_a_target_is_the_only_one_to_get_it() -> None:
    bus = Bus()
    operator, observer = bus.client("operator"), bus.client("watching")
    procmond, perfmond = bus.procmond(), bus.client("perfmond", "collector", "performance")
    for client in (observer, procmond, perfmond):
        client.subscribe("control.health.diagnostics")
    operator.publish("control.health.diagnostics", b"?", target="procmond")
    assert procmond.events() == [b"?"]
    assert perfmond.events() == observer.events() == []


def test_what_a_narrowed_subscription_may_not_read_is_not_delivered() -> None:
    bus = Bus(AccessRule("operator", "read-only", "events.secret.#", deny=True))
    operator, other = bus.client("operator"), bus.client("other")
    answer = operator.subscribe("events.#")
    assert answer.narrowed == ("events.secret.#",)
    other.publish("events.secret.key", b"x")
    other.publish("events.open", b"y")
    assert operator.events() == [b"y"]


def test_the_supervisor_speaks_with_its_own_name() -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.subscribe("control.health.#")
    assert bus.router.say(STATUS, {"state": "RUNNING"}, NOW) == 1
    _, event = operator.read()
    assert isinstance(event, Envelope)
    assert event.publisher == ("supervisor", "agent", 0, EPOCH)
    assert event.json() == {"state": "RUNNING"}


def test_the_supervisor_is_told_what_it_may_not_say() -> None:
    bus = Bus()
    with pytest.raises(AccessDenied):
        bus.router.say("$bus.statistics", b"x", NOW)
    with pytest.raises(InvalidTopic):
        bus.router.say("No.Topic", b"x", NOW)


# ---- refusals and receipts ----------------------------------------------------------------------


def test_a_receipt_says_how_many_took_it() -> None:
    bus = Bus()
    procmond = bus.procmond()
    procmond.publish(LIFECYCLE, b"x", request=1)
    for name in ("a", "b"):
        bus.client(name).subscribe("events.#")
    procmond.publish(LIFECYCLE, b"x", request=2)
    assert procmond.read() == [Answer(1, subscribers=0), Answer(2, subscribers=2)]


def test_a_denied_publish_names_the_rule() -> None:
    procmond = Bus().procmond()
    procmond.publish("events.network.lifecycle", b"x", request=1)
    (answer,) = procmond.read()
    assert isinstance(answer, Answer)
    assert (answer.error, answer.rule) == ("AccessDenied", "no rule allows it")
    assert "events.network.lifecycle" in answer.detail
    assert "events.process.#" in answer.hint


def test_denials_without_a_request_are_noticed_but_never_in_a_flood() -> None:
    bus = Bus()
    procmond = bus.procmond()
    for _ in range(100):
        procmond.publish("events.network.lifecycle", b"x")
    notices = procmond.notices()
    assert [each.code for each in notices] == ["denied"] * 7
    assert notices[0].topic == "events.network.lifecycle"
    assert bus.router.statistics().refused == {"denied": 100}


@pytest.mark.parametrize(
    ("heading", "said"),
    [({"guarantee": 3}, "no guarantee 3")],
)
def test_what_is_not_offered_is_refused_and_not_done_in_part(
    heading: dict[str, Any], said: str
) -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    procmond.publish(LIFECYCLE, b"x", **heading)
    (notice,) = procmond.notices()
    assert (notice.code, said in notice.detail) == ("refused", True)
    assert agent.events() == []


def test_a_sequence_that_does_not_rise_is_refused() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    procmond.publish(LIFECYCLE, b"a", b"b")
    procmond.sequences[LIFECYCLE] = 1
    procmond.publish(LIFECYCLE, b"again")
    procmond.sequences[LIFECYCLE] = 10
    procmond.publish(LIFECYCLE, b"with a gap")
    assert agent.events() == [b"a", b"b", b"with a gap"]
    assert [each.code for each in procmond.notices()] == ["refused"]


@pytest.mark.parametrize("heading", [{"retain": True}, {"partition_key": "k"}])
def test_bad_input_there_is_an_end_to_sequences(heading: dict[str, Any]) -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe(LIFECYCLE, group="workers")
    for beginning, count in ((LAST_SEQUENCE, 2), (LAST_SEQUENCE - 1, 3), (LAST_SEQUENCE + 1, 1)):
        procmond.sequences[LIFECYCLE] = beginning - 1
        procmond.publish(LIFECYCLE, *[b"x"] * count, **heading)
    assert [each.code for each in procmond.notices()] == ["refused"] * 2  # the third is not told
    assert bus.router.statistics().refused == {"senseless": 3}
    procmond.sequences[LIFECYCLE] = LAST_SEQUENCE - 2
    procmond.publish(LIFECYCLE, b"x", b"y", **heading)
    assert [each.event.sequence for each in agent.jobs()] == [LAST_SEQUENCE - 1, LAST_SEQUENCE]


def test_a_new_incarnation_counts_from_one_again() -> None:
    bus = Bus()
    agent = bus.client("operator")
    agent.subscribe("events.#")
    bus.client("procmond", "collector", "process", incarnation=1).publish(LIFECYCLE, b"a")
    bus.client("procmond", "collector", "process", incarnation=2).publish(LIFECYCLE, b"b")
    assert agent.events() == [b"a", b"b"]


def test_a_frame_at_the_limit_passes_and_one_past_it_is_refused() -> None:
    bus = Bus(frame_bytes=1000)
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    overhead = len(procmond.frame(LIFECYCLE, b"x" * 900)) - 900
    procmond.publish(LIFECYCLE, b"x" * (1000 - overhead))
    procmond.publish(LIFECYCLE, b"x" * (1001 - overhead), request=1)
    assert len(agent.events()) == 1
    (answer,) = procmond.read()
    assert isinstance(answer, Answer)
    assert answer.error == "TooLarge"


@pytest.mark.parametrize("count", [0, 1 << 20])
def test_a_count_that_cannot_be_is_refused(count: int) -> None:
    bus = Bus()
    procmond = bus.procmond()
    raw = procmond.frame(LIFECYCLE, b"x") + bytes([0x18]) + varint(count)
    publish_together(procmond, raw)
    assert [each.code for each in procmond.notices()] == ["refused"]
    assert bus.router.statistics().published == 1


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def test_a_publish_on_no_topic_is_refused_and_told_once_in_a_while() -> None:
    bus = Bus()
    operator = bus.client("operator")
    for number in range(5):
        operator.publish(f"Events.{number}", b"x")
    assert [each.topic for each in operator.notices()] == ["Events.0", "Events.1", "Events.3"]
    assert bus.router.statistics().refused == {"invalid-topic": 5}


def test_publishing_on_very_many_topics_does_not_grow_the_table_of_routes() -> None:
    bus = Bus(routes=10)
    operator = bus.client("operator")
    for number in range(100):
        operator.publish(f"events.t{number}", b"x")
    assert len(operator.session.publishing.routes) <= 10


def test_frames_that_break_the_protocol_end_only_the_turn() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    good = procmond.frame(LIFECYCLE, b"before")
    with pytest.raises(RemoteProtocolError):
        publish_together(procmond, good, b"\xff\xff\xff", procmond.frame(LIFECYCLE, b"after"))
    assert agent.events() == [b"before"]


# ---- new rules -----------------------------------------------------------------------------------


def test_new_rules_end_what_is_no_longer_allowed_and_name_themselves() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.process.#", 1)
    agent.subscribe("control.#", 2)
    procmond.publish(LIFECYCLE, b"waiting")
    rule = AccessRule("operator", "read-only", "events.#", deny=True)
    bus.router.set_rules(Limits(), AccessList([rule]))
    procmond.publish(LIFECYCLE, b"later")
    (notice,) = agent.read()
    assert isinstance(notice, Notice)
    assert (notice.code, notice.subscription) == ("unsubscribed", 1)
    assert str(rule) in notice.rule
    assert list(agent.session.subscriptions) == [2]


def test_what_waits_when_rights_become_fewer_is_lost_as_denied() -> None:
    bus = Bus()
    agent, other = bus.client("operator"), bus.client("other")
    agent.subscribe("events.#")
    other.publish("events.secret.key", b"x")
    rule = AccessRule("operator", "read-only", "events.secret.#", deny=True)
    bus.router.set_rules(Limits(), AccessList([rule]))
    assert agent.read() == [StreamMark((1,), {"denied": 1})]


def test_a_publisher_loses_its_right_at_once() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    procmond.publish(LIFECYCLE, b"a")
    rule = AccessRule("procmond", "write-only", LIFECYCLE, deny=True)
    bus.router.set_rules(Limits(), AccessList([rule]))
    procmond.publish(LIFECYCLE, b"b")
    bus.router.set_rules(Limits(), AccessList())
    procmond.publish(LIFECYCLE, b"c")
    assert agent.events() == [b"a", b"c"]


# ---- sessions end -------------------------------------------------------------------------------


def test_an_ended_incarnation_is_released_at_once_and_its_connection_doomed() -> None:
    bus = Bus()
    old = bus.client("procmond", "collector", "process", incarnation=1)
    new = bus.client("procmond", "collector", "process", incarnation=2)
    for client in (old, new):
        client.subscribe("control.health.diagnostics")
    bus.router.end("procmond", 1, "signal:9")
    assert list(bus.router.doomed) == [old.session]
    assert "signal:9" in bus.router.doomed[old.session].detail
    statistics = bus.router.statistics()
    assert (statistics.clients, statistics.subscriptions) == (1, 1)
    assert [each.code for each in old.notices()] == ["cut-off"]


def test_closing_twice_does_no_harm() -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.subscribe("events.#")
    bus.router.close(operator.session)
    bus.router.close(operator.session)
    assert bus.router.statistics().clients == 0


def test_what_waits_for_a_broken_connection_is_counted_as_lost() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    procmond.publish(LIFECYCLE, b"a", b"b")
    agent.session.take(1, NOW)
    procmond.publish(LIFECYCLE, b"c")
    bus.router.close(agent.session)
    statistics = bus.router.statistics()
    assert statistics.lost == {"disconnected": 3}
    assert (statistics.delivered, statistics.queued, statistics.queued_bytes) == (0, 0, 0)


# ---- counting and confirming --------------------------------------------------------------------


def test_a_publisher_is_told_how_many_were_taken() -> None:
    procmond = Bus().procmond()
    procmond.publish(LIFECYCLE, *[b"x"] * (CONFIRM_EVERY - 1))
    assert procmond.read() == []
    procmond.publish(LIFECYCLE, b"x")
    assert procmond.read() == [Confirm(CONFIRM_EVERY)]


def test_frames_of_one_turn_for_the_same_recipients_are_one_run() -> None:
    bus = Bus()
    agents = [bus.client(name) for name in "abc"]
    for agent in agents:
        agent.subscribe("events.#")
    procmond = bus.procmond()
    topics = [LIFECYCLE, METADATA, LIFECYCLE]
    publish_together(procmond, *[procmond.frame(topic, b"x") for topic in topics])
    runs = [agent.session.take(1 << 16, NOW)[1] for agent in agents]
    assert runs[0] is runs[1] is runs[2]


@given(st.lists(st.sampled_from(["publish", "expire", "burst", "credit", "read"]), max_size=40))
def test_what_a_subscriber_hears_and_is_told_it_missed_adds_up(steps: list[str]) -> None:
    """The same law as the subscriber sees it: nothing is lost in silence."""
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", max_messages=5, credit_messages=2)
    heard: Counter[str] = Counter()
    granted = 2

    def read() -> None:
        for each in agent.read():
            if isinstance(each, StreamMark):
                heard.update(each.lost)
            heard["delivered"] += isinstance(each, Envelope)

    for step in steps:
        if step == "publish":
            procmond.publish(LIFECYCLE, b"x")
        elif step == "expire":
            procmond.publish(METADATA, b"x", expires_at=NOW)
        elif step == "burst":
            publish_together(procmond, *[procmond.frame(LIFECYCLE, b"x", b"y") for _ in range(4)])
        elif step == "credit":
            granted += 3
            agent.say(Credit(1, granted, 1 << 30))
        else:
            read()
    agent.say(Credit(1, 1 << 30, 1 << 30))
    read()
    assert heard.total() == sum(procmond.sequences.values())
    assert not agent.session.pending


class Counting(RuleBasedStateMachine):
    """Publishers, slow readers and changing subscriptions: nothing is lost without a reason."""

    topics = st.sampled_from([LIFECYCLE, METADATA, STATUS, "control.health.diagnostics"])
    filters = st.sampled_from(["events.#", LIFECYCLE, "#", "control.#", "events.process.+"])
    numbers = st.integers(1, 4)
    policies = st.sampled_from([each for each in Overflow if each is not Overflow.DISCONNECT])

    @initialize()
    def begin(self) -> None:
        self.bus = Bus()
        self.publisher = self.bus.client("publisher")
        self.readers = [self.bus.client(name) for name in "ab"]

    def reader(self, index: int) -> Client:
        client = self.readers[index]
        if client.session in self.bus.router.doomed:
            del self.bus.router.doomed[client.session]
            client = self.readers[index] = self.bus.client("ab"[index])
        return client

    @rule(index=st.integers(0, 1), number=numbers, text=filters, policy=policies)
    def subscribe(self, index: int, number: int, text: str, policy: Overflow) -> None:
        wish = Subscribe(number, text, policy, max_messages=4, credit_messages=3, request=9)
        self.reader(index).say(wish)

    @rule(index=st.integers(0, 1), number=numbers)
    def unsubscribe(self, index: int, number: int) -> None:
        self.reader(index).say(Unsubscribe(number, request=9))

    @rule(index=st.integers(0, 1), number=numbers, messages=st.integers(0, 60))
    def grant(self, index: int, number: int, messages: int) -> None:
        self.reader(index).say(Credit(number, messages, 1 << 30))

    @rule(topics=st.lists(st.tuples(topics, st.integers(1, 3)), max_size=6))
    def publish(self, topics: list[tuple[str, int]]) -> None:
        frames = [self.publisher.frame(topic, *[b"x"] * count) for topic, count in topics]
        publish_together(self.publisher, *frames)

    @rule(topic=topics)
    def publish_confirmed(self, topic: str) -> None:
        lost = self.bus.router.statistics().lost
        waiting = [
            stream
            for session in self.bus.router.directory
            for stream in session.outbox.streams.values()
            if stream.policy is Overflow.BLOCK
        ]
        before = [stream.tally.lost.total() for stream in waiting]
        self.publisher.publish(topic, b"x", request=9)
        answer = self.publisher.read()[-1]
        assert isinstance(answer, Answer)
        assert before == [stream.tally.lost.total() for stream in waiting]
        if answer.error:
            assert answer.error == "BackPressure"
            assert self.bus.router.statistics().lost == lost

    @rule(topic=topics, in_time=st.booleans())
    def publish_what_expires(self, topic: str, in_time: bool) -> None:
        self.publisher.publish(topic, b"x", expires_at=NOW + (1 if in_time else -1))

    @rule(index=st.integers(0, 1), part=st.integers(1, 100))
    def read_a_part(self, index: int, part: int) -> None:
        client = self.reader(index)
        size = sum(len(each) for each in client.session.take(1 << 12, NOW))
        client.session.written(size * part // 100)

    @rule(deny=st.booleans())
    def change_the_rules(self, deny: bool) -> None:
        rule = AccessRule("a", "read-only", METADATA, deny=True)
        self.bus.router.set_rules(Limits(), AccessList([rule] if deny else []))

    @invariant()
    def what_was_offered_is_delivered_lost_or_waiting(self) -> None:
        for client in self.readers:
            outbox = client.session.outbox
            waiting = sum(stream.messages for stream in outbox.streams.values())
            assert outbox.tally().queued == waiting
            for subscription in client.session.subscriptions.values():
                mine = [s for s in outbox.streams.values() if subscription in s.subscriptions]
                tally = client.session.tallies()[subscription.number]
                assert tally.queued == sum(stream.messages for stream in mine)
                assert tally.offered >= tally.delivered >= 0

    @invariant()
    def bytes_that_wait_are_counted_once_and_given_back(self) -> None:
        everybody = [*self.bus.router.directory]
        backlog = self.bus.router.directory.backlog.bytes
        assert backlog == sum(each.outbox.backlog.bytes for each in everybody)
        for session in everybody:
            outbox = session.outbox
            queued = sum(stream.bytes for stream in outbox.streams.values())
            runs = sum(len(stream.queue) for stream in outbox.streams.values())
            runs += sum(None not in (sent.run, sent.stream) for sent in outbox.sending.frames)
            overhead = runs * RUN_OVERHEAD_BYTES
            assert outbox.backlog.bytes == queued + overhead + outbox.urgent_bytes


Counting.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestCounting = Counting.TestCase


def test_a_bug_travels_up_and_says_whose_frame_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(requests: Requests, session: Session, value: Ping) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(_OBEYED, Ping, broken)
    client = Bus().client("fateful", incarnation=3)
    with pytest.raises(ZeroDivisionError) as caught:
        client.say(Ping(1))
    assert caught.value.__notes__ == ["while it took frames of fateful (process 4242)"]
