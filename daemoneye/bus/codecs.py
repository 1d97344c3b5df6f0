"""Every kind of frame but publishes: its encoding beside its decoding.  Pure.

Most values have the fields of their body's message, so one rule serves them; the others have a
pair of functions.  `frames.py` is the way in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf
from typing import Any

from google.protobuf.message import Message

from daemoneye.bus.envelope import NO_LOSS, Publisher
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
from daemoneye.bus.terms import Carriage, Choice, Overflow, Replay, Resumption, Selection, Settling
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


def _proof_frame(value: Proof) -> pb.Frame:
    body = pb.Proof(
        mac=value.mac,
        session=value.session,
        received=value.received,
        subscription=value.subscriptions,
    )
    return pb.Frame(kind=pb.KIND_PROOF, body=body.SerializeToString())


def _proof(frame: pb.Frame) -> Proof:
    body = pb.Proof.FromString(frame.body)
    return Proof(body.mac, body.session, body.received, tuple(body.subscription))


_RESUMPTION_WIRE = {
    Resumption.NONE: pb.RESUMPTION_UNSPECIFIED,
    Resumption.COMPLETE: pb.RESUMPTION_COMPLETE,
    Resumption.PARTIAL: pb.RESUMPTION_PARTIAL,
}
_RESUMPTION_OF_WIRE: dict[int, Resumption] = {n: each for each, n in _RESUMPTION_WIRE.items()}


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
        session=value.session,
        resumption=_RESUMPTION_WIRE[value.resumption],
        taken=value.taken,
    )
    return pb.Frame(kind=pb.KIND_WELCOME, body=body.SerializeToString())


def _welcome(frame: pb.Frame) -> Welcome:
    body = pb.Welcome.FromString(frame.body)
    interval, missed = body.heartbeat_interval_ms / 1000, max(2, body.missed_heartbeats)
    carriage = Carriage(body.descriptors, body.max_payload_bytes, body.large_from_bytes)
    resumption = _RESUMPTION_OF_WIRE.get(body.resumption, Resumption.NONE)
    return Welcome(
        body.mac,
        body.role,
        body.max_frame_bytes,
        interval,
        missed,
        carriage,
        body.session,
        resumption,
        body.taken,
    )


_OVERFLOW_WIRE = {
    Overflow.DEFAULT: pb.OVERFLOW_UNSPECIFIED,
    Overflow.DROP_OLDEST: pb.OVERFLOW_DROP_OLDEST,
    Overflow.DROP_NEWEST: pb.OVERFLOW_DROP_NEWEST,
    Overflow.LATEST: pb.OVERFLOW_LATEST,
    Overflow.DISCONNECT: pb.OVERFLOW_DISCONNECT,
    Overflow.BLOCK: pb.OVERFLOW_BLOCK,
}
_OVERFLOW_OF_WIRE: dict[int, Overflow] = {number: each for each, number in _OVERFLOW_WIRE.items()}


_CHOICE_WIRE = {
    Choice.DEFAULT: pb.CHOICE_UNSPECIFIED,
    Choice.LEAST_IN_FLIGHT: pb.CHOICE_LEAST_IN_FLIGHT,
    Choice.ROUND_ROBIN: pb.CHOICE_ROUND_ROBIN,
    Choice.BY_KEY: pb.CHOICE_BY_KEY,
    Choice.STANDBY: pb.CHOICE_STANDBY,
}
_CHOICE_OF_WIRE: dict[int, Choice] = {number: each for each, number in _CHOICE_WIRE.items()}
_REPLAY_WIRE = {
    Replay.IF_NEW: pb.REPLAY_UNSPECIFIED,
    Replay.ALL: pb.REPLAY_ALL,
    Replay.NONE: pb.REPLAY_NONE,
}
_REPLAY_OF_WIRE: dict[int, Replay] = {
    pb.REPLAY_IF_NEW: Replay.IF_NEW,
    **{number: each for each, number in _REPLAY_WIRE.items()},
}


def _selection_message(selection: Selection) -> pb.Selection | None:
    if not selection:
        return None
    return pb.Selection(id=selection.id, stage=selection.stage, tags=dict(selection.tags))


def _selection_of(said: pb.Selection) -> Selection:
    return Selection(said.id, said.stage, tuple(sorted(said.tags.items())))


def _subscribe_frame(value: Subscribe) -> pb.Frame:
    body = pb.SubscribeOptions(
        subscription=value.subscription,
        overflow=_OVERFLOW_WIRE[value.overflow],
        max_messages=value.max_messages,
        max_bytes=value.max_bytes,
        credit_messages=value.credit_messages,
        credit_bytes=value.credit_bytes,
        group=value.group,
        choice=_CHOICE_WIRE[value.choice],
        serve=value.serve,
        replay=_REPLAY_WIRE[value.replay],
        selection=_selection_message(value.selection),
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
    choice, replay = _CHOICE_OF_WIRE.get(body.choice), _REPLAY_OF_WIRE.get(body.replay)
    if choice is None or replay is None:
        what = f"choice {body.choice}" if choice is None else f"replay {body.replay}"
        raise RemoteProtocolError(f"a subscribe with the unknown {what}")
    return Subscribe(
        subscription=body.subscription,
        filter=frame.topic,
        overflow=overflow,
        max_messages=body.max_messages,
        max_bytes=body.max_bytes,
        credit_messages=body.credit_messages,
        credit_bytes=body.credit_bytes,
        group=body.group,
        choice=choice,
        serve=body.serve,
        replay=replay,
        selection=_selection_of(body.selection),
        request=frame.request,
    )


_SETTLING_WIRE = {
    Settling.ACK: pb.Settle.WHAT_ACK,
    Settling.RETRY: pb.Settle.WHAT_RETRY,
    Settling.REJECT: pb.Settle.WHAT_REJECT,
    Settling.EXTEND: pb.Settle.WHAT_EXTEND,
}
_SETTLING_OF_WIRE: dict[int, Settling] = {number: each for each, number in _SETTLING_WIRE.items()}
_SETTLED_AT_MOST = 1 << 10
"""Deliveries that one frame may settle."""


def _settle_frame(value: Settle) -> pb.Frame:
    body = pb.Settle(
        what=_SETTLING_WIRE[value.what],
        delivery=value.deliveries,
        seconds=value.seconds,
        reason=value.reason,
    )
    return pb.Frame(kind=pb.KIND_SETTLE, request=value.request, body=body.SerializeToString())


def _settle(frame: pb.Frame) -> Settle:
    body = pb.Settle.FromString(frame.body)
    what = _SETTLING_OF_WIRE.get(body.what)
    if what is None:
        raise RemoteProtocolError(f"a settling in the unknown way {body.what}")
    if len(body.delivery) > _SETTLED_AT_MOST:
        raise RemoteProtocolError(f"a settling of {len(body.delivery)} deliveries at once")
    if not 0.0 <= body.seconds < inf:
        raise RemoteProtocolError(f"a settling in {body.seconds} seconds")
    return Settle(what, tuple(body.delivery), body.seconds, body.reason, frame.request)


def _clear_frame(value: Clear) -> pb.Frame:
    return pb.Frame(kind=pb.KIND_CLEAR, topic=value.topic, request=value.request)


def _clear(frame: pb.Frame) -> Clear:
    return Clear(frame.topic, frame.request)


def _will_frame(value: Will) -> pb.Frame:
    body = pb.Batch(payload=[value.payload], time=[0])
    return pb.Frame(
        kind=pb.KIND_WILL,
        topic=value.topic,
        count=1,
        body=body.SerializeToString() if value.topic else b"",
        content_type=value.content_type,
        retain=value.retain,
        request=value.request,
    )


def _will(frame: pb.Frame) -> Will:
    payloads = pb.Batch.FromString(frame.body).payload
    if frame.topic and len(payloads) != 1:
        raise RemoteProtocolError(f"a will of {len(payloads)} payloads")
    payload = payloads[0] if frame.topic else b""
    return Will(frame.topic, payload, frame.content_type, frame.retain, frame.request)


def _reply_frame(value: Reply) -> pb.Frame:
    body = pb.Reply(payload=value.payload, time=value.time, rejected=value.rejected)
    who = value.publisher
    return pb.Frame(
        kind=pb.KIND_REPLY,
        count=1,
        request=value.request,
        delivery=value.delivery,
        content_type=value.content_type,
        body=body.SerializeToString(),
        publisher=who.name,
        publisher_role=who.role,
        publisher_pid=who.pid,
        publisher_incarnation=who.incarnation,
    )


def _reply(frame: pb.Frame) -> Reply:
    body = pb.Reply.FromString(frame.body)
    return Reply(
        delivery=frame.delivery,
        request=frame.request,
        content_type=frame.content_type,
        payload=body.payload,
        time=body.time,
        rejected=body.rejected,
        publisher=Publisher(
            frame.publisher, frame.publisher_role, frame.publisher_pid, frame.publisher_incarnation
        ),
    )


_WHAT_WIRE = {
    "clients": pb.Query.WHAT_CLIENTS,
    "subscriptions": pb.Query.WHAT_SUBSCRIPTIONS,
    "access": pb.Query.WHAT_ACCESS,
    "retained": pb.Query.WHAT_RETAINED,
    "topics": pb.Query.WHAT_TOPICS,
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


_ANSWER_WORDS = ("error", "detail", "hint", "rule", "subscribers", "acknowledge_timeout")
_CLIENT_COLUMNS = tuple(each.name for each in fields(ClientRow))
_SUBSCRIPTION_COLUMNS = tuple(each.name for each in fields(SubscriptionRow))
_RETAINED_COLUMNS = tuple(each.name for each in fields(RetainedRow))
_TOPIC_COLUMNS = tuple(each.name for each in fields(TopicRow))


def _answer_frame(value: Answer) -> pb.Frame:
    words = {name: said for name in _ANSWER_WORDS if (said := getattr(value, name))}
    body = pb.Answer(
        **words,
        choice=_CHOICE_WIRE[value.choice],
        narrowed=value.narrowed,
        clients=[
            pb.ClientRow(**{n: getattr(row, n) for n in _CLIENT_COLUMNS}) for row in value.clients
        ],
        subscriptions=[
            pb.SubscriptionRow(**{n: getattr(row, n) for n in _SUBSCRIPTION_COLUMNS})
            for row in value.subscriptions
        ],
        retained=[
            pb.RetainedRow(**{n: getattr(row, n) for n in _RETAINED_COLUMNS})
            for row in value.retained
        ],
        topics=[
            pb.TopicRow(**{n: getattr(row, n) for n in _TOPIC_COLUMNS}) for row in value.topics
        ],
    )
    return pb.Frame(kind=pb.KIND_ANSWER, request=value.request, body=body.SerializeToString())


def _answer(frame: pb.Frame) -> Answer:
    body = pb.Answer.FromString(frame.body)
    return Answer(
        request=frame.request,
        choice=_CHOICE_OF_WIRE.get(body.choice, Choice.DEFAULT),
        narrowed=tuple(body.narrowed),
        clients=tuple(
            ClientRow(*(getattr(row, n) for n in _CLIENT_COLUMNS)) for row in body.clients
        ),
        subscriptions=tuple(
            SubscriptionRow(*(getattr(row, n) for n in _SUBSCRIPTION_COLUMNS))
            for row in body.subscriptions
        ),
        retained=tuple(
            RetainedRow(*(getattr(row, n) for n in _RETAINED_COLUMNS)) for row in body.retained
        ),
        topics=tuple(TopicRow(*(getattr(row, n) for n in _TOPIC_COLUMNS)) for row in body.topics),
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
    Proof: Codec(pb.KIND_PROOF, _proof_frame, _proof),
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
    Settle: Codec(pb.KIND_SETTLE, _settle_frame, _settle),
    Cancel: _plain(pb.KIND_CANCEL, Cancel),
    Clear: Codec(pb.KIND_CLEAR, _clear_frame, _clear),
    Will: Codec(pb.KIND_WILL, _will_frame, _will),
    Reply: Codec(pb.KIND_REPLY, _reply_frame, _reply),
    Ping: _plain(pb.KIND_PING, Ping),
    Pong: _plain(pb.KIND_PONG, Pong),
}
CODEC_OF_KIND: dict[int, Codec] = {codec.kind: codec for codec in CODECS.values()}

SAID_BY_CLIENTS = frozenset(
    CODECS[each].kind
    for each in (
        Subscribe,
        Unsubscribe,
        Credit,
        Release,
        Chunk,
        Settle,
        Clear,
        Will,
        Cancel,
        Reply,
        Query,
        Goodbye,
        Ping,
        Pong,
    )
)
"""What a proven client says besides publishes and calls."""
