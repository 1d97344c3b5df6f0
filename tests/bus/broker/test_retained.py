"""Retained values: what is kept, for whom it is said again, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.broker.retained import (
    LATE_NS,
    RETAINED_SHARE,
    VALUE_OVERHEAD_BYTES,
    Kept,
    Retained,
    value_of,
)
from daemoneye.bus.frames import (
    Answer,
    Clear,
    Correlation,
    Envelope,
    Heading,
    Notice,
    Query,
    Replay,
    Selection,
    StreamMark,
    Subscribe,
    arrival_stamp,
    encode_publish,
    identity_stamp,
    parse,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import BusError
from tests.bus.support import NOW, Bus, Client

STATE = "events.demo.state"
SECOND = 10**9


def retained(client: Client) -> list[Envelope]:
    """What it is sent as retained values."""
    return [each for each in client.read() if isinstance(each, Envelope) and each.retained]


def test_the_last_value_is_said_again_to_who_subscribes_later() -> None:
    bus = Bus()
    source, early, late = bus.procmond(), bus.client("a"), bus.client("b")
    early.subscribe("events.#")
    source.publish("events.process.tree", b"1", retain=True)
    source.publish("events.process.tree", b"2", retain=True, content_type="text/plain")
    source.publish("events.process.tree", b"not kept")
    assert [each.retained for each in early.read() if isinstance(each, Envelope)] == [False] * 3
    late.say(Subscribe(1, "events.#", request=1))
    answer, mark, event = late.read()
    assert isinstance(answer, Answer)
    assert isinstance(mark, StreamMark)
    assert isinstance(event, Envelope)
    assert (event.payload, event.sequence, event.content_type) == (b"2", 2, "text/plain")
    assert (event.publisher.name, event.publisher.incarnation) == ("procmond", 1)
    assert (event.retained, event.header.received_at, event.time_ns) == (True, NOW, NOW)


def test_of_a_batch_the_last_message_is_kept_and_all_are_delivered() -> None:
    bus = Bus()
    source, agent = bus.client("source"), bus.client("agent")
    agent.subscribe(STATE)
    source.publish(STATE, b"1", b"2", b"3", retain=True)
    assert agent.events() == [b"1", b"2", b"3"]
    agent.say(Subscribe(2, "events.#"))
    (event,) = retained(agent)
    assert (event.payload, event.sequence) == (b"3", 3)


def test_b21_an_empty_value_stays_and_only_clearing_ends_it() -> None:
    bus = Bus()
    source, agent = bus.client("source"), bus.client("agent")
    source.publish(STATE, b"", retain=True)
    source.publish(STATE, b"")
    agent.say(Subscribe(2, STATE))
    assert [each.payload for each in retained(agent)] == [b""]
    source.say(Clear(STATE, 5))
    assert source.read() == [Answer(5)]
    agent.say(Subscribe(3, STATE))
    assert retained(agent) == []
    source.say(Clear(STATE, 6))
    assert source.read() == [Answer(6)]


@pytest.mark.parametrize(
    "more",
    [{"replay": Replay.NONE}, {"replay": Replay.ALL}, {"replay": Replay.IF_NEW}],
    ids=["none", "all", "if-new"],
)
def test_a_subscription_says_what_it_begins_with(more: dict[str, Replay]) -> None:
    bus = Bus()
    bus.client("source").publish(STATE, b"x", retain=True)
    agent = bus.client("agent")
    agent.say(Subscribe(1, "#", replay=more["replay"]))
    assert len(retained(agent)) == (more["replay"] is not Replay.NONE)


def test_b8_rights_are_asked_again_for_each_value() -> None:
    deny = AccessRule("role:observer", "read-only", "events.secret.#", deny=True)
    bus = Bus(deny)
    source, observer = bus.client("source"), bus.client("eye", "observer")
    source.publish("events.secret.a", b"secret", retain=True)
    source.publish("events.demo.a", b"open", retain=True)
    observer.say(Subscribe(1, "events.#"))
    assert [each.payload for each in retained(observer)] == [b"open"]
    observer.say(Query("retained", request=2))
    (answer,) = (each for each in observer.read() if isinstance(each, Answer))
    assert [row.topic for row in answer.retained] == ["events.demo.a"]
    # What was allowed then is asked again now.
    closed = AccessRule("role:observer", "read-only", "events.demo.#", deny=True)
    bus.router.set_rules(Limits(), AccessList((deny, closed)))
    observer.say(Subscribe(2, "events.#"))
    assert retained(observer) == []


def test_a_value_for_one_target_is_for_nobody_else() -> None:
    bus = Bus()
    bus.client("source").publish(STATE, b"x", retain=True, target="a")
    found = []
    for name in ("a", "b"):
        client = bus.client(name, "observer")
        client.say(Subscribe(1, "events.#"), Query("retained", request=2))
        read = client.read()
        events = [each for each in read if isinstance(each, Envelope)]
        (answer,) = (each for each in read if isinstance(each, Answer) and each.request == 2)
        found.append((len(events), len(answer.retained)))
    assert found == [(1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(id="c"), True),
        (Selection(id="d"), False),
        (Selection(stage="s", tags=(("k", "v"),)), True),
        (Selection(tags=(("k", "w"),)), False),
    ],
)
def test_a_selection_holds_for_retained_values_too(selection: Selection, taken: bool) -> None:
    bus = Bus()
    said = Correlation("c", stage="s", tags=(("k", "v"), ("l", "m")))
    bus.client("source").publish(STATE, b"x", retain=True, correlation=said)
    agent = bus.client("agent")
    agent.say(Subscribe(1, "events.#", selection=selection))
    assert len(retained(agent)) == taken


def test_an_expired_value_is_forgotten() -> None:
    bus = Bus()
    source, agent = bus.client("source"), bus.client("agent")
    source.publish(STATE, b"x", retain=True, expires_at=NOW + SECOND)
    source.publish("events.demo.gone", b"x", retain=True, expires_at=NOW)
    store = bus.router.directory.retained
    assert len(store) == 1
    agent.router.receive(agent.session, [], NOW)
    agent.say(Subscribe(1, "events.#"))
    assert len(retained(agent)) == 1
    store.forget_expired(NOW + SECOND - 1)
    assert STATE in store
    store.forget_expired(NOW + SECOND)
    assert (len(store), store.bytes) == (0, 0)


def test_what_may_not_be_published_is_not_retained_and_not_cleared() -> None:
    bus = Bus()
    source, observer = bus.client("source"), bus.client("eye", "observer")
    source.publish(STATE, b"x", retain=True)
    observer.publish(STATE, b"forged", retain=True)
    observer.say(Clear(STATE, 9), Clear("no topic", 10))
    read = observer.read()
    assert [each.code for each in read if isinstance(each, Notice)] == ["denied"]
    first, second = (each for each in read if isinstance(each, Answer))
    assert (first.error, bool(first.rule), second.error) == ("AccessDenied", True, "InvalidTopic")
    agent = bus.client("agent")
    agent.say(Subscribe(1, STATE))
    assert [each.payload for each in retained(agent)] == [b"x"]


def test_a_body_that_is_no_batch_is_not_retained_and_not_delivered() -> None:
    bus = Bus()
    source, agent = bus.client("source"), bus.client("agent")
    agent.subscribe("events.#")
    raw = encode_publish(Heading(STATE, retain=True), [b"a", b"b"], [1, 2], 1)
    claimed = parse(raw)
    claimed.count = 1
    source.router.receive(source.session, [claimed.SerializeToString()], NOW)
    (notice,) = source.notices()
    assert (notice.code, "1 messages claimed" in notice.detail) == ("refused", True)
    assert agent.events() == []
    assert len(bus.router.directory.retained) == 0


def test_the_supervisor_may_have_its_word_retained() -> None:
    bus = Bus()
    bus.router.say("control.health.status", b"{}", NOW, retain=True)
    agent = bus.client("agent")
    agent.say(Subscribe(1, "control.health.status.#"))
    (event,) = retained(agent)
    assert (event.publisher.name, event.payload) == ("supervisor", b"{}")


def test_what_finds_no_room_is_lost_and_told_and_nobody_is_cut_off() -> None:
    bus = Bus()
    source, agent = bus.client("source"), bus.client("agent")
    for number in range(5):
        source.publish(f"control.demo.t{number}", b"x", retain=True)
    agent.say(Subscribe(1, "control.demo.#", max_messages=3, credit_messages=1))
    assert len(retained(agent)) == 1
    assert bus.router.doomed == {}
    tally = agent.session.tallies()[1]
    assert (tally.offered, tally.delivered, dict(tally.lost)) == (5, 1, {"overflow": 2})


def test_topics_of_an_identity_at_the_limit_and_one_past_it() -> None:
    bus = Bus(retained_topics=2)
    source, other = bus.client("source"), bus.client("other")
    for topic in ("events.a", "events.b", "events.a"):
        source.publish(topic, b"x", retain=True)
    source.publish("events.c", b"x", retain=True, request=5)
    (answer,) = source.read()
    assert isinstance(answer, Answer)
    assert (answer.error, "retained_topics" in answer.hint) == ("BusError", True)
    other.publish("events.c", b"x", retain=True)
    other.publish("events.a", b"mine", retain=True)  # so the first has one less
    source.publish("events.d", b"x", retain=True)
    assert other.read() == source.read() == []
    assert bus.router.statistics().refused == {"refused": 1}


def test_bytes_of_an_identity_at_its_share_and_one_past_it() -> None:
    store, limits = Retained(), Limits(retained_bytes=RETAINED_SHARE * 3000)
    first, second = value("events.a", 100), value("events.b", 100, publisher="q")
    share = limits.retained_bytes // RETAINED_SHARE
    first = replace(first, data=first.data + bytes(share - first.cost))
    for each in (first, second):
        store.check(each, limits)
        store.keep(each)
    store.check(first, limits)  # in its own place
    with pytest.raises(BusError, match="p has 0 bytes of retained values already, and of 12000"):
        store.check(replace(first, data=first.data + b"x"), limits)
    store.check(value("events.c", 100, publisher="q"), limits)
    store.forget("events.a")
    store.check(replace(first, topic="events.d"), limits)


def test_bytes_of_all_at_the_limit_and_one_past_it() -> None:
    store, limits = Retained(), Limits(retained_bytes=8 * (VALUE_OVERHEAD_BYTES + 500))
    first = value("events.a", 400, publisher="p")
    share = limits.retained_bytes // RETAINED_SHARE
    first = replace(first, data=first.data + bytes(share - first.cost))
    others = [replace(first, topic=f"events.{name}", publisher=name) for name in "qrs"]
    for each in (first, *others):
        store.check(each, limits)
        store.keep(each)
    assert store.bytes == limits.retained_bytes
    store.check(first, limits)  # in its own place
    with pytest.raises(BusError, match="no room to retain"):
        store.check(value("events.t", 1, publisher="t"), limits)


def value(topic: str, size: int = 1, expires_at: int = 0, publisher: str = "p") -> Kept:
    raw = encode_publish(Heading(topic, retain=True, expires_at=expires_at), [bytes(size)], [1], 1)
    return value_of(
        parse(raw), publisher, identity_stamp(publisher, "agent", 1, 1) + arrival_stamp(5)
    )


TOPICS = ["a", "a.b", "a.c", "b.b", "a.b.c", "$bus.a"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(TOPICS),
            st.sampled_from("pq"),
            st.sampled_from([0, 10, 20, 30]),
        ),
        max_size=12,
    ),
    st.sampled_from(["#", "a.#", "+.b", "a.b", "a.+", "$bus.#", "+.#"]),
    st.sampled_from([6, 10, 25, 40]),
)
def test_the_store_is_a_dictionary_with_filters_and_an_end(
    said: list[tuple[str, str, int]], filter_text: str, now: int
) -> None:
    store, expected = Retained(), {}
    for topic, publisher, expires_at in said:
        kept = value(topic, 1, expires_at, publisher)
        store.keep(kept)
        expected[topic] = kept
    store.forget_expired(now)
    living = {t: v for t, v in expected.items() if not 0 < v.expires_at <= now}
    wanted = TopicFilter(filter_text)
    assert {each.topic for each in store.values(wanted)} == {t for t in living if wanted.matches(t)}
    assert {each.topic: each for each in store.values()} == living
    assert store.bytes == sum(each.cost for each in living.values())
    for topic in TOPICS:
        store.forget(topic)
    assert (len(store), store.bytes, store._of_identity) == (0, 0, {})


def test_values_that_replace_each_other_leave_no_trail_of_their_ends() -> None:
    store = Retained()
    for number in range(1000):
        store.keep(value("a", 1, 10**6 + number))
    assert len(store._expiring) < 100


def told(name: bytes, published_at: int, came_at: int) -> Kept:
    raw = encode_publish(Heading("a", retain=True), [name], [published_at], 1)
    return value_of(parse(raw), "p", identity_stamp("p", "agent", 1, 1) + arrival_stamp(came_at))


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        ((100, 101), (99, 102), False),  # both at once: the order of coming decides
        ((100, 101), (99, 99 + LATE_NS), False),
        ((100, 101), (99, 99 + LATE_NS + 1), True),  # said again, after a newer one
        ((99, LATE_NS), (100, 100 + 2 * LATE_NS), False),  # said again, and the newer one
        ((100, 5 * LATE_NS), (5, 5 + 2 * LATE_NS), False),  # the clock was set back
    ],
)
def test_a_value_that_is_said_again_takes_the_place_of_older_ones_alone(
    before: tuple[int, int], after: tuple[int, int], stays: bool
) -> None:
    store, limits = Retained(), Limits()
    first, second = told(b"before", *before), told(b"after", *after)
    for each in (first, second):
        store.check(each, limits)
        store.keep(each)
    assert store.values() == [first if stays else second]
    # Nor is there room to be found for what is not kept.
    if stays:
        store.check(replace(second, data=bytes(limits.retained_bytes)), limits)


def with_tags_without_a_value(raw: bytes, count: int) -> bytes:
    """The same publish with tags in two bytes less each than anybody else says them in."""
    tags = b"".join(b"\x2a\x06\x0a\x04%04x" % number for number in range(count))
    return raw + b"\x4a" + bytes([len(tags) & 0x7F | 0x80, len(tags) >> 7]) + tags


@pytest.mark.parametrize("too_long", [False, True])
def test_bad_input_what_is_longer_alone_than_a_client_reads_is_not_kept(too_long: bool) -> None:
    bus = Bus()
    source = bus.client("source")
    most = bus.router.limits.frame_bytes - (0 if too_long else 2 * 1500)
    spare = len(with_tags_without_a_value(source.frame("events.a", b"", retain=True), 1500)) + 4
    source.sequences.clear()
    raw = source.frame("events.a", bytes(most - spare), retain=True)
    bus.router.receive(source.session, [with_tags_without_a_value(raw, 1500)], NOW)
    assert ("events.a" in bus.router.directory.retained) is not too_long
    assert bus.router.statistics().refused == ({"oversize": 1} if too_long else {})
