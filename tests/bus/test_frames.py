"""Publishes and the broker's stamp: golden bytes, round trips, and rubbish as an error."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.frames import (
    BadBody,
    Chunk,
    Correlation,
    Envelope,
    Guarantee,
    Heading,
    Overflow,
    Ping,
    Subscribe,
    arrival_stamp,
    chunk_head,
    client_value,
    control_value,
    decode,
    encode,
    encode_large,
    encode_publish,
    envelopes,
    identity_stamp,
    large_envelopes,
    parcel_stamp,
    parse,
)
from daemoneye.bus.limits import MAX_STAMP_BYTES
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.errors import LocalProtocolError, RemoteProtocolError

UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)


def delivered(raw: bytes) -> list[Envelope]:
    found = decode(raw)
    assert isinstance(found, list)
    return found


def test_a_publish_has_these_bytes() -> None:
    raw = encode_publish(Heading("a.b"), [b"xy"], [258], sequence=5)
    assert raw.hex(" ") == (
        "08 0a 12 03 61 2e 62 18 01 22 0e 0a 02 78 79 12 08 02 01 00 00 00 00 00 00 28 05"
    )


def test_a_stamp_has_these_bytes() -> None:
    stamp = identity_stamp("p", "agent", 300, 2) + arrival_stamp(1)
    assert stamp.hex(" ") == (
        "a2 01 01 70 c2 01 05 61 67 65 6e 74 a8 01 ac 02 b0 01 02 d0 01 00 d8 01 00 e0 01 00"
        " c9 01 01 00 00 00 00 00 00 00"
    )


@pytest.mark.parametrize("sizes", [[0], [1], [127], [128], [70_000], [0, 1], [200] * 200])
@pytest.mark.parametrize("number", [0, 1, 127, 128, 16_383, 16_384, 2**64 - 1])
def test_a_publish_put_together_is_what_protobuf_would_write(sizes: list[int], number: int) -> None:
    payloads, times = [b"x" * size for size in sizes], [2**63] * len(sizes)
    body = pb.Batch(payload=payloads, time=times).SerializeToString()
    rest = pb.Frame(count=len(sizes), body=body, sequence=max(1, number), request=number)
    heading = Heading("a.b")
    frame = encode_publish(heading, payloads, times, max(1, number), request=number)
    assert frame == heading.prefix + rest.SerializeToString()


@given(
    st.lists(st.tuples(st.binary(max_size=40), UINT64), min_size=1, max_size=5),
    st.integers(1, 2**63),
    UINT32,
    UINT64,
)
def test_what_is_published_is_what_arrives(
    messages: list[tuple[bytes, int]], sequence: int, pid: int, incarnation: int
) -> None:
    payloads, times = [each[0] for each in messages], [each[1] for each in messages]
    heading = Heading(
        "a.b",
        target="me",
        content_type="text/plain",
        correlation=Correlation("i", "p", "r", "s", (("k", "v"), ("l", "")), "t"),
        expires_at=9,
    )
    raw = encode_publish(heading, payloads, times, sequence)
    raw += identity_stamp("procmond", "collector", pid, incarnation) + arrival_stamp(77)
    events = delivered(raw)
    assert [each.payload for each in events] == payloads
    assert [each.time_ns for each in events] == times
    assert [each.sequence for each in events] == [sequence + n for n in range(len(messages))]
    for event in events:
        assert event.publisher == ("procmond", "collector", pid, incarnation)
        assert event.header == (
            "a.b", event.publisher, "text/plain", "me", heading.correlation, 77, 9, False
        )  # fmt: skip


def test_the_heading_says_what_the_router_has_to_know() -> None:
    heading = Heading(
        "a.b",
        guarantee=Guarantee.AT_LEAST_ONCE,
        deduplication_id="d",
        partition_key="k",
        retain=True,
    )
    frame = parse(encode_publish(heading, [b"x"], [1], 1, request=8))
    assert (frame.guarantee, frame.retain, frame.request) == (2, True, 8)
    assert (frame.deduplication_id, frame.partition_key) == ("d", "k")


def test_a_heading_that_cannot_be_said_is_a_local_error() -> None:
    with pytest.raises(LocalProtocolError, match=r"a\.b"):
        Heading("a.b", expires_at=-1)


@pytest.mark.parametrize(("pid", "incarnation"), [(0, 0), (1, 2**64 - 1), (2**32 - 1, 1)])
def test_the_stamp_replaces_every_claim_of_the_client(pid: int, incarnation: int) -> None:
    forged = pb.Frame(
        kind=pb.KIND_PUBLISH,
        topic="a.b",
        count=1,
        body=pb.Batch(payload=[b"x"], time=[1]).SerializeToString(),
        publisher="supervisor",
        publisher_pid=1,
        publisher_incarnation=99,
        publisher_role="agent",
        received_at=12,
        delivery=5,
        delivery_count=2,
        replayed=True,
    ).SerializeToString()
    raw = forged + identity_stamp("mallory", "worker", pid, incarnation) + arrival_stamp(34)
    (event,) = delivered(raw)
    assert event.publisher == ("mallory", "worker", pid, incarnation)
    assert (event.header.received_at, event.retained) == (34, False)
    passed_on = parse(raw)
    assert (passed_on.delivery, passed_on.delivery_count, passed_on.replayed) == (0, 0, False)


def test_no_stamp_is_longer_than_the_allowance() -> None:
    stamp = identity_stamp("x" * 64, "y" * 64, 2**32 - 1, 2**64 - 1) + arrival_stamp(2**64 - 1)
    assert len(stamp + parcel_stamp(2**64 - 1, 1)) <= MAX_STAMP_BYTES


# ---- large payloads -----------------------------------------------------------------------------


def test_a_large_publish_has_these_bytes() -> None:
    raw = encode_large(Heading("a.b"), 300, 258, sequence=5) + parcel_stamp(7, descriptors=1)
    assert raw.hex(" ") == (
        "08 0a 12 03 61 2e 62 18 01 22 0c 0a 00 12 08 02 01 00 00 00 00 00 00 28 05 80 01 ac 02"
        " 70 01 88 01 07"
    )


@pytest.mark.parametrize("length", [1, 127, 128, 70_000])
def test_a_chunk_is_its_head_and_its_content(length: int) -> None:
    content = bytes(length)
    assert decode(chunk_head(7, 1 << 20, 3, length) + content) == Chunk(7, 1 << 20, 3, content)


@pytest.mark.parametrize(("parcel", "descriptors"), [(0, 0), (5, 1)])
def test_how_a_payload_came_replaces_what_the_client_said_of_it(
    parcel: int, descriptors: int
) -> None:
    raw = encode_large(Heading("a.b"), 300, 1, 1) + parcel_stamp(99, 9)
    frame = parse(raw + parcel_stamp(parcel, descriptors))
    assert (frame.parcel, frame.descriptors, frame.large_bytes) == (parcel, descriptors, 300)


def large(content: bytes | memoryview | None, **claims: object) -> list[Envelope] | BadBody:
    stamp = identity_stamp("procmond", "collector", 1, 2)
    said = pb.Frame(**claims).SerializeToString()  # type: ignore[arg-type]  # fields by name
    return large_envelopes(parse(encode_large(Heading("a.b"), 3, 258, 5) + stamp + said), content)


def test_a_large_publish_carries_what_came_ahead_of_it() -> None:
    found = large(memoryview(b"abc"))
    assert not isinstance(found, BadBody)
    (event,) = found
    assert (event.payload, event.sequence, event.time_ns) == (b"abc", 5, 258)
    assert event.publisher.name == "procmond"


@pytest.mark.parametrize(
    ("content", "claims", "reason"),
    [
        (None, {}, "sealed memory"),
        (b"abcd", {}, "of 3 bytes did not come"),
        (b"abc", {"count": 2}, "2 messages claimed"),
        (b"abc", {"body": b"\xff"}, "no batch"),
    ],
)
def test_a_large_publish_that_is_not_what_it_claims_comes_as_a_value(
    content: bytes | None, claims: dict[str, object], reason: str
) -> None:
    found = large(content, **claims)
    assert isinstance(found, BadBody)
    assert (found.topic, found.publisher.name) == ("a.b", "procmond")
    assert reason in found.reason


@pytest.mark.parametrize(
    ("body", "count", "reason"),
    [
        (b"\xff\xff", 1, "no batch"),
        (pb.Batch(payload=[b"x"], time=[1]).SerializeToString(), 2, "2 messages claimed"),
        (pb.Batch(payload=[b"x", b"y"], time=[1]).SerializeToString(), 2, "1 times"),
        (b"", 1, "0 payloads"),
    ],
)
def test_a_body_that_is_not_what_it_claims_comes_as_a_value(
    body: bytes, count: int, reason: str
) -> None:
    frame = pb.Frame(kind=pb.KIND_PUBLISH, topic="a.b", count=count, body=body)
    stamp = identity_stamp("procmond", "collector", 1, 2)
    found = decode(frame.SerializeToString() + stamp)
    assert isinstance(found, BadBody)
    assert (found.topic, found.publisher.name, found.count) == ("a.b", "procmond", count)
    assert reason in found.reason


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(RemoteProtocolError, match="kind 99"):
        decode(pb.Frame(kind=99).SerializeToString())  # type: ignore[arg-type]  # unknown on purpose


@pytest.mark.parametrize("kind", [pb.KIND_ANSWER, pb.KIND_STREAM, pb.KIND_HELLO, 0, -1, 99])
def test_what_a_client_does_not_say_is_not_even_read(kind: int) -> None:
    frame = parse(pb.Frame(kind=kind, body=b"\xff").SerializeToString())  # type: ignore[arg-type]  # an enum's number
    with pytest.raises(RemoteProtocolError, match=f"does not say frames of kind {kind}"):
        client_value(frame)
    said = parse(encode(Ping(3)))
    assert client_value(said) == Ping(3)


@given(st.binary(max_size=200))
def test_rubbish_raises_nothing_but_a_protocol_error(raw: bytes) -> None:
    try:
        decode(raw)
    except RemoteProtocolError:
        pass


@given(st.sampled_from([int(each) for each in pb.Kind.values()]), st.binary(max_size=60))
def test_a_rubbish_body_raises_nothing_but_a_protocol_error(kind: int, body: bytes) -> None:
    raw = pb.Frame(kind=kind, topic="a.b", body=body, count=3).SerializeToString()  # type: ignore[arg-type]  # an enum's number
    try:
        decode(raw)
    except RemoteProtocolError:
        pass


@given(st.data())
def test_a_damaged_frame_raises_nothing_but_a_protocol_error(data: st.DataObject) -> None:
    whole = bytearray(encode(Subscribe(1, "events.#", Overflow.LATEST, group="g", request=4)))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except RemoteProtocolError:
        pass


def test_a_frame_is_read_once_and_used_by_kind() -> None:
    frame = parse(encode(Ping(3)))
    assert control_value(frame) == Ping(3)
    events = envelopes(parse(encode_publish(Heading("a"), [b"x"], [1], 1)))
    assert not isinstance(events, BadBody)
    (event,) = events
    assert isinstance(event, Envelope)


@given(st.binary(max_size=40_000), st.integers(0, 2**64 - 1))
def test_one_message_alone_is_read_as_the_parser_reads_it(payload: bytes, time: int) -> None:
    (envelope,) = delivered(encode_publish(Heading("a.b"), [payload], [time], 1))
    assert (envelope.payload, envelope.time_ns) == (payload, time)


@given(st.binary(max_size=40))
def test_what_is_no_batch_of_one_is_left_to_the_parser(body: bytes) -> None:
    frame = pb.Frame(kind=pb.KIND_PUBLISH, topic="a.b", count=1, sequence=1, body=body)
    found = envelopes(parse(frame.SerializeToString()))
    try:
        batch = pb.Batch.FromString(body)
        good = len(batch.payload) == len(batch.time) == 1
    except DecodeError:
        good = False
    assert isinstance(found, BadBody) is not good
    if good:
        assert not isinstance(found, BadBody)
        assert (found[0].payload, found[0].time_ns) == (batch.payload[0], batch.time[0])
