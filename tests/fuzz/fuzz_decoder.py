"""Whatever bytes come, at either end: an error of ours for their sender, and nothing for others.

Each round takes one of these: bytes on their way into values, streams cut into frames, a hostile
client at the broker's rules, a hostile broker at the client's.  All in memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from daemoneye.bus.access import AccessList, Declared, Identity
from daemoneye.bus.broker.router import Router
from daemoneye.bus.broker.session import Session
from daemoneye.bus.client.counters import Tally
from daemoneye.bus.client.dialogue import Dialogue
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.link import Link
from daemoneye.bus.frames import (
    BadBody,
    Envelope,
    Heading,
    Notice,
    OuterFrame,
    Subscribe,
    arrival_stamp,
    decode,
    encode,
    encode_publish,
    envelopes,
    identity_stamp,
    parse,
)
from daemoneye.bus.limits import MAX_STAMP_BYTES, Limits
from daemoneye.bus.orders import decode_order
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import RemoteProtocolError, TooLarge
from daemoneye.framing import FrameCutter, pack
from tests.fuzz import corpus
from tests.fuzz.fuzz_parcels import hostile_carrier
from tests.fuzz.mutations import mutated, varint

NOW = 1_700_000_000_000_000_000
FRAME_BYTES = 1 << 16
LARGE_BYTES = 20_000

GOOD, WATCHED = "good", "events.good.tick"
MALLORY = Identity("mallory", "worker", incarnation=5, pid=666)
HERS = Declared((TopicFilter("events.demo.#"),), (TopicFilter("events.#"), TopicFilter(WATCHED)))
STAMP = identity_stamp("mallory", "worker", 666, 5) + arrival_stamp(NOW)


def fuzz_decoder(dice: random.Random) -> None:
    """One round."""
    dice.choice(_KINDS)(dice)


# ---- values -------------------------------------------------------------------------------------


def _any_bytes(dice: random.Random) -> None:
    for _ in range(20):
        raw = _bad_frame(dice, corpus.FRAMES)
        try:
            decode(raw)
        except RemoteProtocolError:
            pass
        _check_stamp(raw)
        order = mutated(dice, dice.choice(corpus.ORDERS), corpus.ORDERS)
        try:
            decode_order(order)
        except RemoteProtocolError:
            pass


def _check_stamp(raw: bytes) -> None:
    """Of what the broker would pass on, it is the broker's word that counts, and all else stays."""
    try:
        frame = parse(raw)
    except RemoteProtocolError:
        return
    passed_on = parse(raw + STAMP)
    found = envelopes(passed_on)
    for event in [found] if isinstance(found, BadBody) else found:
        assert event.publisher == ("mallory", "worker", 666, 5)
    assert passed_on.received_at == NOW
    assert (passed_on.delivery, passed_on.delivery_count, passed_on.replayed) == (0, 0, False)
    for name in ("topic", "count", "sequence", "target", "body", "expires_at", "kind"):
        assert getattr(passed_on, name) == getattr(frame, name)
    assert [type(found)] == [type(envelopes(frame))]
    _check_batch(frame)


def _check_batch(frame: OuterFrame) -> None:
    """A body is read as protobuf reads it, whichever way was taken."""
    found = envelopes(frame)
    try:
        batch = pb.Batch.FromString(frame.body)
    except Exception:  # protobuf's own, which ours must have become
        assert isinstance(found, BadBody)
        return
    if not len(batch.payload) == len(batch.time) == frame.count:
        assert isinstance(found, BadBody)
        return
    assert isinstance(found, list)
    assert [(each.payload, each.time_ns) for each in found] == list(
        zip(batch.payload, batch.time, strict=True)
    )


def _lone_body(dice: random.Random) -> None:
    """Bodies of one message, which are read by hand when they look right."""
    for _ in range(50):
        payload = dice.randbytes(dice.choice((0, 1, 2, 117, 118, 126, 127, 128, 129, 500, 16_384)))
        length = dice.choice((varint(len(payload)), varint(len(payload) + dice.randrange(-2, 3))
                              if len(payload) > 2 else b"\x80\x00"))  # fmt: skip
        body = b"\x0a" + length + payload + b"\x12\x08" + dice.randbytes(8)
        if dice.random() < 0.5:
            body = mutated(dice, body)
        _check_batch(pb.Frame(kind=pb.KIND_PUBLISH, topic="a", count=1, body=body))


def _bad_frame(dice: random.Random, frames: tuple[bytes, ...]) -> bytes:
    if dice.random() < 0.1:
        return dice.randbytes(dice.randrange(200))
    return mutated(dice, dice.choice(frames), frames)


# ---- streams ------------------------------------------------------------------------------------


def _any_stream(dice: random.Random) -> None:
    """Cut in whatever pieces, a stream is the same frames and the same end."""
    stream = _bad_stream(dice, corpus.FRAMES)
    expected, expected_end = _naively_cut(stream, 400)
    cutter, found, at = FrameCutter(400), [], 0
    end: type[Exception] | None = None
    try:
        while at < len(stream):
            piece = stream[at : at + dice.choice((1, 2, 3, 5, 100, 10_000))]
            at += len(piece)
            found += cutter.feed(piece)
            assert cutter.pending_bytes <= 404
            assert cutter.missing_bytes >= 0
    except (RemoteProtocolError, TooLarge) as error:
        end = type(error)
    assert end is expected_end
    # What came in one piece with an impossible header goes with it, as all behind it does.
    assert found == (expected if end is None else expected[: len(found)])


def _naively_cut(stream: bytes, limit: int) -> tuple[list[bytes], type[Exception] | None]:
    frames = []
    while len(stream) >= 4:
        length = int.from_bytes(stream[:4], "big", signed=True)
        if not 0 <= length <= limit:
            return frames, RemoteProtocolError if length < 0 else TooLarge
        if len(stream) < 4 + length:
            break
        frames.append(stream[4 : 4 + length])
        stream = stream[4 + length :]
    return frames, None


def _bad_stream(dice: random.Random, frames: tuple[bytes, ...]) -> bytes:
    parts = []
    for _ in range(dice.randrange(1, 8)):
        whole = pack(_bad_frame(dice, frames) if dice.random() < 0.5 else dice.choice(frames))
        if dice.random() < 0.1:
            lie = dice.choice((0, 1, 399, 400, 401, -1, -2, -(1 << 31), (1 << 31) - 1))
            whole = lie.to_bytes(4, "big", signed=True) + whole[4:]
        parts.append(whole)
    return b"".join(parts)


# ---- a hostile client at the broker's rules -----------------------------------------------------


class Watcher:
    """A well-behaved client, with the client's own rules on top of a session."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.session = router.open(Identity("operator", "agent"), Declared(), NOW)
        self.link: Link[str] = Link()
        self.link.connected(7, FRAME_BYTES)
        interest = self.link.want("#", Options(), "me")
        self.last = 0
        self.say(interest.subscribe(interest.number))

    def say(self, *values: Subscribe) -> None:
        self.router.receive(self.session, [encode(each) for each in values], NOW)

    def hear(self) -> list[Envelope]:
        """What has come; nothing of it may be what its publisher may not say."""
        received = self.link.receive(_read(self.session))
        assert not received.ended
        heard = []
        for _, delivery in received.deliveries:
            heard += delivery.events
            for interest in delivery.interests:
                credit = interest.taken(delivery.messages, delivery.bytes)
                if credit is not None:
                    self.router.receive(self.session, [encode(credit)], NOW)
        for each in heard:
            assert each.publisher in ((*MALLORY_STAMP,), ("good", "worker", 0, 0))
            may = "events.demo" if each.publisher.name == "mallory" else WATCHED
            assert f"{each.topic}.".startswith(f"{may}.")
        for body in received.unreadable:
            assert body.publisher.name == "mallory"
        return heard


MALLORY_STAMP = (MALLORY.name, MALLORY.role, MALLORY.pid, MALLORY.incarnation)


def _hostile_client(dice: random.Random) -> None:
    limits = Limits(frame_bytes=FRAME_BYTES, subscription_messages=64, turn_bytes=4096)
    router = Router(limits, AccessList(()), 7)
    watcher = Watcher(router)
    good = router.open(Identity(GOOD, "worker"), Declared((TopicFilter(WATCHED),)), NOW)
    mallory: Session | None = None
    for sequence in range(1, dice.randrange(3, 13)):
        if mallory is None:
            mallory = router.open(MALLORY, HERS, NOW)
        mallory = _attack(dice, router, mallory)
        raw = encode_publish(Heading(WATCHED), [b"well"], [NOW], sequence)
        router.receive(good, [raw], NOW)
        heard = [each for each in watcher.hear() if each.publisher.name == GOOD]
        assert [(each.sequence, each.payload) for each in heard] == [(sequence, b"well")]
        _check_accounts(router)
    router.statistics()
    router.handed_up.clear()
    if mallory is not None:
        router.close(mallory)
    router.close(good)
    router.close(watcher.session)
    assert router.next_turn() == []
    seen = router.statistics()
    assert (seen.clients, seen.subscriptions, seen.queued, seen.queued_bytes) == (0, 0, 0, 0)


def _attack(dice: random.Random, router: Router, mallory: Session) -> Session | None:
    """Some turns of hers; None when they cost her the session."""
    frames = [
        dice.choice(corpus.FROM_CLIENTS) if dice.random() < 0.6
        else _bad_frame(dice, corpus.FRAMES if dice.random() < 0.1 else corpus.FROM_CLIENTS)
        for _ in range(dice.choice((1, 2, 5, 30)))
    ]  # fmt: skip
    try:
        router.receive(mallory, frames, NOW)
        while mallory in router.unfinished:
            router.next_turn()
            router.resume(mallory, NOW)
    except (RemoteProtocolError, TooLarge) as error:  # as the shell does
        mallory.tell(Notice("protocol", detail=_printable(error)), router.limits)
        router.close(mallory)
        router.doomed.pop(mallory, None)  # what stood before may have cut her off already
        _check_said(_read(mallory))
        return None
    if dice.random() < 0.3:  # groups and wills do much of their work then
        router.clock.pass_time(dice.choice((0.0, 1.0, 40.0)))
        router.keep_time(NOW)
    if dice.random() < 0.7:
        _check_said(_read(mallory))
    doomed = mallory in router.doomed
    router.doomed.pop(mallory, None)
    assert not router.doomed
    return None if doomed else mallory


def _check_said(data: bytes) -> None:
    """Everything the broker says is a frame of ours, that a client can read."""
    for raw in FrameCutter(FRAME_BYTES + MAX_STAMP_BYTES).feed(data):
        decode(raw)


def _printable(error: Exception) -> str:
    """The text of an error, fit for any log."""
    assert str(error).isprintable()
    return str(error)


def _read(session: Session) -> bytes:
    data = b""
    while buffers := session.take(1 << 16, NOW):
        part = b"".join(buffers)
        session.written(len(part))
        data += part
    return data


def _check_accounts(router: Router) -> None:
    """The law of losses, and what waits against what is counted as waiting."""
    assert router.directory.backlog.bytes == sum(
        session.outbox.backlog.bytes for session in router.directory
    )
    for session in router.directory:
        outbox = session.outbox
        for stream in outbox.streams.values():
            assert stream.tally.queued == stream.messages >= 0
            assert stream.bytes >= 0
        assert outbox.backlog.bytes >= sum(each.bytes for each in outbox.streams.values())
        assert outbox.tally().queued == sum(each.messages for each in outbox.streams.values())


# ---- a hostile broker at the client's rules -----------------------------------------------------


def _hostile_broker(dice: random.Random) -> None:
    link: Link[str] = Link()
    dialogue: Dialogue[str, str] = Dialogue(link, Tally())
    link.connected(7, FRAME_BYTES, LARGE_BYTES)
    interests, _ = dialogue.want(("events.#", "control.#"), Options(), "me", ["one", "two"])
    interests += dialogue.want((corpus.TICK,), Options(), "you", ["three"])[0]
    for _ in range(dice.randrange(1, 6)):
        try:
            if dice.random() < 0.3:
                link.came([dice.choice((None, memoryview(bytes(600)), memoryview(b"x")))])
            received = link.receive(_bad_stream(dice, corpus.FROM_BROKERS))
        except (RemoteProtocolError, TooLarge) as error:
            _printable(error)
            dialogue.lost(error)
            said = link.connected(
                dice.choice((7, 8)), dice.choice((0, 100, FRAME_BYTES)), LARGE_BYTES
            )
            wanted = {each.subscription for each in said if isinstance(each, Subscribe)}
            assert wanted == set(link.interests)
            for each in said:
                encode(each)
            continue
        outcome = dialogue.consider(received)
        for value in outcome.say:
            encode(value)
        for remark in outcome.remarks:
            assert remark.text.isprintable()
        for owner, delivery in received.deliveries:
            assert owner in ("me", "you")
            assert set(delivery.interests) <= set(interests)
            assert all(type(each) is Envelope for each in delivery.events)
            for due in delivery.consumed():
                encode(due)
    link.forget(interests[0])


_KINDS: tuple[Callable[[random.Random], None], ...] = (
    _any_bytes, _lone_body, _any_stream, _hostile_client, _hostile_client, _hostile_broker,
    hostile_carrier,
)  # fmt: skip
