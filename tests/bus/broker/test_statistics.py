"""Counting: everything refused has a word, and the sums are right however they are told."""

from __future__ import annotations

import pytest

from daemoneye.bus import handshake
from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker import deliveries, dispatch, jobs, streams, uploads
from daemoneye.bus.broker.statistics import Statistics, reason_of
from daemoneye.bus.frames import Envelope, Query, Unsubscribe
from daemoneye.bus.limits import Limits
from daemoneye.errors import (
    AccessDenied,
    BackPressure,
    BusError,
    InvalidTopic,
    LocalProtocolError,
    NoResponder,
    TooLarge,
)
from tests.bus.support import Bus
from tests.support import document

TICK = "events.demo.tick"

SEEN = Statistics(
    clients=2,
    subscriptions=3,
    published=10,
    delivered=7,
    lost={"overflow": 2, "expired": 1},
    refused={"denied": 4, "invalid-topic": 1},
    queued=0,
    queued_bytes=12,
    postponed=5,
    large_bytes=9,
    large_descriptors=8,
    groups=1,
    handled=31,
    group_waiting=32,
    group_in_flight=33,
    group_bytes=34,
    calls=20,
    replies=17,
    failed={"expired": 2, "no-responder": 1},
    turned_away={"bad-proof": 6},
    cut_off={"heartbeat": 1},
)


def test_counters_have_a_sum_and_each_reason() -> None:
    counters = SEEN.counters()
    assert counters["published_total"] == 10
    assert (counters["lost_total"], counters["lost_overflow_total"]) == (3, 2)
    assert (counters["refused_total"], counters["refused_invalid_topic_total"]) == (5, 1)
    assert counters["denied_total"] == counters["refused_denied_total"] == 4
    assert (counters["turned_away_total"], counters["turned_away_bad_proof_total"]) == (6, 6)
    assert (counters["calls_total"], counters["replies_total"]) == (20, 17)
    assert (counters["failed_calls_total"], counters["failed_calls_expired_total"]) == (3, 2)
    assert (counters["cut_off_total"], counters["cut_off_heartbeat_total"]) == (1, 1)


def test_the_message_says_the_same() -> None:
    message = SEEN.message(now=99.5)
    assert dict(message.lost) == SEEN.lost
    assert dict(message.refused) == SEEN.refused
    assert (message.calls_total, message.replies_total) == (20, 17)
    assert dict(message.failed_calls) == SEEN.failed
    assert dict(message.turned_away) == SEEN.turned_away
    assert dict(message.cut_off) == SEEN.cut_off
    assert (message.lost_total, message.denied_total, message.postponed_total) == (3, 4, 5)
    assert (message.large_bytes, message.large_descriptors) == (9, 8)
    assert (message.groups, message.handled_total) == (1, 31)
    assert (message.group_waiting, message.group_in_flight, message.group_bytes) == (32, 33, 34)
    assert (message.clients, message.queued_bytes, message.observed_at) == (2, 12, 99.5)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (AccessDenied("x"), "denied"),
        (InvalidTopic("x"), "invalid-topic"),
        (TooLarge("x"), "oversize"),
        (BackPressure("x"), "back-pressure"),
        (LocalProtocolError("x"), "senseless"),
        (NoResponder("x"), "no-responder"),
        (BusError("x"), "refused"),
    ],
)
def test_each_refusal_has_a_word_that_is_documented(error: BusError, word: str) -> None:
    assert reason_of(error) == word
    assert f"`{word}`" in document("docs/wire.md").partition("## What is counted")[2]


@pytest.mark.parametrize(
    "word",
    [
        *(streams.OVERFLOW, streams.EXPIRED, streams.OVERSIZE, streams.DENIED),
        *(streams.DISCONNECTED, deliveries.UNREAD, deliveries.TOO_MANY_STREAMS.reason),
        *(uploads.HOARDING, "heartbeat", "ended", "stuck"),
        *(handshake.UNKNOWN_IDENTITY, handshake.BAD_PROOF, handshake.WRONG_PROCESS),
        *(handshake.WRONG_VERSION, handshake.OUT_OF_ORDER, handshake.BUSY, handshake.TOO_LATE),
        *("foreign-user", "exhausted", "gone"),
        *(jobs.REJECTED, jobs.EXHAUSTED, jobs.ABANDONED, dispatch.LATE),
    ],
)
def test_every_word_that_something_is_counted_under_is_documented(word: str) -> None:
    assert f"`{word}`" in document("docs/wire.md")


def test_every_frame_that_is_refused_is_counted_by_its_reason() -> None:
    bus = Bus(AccessRule("*", "write-only", "events.secret", deny=True), subscriptions=1, wishes=1)
    operator, worker = bus.client("operator"), bus.client("worker", "worker")
    operator.publish("events.secret", b"")
    operator.publish("Events", b"")
    operator.publish(TICK, bytes(Limits().frame_bytes))
    operator.publish(TICK, b"", guarantee=3)
    for _ in range(2):
        operator.publish("control.collector.lifecycle", b"", target="absent")
    operator.subscribe("events.#.a")
    operator.subscribe("events.#")
    operator.subscribe("events.a", number=2)
    worker.subscribe("events.#")
    worker.say(Query("access", "operator", "publish", TICK, request=1))
    operator.say(Unsubscribe(9, request=2))
    assert bus.router.statistics().refused == {
        "denied": 3,
        "invalid-topic": 2,
        "oversize": 1,
        "senseless": 2,
        "back-pressure": 1,
        "refused": 1,
    }


def test_what_waited_for_another_turn_is_counted() -> None:
    bus = Bus()
    asker = bus.client("operator")
    asker.say(*(Query("clients", request=number) for number in range(1, 4)))
    assert bus.router.statistics().postponed == 2


# ---- telling ------------------------------------------------------------------------------------


def test_what_the_broker_announces_comes_from_the_broker_and_is_numbered() -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.subscribe("$bus.#")
    heard: list[Envelope] = []
    for _ in range(2):
        bus.router.announce("$bus.stats", {"clients": 1}, 5)
        heard += [each for each in operator.read() if isinstance(each, Envelope)]
    first, second = heard
    assert (first.publisher.name, first.publisher.role) == ("broker", "broker")
    assert (first.sequence, second.sequence) == (1, 2)
    assert bus.router.statistics().published == 2


@pytest.mark.parametrize("wildcard", ["#", "+.stats", "+.#"])
def test_a_filter_that_begins_with_a_wildcard_does_not_hear_it(wildcard: str) -> None:
    bus = Bus()
    operator = bus.client("operator")
    assert not operator.subscribe(wildcard).error
    assert not bus.router.is_heard("$bus.stats")
    bus.router.announce("$bus.stats", b"", 5)
    assert operator.events() == []
    assert bus.router.statistics().published == 0


@pytest.mark.parametrize("role", ["observer", "worker"])
def test_who_is_no_agent_may_not_hear_it_unless_a_rule_says_so(role: str) -> None:
    bus = Bus()
    assert bus.client("somebody", role).subscribe("$bus.stats").error == "AccessDenied"
    bus = Bus(AccessRule(f"role:{role}", "read-only", "$bus.stats"))
    somebody = bus.client("somebody", role)
    assert not somebody.subscribe("$bus.stats").error
    bus.router.announce("$bus.stats", b"x", 5)
    assert somebody.events() == [b"x"]


def test_nobody_but_the_broker_speaks_there() -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.subscribe("$bus.stats")
    operator.publish("$bus.stats", b"forged")
    assert operator.events() == []
    assert bus.router.statistics().refused == {"denied": 1}


def test_who_is_slow_has_the_newest_of_it() -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.subscribe("$bus.stats")
    for number in range(3):
        bus.router.announce("$bus.stats", str(number).encode(), 5)
    assert operator.events() == [b"2"]
