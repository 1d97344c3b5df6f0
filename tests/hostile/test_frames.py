"""Frames that are costly, ambiguous or misunderstood: what protobuf allows and nobody writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker.statistics import Statistics
from daemoneye.bus.frames import (
    Answer,
    BadBody,
    Envelope,
    Heading,
    Notice,
    Ping,
    Pong,
    arrival_stamp,
    decode,
    encode_publish,
    identity_stamp,
    parse,
)
from daemoneye.bus.handshake import Claim
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.errors import RemoteProtocolError
from daemoneye.framing import pack
from tests.bus.brokers import broker_in_thread
from tests.bus.support import NOW, Bus
from tests.fuzz.mutations import Field, fields_of, varint, written
from tests.hostile.support import Bystander, Caller
from tests.support import scaled, wait_for

TICK, SECRET = "events.demo.tick", "events.secret.tick"
DENIED = AccessRule("mallory", "write-only", SECRET, deny=True)
GOOD = encode_publish(Heading(TICK), [b"x"], [1], 1)
STAMP = identity_stamp("mallory", "agent", 4242, 1) + arrival_stamp(NOW)

ROOM = (1 << 20) - 300
"""How much of a frame is left for an attack."""

_VARINT, _FIXED64, _BYTES, _START, _END, _FIXED32 = range(6)


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def field(number: int, value: bytes) -> bytes:
    """A text, bytes, or a message."""
    return written([(number, _BYTES, value)])


class Stage:
    """A broker in memory, mallory, and an agent that hears everything."""

    def __init__(self) -> None:
        self.bus = Bus(DENIED)
        self.mallory = self.bus.client("mallory")
        self.watcher = self.bus.client("watcher")
        self.watcher.subscribe("#")

    def say(self, raw: bytes) -> None:
        self.bus.router.receive(self.mallory.session, [raw], NOW)

    def heard(self) -> list[Envelope | BadBody]:
        return [e for e in self.watcher.read() if isinstance(e, (Envelope, BadBody))]

    def statistics(self) -> Statistics:
        return self.bus.router.statistics()


# ---- costly -------------------------------------------------------------------------------------

_OPEN, _CLOSE = tag(99, _START), tag(99, _END)

COSTLY = {
    "unknown numbers": GOOD + (tag(99, _VARINT) + b"\1") * (ROOM // 3),
    "unknown groups, flat": GOOD + (_OPEN + _CLOSE) * (ROOM // 4),
    "unknown groups, ninety deep": GOOD + (_OPEN * 90 + _CLOSE * 90) * (ROOM // 360),
    "unknown groups, deeper than may be": GOOD + _OPEN * 1000 + _CLOSE * 1000,
    "unknown groups, a megabyte deep": GOOD + _OPEN * (ROOM // 2),
    "a topic over and over": GOOD + field(2, TICK.encode()) * (ROOM // 18),
    "an empty topic over and over": field(2, b"") * (ROOM // 2) + GOOD,
    "a topic of a megabyte": GOOD + field(2, b"a" * ROOM),
    "a topic of dots": GOOD + field(2, b"." * ROOM),
    "a target of a megabyte": GOOD + field(7, b"a" * ROOM),
    "a type of a megabyte": GOOD + field(13, b"a" * ROOM),
    "a correlation over and over": GOOD + field(9, b"") * (ROOM // 2),
    "empty tags": GOOD + field(9, field(5, b"") * (ROOM // 2)),
    "different tags": GOOD
    + field(9, b"".join(field(5, field(1, b"%06x" % n)) for n in range(ROOM // 12))),
    "payloads without times": pb.Frame(
        kind=pb.KIND_PUBLISH, topic=TICK, count=1, sequence=1, body=b"\x0a\x00" * (ROOM // 2)
    ).SerializeToString(),
    "empty payloads": encode_publish(Heading(TICK), [b""] * (ROOM // 10), [1] * (ROOM // 10), 1),
    "a body of groups": pb.Frame(
        kind=pb.KIND_PUBLISH, topic=TICK, count=1, sequence=1, body=_OPEN * (ROOM // 2)
    ).SerializeToString(),
    "credit over and over": pb.Frame(
        kind=pb.KIND_CREDIT, body=b"\x08\x01" * (ROOM // 2)
    ).SerializeToString(),
    "a question of a megabyte": pb.Frame(
        kind=pb.KIND_QUERY,
        request=1,
        body=pb.Query(what=pb.Query.WHAT_ACCESS, who="\x01" * ROOM).SerializeToString(),
    ).SerializeToString(),
    "a filter of dots": pb.Frame(
        kind=pb.KIND_SUBSCRIBE, request=1, topic="." * ROOM, body=b"\x08\x05"
    ).SerializeToString(),
    "a release of a million": pb.Frame(
        kind=pb.KIND_RELEASE, body=field(1, b"\1" * ROOM)
    ).SerializeToString(),
    "a release of as many, one by one": pb.Frame(
        kind=pb.KIND_RELEASE, body=b"\x08\x01" * (ROOM // 2)
    ).SerializeToString(),
    "a chunk of a megabyte": pb.Frame(
        kind=pb.KIND_CHUNK, parcel=1, large_bytes=ROOM, body=bytes(ROOM)
    ).SerializeToString(),
    "an answer of empty rows": pb.Frame(
        kind=pb.KIND_ANSWER, body=field(7, b"") * (ROOM // 2)
    ).SerializeToString(),
    "a stream of empty losses": pb.Frame(
        kind=pb.KIND_STREAM, body=field(2, b"") * (ROOM // 2)
    ).SerializeToString(),
}


@contextmanager
def cheap(what: str, seconds: float) -> Iterator[None]:
    """What is done inside takes no more of a processor than that."""
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took < scaled(seconds), f"{what} took {took:.3f} s"


@pytest.mark.parametrize("raw", COSTLY.values(), ids=COSTLY)
def test_b28_no_frame_of_a_client_costs_much(raw: bytes) -> None:
    assert len(raw) <= 1 << 20
    stage = Stage()
    with cheap("the broker's part", 0.1):
        try:
            stage.say(raw)
        except RemoteProtocolError:
            stage.bus.router.close(stage.mallory.session)
        told = b"".join(stage.mallory.session.take(1 << 20, NOW))
    assert len(told) < 4096
    with cheap("a subscriber's part", 0.5):
        stage.heard()


# ---- ambiguous ----------------------------------------------------------------------------------


def rewritten(*changes: Field, behind: bool = True) -> bytes:
    """The good publish with these fields as well, behind its own or before them."""
    fields = fields_of(GOOD) or []
    return written([*fields, *changes] if behind else [*changes, *fields])


def test_b28_of_two_topics_the_last_is_meant_by_everybody() -> None:
    stage = Stage()
    stage.say(rewritten((2, _BYTES, b"events.other.tick")))
    stage.say(rewritten((2, _BYTES, b"events.other.tick"), behind=False))
    assert [each.topic for each in stage.heard()] == ["events.other.tick", TICK]


def test_b28_no_right_is_got_by_naming_a_topic_twice() -> None:
    stage = Stage()
    stage.say(rewritten((2, _BYTES, SECRET.encode())))
    assert stage.heard() == []
    assert stage.statistics().refused == {"denied": 1}
    stage.say(rewritten((2, _BYTES, SECRET.encode()), behind=False))
    assert [each.topic for each in stage.heard()] == [TICK]


def test_b28_of_two_bodies_and_counts_the_last_is_meant_by_everybody() -> None:
    stage = Stage()
    two = pb.Batch(payload=[b"1", b"2"], time=[1, 2]).SerializeToString()
    stage.say(rewritten((4, _BYTES, two), (3, _VARINT, b"\2")))
    heard = stage.heard()
    assert [each.payload for each in heard if isinstance(each, Envelope)] == [b"1", b"2"]
    assert stage.mallory.session.publishing.messages == 2


def test_b28_of_two_kinds_the_last_is_meant() -> None:
    stage = Stage()
    stage.say(rewritten((1, _VARINT, varint(pb.KIND_PING)), (15, _VARINT, b"\7")))
    assert stage.mallory.read() == [Pong(7)]
    with pytest.raises(RemoteProtocolError):
        stage.say(rewritten((1, _VARINT, varint(pb.KIND_ANSWER))))


FORGED = {
    "as they are": (
        (20, _BYTES, b"supervisor"), (21, _VARINT, b"\1"), (22, _VARINT, b"\1"),
        (23, _FIXED64, bytes(8)), (24, _BYTES, b"agent"),
    ),
    "twice": ((20, _BYTES, b"supervisor"), (24, _BYTES, b"agent")) * 2,
    "as other types": (
        (20, _VARINT, b"\1"), (21, _BYTES, b"1"), (22, _FIXED64, bytes(8)), (23, _VARINT, b"\1"),
        (23, _FIXED32, bytes(4)), (24, _FIXED32, bytes(4)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("behind", [True, False], ids=["behind", "before"])
def test_b28_who_published_is_the_brokers_word(forged: tuple[Field, ...], behind: bool) -> None:
    stage = Stage()
    stage.mallory = stage.bus.client("mallory", "collector", "demo", incarnation=9)
    stage.say(rewritten(*forged, behind=behind))
    (event,) = stage.heard()
    assert event.publisher == ("mallory", "collector", 4242, 9)
    assert isinstance(event, Envelope)
    assert event.header.received_at == NOW


def test_b28_fields_that_nobody_knows_change_nothing() -> None:
    stage = Stage()
    unknown: list[Field] = [(number, _BYTES, b"?") for number in (*range(25, 40), 1 << 28)]
    stage.say(rewritten(*unknown, (99, _VARINT, b"\1"), behind=False))
    (event,) = stage.heard()
    assert isinstance(event, Envelope)
    assert (event.payload, event.topic, event.publisher.name) == (b"x", TICK, "mallory")


TAILS = {
    "a length that promises more": tag(4, _BYTES) + b"\x20",
    "of a text": tag(2, _BYTES) + varint(len(STAMP)),
    "of what nobody knows": tag(99, _BYTES) + varint(len(STAMP)),
    "half a length": tag(99, _BYTES) + b"\x80",
    "no length": tag(99, _BYTES),
    "half a number": tag(99, _VARINT) + b"\xff",
    "no number": tag(5, _VARINT),
    "seven bytes of eight": tag(99, _FIXED64) + bytes(7),
    "three bytes of four": tag(99, _FIXED32) + bytes(3),
    "half a tag": b"\x80",
    "a group that stays open": tag(99, _START),
    "of the stamp's own number": tag(20, _START),
    "a group within a group": tag(99, _START) * 3 + tag(99, _END) * 2,
    "an end of nothing": tag(99, _END),
    "another end": tag(99, _START) + tag(98, _END),
    "a number too long": tag(99, _VARINT) + b"\xff" * 10 + b"\1",
    "the number 0": b"\x00\x01",
    "a type that is none": tag(99, 6),
    "the other": tag(99, 7),
}
"""Ends of a frame that what is appended to it might fall into."""


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_b28_a_frame_that_might_swallow_its_stamp_is_refused(tail: bytes) -> None:
    stage = Stage()
    with pytest.raises(RemoteProtocolError):
        stage.say(GOOD + tail)
    stage.bus.router.close(stage.mallory.session)
    assert stage.heard() == []
    assert stage.statistics().queued_bytes == 0


def test_b28_a_stamp_makes_whole_no_frame_that_was_not() -> None:
    """Cut anywhere, what is a frame with a stamp behind it was one without, and says the same."""
    whole = GOOD + field(99, b"unknown") + field(13, b"text/plain")
    for end in range(len(whole) + 1):
        try:
            stamped = parse(whole[:end] + STAMP)
        except RemoteProtocolError:
            continue
        try:
            bare = parse(whole[:end])
        except RemoteProtocolError:
            assert stamped.publisher != "mallory"
            continue
        assert (stamped.topic, stamped.body) == (bare.topic, bare.body)
        assert stamped.publisher == "mallory"


# ---- misunderstood ------------------------------------------------------------------------------

NO_UTF8 = {
    "a lone byte": b"\xff",
    "half a character": b"\xd0",
    "an overlong NUL": b"\xc0\x80",
    "a surrogate": b"\xed\xa0\x80",
    "past the last": b"\xf4\x90\x80\x80",
}


@pytest.mark.parametrize("text", NO_UTF8.values(), ids=NO_UTF8)
@pytest.mark.parametrize("number", [2, 7, 10, 11, 13, 20, 24])
def test_b28_text_that_is_no_unicode_ends_its_session(number: int, text: bytes) -> None:
    stage = Stage()
    with pytest.raises(RemoteProtocolError, match="no frame") as refused:
        stage.say(GOOD + field(number, b"a" + text))
    assert str(refused.value).isprintable()
    assert stage.heard() == []


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6])
def test_b28_so_does_text_of_a_correlation(number: int) -> None:
    stage = Stage()
    with pytest.raises(RemoteProtocolError):
        stage.say(GOOD + field(9, field(number, b"\xff")))
    for inner in (field(1, b"\xff"), field(2, b"\xff")):
        with pytest.raises(RemoteProtocolError):
            stage.say(GOOD + field(9, field(5, inner)))


@pytest.mark.parametrize("number", [-(1 << 31), -1, 0, 6, 26, 99, (1 << 31) - 1])
def test_b28_kinds_that_are_none_end_a_session(number: int) -> None:
    stage = Stage()
    with pytest.raises(RemoteProtocolError, match=f"of kind {number}"):
        stage.say(rewritten((1, _VARINT, varint(number % (1 << 64)))))


@pytest.mark.parametrize("number", [-(1 << 31), -1, 3, 99, (1 << 31) - 1])
def test_b28_guarantees_that_are_none_are_refused(number: int) -> None:
    stage = Stage()
    stage.say(rewritten((6, _VARINT, varint(number % (1 << 64)))))
    (notice,) = stage.mallory.notices()
    assert notice.code == "refused"
    assert stage.heard() == []


@pytest.mark.parametrize("number", [-1, 6, 99])
def test_b28_other_numbers_that_are_none_end_a_session(number: int) -> None:
    stage = Stage()
    wire = varint(number % (1 << 64))
    subscribe = written([(1, _VARINT, b"\5"), (2, _VARINT, wire)])
    for kind, body in ((pb.KIND_SUBSCRIBE, subscribe), (pb.KIND_QUERY, tag(1, _VARINT) + wire)):
        frame = pb.Frame(kind=kind, topic="a", request=1, body=body)
        with pytest.raises(RemoteProtocolError, match="unknown"):
            stage.say(frame.SerializeToString())


def lying(count: int, payloads: int, times: int, sequence: int = 1) -> bytes:
    """A publish that says how many messages it holds, and holds so many."""
    body = pb.Batch(payload=[b"x" * 20] * payloads, time=[1] * times).SerializeToString()
    frame = pb.Frame(kind=pb.KIND_PUBLISH, topic=TICK, count=count, sequence=sequence, body=body)
    return frame.SerializeToString()


LIES = {
    "one too many": (2, 1, 1),
    "one too few": (1, 2, 2),
    "a time too many": (1, 1, 2),
    "a time too few": (2, 2, 1),
    "no payloads": (1, 0, 3),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_b28_a_count_that_lies_comes_as_what_it_is(lie: tuple[int, int, int]) -> None:
    stage = Stage()
    stage.say(lying(*lie))
    (body,) = stage.heard()
    assert isinstance(body, BadBody)
    assert (body.publisher.name, body.count) == ("mallory", lie[0])
    assert stage.statistics().delivered == lie[0]


@pytest.mark.parametrize("count", [0, 1000, (1 << 32) - 1])
def test_b28_a_count_that_cannot_be_is_refused(count: int) -> None:
    stage = Stage()
    stage.say(lying(count, 3, 3))
    (notice,) = stage.mallory.notices()
    assert f"cannot hold {count} messages" in notice.detail
    assert stage.heard() == []
    assert stage.statistics().refused == {"senseless": 1}


def test_b28_a_subscriber_goes_on_behind_what_it_cannot_read(tidy: Path) -> None:
    """A real one, in its loop: each lie is counted against its publisher, and raises nothing."""
    with broker_in_thread(tidy) as broker, broker.client("reader") as bus:
        with bus.subscribe("events.demo.#") as events, broker.client("other") as other:
            with Bystander(other).undisturbed(within=1.0), Caller(broker.path) as raw:
                raw.prove(Claim("mallory", 1, broker.admit("mallory")))
                frames, sequence = [], 1
                for lie in LIES.values():
                    frames.append(pack(lying(*lie, sequence)))
                    sequence += lie[0]
                honest = encode_publish(Heading(TICK), [b"honest"], [1], sequence)
                raw.say(*frames, pack(honest), Ping(5))
                event = events.get(scaled(5))
                assert event is not None
                assert (event.payload, event.publisher.name) == (b"honest", "mallory")
                assert bus.counters().unreadable == len(LIES)
                while not isinstance(raw.hear(), Pong):
                    pass


def test_b28_what_breaks_the_protocol_is_told_and_costs_nobody_else(tidy: Path) -> None:
    with broker_in_thread(tidy) as broker, broker.client("other") as other:
        key = broker.admit("mallory")
        with Bystander(other).undisturbed(within=1.0):
            for tail in TAILS.values():
                with Caller(broker.path) as raw:
                    raw.prove(Claim("mallory", 1, key))
                    raw.say(pack(GOOD + tail))
                    (notice,) = raw.hear_all()
                    assert isinstance(notice, Notice)
                    assert (notice.code, bool(notice.detail)) == ("protocol", True)
        assert broker.broker.cut_off["protocol"] == len(TAILS)
        wait_for(lambda: len(broker.broker.door.places) == 1, "her to be gone")


def test_b28_an_answer_is_no_longer_than_what_a_client_can_read(tidy: Path) -> None:
    """Asked with a megabyte, the broker answers with a line."""
    with broker_in_thread(tidy) as broker, Caller(broker.path) as raw:
        raw.prove(Claim("mallory", 1, broker.admit("mallory")))
        for name in ("a question of a megabyte", "a filter of dots"):
            raw.say(pack(COSTLY[name]))
            answer = raw.hear()
            assert isinstance(answer, Answer)
            assert answer.error
            assert answer.detail.isprintable()
            assert len(answer.detail) < 500


def test_b28_an_event_that_is_not_what_it_claims_says_so_briefly() -> None:
    event = decode(encode_publish(Heading(TICK, content_type="\x1b" * 9000), [b"{"], [1], 1))
    assert isinstance(event, list)
    for read in (event[0].json, lambda: event[0].unpack(pb.Frame)):
        with pytest.raises(Exception, match=TICK) as refused:
            read()
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 1000
