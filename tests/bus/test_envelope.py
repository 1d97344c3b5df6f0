"""Envelopes as a subscriber sees them, payloads as a publisher gives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.envelope import (
    JSON,
    NO_LOSS,
    Correlation,
    Envelope,
    Header,
    Publisher,
    encode_payload,
)
from daemoneye.bus.proto import events_pb2
from daemoneye.errors import BusError, LocalProtocolError

PROCMOND = Publisher("procmond", "collector", 44, 3)


def envelope(payload: bytes | memoryview = b"x", content_type: str = "") -> Envelope:
    header = Header("a.b", PROCMOND, content_type, "me", Correlation("c"), 5, 6)
    return Envelope((payload, 1_500_000_000, 9, header, NO_LOSS))


def test_what_follows_keeps_the_conversation_and_says_where_it_comes_from() -> None:
    asked = Correlation("case-7", stage="asked", tags=(("host", "a"),), traceparent="00-1")
    checked = asked.follow("checked", tags={"by": "me"})
    assert checked == Correlation(
        "case-7", "case-7", "case-7", "checked", (("by", "me"), ("host", "a")), "00-1"
    )


def test_a_conversation_of_its_own_has_the_same_root() -> None:
    asked = Correlation("case-7")
    below = asked.follow(id="case-7-files").follow("hashed", id="one", traceparent="00-2")
    assert below == Correlation("one", "case-7-files", "case-7", "hashed", (), "00-2")


def test_a_correlation_may_be_given_its_tags_as_a_mapping() -> None:
    given: Any = {"host": "a", "by": "me"}
    assert Correlation("c", tags=given).tags == (("by", "me"), ("host", "a"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": 3}, "id of a correlation is a str, and not int: 3"),
        ({"stage": None}, "stage of a correlation is a str, and not NoneType"),
        ({"root": b"x"}, "root of a correlation is a str, and not bytes"),
        ({"parent": "\ud800"}, "parent of a correlation is .*UTF-8 cannot say"),
        ({"traceparent": []}, "traceparent of a correlation is a str, and not list"),
        ({"tags": ("t1", "t2")}, "each of tags is a pair of str, and not str: 't1'"),
        ({"tags": 7}, "tags is pairs of str, and not int: 7"),
    ],
)
def test_a_correlation_is_made_of_texts(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(LocalProtocolError, match=said) as caught:
        Correlation(**wrong)
    assert caught.value.hint


def test_what_follows_is_made_of_texts_too() -> None:
    wrong: Any = ["host"]
    with pytest.raises(LocalProtocolError, match="tags is a mapping, and not list"):
        Correlation("c").follow(tags=wrong)
    wrong = 3
    with pytest.raises(LocalProtocolError, match="stage of a correlation is a str, and not int"):
        Correlation("c").follow(wrong)


def test_an_envelope_tells_all_of_its_event() -> None:
    event = envelope(b"x", "text/plain")
    assert (event.topic, event.payload, event.content_type) == ("a.b", b"x", "text/plain")
    assert (event.publisher.name, event.publisher.role) == ("procmond", "collector")
    assert (event.publisher.pid, event.publisher.incarnation) == (44, 3)
    assert (event.sequence, event.time, event.time_ns) == (9, 1.5, 1_500_000_000)
    assert event.target == "me"
    assert event.correlation == Correlation("c")
    assert event.lost == {}
    assert "a.b" in repr(event)


def test_a_payload_that_came_apart_takes_its_place() -> None:
    event = envelope(b"", "text/plain").carrying(memoryview(b"large"))
    assert (event.payload, event.sequence, event.content_type) == (b"large", 9, "text/plain")


def test_a_large_payload_is_read_like_any_other() -> None:
    beat = events_pb2.Heartbeat(incarnation=7)
    assert envelope(memoryview(b'{"n": 1}')).json() == {"n": 1}
    assert envelope(memoryview(beat.SerializeToString())).unpack(events_pb2.Heartbeat) == beat


def test_losses_are_told_by_a_copy() -> None:
    event = envelope()
    later = event.after({"overflow": 3})
    assert later.lost == {"overflow": 3}
    assert event.lost == {}
    assert later.payload == event.payload


def test_a_payload_is_read_as_json_or_says_why_not() -> None:
    assert envelope(b'{"n": 1}').json() == {"n": 1}
    with pytest.raises(BusError, match=r"a\.b is not JSON"):
        envelope(b"\xff").json()


def test_a_payload_is_read_as_a_message_or_says_why_not() -> None:
    beat = events_pb2.Heartbeat()
    assert envelope(beat.SerializeToString()).unpack(events_pb2.Heartbeat) == beat
    with pytest.raises(BusError, match="is no daemoneye"):
        envelope(b"\xff").unpack(events_pb2.Heartbeat)


@pytest.mark.parametrize("given_bytes", [b"ab", bytearray(b"ab"), memoryview(b"ab")])
def test_bytes_stay_as_they_are(given_bytes: bytes) -> None:
    assert encode_payload(given_bytes) == (b"ab", "")


def test_a_message_names_its_type() -> None:
    _, content_type = encode_payload(events_pb2.Heartbeat())
    assert content_type == "application/protobuf; type=daemoneye.v1.Heartbeat"


def test_what_is_nested_too_deep_for_json_is_refused() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(LocalProtocolError, match="a payload is not JSON"):
        encode_payload(nested)


def test_mappings_and_lists_become_json() -> None:
    assert encode_payload({"a": [1, "é"]}) == ('{"a":[1,"é"]}'.encode(), JSON)
    assert encode_payload([1, 2]) == (b"[1,2]", JSON)


@pytest.mark.parametrize("wrong", ["text", 1, None, {"a": object()}, {"a": float("nan")}])
def test_what_is_no_payload_is_refused_with_a_hint(wrong: object) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_payload(wrong)  # type: ignore[arg-type]  # what is wrong on purpose
    assert caught.value.hint


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_json_comes_back(value: dict[str, object]) -> None:
    try:
        payload, _ = encode_payload(value)
    except LocalProtocolError:
        return  # a lone surrogate: nothing that UTF-8 can say
    assert envelope(payload).json() == value
