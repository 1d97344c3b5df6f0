"""What the broker's answers mean to whoever asked, and what no answer means.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from daemoneye.bus.client.interests import Interest, Owner
from daemoneye.bus.frames import Answer, Heading, Notice, Reply
from daemoneye.errors import (
    AccessDenied,
    BackPressure,
    BusBroken,
    BusError,
    DeadlineExceeded,
    InvalidTopic,
    LocalProtocolError,
    NoResponder,
    Rejected,
    RemoteProtocolError,
    TooLarge,
)

Response: TypeAlias = Answer | Reply
"""What a request comes back with: a word of the broker, or of whoever was called."""

REQUEST_TIMEOUT = 5.0
"""How long an answer about the bus itself may take, in seconds."""

_ERRORS: dict[str, type[BusError]] = {
    each.__name__: each
    for each in (
        *(BackPressure, TooLarge, NoResponder, Rejected, DeadlineExceeded, InvalidTopic),
        LocalProtocolError,
    )
}


class Status(StrEnum):
    """What became of a confirmed publish."""

    ACCEPTED = "accepted"
    NO_SUBSCRIBERS = "no_subscribers"
    HANDLED = "handled"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the broker says of a confirmed publish."""

    status: Status
    """Whether anybody took it, or has handled it."""
    subscribers: int
    """How many clients took it; each may have several subscriptions to it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the broker says of whether somebody may do something."""

    allowed: bool
    """Whether it may, at least in part."""
    verdict: str
    """"granted", "narrowed" or "refused"."""
    rule: str
    """The text of the rule that decided."""
    narrowed: tuple[str, ...]
    """Filters that are cut out of what was asked for."""
    hint: str
    """Refused: what it may do instead."""
    text: str
    """All of it, for a person."""

    def __str__(self) -> str:
        return self.text


def explanation_of(answer: Answer) -> Explanation:
    """What an answer to a question about rights says."""
    verdict = answer.detail.partition(":")[0]
    return Explanation(
        allowed=verdict in ("granted", "narrowed"),
        verdict=verdict,
        rule=answer.rule,
        narrowed=answer.narrowed,
        hint=answer.hint,
        text=answer.detail,
    )


def receipt_of(answer: Answer, *, until_handled: bool = False) -> Receipt:
    """The receipt that an answer to a publish gives."""
    taken = answer.subscribers
    if until_handled:
        return Receipt(Status.HANDLED, taken)
    return Receipt(Status.ACCEPTED if taken else Status.NO_SUBSCRIBERS, taken)


def checked(answer: Response) -> Answer:
    """This answer.  Raises the error that it asks for."""
    if isinstance(answer, Reply):
        raise RemoteProtocolError(f"the request {answer.request} was no call, and got a reply")
    if answer.error:
        raise error_of(answer)
    return answer


def error_of(answer: Answer) -> BusError:
    """The exception that an answer asks for."""
    if answer.error == AccessDenied.__name__:
        return AccessDenied(answer.detail, rule=answer.rule, hint=answer.hint)
    return _ERRORS.get(answer.error, BusError)(answer.detail, hint=answer.hint)


def ending_of(interest: Interest[Owner], words: Answer | Notice) -> BusError:
    """Why a subscription has ended that the broker does not serve (any more)."""
    if isinstance(words, Answer):
        return error_of(words)
    return AccessDenied(
        f"the subscription to {interest.filter} was ended: {words.detail}", rule=words.rule
    )


def no_answer(timeout: float) -> DeadlineExceeded:
    """The request was made, and time is up."""
    return DeadlineExceeded(
        f"no answer from the broker within {timeout:g} s",
        hint="what was asked for may still have happened",
    )


def no_receipt(heading: Heading, timeout: float) -> DeadlineExceeded:
    """A publish with this heading was made and is not withdrawn, and time is up."""
    if not heading.until_handled:
        return no_answer(timeout)
    return DeadlineExceeded(
        f"no word within {timeout:g} s that what was published on {heading.topic} is handled",
        hint="it is not taken back: it waits in its group, or a member works on it. Wait longer"
        " with timeout=; published again it may be handled twice; `daemoneye bus subs` shows"
        " which groups there are, and what waits and is in hand there",
    )


def no_room() -> DeadlineExceeded:
    """Time is up, and the request could not even be made."""
    return DeadlineExceeded(
        "nothing was asked: the broker reads nothing", hint="it may be stopped or busy"
    )


def no_connection() -> BusBroken:
    """There is nobody to ask."""
    return BusBroken(
        "there is no connection to the broker just now",
        hint="the client goes on trying; `publish` waits for it, requests do not",
    )


def ended_by(bug: BaseException) -> BusBroken:
    """Nobody is left who would read, or connect again."""
    return BusBroken(
        f"the client ended by an error that is none of the bus: {type(bug).__name__}: {bug}",
        hint="make another client; the trace of the error is where this program reports its own",
    )


def connection_lost(cause: BaseException | None) -> BusBroken:
    """The request was made, and its answer can never come."""
    return BusBroken(
        f"the connection was lost before the answer came: {reason_of(cause)}",
        hint="what was asked for may or may not have happened",
    )


def reason_of(cause: BaseException | None) -> str:
    """Why a connection is lost, for a sentence; also of an error that has no words."""
    if cause is None:
        return "it broke while something was written"
    if isinstance(cause, Exception):
        return str(cause) or type(cause).__name__
    return f"{type(cause).__name__} fell into a read, whose events are lost"
