"""What travels between a client and the broker: values ↔ protobuf bytes.  Pure.

The values stand in `kinds.py` and `envelope.py`; `codecs.py` knows the frames of all of them but
publishes, `publishes.py` those.  No other module but these and `orders.py` knows the generated
code.  Bytes that came from elsewhere raise nothing but RemoteProtocolError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from google.protobuf.message import DecodeError

from daemoneye.bus.codecs import CODEC_OF_KIND, CODECS, SAID_BY_CLIENTS
from daemoneye.bus.envelope import (
    NO_LOSS,
    BadBody,
    Content,
    Correlation,
    Envelope,
    Header,
    Payload,
    Publisher,
    encode_payload,
)
from daemoneye.bus.kinds import (
    Answer,
    Cancel,
    Challenge,
    Chunk,
    Clear,
    ClientRow,
    Confirm,
    Credit,
    Goodbye,
    Hello,
    Notice,
    Ping,
    Pong,
    Proof,
    Query,
    Refusal,
    Release,
    Reply,
    RetainedRow,
    Settle,
    StreamMark,
    Subscribe,
    SubscriptionRow,
    TopicRow,
    Unsubscribe,
    Value,
    Welcome,
    Will,
)
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.bus.publishes import (
    LAST_SEQUENCE,
    MAX_HEADING_BYTES,
    MAX_KEY_CHARACTERS,
    MIN_MESSAGE_BYTES,
    REPLAYED_STAMP,
    Guarantee,
    Heading,
    arrival_stamp,
    call_stamp,
    check_heading,
    check_target,
    chunk_head,
    correlation_of,
    delivery_stamp,
    encode_call,
    encode_large,
    encode_publish,
    envelopes,
    identity_stamp,
    large_envelopes,
    last_alone,
    packed_publish,
    parcel_stamp,
    received_at_of,
    say_again,
    single_publishes,
)
from daemoneye.bus.terms import (
    NO_SELECTION,
    SELECTION_CHARACTERS,
    Carriage,
    Choice,
    Overflow,
    Replay,
    Resumption,
    Selection,
    Settling,
)
from daemoneye.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "LAST_SEQUENCE",
    "MAX_HEADING_BYTES",
    "MAX_KEY_CHARACTERS",
    "MIN_MESSAGE_BYTES",
    "NO_LOSS",
    "NO_SELECTION",
    "REPLAYED_STAMP",
    "SELECTION_CHARACTERS",
    "Answer",
    "BadBody",
    "Cancel",
    "Carriage",
    "Challenge",
    "Choice",
    "Chunk",
    "Clear",
    "ClientRow",
    "Confirm",
    "Content",
    "Correlation",
    "Credit",
    "Envelope",
    "Goodbye",
    "Guarantee",
    "Header",
    "Heading",
    "Hello",
    "Notice",
    "OuterFrame",
    "Overflow",
    "Payload",
    "Ping",
    "Pong",
    "Proof",
    "Publisher",
    "Query",
    "Refusal",
    "Release",
    "Replay",
    "Reply",
    "Resumption",
    "RetainedRow",
    "Selection",
    "Settle",
    "Settling",
    "StreamMark",
    "Subscribe",
    "SubscriptionRow",
    "TopicRow",
    "Unsubscribe",
    "Value",
    "Welcome",
    "Will",
    "arrival_stamp",
    "call_stamp",
    "check_heading",
    "check_target",
    "chunk_head",
    "client_value",
    "control_value",
    "correlation_of",
    "decode",
    "delivery_stamp",
    "encode",
    "encode_call",
    "encode_large",
    "encode_payload",
    "encode_publish",
    "envelopes",
    "identity_stamp",
    "large_envelopes",
    "last_alone",
    "packed_publish",
    "parcel_stamp",
    "parse",
    "received_at_of",
    "say_again",
    "single_publishes",
]

PROTOCOL_VERSION = 1

PUBLISH: int = pb.KIND_PUBLISH
"""The kind the router looks for first."""

CALL: int = pb.KIND_CALL
"""A publish for one who serves its topic, whose reply somebody waits for."""

OuterFrame: TypeAlias = pb.Frame
"""A frame whose body has not been looked at: what the broker decides by."""

NotAFrame = DecodeError
"""What `read_outer` raises, for a caller that guards a whole loop of them."""

read_outer: Callable[[bytes], OuterFrame] = pb.Frame.FromString
"""The outer frame of these bytes, in a quarter of a microsecond.  Raises NotAFrame."""


def parse(raw: bytes) -> OuterFrame:
    """The outer frame of these bytes.  Raises RemoteProtocolError."""
    try:
        return read_outer(raw)
    except DecodeError as error:
        raise RemoteProtocolError(f"{len(raw)} bytes are no frame: {error}") from error


def decode(raw: bytes) -> Value | list[Envelope] | BadBody:
    """Any frame: a publish as its envelopes (or what is wrong with it), all else as its value.

    Raises RemoteProtocolError.
    """
    frame = parse(raw)
    return envelopes(frame) if frame.kind == PUBLISH else control_value(frame)


# ---- everything else -------------------------------------------------------------------------


def encode(value: Value) -> bytes:
    """The frame that says this.  Raises LocalProtocolError when a number is out of its range."""
    codec = CODECS[type(value)]
    try:
        return codec.to_frame(value).SerializeToString()
    except (ValueError, TypeError) as error:
        raise LocalProtocolError(f"{value!r} cannot be said: {error}") from error


def control_value(frame: OuterFrame) -> Value:
    """The value of a frame that is no publish.  Raises RemoteProtocolError."""
    codec = CODEC_OF_KIND.get(frame.kind)
    if codec is None:
        raise RemoteProtocolError(f"a frame of the unknown kind {frame.kind}")
    try:
        return codec.of_frame(frame)
    except DecodeError as error:
        raise RemoteProtocolError(
            f"the body of a frame of kind {frame.kind} is not one: {error}"
        ) from error


def client_value(frame: OuterFrame) -> Value:
    """As `control_value`, for a frame of a proven client.

    What only a broker says is refused unread: a list of a megabyte of empty rows takes a second.
    """
    if frame.kind not in SAID_BY_CLIENTS:
        raise RemoteProtocolError(f"a client does not say frames of kind {frame.kind}")
    return control_value(frame)
