"""Wishes: what a caller asks for is checked before anything is done about it."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.wishes import Batch, batches, heading_of, options_of, topic_of
from daemoneye.bus.envelope import JSON, Payload
from daemoneye.bus.frames import Overflow
from daemoneye.bus.topics import Topic
from daemoneye.errors import InvalidTopic, LocalProtocolError


def test_an_expiry_is_told_in_nanoseconds() -> None:
    assert heading_of("a", "", "", expires_at=1.5).expires_at == 1_500_000_000
    assert heading_of("a", "", "").expires_at == 0


@pytest.mark.parametrize("at", [float("inf"), float("nan"), 1e300, -1.0])
def test_an_expiry_that_is_no_point_in_time_is_refused(at: float) -> None:
    with pytest.raises(LocalProtocolError):
        heading_of("a", "", "", expires_at=at)


def test_a_topic_is_a_text_or_a_topic_with_a_type() -> None:
    assert topic_of("events.x") == topic_of(Topic("events.x", Duration)) == "events.x"
    with pytest.raises(InvalidTopic, match=r"a str, or a Topic, and not bytes: b'events.x'"):
        topic_of(b"events.x")


def test_payloads_of_one_type_that_follow_one_another_are_one_batch() -> None:
    given: list[Payload] = [b"1", bytearray(b"2"), {"a": 1}, [2], b"3"]
    assert batches(given) == [
        Batch("", [b"1", b"2"]),
        Batch(JSON, [b'{"a":1}', b"[2]"]),
        Batch("", [b"3"]),
    ]


def test_messages_of_different_kinds_are_different_batches() -> None:
    types = [each.content_type for each in batches([Duration(), Duration(), b""])]
    assert types == ["application/protobuf; type=google.protobuf.Duration", ""]


def test_no_payloads_are_one_empty_batch() -> None:
    assert batches([]) == [Batch("", [])]


def test_one_wrong_payload_refuses_all() -> None:
    with pytest.raises(LocalProtocolError):
        batches([b"1", 2])


def test_options_are_what_was_asked_for() -> None:
    assert options_of(("a.#",), "latest", 5, 6) == Options(Overflow.LATEST, 5, 6)


@pytest.mark.parametrize(
    ("filters", "overflow", "bound", "error"),
    [
        ((), "default", 0, LocalProtocolError),
        (("a", "a.*"), "default", 0, InvalidTopic),
        (("a",), "explode", 0, LocalProtocolError),
        (("a",), "default", -1, LocalProtocolError),
    ],
)
def test_options_that_cannot_be_are_refused(
    filters: tuple[str, ...], overflow: str, bound: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        options_of(filters, overflow, bound, 0)
