"""Publishes, which is what there is a lot of: as their publisher, the broker and a reader see them.

* A publisher keeps what consecutive messages share as a `Heading`, whose bytes are made once, and
  puts a frame together from pieces: the tests hold it against what protobuf would write.
* The broker appends a stamp to an outer frame that it has parsed whole.  In protobuf the last value
  of a scalar wins, so the broker's word replaces the client's and nothing is encoded again.  That
  is safe because nothing in a frame parsed whole can swallow what follows it.
* A subscriber gets the messages of a frame as envelopes in one go.

Pure.  `frames.py` is the way in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache, partial
from itertools import count as counting
from itertools import repeat
from struct import Struct

from google.protobuf.message import DecodeError

from daemoneye.bus.arguments import check_text, not_a
from daemoneye.bus.envelope import (
    NO_LOSS,
    BadBody,
    Content,
    Correlation,
    Envelope,
    Header,
    Publisher,
)
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.bus.topics import is_level
from daemoneye.errors import LocalProtocolError, TooLarge
from daemoneye.framing import HEADER_BYTES, pack_length

MIN_MESSAGE_BYTES = 10
"""No message takes less in a body: two bytes of payload field and eight of time."""

MAX_HEADING_BYTES = 16 << 10
"""What stands in a frame beside its messages has no more: each of them may have to go with it."""

MAX_KEY_CHARACTERS = 255
"""No key is longer."""

LAST_SEQUENCE = (1 << 64) - 2
"""The highest number that a message may have: so the one behind it can be said, too."""


class Guarantee(IntEnum):
    """How sure a delivery is; the default is the topic's."""

    DEFAULT = pb.GUARANTEE_UNSPECIFIED
    BEST_EFFORT = pb.GUARANTEE_BEST_EFFORT
    AT_LEAST_ONCE = pb.GUARANTEE_AT_LEAST_ONCE


@dataclass(frozen=True, slots=True)
class Heading:
    """What consecutive messages have to agree in to travel as one frame.

    Raises LocalProtocolError when the protocol cannot say it.
    """

    topic: str
    """Where to publish; checked by `topics`, not here."""
    target: str = ""
    """Only this identity may receive it; empty: all."""
    content_type: str = ""
    """What the payloads are; empty for plain bytes."""
    correlation: Correlation | None = None
    """How they belong to other events."""
    expires_at: int = 0
    """Unix time in ns after which nobody needs them; 0: never."""
    guarantee: Guarantee = Guarantee.DEFAULT
    """How sure their delivery is."""
    deduplication_id: str = ""
    """Carried to who receives it, for its own use: the broker does nothing with it."""
    partition_key: str = ""
    """In a group, equal keys go to the same member."""
    retain: bool = False
    """Whether the last one is kept for those who subscribe later."""
    until_handled: bool = False
    """Whether its answer comes when groups have handled it."""
    prefix: bytes = field(init=False, repr=False, compare=False)
    """All of that as the beginning of a frame."""

    def __post_init__(self) -> None:
        if self.target != "":
            check_text("target", self.target, _TARGET_HINT)
        if self.partition_key != "":
            check_text("key", self.partition_key, _KEY_HINT)
        if self.correlation is not None and not isinstance(self.correlation, Correlation):
            raise not_a(
                "a Correlation",
                "correlation",
                self.correlation,
                'for example Correlation("case-7")',
            )
        try:
            frame = pb.Frame(
                kind=pb.KIND_PUBLISH,
                topic=self.topic,
                target=self.target,
                content_type=self.content_type,
                correlation=_correlation_message(self.correlation),
                expires_at=self.expires_at,
                guarantee=self.guarantee,  # type: ignore[arg-type]  # the same numbers
                deduplication_id=self.deduplication_id,
                partition_key=self.partition_key,
                retain=self.retain,
                until_handled=self.until_handled,
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise LocalProtocolError(
                f"a publish on {self.topic!r} cannot be said: {error}",
                hint="look at its content type, if a codec of yours names one",
            ) from error
        object.__setattr__(self, "prefix", frame.SerializeToString())


def check_target(target: str) -> None:
    """Refuse what is nobody's name.  Raises LocalProtocolError."""
    if target and not is_level(target):
        raise LocalProtocolError(
            f"target is {target!a:.100}, and nobody can be called that", hint=_TARGET_HINT
        )


_TARGET_HINT = "the name of one identity, 1 to 64 of a-z, 0-9, _ and -; leave it out for all"

_KEY_HINT = "the id of what has to be handled in order, for example"


def check_heading(topic: str, size: int, key: str) -> None:
    """Refuse what stands beside messages in `size` bytes, or a key, that is too long.

    Raises TooLarge and LocalProtocolError.
    """
    if size > MAX_HEADING_BYTES:
        raise TooLarge(
            f"{size} bytes on {topic} stand beside its messages, and {MAX_HEADING_BYTES} may",
            hint="say less in content type, correlation and tags",
        )
    if len(key) > MAX_KEY_CHARACTERS:
        raise LocalProtocolError(
            f"a key has at most {MAX_KEY_CHARACTERS} characters, and not {len(key)}",
            hint=_KEY_HINT,
        )


def packed_publish(
    heading: Heading,
    payloads: Sequence[bytes],
    times: Sequence[int],
    sequence: int,
    request: int = 0,
) -> bytes:
    """One frame of these payloads and their times (unix time in ns), with its header.

    `sequence` is the first one's.  With a `request` number an Answer will say what became of it.
    Put together from its pieces, so that a payload is copied twice on its way, not five times.
    """
    prefix, last = heading.prefix, _varint(sequence)
    if len(payloads) == 1 and not request:
        payload = payloads[0]
        length = _varint(len(payload))
        body_bytes = len(payload) + len(length) + 11
        body_length = _varint(body_bytes)
        size = len(prefix) + 4 + len(body_length) + body_bytes + len(last)
        return b"".join(
            (
                pack_length(size),
                prefix,
                b"\x18\x01\x22",
                body_length,
                b"\x0a",
                length,
                payload,
                b"\x12\x08",
                _fixed64(times[0]),
                b"\x28",
                last,
            )
        )
    body = pb.Batch(payload=payloads, time=times).SerializeToString()
    before = b"".join((b"\x18", _varint(len(payloads)), _BODY_TAG, _varint(len(body))))
    after = b"".join((b"\x28", last, b"\x78" + _varint(request) if request else b""))
    size = len(prefix) + len(before) + len(body) + len(after)
    return b"".join((pack_length(size), prefix, before, body, after))


def encode_publish(
    heading: Heading,
    payloads: Sequence[bytes],
    times: Sequence[int],
    sequence: int,
    request: int = 0,
) -> bytes:
    """The same without its header."""
    return packed_publish(heading, payloads, times, sequence, request)[HEADER_BYTES:]


def encode_large(heading: Heading, size: int, time: int, sequence: int, request: int = 0) -> bytes:
    """A publish of one payload of this size, which goes ahead of it.

    How it goes there has to be said too: append what `parcel_stamp` gives.
    """
    rest = pb.Frame(
        count=1,
        body=pb.Batch(payload=[b""], time=[time]).SerializeToString(),
        sequence=sequence,
        request=request,
        large_bytes=size,
    )
    return heading.prefix + rest.SerializeToString()


def encode_call(heading: Heading, payload: bytes, time: int, request: int) -> bytes:
    """A call, whose heading is that of a publish: of two kinds in a frame the last one counts."""
    rest = pb.Frame(
        kind=pb.KIND_CALL,
        count=1,
        body=pb.Batch(payload=[payload], time=[time]).SerializeToString(),
        request=request,
    )
    return heading.prefix + rest.SerializeToString()


def parcel_stamp(parcel: int, descriptors: int) -> bytes:
    """How a large payload went ahead of its publish: under which number, in how many descriptors.

    With none it went in chunks.  Zeros are written too, as in `identity_stamp`.
    """
    return _number_field(14, descriptors) + _number_field(17, parcel)


def chunk_head(parcel: int, size: int, offset: int, length: int) -> bytes:
    """What stands before `length` bytes of content to make them a frame: a Chunk, not yet packed.

    So the content of a large payload is written from where it lies.
    """
    head = pb.Frame(kind=pb.KIND_CHUNK, parcel=parcel, large_bytes=size, offset=offset)
    return head.SerializeToString() + _BODY_TAG + _varint(length)


def single_publishes(frame: pb.Frame, raw: bytes, most: int, wanted: int) -> list[bytes]:
    """The messages of a publish as publishes of one message each; `raw` is the frame's own bytes.

    Only the first `wanted` of them are made.

    Raises LocalProtocolError when its body is not what the frame says, and TooLarge when they are
    more than `most` bytes in all: what they share has to be said with each of them.
    """
    body = frame.body
    if frame.count == 1 and _read_batch_of_one(body) is not None:
        return [raw]
    try:
        batch = pb.Batch.FromString(body)
    except DecodeError:
        raise LocalProtocolError(f"{len(body)} bytes on {frame.topic} are no batch") from None
    if not len(batch.payload) == len(batch.time) == frame.count:
        raise LocalProtocolError(
            f"{frame.count} messages on {frame.topic} are claimed, {len(batch.payload)} payloads"
            f" and {len(batch.time)} times are there"
        )
    shared = pb.Frame()
    shared.CopyFrom(frame)
    for name in ("body", "count", "sequence", "request", "until_handled"):
        shared.ClearField(name)
    head = shared.SerializeToString()
    size = len(body) + len(head) * frame.count
    if size > most:
        raise TooLarge(
            f"{frame.count} messages on {frame.topic} are {size} bytes one by one, and a group"
            f" takes {most}",
            hint="publish fewer at once, or say less beside their payloads",
        )
    return [
        head
        + pb.Frame(
            count=1,
            body=pb.Batch(payload=[payload], time=[time]).SerializeToString(),
            sequence=sequence,
        ).SerializeToString()
        for payload, time, sequence in zip(
            batch.payload[:wanted], batch.time[:wanted], counting(frame.sequence)
        )
    ]


@dataclass(frozen=True, slots=True)
class Message:
    """The one message of a frame that `single_publishes` made."""

    payload: bytes
    """What was published."""
    time: int
    """Unix time in ns at its publisher."""
    sequence: int
    """The publisher's number for it."""
    content_type: str
    """What the payload is."""


def message_of(raw: bytes) -> Message:
    """What such a frame says."""
    frame = pb.Frame.FromString(raw)
    batch = pb.Batch.FromString(frame.body)
    return Message(batch.payload[0], batch.time[0], frame.sequence, frame.content_type)


def delivery_stamp(delivery: int, count: int) -> bytes:
    """That a message is for one client to settle: under which number, for the how-manieth time."""
    return _number_field(26, delivery) + _number_field(27, count)


_BODY_TAG = b"\x22"  # field 4, of a given length; \x18 is count, \x28 sequence, \x78 request


def _read_batch_of_one(body: bytes) -> tuple[bytes, int] | None:
    """Payload and time of what `packed_publish` wrote, at a third of the price of parsing it.

    None when it is written in another way: then the parser has to say what it is.
    """
    end = len(body) - 10
    if end < 2 or body[0] != 0x0A or body[end : end + 2] != b"\x12\x08":
        return None
    length, start = body[1], 2
    if length > 0x7F:
        length, start = length & 0x7F | body[2] << 7, 3
        if body[2] > 0x7F:  # 16 KiB and more: the parser's own price is nothing then
            return None
    return (body[start:end], _fixed64_at(body, end + 2)[0]) if start + length == end else None


_BYTES = [bytes((value,)) for value in range(0x80)]
_fixed64 = Struct("<Q").pack
_fixed64_at = Struct("<Q").unpack_from


def envelopes(frame: pb.Frame) -> list[Envelope] | BadBody:
    """The messages of a delivered publish; a body that is not what it claims comes as a value."""
    publisher = _publisher(
        frame.publisher, frame.publisher_role, frame.publisher_pid, frame.publisher_incarnation
    )
    count, raw = frame.count, frame.body
    header = _header(
        (
            frame.topic,
            publisher,
            frame.content_type,
            frame.target,
            correlation_of(frame) if frame.HasField("correlation") else None,
            frame.received_at,
            frame.expires_at,
            frame.replayed,
        )
    )
    if count == 1 and (alone := _read_batch_of_one(raw)) is not None:
        return [Envelope((*alone, frame.sequence, header, NO_LOSS))]
    try:
        body = pb.Batch.FromString(raw)
    except DecodeError:
        return BadBody(header.topic, publisher, count, f"{len(raw)} bytes that are no batch")
    payloads, times = body.payload[:], body.time[:]  # lists: half the price to go through
    if not len(payloads) == len(times) == count:
        reason = f"{count} messages claimed, {len(payloads)} payloads and {len(times)} times found"
        return BadBody(header.topic, publisher, count, reason)
    sequences = counting(frame.sequence)
    return list(map(Envelope, zip(payloads, times, sequences, repeat(header), repeat(NO_LOSS))))


def large_envelopes(frame: pb.Frame, content: Content | None) -> list[Envelope] | BadBody:
    """The one message of a delivered publish whose payload came ahead of it.

    None: what came is not what may be used.
    """
    events = envelopes(frame)
    if isinstance(events, BadBody):
        return events
    if content is not None and len(content) == frame.large_bytes and len(events) == 1:
        return [events[0].carrying(content)]
    publisher = events[0].publisher if events else Publisher("", "", 0, 0)
    reason = f"the payload of {frame.large_bytes} bytes did not come as sealed memory of that size"
    return BadBody(frame.topic, publisher, frame.count, reason)


_header = partial(tuple.__new__, Header)
"""A Header of a tuple of its fields, at a third of the price of calling it."""

_publisher = lru_cache(maxsize=1024)(Publisher)


def correlation_of(frame: pb.Frame) -> Correlation:
    """How its publisher says that it belongs to other events; empty when it says nothing."""
    said = frame.correlation
    tags = tuple(sorted(said.tags.items()))
    return Correlation(said.id, said.parent, said.root, said.stage, tags, said.traceparent)


def _correlation_message(correlation: Correlation | None) -> pb.Correlation | None:
    if correlation is None:
        return None
    return pb.Correlation(
        id=correlation.id,
        parent=correlation.parent,
        root=correlation.root,
        stage=correlation.stage,
        tags=dict(correlation.tags),
        traceparent=correlation.traceparent,
    )


# ---- the broker's stamp -------------------------------------------------------------------------


def identity_stamp(name: str, role: str, pid: int, incarnation: int) -> bytes:
    """The part of the stamp that a session keeps.

    Zeros are written too, though protobuf would leave them out: what is not written would let the
    client's own claim stand.
    """
    stamp = pb.Stamp(publisher=name, publisher_role=role).SerializeToString()
    return b"".join(
        (
            stamp,
            _number_field(21, pid),
            _number_field(22, incarnation),
            delivery_stamp(0, 0),
            _number_field(28, 0),
        )
    )


def last_alone(frame: pb.Frame) -> tuple[bytes, int, int]:
    """The last message of a publish as a frame nobody has to answer, its payload's size, its time.

    Raises LocalProtocolError when its body is not what it claims.
    """
    try:
        body = pb.Batch.FromString(frame.body)
    except DecodeError as error:
        raise LocalProtocolError(f"{len(frame.body)} bytes that are no batch: {error}") from error
    if not len(body.payload) == len(body.time) == frame.count > 0:
        raise LocalProtocolError(
            f"{frame.count} messages claimed, {len(body.payload)} payloads and"
            f" {len(body.time)} times found"
        )
    alone = pb.Frame()
    alone.CopyFrom(frame)
    alone.ClearField("request")
    alone.count, alone.sequence = 1, frame.sequence + frame.count - 1
    alone.body = pb.Batch(payload=body.payload[-1:], time=body.time[-1:]).SerializeToString()
    return alone.SerializeToString(), len(body.payload[-1]), body.time[-1]


def arrival_stamp(now_ns: int) -> bytes:
    """The part that changes: when the frame reached the broker, in unix time in ns."""
    return _ARRIVAL_TAG + _fixed64(now_ns)


def received_at_of(stamp: bytes) -> int:
    """When a frame that ends with this stamp reached the broker, in unix time in ns."""
    return int(_fixed64_at(stamp, len(stamp) - 8)[0])


def call_stamp(delivery: int) -> bytes:
    """What makes a call the publish that its responder gets, to reply to under this number."""
    said = _number_field(1, pb.KIND_PUBLISH) + delivery_stamp(delivery, 1)
    return said + _number_field(28, 0)


_ARRIVAL_TAG = pb.Stamp(received_at=1).SerializeToString()[:-8]


_SAID_AGAIN = pb.Frame(said_again=True).SerializeToString()


def say_again(raw: bytes) -> bytes:
    """A publish of a retained value, saying that another life of the broker was told it."""
    return raw if raw.endswith(_SAID_AGAIN) else raw + _SAID_AGAIN


REPLAYED_STAMP = pb.Stamp(replayed=True).SerializeToString()
"""Behind those: it is a retained value, said again to a new subscription."""


def _number_field(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _BYTES[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
