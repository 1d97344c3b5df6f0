"""Slots on the client's side, and what replies mean: as values."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from daemoneye.bus.client.answers import checked
from daemoneye.bus.client.calling import (
    REPLY_OVERHEAD_BYTES,
    Slots,
    Standing,
    call_heading,
    reply_in,
    sealed_call,
    served,
)
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.link import Link
from daemoneye.bus.envelope import NO_LOSS, NOBODY, Envelope, Header
from daemoneye.bus.frames import Answer, Heading, Reply, StreamMark, encode, encode_publish
from daemoneye.errors import (
    DeadlineExceeded,
    LocalProtocolError,
    NoResponder,
    Rejected,
    RemoteProtocolError,
    TooLarge,
)
from daemoneye.framing import HEADER_BYTES, pack

ECHO = "control.demo.echo"
SECOND = 1_000_000_000


def test_a_slot_is_good_for_one_reply() -> None:
    slots = Slots()
    slot = slots.begin(7, ECHO, 1)
    assert slots.reply(slot, Reply(payload=b"x"), 1000) == Reply(7, payload=b"x")
    with pytest.raises(LocalProtocolError, match="has been replied to"):
        slots.reply(slot, Reply(payload=b"y"), 1000)
    assert len(slots) == 0


@pytest.mark.parametrize(
    ("how", "standing"),
    [
        (lambda slots: slots.cancel(7), Standing.CANCELLED),
        (lambda slots: slots.leave(1), Standing.LEFT),
        (lambda slots: slots.lose(Standing.LOST), Standing.LOST),
    ],
)
def test_what_ends_a_slot_is_the_reason_for_refusing_a_reply(
    how: Callable[[Slots], None], standing: Standing
) -> None:
    slots = Slots()
    slot = slots.begin(7, ECHO, 1)
    other = slots.begin(8, ECHO, 2)
    how(slots)
    assert slot.standing is standing
    with pytest.raises(LocalProtocolError, match=str(standing)):
        slots.reply(slot, Reply(), 1000)
    assert (other.standing is Standing.OPEN) == (standing is not Standing.LOST)


def test_what_is_unknown_is_cancelled_without_harm() -> None:
    slots = Slots()
    slots.cancel(9)
    assert len(slots) == 0


def test_a_reply_at_the_limit_of_a_frame_and_one_past_it() -> None:
    slots = Slots()
    slot = slots.begin(7, ECHO, 1)
    with pytest.raises(TooLarge):
        slots.reply(slot, Reply(payload=b"x" * 37), 100)
    said = slots.reply(slot, Reply(payload=b"x" * 36), 100)
    assert len(encode(said)) <= 100


def test_no_reply_takes_more_beyond_its_words() -> None:
    largest = (1 << 64) - 1
    said = Reply(largest, content_type="t" * 200, payload=b"x" * (1 << 20), time=largest)
    assert len(encode(said)) <= (1 << 20) + 200 + REPLY_OVERHEAD_BYTES


def test_a_call_at_the_limit_of_a_frame_and_one_past_it() -> None:
    sealed = sealed_call(Heading(ECHO), b"x" * 100, 1, 1, 1 << 20)
    limit = len(sealed.data) - HEADER_BYTES
    assert sealed_call(Heading(ECHO), b"x" * 100, 1, 1, limit) == sealed
    assert sealed.asked
    assert sealed.messages == 0
    with pytest.raises(TooLarge):
        sealed_call(Heading(ECHO), b"x" * 100, 1, 1, limit - 1)


@pytest.mark.parametrize(
    ("timeout", "expires_at"),
    [(2.0, 7 * SECOND), (0.5, 5 * SECOND + SECOND // 2), (math.inf, 0), (1e300, 0)],
)
def test_the_deadline_travels_along(timeout: float, expires_at: int) -> None:
    heading = call_heading(ECHO, "", None, timeout, 5 * SECOND)
    assert heading.expires_at == expires_at


@pytest.mark.parametrize("timeout", [0, -1, -math.inf])
def test_there_is_no_call_without_time(timeout: float) -> None:
    with pytest.raises(DeadlineExceeded):
        call_heading(ECHO, "", None, timeout, 0)


def test_there_is_no_call_with_a_timeout_that_is_no_number() -> None:
    with pytest.raises(LocalProtocolError):
        call_heading(ECHO, "", None, math.nan, 0)


def test_a_reply_is_an_event_of_who_replied() -> None:
    reply = reply_in(Reply(request=1, content_type="t", payload=b"x", time=9), ECHO)
    assert (reply.topic, reply.payload, reply.content_type, reply.time_ns) == (ECHO, b"x", "t", 9)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (Reply(request=1, rejected="no"), Rejected),
        (Answer(1, error="NoResponder"), NoResponder),
        (Answer(1), RemoteProtocolError),
    ],
)
def test_what_is_no_reply_is_raised(response: Answer | Reply, error: type[Exception]) -> None:
    with pytest.raises(error):
        reply_in(response, ECHO)


def test_a_reply_to_what_was_no_call_is_the_broker_s_mistake() -> None:
    with pytest.raises(RemoteProtocolError):
        checked(Reply(request=1))


def test_a_call_without_a_deadline_has_all_the_time() -> None:
    event = Envelope((b"x", 1, 0, Header(ECHO, NOBODY, "", "", None, 0, 0), NO_LOSS))
    assert served(event, Slots().begin(1, ECHO, 1)).deadline == math.inf


def test_a_call_that_cannot_be_read_is_rejected_for_whoever_serves() -> None:
    link: Link[str] = Link()
    link.connected(1, 1 << 20)
    interest = link.want(ECHO, Options(serve=True), "me")
    raw = encode_publish(Heading(ECHO), [b"x"], [1], 0) + b"\xd0\x01\x07\x22\x02zz"
    data = pack(encode(StreamMark((interest.number,), {"expired": 2}))) + pack(raw)
    received = link.receive(data)
    (said,) = received.replies
    assert isinstance(said, Reply)
    assert (said.delivery, "unreadable" in said.rejected) == (7, True)
    assert len(received.unreadable) == 1
    assert len(link.slots) == 0
