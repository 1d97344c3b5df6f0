"""Typed topics, for both kinds of client: published, subscribed to and read through one handle."""

from __future__ import annotations

from typing import cast

import pytest
from google.protobuf.duration_pb2 import Duration

from daemoneye import Topic
from daemoneye.errors import InvalidTopic, LocalProtocolError
from tests.bus.brokers import Running
from tests.support import scaled

WAIT = Topic("events.demo.wait", Duration)
ROW: Topic[dict[str, int]] = Topic("events.demo.row", dict)
RAW = Topic("events.demo.raw", bytes)


def test_what_goes_through_a_topic_comes_out_of_it(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(WAIT, ROW, "events.demo.raw") as events:
        assert events.filters == (WAIT.text, ROW.text, RAW.text)
        bus.publish(WAIT, Duration(seconds=3))
        bus.publish_many(ROW, [{"n": 1}, {"n": 2}])
        bus.publish_confirmed(RAW, b"last", timeout=scaled(5))
        wait, *rows, last = (events.get(scaled(5)) for _ in range(4))
        assert wait is not None
        assert last is not None
        seconds: int = wait.read(WAIT).seconds  # typed: no cast is needed
        assert seconds == 3
        assert [each.read(ROW)["n"] for each in rows if each is not None] == [1, 2]
        assert last.read(RAW) == b"last"


def test_what_a_topic_does_not_carry_is_refused_before_anything_is_published(
    broker: Running,
) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        wrong = cast("Duration", {"seconds": 3})
        with pytest.raises(LocalProtocolError, match="carries Duration, and not dict"):
            bus.publish(WAIT, wrong)
        with pytest.raises(LocalProtocolError, match="carries Duration, and not dict"):
            bus.publish_confirmed(WAIT, wrong)
        with pytest.raises(LocalProtocolError, match="carries Duration, and not dict"):
            bus.publish_many(WAIT, [Duration(), wrong])
        assert events.get(0) is None
        assert bus.counters().published == 0


def test_topics_in_use_are_told_with_who_uses_them(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(WAIT):
        bus.publish_confirmed(ROW, {"n": 1})
        found = {row.topic: (row.publishers, row.subscribers) for row in bus.topics()}
        presence = {"$bus.clients.operator": (0, 0)}  # a last word of the broker's
        assert found == {WAIT.text: (0, 1), ROW.text: (1, 0), **presence}
        assert [row.topic for row in bus.topics(WAIT)] == [WAIT.text]
        with pytest.raises(InvalidTopic):
            bus.topics("events.*")


def test_an_explanation_says_whether_why_and_what_else(broker: Running) -> None:
    with broker.collector() as source:
        no = source.explain("publish", "events.network.lifecycle")
        assert (no.allowed, no.verdict, no.rule) == (False, "refused", "no rule allows it")
        assert no.hint.startswith("may publish on control.health.heartbeat, ")
        assert str(no) == no.text == f"refused: {no.rule} ({no.hint})"
        yes = source.explain("publish", "events.process.lifecycle")
        assert (yes.allowed, yes.verdict, yes.hint, yes.narrowed) == (True, "granted", "", ())


def test_a_large_payload_goes_through_a_topic(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(RAW) as events:
        bus.publish(RAW, bytes(1 << 20))
        event = events.get(scaled(5))
        assert event is not None
        assert event.read(RAW) == bytes(1 << 20)
