"""Every kind of frame but publishes: its encoding beside its decoding.  Pure.

Most values have the fields of their body's message, so one rule serves them; the others have a
pair of functions.  `frames.py` is the way in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from google.protobuf.message import Message

from daemoneye.bus.envelope import NO_LOSS
from daemoneye.bus.kinds import (
    Answer,
    Carriage,
    Challenge,
    Chunk,
    ClientRow,
    Confirm,
    Credit,
    Goodbye,
    Hello,
    Notice,
    Overflow,
    Ping,
    Pong,
    Proof,
    Query,
    Refusal,
    Release,
    StreamMark,
    Subscribe,
    SubscriptionRow,
    Unsubscribe,
    Value,
    Welcome,
)
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Codec:
    """How one kind of frame becomes bytes and a value again."""

    kind: int
    to_frame: Callable[[Any], pb.Frame]
    of_frame: Callable[[pb.Frame], Value]


def _plain(kind: int, value_type: type[Value], message_type: type[Message] | None = None) -> Codec:
    """For a value whose fields are those of its body (`request` is the outer frame's)."""
    names = [each.name for each in fields(value_type)]
    has_request = "request" in names
    in_body = [name for name in names if name != "request"]

    def to_frame(value: Any) -> pb.Frame:
        frame = pb.Frame(kind=kind, request=value.request if has_request else 0)  # type: ignore[arg-type]  # an enum's number
        if message_type is not None:
            frame.body = message_type(**{n: getattr(value, n) for n in in_body}).SerializeToString()
        return frame

    def of_frame(frame: pb.Frame) -> Value:
        said: dict[str, Any] = {"request": frame.request} if has_request else {}
        if message_type is not None:
            body = message_type.FromString(frame.body)
            said |= {name: getattr(body, name) for name in in_body}
        return value_type(**said)

    return Codec(kind, to_frame, of_frame)


def _welcome_frame(value: Welcome) -> pb.Frame:
    body = pb.Welcome(
        mac=value.mac,
        role=value.role,
        max_frame_bytes=value.max_frame_bytes,
        heartbeat_interval_ms=round(value.heartbeat_interval * 1000),
        missed_heartbeats=value.missed_heartbeats,
        descriptors=value.carriage.descriptors,
        max_payload_bytes=value.carriage.max_payload_bytes,
        large_from_bytes=value.carriage.large_from_bytes,
    )
    return pb.Frame(kind=pb.KIND_WELCOME, body=body.SerializeToString())


def _welcome(frame: pb.Frame) -> Welcome:
    body = pb.Welcome.FromString(frame.body)
    interval, missed = body.heartbeat_interval_ms / 1000, max(2, body.missed_heartbeats)
    carriage = Carriage(body.descriptors, body.max_payload_bytes, body.large_from_bytes)
    return Welcome(body.mac, body.role, body.max_frame_bytes, interval, missed, carriage)


_OVERFLOW_WIRE = {
    Overflow.DEFAULT: pb.OVERFLOW_UNSPECIFIED,
    Overflow.DROP_OLDEST: pb.OVERFLOW_DROP_OLDEST,
    Overflow.DROP_NEWEST: pb.OVERFLOW_DROP_NEWEST,
    Overflow.LATEST: pb.OVERFLOW_LATEST,
    Overflow.DISCONNECT: pb.OVERFLOW_DISCONNECT,
    Overflow.BLOCK: pb.OVERFLOW_BLOCK,
}
_OVERFLOW_OF_WIRE: dict[int, Overflow] = {number: each for each, number in _OVERFLOW_WIRE.items()}


def _subscribe_frame(value: Subscribe) -> pb.Frame:
    body = pb.SubscribeOptions(
        subscription=value.subscription,
        overflow=_OVERFLOW_WIRE[value.overflow],
        max_messages=value.max_messages,
        max_bytes=value.max_bytes,
        credit_messages=value.credit_messages,
        credit_bytes=value.credit_bytes,
        group=value.group,
    )
    return pb.Frame(
        kind=pb.KIND_SUBSCRIBE,
        topic=value.filter,
        request=value.request,
        body=body.SerializeToString(),
    )


def _subscribe(frame: pb.Frame) -> Subscribe:
    body = pb.SubscribeOptions.FromString(frame.body)
    overflow = _OVERFLOW_OF_WIRE.get(body.overflow)
    if overflow is None:
        raise RemoteProtocolError(f"a subscribe with the unknown overflow policy {body.overflow}")
    return Subscribe(
        subscription=body.subscription,
        filter=frame.topic,
        overflow=overflow,
        max_messages=body.max_messages,
        max_bytes=body.max_bytes,
        credit_messages=body.credit_messages,
        credit_bytes=body.credit_bytes,
        group=body.group,
        request=frame.request,
    )


_WHAT_WIRE = {
    "clients": pb.Query.WHAT_CLIENTS,
    "subscriptions": pb.Query.WHAT_SUBSCRIPTIONS,
    "access": pb.Query.WHAT_ACCESS,
}
_WHAT_OF_WIRE: dict[int, str] = {number: word for word, number in _WHAT_WIRE.items()}


def _query_frame(value: Query) -> pb.Frame:
    what = _WHAT_WIRE.get(value.what, pb.Query.WHAT_UNSPECIFIED)
    body = pb.Query(what=what, who=value.who, action=value.action, topic=value.topic)
    return pb.Frame(kind=pb.KIND_QUERY, request=value.request, body=body.SerializeToString())


def _query(frame: pb.Frame) -> Query:
    body = pb.Query.FromString(frame.body)
    what = _WHAT_OF_WIRE.get(body.what)
    if what is None:
        raise RemoteProtocolError(f"a query for the unknown thing {body.what}")
    return Query(what, body.who, body.action, body.topic, frame.request)


_ANSWER_WORDS = ("error", "detail", "hint", "rule", "subscribers")
_CLIENT_COLUMNS = tuple(each.name for each in fields(ClientRow))
_SUBSCRIPTION_COLUMNS = tuple(each.name for each in fields(SubscriptionRow))


def _answer_frame(value: Answer) -> pb.Frame:
    words = {name: said for name in _ANSWER_WORDS if (said := getattr(value, name))}
    body = pb.Answer(
        **words,
        narrowed=value.narrowed,
        clients=[
            pb.ClientRow(**{n: getattr(row, n) for n in _CLIENT_COLUMNS}) for row in value.clients
        ],
        subscriptions=[
            pb.SubscriptionRow(**{n: getattr(row, n) for n in _SUBSCRIPTION_COLUMNS})
            for row in value.subscriptions
        ],
    )
    return pb.Frame(kind=pb.KIND_ANSWER, request=value.request, body=body.SerializeToString())


def _answer(frame: pb.Frame) -> Answer:
    body = pb.Answer.FromString(frame.body)
    return Answer(
        request=frame.request,
        narrowed=tuple(body.narrowed),
        clients=tuple(
            ClientRow(*(getattr(row, n) for n in _CLIENT_COLUMNS)) for row in body.clients
        ),
        subscriptions=tuple(
            SubscriptionRow(*(getattr(row, n) for n in _SUBSCRIPTION_COLUMNS))
            for row in body.subscriptions
        ),
        **{name: getattr(body, name) for name in _ANSWER_WORDS},
    )


def _stream_frame(value: StreamMark) -> pb.Frame:
    lost = [pb.Loss(reason=reason, count=count) for reason, count in value.lost.items()]
    body = pb.Stream(subscription=value.subscriptions, lost=lost)
    return pb.Frame(kind=pb.KIND_STREAM, body=body.SerializeToString())


def _stream(frame: pb.Frame) -> StreamMark:
    body = pb.Stream.FromString(frame.body)
    lost = {each.reason: each.count for each in body.lost}
    return StreamMark(tuple(body.subscription), lost or NO_LOSS)


def _release_frame(value: Release) -> pb.Frame:
    body = pb.Release(parcel=value.parcels)
    return pb.Frame(kind=pb.KIND_RELEASE, body=body.SerializeToString())


_RELEASED_AT_MOST = 1 << 12
"""Descriptors that one frame may let go of: more than a client is ever given at once."""


def _release(frame: pb.Frame) -> Release:
    parcels = pb.Release.FromString(frame.body).parcel
    if len(parcels) > _RELEASED_AT_MOST:
        raise RemoteProtocolError(f"a release of {len(parcels)} descriptors at once")
    return Release(tuple(parcels))


def _chunk_frame(value: Chunk) -> pb.Frame:
    return pb.Frame(
        kind=pb.KIND_CHUNK,
        parcel=value.parcel,
        large_bytes=value.size,
        offset=value.offset,
        body=value.content,
    )


def _chunk(frame: pb.Frame) -> Chunk:
    return Chunk(frame.parcel, frame.large_bytes, frame.offset, frame.body)


CODECS: dict[type[Value], Codec] = {
    Hello: _plain(pb.KIND_HELLO, Hello, pb.Hello),
    Challenge: _plain(pb.KIND_CHALLENGE, Challenge, pb.Challenge),
    Proof: _plain(pb.KIND_PROOF, Proof, pb.Proof),
    Welcome: Codec(pb.KIND_WELCOME, _welcome_frame, _welcome),
    Refusal: _plain(pb.KIND_REFUSED, Refusal, pb.Refusal),
    Subscribe: Codec(pb.KIND_SUBSCRIBE, _subscribe_frame, _subscribe),
    Unsubscribe: _plain(pb.KIND_UNSUBSCRIBE, Unsubscribe, pb.Unsubscribe),
    Credit: _plain(pb.KIND_CREDIT, Credit, pb.Credit),
    Query: Codec(pb.KIND_QUERY, _query_frame, _query),
    Goodbye: _plain(pb.KIND_GOODBYE, Goodbye),
    Answer: Codec(pb.KIND_ANSWER, _answer_frame, _answer),
    StreamMark: Codec(pb.KIND_STREAM, _stream_frame, _stream),
    Notice: _plain(pb.KIND_NOTICE, Notice, pb.Notice),
    Confirm: _plain(pb.KIND_CONFIRM, Confirm, pb.Confirm),
    Release: Codec(pb.KIND_RELEASE, _release_frame, _release),
    Chunk: Codec(pb.KIND_CHUNK, _chunk_frame, _chunk),
    Ping: _plain(pb.KIND_PING, Ping),
    Pong: _plain(pb.KIND_PONG, Pong),
}
CODEC_OF_KIND: dict[int, Codec] = {codec.kind: codec for codec in CODECS.values()}

SAID_BY_CLIENTS = frozenset(
    CODECS[each].kind
    for each in (Subscribe, Unsubscribe, Credit, Release, Chunk, Query, Goodbye, Ping, Pong)
)
"""What a proven client says besides publishes."""
