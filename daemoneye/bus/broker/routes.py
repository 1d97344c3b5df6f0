"""Where a publisher's topic leads: rights, recipients and the last sequence, remembered.  Pure.

A route is found once for each session and topic and used until rights or subscriptions change
anywhere, which a generation number tells; it is then found anew, but keeps its sequence.

Memory is bounded: a publisher's table holds `Limits.routes` topics and forgets the older half
when a new one comes.  A forgotten topic is looked up again and its sequence is believed anew.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from daemoneye.bus.access import Decision
from daemoneye.bus.broker.streams import Stream, Subscription
from daemoneye.bus.frames import (
    LAST_SEQUENCE,
    MIN_MESSAGE_BYTES,
    Guarantee,
    OuterFrame,
    check_heading,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import escaped, is_level
from daemoneye.errors import LocalProtocolError, TooLarge

if TYPE_CHECKING:
    from daemoneye.bus.broker.group import Group  # groups know sessions, which hold routes
    from daemoneye.bus.broker.session import (
        Session,  # sessions hold routes, and routes lead to sessions
    )

Recipients: TypeAlias = "tuple[tuple[Session, Stream], ...]"

Pairs: TypeAlias = "list[tuple[Session, Subscription]]"
"""Subscriptions and whose they are."""

Selective: TypeAlias = "dict[str, Pairs]"
"""Subscriptions that want some correlations alone, by the id they want; "": any."""

_GUARANTEES = tuple(Guarantee)

STALE = -1
"""The generation of a route that was never found."""


class Route:
    """What the router knows about one session publishing on one topic."""

    __slots__ = (
        "decision",
        "generation",
        "groups",
        "plain",
        "recipients",
        "refusals",
        "run_messages",
        "selective",
        "sequence",
    )

    def __init__(self) -> None:
        self.generation = STALE
        """Of rights and subscriptions, when this was found."""
        self.decision: Decision | None = None
        """Whether the publisher may; None: it may."""
        self.plain = False
        """Whether all that is published here goes to `recipients`, whatever else it says."""
        self.recipients: Recipients = ()
        """Who gets it: the same tuple wherever they are the same, so that runs can be joined."""
        self.selective: Selective = {}
        """Who may want it besides, by what else it says; `plain` only when there is nobody."""
        self.groups: tuple[Group, ...] = ()
        """Groups that it is for, too."""
        self.run_messages = 1
        """At how many messages a run is closed: a quarter of the smallest outbox it goes to."""
        self.sequence = 0
        """The last one seen."""
        self.refusals = 0
        """How many publishes were refused here."""

    def check(self, frame: OuterFrame, size: int, limits: Limits) -> None:
        """Refuse what a publisher may not say, or what is not offered.

        Raises TooLarge or LocalProtocolError.
        """
        if size > limits.frame_bytes:
            raise TooLarge(
                f"a frame of {size} bytes is past the limit of {limits.frame_bytes}",
                hint="send smaller payloads, or fewer in a batch",
            )
        if not 0 < frame.count * MIN_MESSAGE_BYTES <= size:
            raise LocalProtocolError(f"{size} bytes cannot hold {frame.count} messages")
        if frame.sequence <= self.sequence:
            raise LocalProtocolError(
                f"the sequence on {frame.topic} does not rise: {frame.sequence} after"
                f" {self.sequence}",
                hint="number the messages of each topic 1, 2, 3 … for the life of the connection",
            )
        if frame.sequence + frame.count - 1 > LAST_SEQUENCE:
            raise LocalProtocolError(
                f"the sequence on {frame.topic} ends at {LAST_SEQUENCE}, and {frame.count} messages"
                f" from {frame.sequence} on go past it",
                hint="number the messages of each topic 1, 2, 3 … for the life of the connection",
            )
        check_heading(frame.topic, size - len(frame.body), frame.partition_key)
        if frame.target and not is_level(frame.target):
            raise LocalProtocolError(
                f"nobody can be called {escaped(frame.target)}",
                hint="a target is the name of an identity: 1 to 64 of a-z, 0-9, `_` and `-`",
            )
        guarantee: int = frame.guarantee  # an open enum: any number of 32 bits may stand here
        if guarantee not in _GUARANTEES:
            raise LocalProtocolError(f"there is no guarantee {guarantee}")
        if frame.large_bytes > limits.payload_bytes:
            raise TooLarge(
                f"a payload of {frame.large_bytes} bytes is past the limit of"
                f" {limits.payload_bytes}",
                hint="send it in parts, or put it in a file and send the name",
            )
        if (
            0 < frame.large_bytes < limits.least_large_bytes
            and size + frame.large_bytes <= limits.frame_bytes // 2  # else it may not have fitted
        ):
            raise LocalProtocolError(
                f"a payload of {frame.large_bytes} bytes is too small to go apart from its frame",
                hint=f"from {limits.least_large_bytes} bytes on it may",
            )
        if frame.large_bytes and frame.count != 1:
            raise LocalProtocolError(f"a large payload is one message, not {frame.count}")


class Routes(dict[str, Route]):
    """The routes of one publisher, by topic."""

    __slots__ = ()

    def remember(self, topic: str, limit: int) -> Route:
        """The route of this topic, made when there is none; at most `limit` are kept."""
        route = self.get(topic)
        if route is None:
            if len(self) >= limit:
                self._forget_older_half()
            route = self[topic] = Route()
        return route

    def _forget_older_half(self) -> None:
        for topic in list(islice(self, (len(self) + 1) // 2)):
            del self[topic]
