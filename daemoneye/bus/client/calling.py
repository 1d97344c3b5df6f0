"""Calls on the client's side: what is asked of it, and the slots in which it replies.  Pure.

A slot is good for one reply, on the connection that brought its call.  Whoever wants to use it
again, or too late, is told why not, and nothing is sent.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum
from typing import cast

from daemoneye.bus.client.answers import Response, error_of
from daemoneye.bus.client.deadlines import patience
from daemoneye.bus.client.outgoing import Sealed
from daemoneye.bus.envelope import NO_LOSS, Correlation, Envelope, Header
from daemoneye.bus.frames import Heading, Reply, encode_call
from daemoneye.errors import (
    DeadlineExceeded,
    LocalProtocolError,
    Rejected,
    RemoteProtocolError,
    TooLarge,
)
from daemoneye.framing import pack

REPLY_OVERHEAD_BYTES = 64
"""What a reply takes in its frame, beyond its words and its payload."""

_FAR_NS = 1 << 63
"""In Unix time: a deadline behind it is none."""


class Standing(StrEnum):
    """What became of a slot; each value is why there is no more to reply."""

    OPEN = "it waits for a reply"
    REPLIED = "it has been replied to"
    CANCELLED = "its caller waits no more: it gave up, is gone, or its time was up"
    LEFT = "its service has ended, and its caller was told"
    LOST = "the connection it came on is gone, and its caller was told"
    CLOSED = "the client was closed"


class Slot:
    """Where the reply to one call goes."""

    __slots__ = ("interest", "number", "standing", "topic")

    def __init__(self, number: int, topic: str, interest: int) -> None:
        self.number = number
        """The broker's for it."""
        self.topic = topic
        """What was called."""
        self.interest = interest
        """By which it came."""
        self.standing = Standing.OPEN


class Slots:
    """Those of one client that are open; the broker bounds how many."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[int, Slot] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, number: int, topic: str, interest: int) -> Slot:
        """A call has come."""
        slot = self._open[number] = Slot(number, topic, interest)
        return slot

    def reply(self, slot: Slot, said: Reply, frame_limit: int) -> Reply:
        """What to say; the slot is used up.

        Raises LocalProtocolError when it was already, and TooLarge when that does not fit into a
        frame: then it is still good.
        """
        size = len(said.payload) + len(said.content_type) + len(said.rejected.encode())
        if size + REPLY_OVERHEAD_BYTES > frame_limit:
            raise TooLarge(
                f"a reply of {size} bytes to {slot.topic} does not fit into a frame of"
                f" {frame_limit}",
                hint="put it in a file and reply with the name; the call still waits",
            )
        if self._open.pop(slot.number, None) is not slot:
            standing = slot.standing
            if standing is Standing.OPEN:
                standing = Standing.REPLIED  # another thread is just doing it
            raise LocalProtocolError(
                f"this call of {slot.topic} can have no reply: {standing}",
                hint="reply once, within the block that serves, while `cancelled` is not true",
            )
        slot.standing = Standing.REPLIED
        return replace(said, delivery=slot.number)

    def cancel(self, number: int) -> None:
        """The broker says that nobody waits for this one any more."""
        slot = self._open.pop(number, None)
        if slot is not None:
            slot.standing = Standing.CANCELLED

    def leave(self, interest: int) -> None:
        """What came by this is not served any more."""
        for slot in [each for each in list(self._open.values()) if each.interest == interest]:
            if self._open.pop(slot.number, None) is not None:
                slot.standing = Standing.LEFT

    def lose(self, why: Standing) -> None:
        """The connection is gone, and with it all of them."""
        while self._open:
            try:
                self._open.popitem()[1].standing = why
            except KeyError:  # another thread has just replied
                return


class Served(Envelope):
    """A call, as an event that somebody waits for a reply to."""

    __slots__ = ()

    @property
    def slot(self) -> Slot:
        """Where its reply goes."""
        return cast("Slot", tuple.__getitem__(self, 5))

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for a reply any more, for another reason than that there was one."""
        return self.slot.standing not in (Standing.OPEN, Standing.REPLIED)

    @property
    def deadline(self) -> float:
        """By when the caller wants the reply, in seconds of Unix time; infinity: whenever."""
        return self.header.expires_at / 1e9 if self.header.expires_at else math.inf


def served(event: Envelope, slot: Slot) -> Served:
    """This event, with the slot of its reply."""
    return Served((*event[:4], NO_LOSS, slot))  # type: ignore[arg-type]  # a tuple, and one thing more


def call_heading(
    topic: str, content_type: str, correlation: Correlation | None, timeout: float, now_ns: int
) -> Heading:
    """What a call says besides its payload.

    Raises LocalProtocolError, and DeadlineExceeded when there is no time for it at all.
    """
    patience(timeout)
    if not timeout == timeout:
        raise LocalProtocolError(
            f"a timeout is a number of seconds, and not {timeout!r:.100}",
            hint="math.inf waits as long as whoever serves has it in hand",
        )
    if timeout <= 0:
        raise DeadlineExceeded(
            f"nothing was called: {timeout:g} s leave {topic} no time to reply",
            hint="give a timeout above zero",
        )
    expires_at = now_ns + timeout * 1e9
    ends = 0 if expires_at >= _FAR_NS else round(expires_at)
    return Heading(topic, "", content_type, correlation, ends)


def sealed_call(
    heading: Heading, payload: bytes, now_ns: int, request: int, frame_limit: int
) -> Sealed:
    """A call as it is written.  Raises TooLarge."""
    frame = encode_call(heading, payload, now_ns, request)
    if len(frame) > frame_limit:
        raise TooLarge(
            f"a call of {heading.topic} with {len(payload)} bytes does not fit into a frame of"
            f" {frame_limit}",
            hint="put what is large in a file, and send the name",
        )
    return Sealed(pack(frame), 0, asked=True)


def reply_in(response: Response, topic: str) -> Envelope:
    """The reply to a call of this topic, as an event.

    Raises what the broker says instead, or Rejected with the words of whoever served.
    """
    if not isinstance(response, Reply):
        if response.error:
            raise error_of(response)
        raise RemoteProtocolError(f"the broker answered a call of {topic}, and gave no reply")
    if response.rejected:
        raise Rejected(
            f"{response.publisher.name} rejects the call of {topic}: {response.rejected}"
        )
    header = Header(topic, response.publisher, response.content_type, "", None, 0, 0)
    return Envelope((response.payload, response.time, 0, header, NO_LOSS))


def no_reply(topic: str, timeout: float) -> DeadlineExceeded:
    """The call was made, and time is up."""
    return DeadlineExceeded(
        f"no reply from {topic} within {timeout:g} s",
        hint="whoever had it in hand was told; it may have been done all the same",
    )
