"""What a client wants to hear, and how much of it it has room for.  Pure.

A subscription may be sent `window` messages and bytes more than its owner has
consumed.  What is granted is a running total since the subscription was last made, so with
`received` counted from the very beginning and `base` being its value when the subscription was
made, the total is `window + consumed - base`: it takes into account what still lies here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from daemoneye.bus.frames import (
    NO_SELECTION,
    Choice,
    Credit,
    Overflow,
    Replay,
    Selection,
    Subscribe,
)
from daemoneye.bus.limits import Limits
from daemoneye.errors import LocalProtocolError

Owner = TypeVar("Owner")

_DEFAULTS = Limits()

IN_HAND = 1
"""How many messages a member of a group is given at once, if it does not say: none waits behind a
slow one while others are free, and the time of each begins when its member does."""

_GRANT_SHARE = 2
"""A grant is sent when this part of a window has been consumed: half."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a subscription wants to be served.

    Raises LocalProtocolError when the protocol cannot say it.
    """

    overflow: Overflow = Overflow.DEFAULT
    """What the broker does when its outbox for us is full."""
    max_messages: int = 0
    """The bound of that outbox, and of what waits here; 0 is the default: in a group IN_HAND."""
    max_bytes: int = 0
    """The same in bytes."""
    group: str = ""
    """The group to share the work with; empty: none."""
    choice: Choice = Choice.DEFAULT
    """Who of the group gets the next message."""
    serve: bool = False
    """It is for calls."""
    replay: Replay = Replay.IF_NEW
    """Which retained values to begin with."""
    selection: Selection = NO_SELECTION
    """Which correlations alone."""

    def __post_init__(self) -> None:
        bounds = (("max_messages", self.max_messages, 32), ("max_bytes", self.max_bytes, 64))
        for name, value, bits in bounds:
            if type(value) is not int or not 0 <= value < 1 << bits:
                raise LocalProtocolError(
                    f"{name} is {value!r}, and not a whole number from 0 to 2^{bits} - 1",
                    hint="0 is the default",
                )
        if self.group and not self.max_messages:
            object.__setattr__(self, "max_messages", IN_HAND)  # the only way in a frozen value


class Interest(Generic[Owner]):
    """One filter that the client wants to hear, and how much of it came and was consumed."""

    __slots__ = (
        "acknowledge_timeout",
        "base",
        "choice",
        "consumed",
        "due",
        "filter",
        "number",
        "options",
        "owner",
        "received",
        "window",
    )

    def __init__(self, number: int, filter_text: str, options: Options, owner: Owner) -> None:
        self.number = number
        self.filter = filter_text
        self.options = options
        self.owner = owner
        self.acknowledge_timeout = 0.0
        """In how many seconds a delivery has to be settled, when the broker has said so."""
        self.choice = Choice.DEFAULT
        """What its group goes by, when it is for one and the broker has said so."""
        limits = _DEFAULTS.subscription_messages, _DEFAULTS.subscription_bytes
        # How many messages and bytes may lie here.
        self.window = (
            min(options.max_messages or limits[0], limits[0]),
            min(options.max_bytes or limits[1], limits[1]),
        )
        # Pairs of messages and bytes, since the interest exists.
        self.received = (0, 0)
        self.consumed = (0, 0)
        self.base = (0, 0)  # `received` when the subscription was last made
        self.due = self.window  # at which `consumed` credit has to be told

    def arrived(self, messages: int, size: int) -> None:
        """A run has come."""
        total_messages, total_bytes = self.received
        self.received = total_messages + messages, total_bytes + size

    def taken(self, messages: int, size: int) -> Credit | None:
        """The owner is done with that much; the grant to send, when it is time for one."""
        total_messages, total_bytes = self.consumed
        total_messages += messages
        total_bytes += size
        self.consumed = total_messages, total_bytes
        due_messages, due_bytes = self.due
        if total_messages < due_messages and total_bytes < due_bytes:
            return None
        self._granted()
        return Credit(self.number, *self._total())

    def subscribe(self, request: int) -> Subscribe:
        """What to say to have it (again) on a new session."""
        self.base = self.received
        self._granted()
        messages, size = self._total()
        wanted = self.options
        return Subscribe(
            self.number,
            self.filter,
            wanted.overflow,
            wanted.max_messages,
            wanted.max_bytes,
            credit_messages=messages,
            credit_bytes=size,
            group=wanted.group,
            choice=wanted.choice,
            serve=wanted.serve,
            replay=wanted.replay,
            selection=wanted.selection,
            request=request,
        )

    def _granted(self) -> None:
        (messages, size), window = self.consumed, self.window
        share = _GRANT_SHARE
        self.due = (messages + -(-window[0] // share), size + -(-window[1] // share))

    def _total(self) -> tuple[int, int]:
        """All credit since the subscription was made; what lies here is none.

        At least one, because zero would mean the default: a run may be larger than the window, and
        then there is room again as soon as it is consumed.
        """
        window, consumed, base = self.window, self.consumed, self.base
        return (
            max(1, window[0] + consumed[0] - base[0]),
            max(1, window[1] + consumed[1] - base[1]),
        )
