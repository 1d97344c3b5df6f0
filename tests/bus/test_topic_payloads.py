"""What a Topic carries: whatever it takes comes back, anything else is refused in plain words."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.envelope import (
    JSON,
    NO_LOSS,
    Correlation,
    Envelope,
    Header,
    Publisher,
    content_type_of,
    encode_for,
)
from daemoneye.bus.topics import Topic
from daemoneye.errors import BusError, LocalProtocolError

TICK = "events.demo.tick"


@dataclass(frozen=True)
class Point:
    """Two numbers."""

    x: int
    y: int


class Points:
    """A codec for them."""

    content_type = "text/x-point"

    def encode(self, value: Point, /) -> bytes:
        return f"{value.x},{value.y}".encode()

    def decode(self, payload: bytes, /) -> Point:
        x, y = payload.split(b",")
        return Point(int(x), int(y))


class Lazy:
    """A codec that gives no bytes."""

    def encode(self, value: object, /) -> bytes:
        return "text"  # type: ignore[return-value]  # what is tested

    def decode(self, payload: bytes, /) -> str:
        raise AssertionError("never asked")


BYTES = Topic(TICK, bytes)
DURATION = Topic(TICK, Duration)
OBJECT: Topic[dict[str, Any]] = Topic(TICK, dict)
ARRAY: Topic[list[Any]] = Topic(TICK, list)
POINT = Topic(TICK, Points())

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
published = st.one_of(
    st.tuples(st.just(BYTES), st.binary()),
    st.tuples(
        st.just(DURATION),
        st.builds(Duration, seconds=st.integers(-(1 << 40), 1 << 40), nanos=st.integers(0, 9)),
    ),
    st.tuples(st.just(OBJECT), st.dictionaries(st.text(), json_values)),
    st.tuples(st.just(ARRAY), st.lists(json_values)),
    st.tuples(st.just(POINT), st.builds(Point, st.integers(), st.integers())),
)


def event(payload: bytes, content_type: str = "", topic: str = TICK) -> Envelope:
    header = Header(topic, Publisher("me", "agent", 1, 1), content_type, "", Correlation(), 0, 0)
    return Envelope((payload, 1, 1, header, NO_LOSS))


@given(published)
def test_what_is_published_is_what_is_read(said: tuple[Topic[Any], object]) -> None:
    topic, value = said
    payload, content_type = encode_for(topic, value)
    assert content_type == content_type_of(topic)
    assert event(bytes(payload), content_type).read(topic) == value
    assert event(bytes(payload)).read(topic) == value  # whose publisher names no type


@given(st.sampled_from([DURATION, OBJECT, ARRAY, POINT]), st.binary())
def test_bytes_that_are_none_raise_nothing_else(topic: Topic[Any], payload: bytes) -> None:
    with suppress(BusError):
        value = event(payload).read(topic)
        content, content_type = encode_for(topic, value)
        assert event(bytes(content), content_type).read(topic) == value


@pytest.mark.parametrize(
    ("topic", "value", "words"),
    [
        (BYTES, "text", "carries bytes, and not str"),
        (DURATION, Timestamp(), "carries Duration, and not Timestamp"),
        (DURATION, b"", "carries Duration, and not bytes"),
        (OBJECT, [1], "carries dict, and not list"),
        (ARRAY, {}, "carries list, and not dict"),
        (ARRAY, "text", "carries list, and not str"),
        (POINT, (1, 2), "tuple cannot be encoded for events.demo.tick: AttributeError"),
        (Topic(TICK, Lazy()), 1, "Lazy gives str for events.demo.tick, and not bytes"),
        (OBJECT, {"a": object()}, "is not JSON"),
    ],
)
def test_what_a_topic_does_not_carry_is_refused(
    topic: Topic[Any], value: object, words: str
) -> None:
    with pytest.raises(LocalProtocolError, match=re.escape(words)):
        encode_for(topic, value)


def test_buffers_are_bytes_and_tuples_are_lists() -> None:
    assert encode_for(BYTES, bytearray(b"x")) == (b"x", "")
    assert encode_for(BYTES, memoryview(b"x")) == (b"x", "")
    assert encode_for(ARRAY, (1, 2)) == (b"[1,2]", JSON)


@pytest.mark.parametrize(
    ("topic", "found", "words"),
    [
        (DURATION, event(b"", JSON), "is 'application/json'"),
        (
            DURATION,
            event(b"", "application/protobuf; type=google.protobuf.Timestamp"),
            "type=google.protobuf.Timestamp",
        ),
        (BYTES, event(b"{}", JSON), "expected was plain bytes"),
        (POINT, event(b"1,2", JSON), "expected was text/x-point"),
        (OBJECT, event(b"[]", JSON), "it is JSON of type list"),
        (OBJECT, event(b"{", JSON), "are no dict"),
        (DURATION, event(b"\xff"), "are no Duration"),
        (POINT, event(b"1;2"), "are no Points: ValueError"),
        (BYTES, event(b"", topic="events.demo.tock"), "an event of events.demo.tock is none of"),
    ],
)
def test_what_a_payload_is_not_is_told(topic: Topic[Any], found: Envelope, words: str) -> None:
    with pytest.raises(BusError, match=re.escape(words)):
        found.read(topic)
