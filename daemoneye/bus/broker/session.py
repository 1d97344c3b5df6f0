"""One client as the broker knows it: who it is, what it wants, what waits for it.  Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from daemoneye.bus.access import Declared, Identity
from daemoneye.bus.arrivals import Arrivals
from daemoneye.bus.broker.outbox import Outbox
from daemoneye.bus.broker.routes import Routes
from daemoneye.bus.broker.streams import Backlog, Subscription, Tally
from daemoneye.bus.frames import Value, encode, identity_stamp
from daemoneye.bus.limits import Limits
from daemoneye.framing import pack


class Passed(NamedTuple):
    """A descriptor that a client has sent; the shell has looked at it."""

    descriptor: int
    """NO_DESCRIPTOR when it was lost on the way, for want of free ones."""
    size: int
    """Of the sealed memory behind it; 0 when it is something else."""


class Publishing:
    """What a session is as a publisher."""

    __slots__ = ("astray", "confirmed", "messages", "routes", "stamp")

    def __init__(self, identity: Identity) -> None:
        self.routes = Routes()
        self.stamp = identity_stamp(
            identity.name, identity.role, identity.pid, identity.incarnation
        )
        """What the broker appends to its frames, but for the time."""
        self.messages = 0
        """How many messages were taken from it, whatever became of them."""
        self.confirmed = 0
        """How many of those it has been told of."""
        self.astray = 0
        """How many publishes were on what is no topic."""

    def count_refusal(self, topic: str) -> int:
        """One more was refused; how many now, on this topic (or on no topic at all)."""
        route = self.routes.get(topic)
        if route is None:
            self.astray += 1
            return self.astray
        route.refusals += 1
        return route.refusals


class Standing(Enum):
    """Whether a session has a connection."""

    PRESENT = auto()
    AWAY = auto()
    """It is lost, and another is waited for."""
    OVER = auto()


class Session:
    """One client, over one connection or several.

    The shell reads `identity`, writes what `take` gives and says so to `written`; everything else
    is between the session and the router.
    """

    __slots__ = (
        "arrivals",
        "connected_at",
        "declared",
        "dormant",
        "identity",
        "number",
        "outbox",
        "publishing",
        "standing",
        "subscriptions",
    )

    def __init__(
        self, identity: Identity, declared: Declared, backlog: Backlog, now_ns: int
    ) -> None:
        self.identity = identity
        """Proven."""
        self.declared = declared
        """What its spec says it publishes and reads."""
        self.connected_at = now_ns
        """Unix time in ns."""
        self.subscriptions: dict[int, Subscription] = {}
        """By the client's number."""
        self.dormant: set[int] = set()
        """Those that are from an earlier connection and were not asked for on this one yet."""
        self.number = 0
        """What another connection names to go on with it; 0: none can."""
        self.standing = Standing.PRESENT
        self.outbox = Outbox(backlog)
        self.publishing = Publishing(identity)
        self.arrivals: Arrivals[Passed] = Arrivals(backlog.parcels.limits.payload_bytes)
        """What it has sent ahead of its publishes."""

    def __repr__(self) -> str:
        return f"<Session of {self.identity.name}, incarnation {self.identity.incarnation}>"

    def __str__(self) -> str:
        process = f" (process {self.identity.pid})" if self.identity.pid else ""
        return f"{self.identity.name}{process}"

    def take(self, max_bytes: int, now_ns: int) -> list[bytes | memoryview]:
        """Buffers for one gathered write, in order; empty when nothing may be sent now.

        What was taken belongs to the connection: say to `written` what the kernel took, then
        `take` again, which begins with the rest.  About `max_bytes`: one run may stand out.
        """
        return self.outbox.take(max_bytes, now_ns)

    @property
    def passing(self) -> int | None:
        """The descriptor to send along with what `take` gave last, with its first byte."""
        parcel = self.outbox.sending.passing
        return None if parcel is None else parcel.descriptor

    def written(self, count: int) -> None:
        """The kernel took the first `count` bytes of what `take` gave last."""
        self.outbox.sending.written(count)

    @property
    def pending(self) -> bool:
        """Whether `take` has something to give, credit considered."""
        return self.outbox.pending

    def tell(self, value: Value, limits: Limits) -> str:
        """Queue a frame of the broker's own; why the client has to go instead, or ""."""
        return self.outbox.say(pack(encode(value)), limits)

    def tallies(self) -> dict[int, Tally]:
        """What became of all that each subscription was offered, by the client's number."""
        totals = {number: Tally.empty() for number in self.subscriptions}
        for number, subscription in self.subscriptions.items():
            totals[number].add(subscription.past)
        for stream in self.outbox.streams.values():
            for number in stream.key.numbers:
                totals[number].add(stream.tally)
        return totals
