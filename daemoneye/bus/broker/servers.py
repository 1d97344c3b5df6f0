"""Who serves which topic, and the calls in their hands.  Pure.

A serving subscription is not in the tree of all others: no publish goes there, and no call
elsewhere.  What happens to it is noted here where it happens (it ends, its session does, an outbox
loses a call that had not been written), and `calls` draws the conclusions at the end of the turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.session import Session
from daemoneye.bus.broker.streams import (
    Backlog,
    Lane,
    Stream,
    StreamKey,
    Subscription,
    lane_of,
)
from daemoneye.bus.frames import Overflow, Subscribe
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import check_topic
from daemoneye.errors import InvalidTopic, LocalProtocolError


@dataclass(slots=True, eq=False)
class Call:
    """One call in the hands of whoever serves its topic."""

    caller: Session
    request: int
    """The caller's number for it."""
    topic: str
    deadline: float
    """By the broker's clock; infinity: it has none."""
    server: Server
    run: Run
    """As it is delivered; its number is that of the reply slot."""

    @property
    def slot(self) -> int:
        """What the reply has to name."""
        return self.run.number


class Ended(NamedTuple):
    """One serves no more."""

    server: Server
    why: str
    """"": its session is over."""


class Gone(NamedTuple):
    """A session or its connection is over: nobody waits for replies to its calls."""

    session: Session


class Lost(NamedTuple):
    """An outbox lost a call before it was written."""

    slot: int
    reason: str


class Unheard(NamedTuple):
    """An outbox lost a reply."""

    session: Session
    """Whose outbox."""
    request: int


Happening: TypeAlias = Ended | Gone | Lost | Unheard


class Server:
    """One serving subscription."""

    __slots__ = ("_happened", "in_hand", "session", "subscription")

    def __init__(
        self, session: Session, subscription: Subscription, happened: list[Happening]
    ) -> None:
        self.session = session
        self.subscription = subscription
        self.in_hand: dict[int, Call] = {}
        """By slot."""
        self._happened = happened

    @property
    def topic(self) -> str:
        """What it serves."""
        return self.subscription.filter.text

    @property
    def stream(self) -> Stream:
        """What waits for it goes through this."""
        outbox, stream = self.session.outbox, self.opened
        if stream is None:
            stream = outbox.streams[self._key] = CallStream(
                self._key, self.subscription, outbox.backlog, self._happened
            )
        return stream

    @property
    def opened(self) -> Stream | None:
        """The same, when there is one: not of one that serves no more, or has had nothing to do."""
        return self.session.outbox.streams.get(self._key)

    @property
    def _key(self) -> StreamKey:
        return StreamKey((self.subscription.number,), lane_of(self.topic), Overflow.DROP_NEWEST)

    def has_room(self, size: int, limits: Limits) -> bool:
        """Whether it may be given a call of so many bytes."""
        stream = self.stream
        return (
            len(self.in_hand) < limits.in_flight
            and stream.messages < stream.max_messages
            and stream.bytes + size <= stream.max_bytes
        )


class CallStream(Stream):
    """Calls that wait for one who serves; what is lost of them is noted."""

    __slots__ = ("_happened",)

    def __init__(
        self,
        key: StreamKey,
        subscription: Subscription,
        backlog: Backlog,
        happened: list[Happening],
    ) -> None:
        super().__init__(key, (subscription,), backlog)
        self._happened = happened

    def _count_lost(self, run: Run, reason: str) -> None:
        super()._count_lost(run, reason)
        self._happened.append(Lost(run.number, reason))


class ReplyStream(Stream):
    """Replies that wait for one who called; what is lost of them is noted.

    It belongs to no subscription: the mark before them names none.
    """

    __slots__ = ("_happened", "_requests", "_session")

    KEY = StreamKey((), Lane.CONTROL, Overflow.DROP_NEWEST)

    def __init__(self, session: Session, happened: list[Happening]) -> None:
        super().__init__(self.KEY, (), session.outbox.backlog)
        self._session = session
        self._happened = happened
        self._requests: dict[int, int] = {}

    def serve(self, key: StreamKey, subscriptions: Iterable[Subscription]) -> None:
        """Be the queue of no subscription."""
        self.key, self.subscriptions = key, tuple(subscriptions)
        self.policy = Overflow.DROP_NEWEST
        self.max_messages = self.max_bytes = 0

    def has_room(self, size: int, limits: Limits) -> bool:
        """Whether a reply of so many bytes may wait."""
        self.max_messages = limits.calls
        self.max_bytes = max(limits.subscription_bytes, 2 * limits.frame_bytes)
        return self.messages < self.max_messages and self.bytes + size <= self.max_bytes

    def expect(self, run: Run, request: int) -> None:
        """This run is the reply to that call."""
        self._requests[run.number] = request

    def delivered(self, run: Run) -> int:
        """The kernel has all of it; how many messages it has."""
        self._requests.pop(run.number, None)
        return super().delivered(run)

    def _count_lost(self, run: Run, reason: str) -> None:
        super()._count_lost(run, reason)
        self._happened.append(Unheard(self._session, self._requests.pop(run.number)))


class Servers:
    """All serving subscriptions, by topic, and what happened to them since `calls` looked."""

    __slots__ = ("_by_topic", "happened")

    def __init__(self) -> None:
        self._by_topic: dict[str, dict[Subscription, Server]] = {}
        self.happened: list[Happening] = []
        """In this order."""

    def __len__(self) -> int:
        return sum(map(len, self._by_topic.values()))

    def of(self, topic: str) -> tuple[Server, ...]:
        """Who serves it; whoever waits longest for a call comes first."""
        return tuple(self._by_topic.get(topic, {}).values())

    def join(self, session: Session, subscription: Subscription) -> None:
        """From now on it serves."""
        topic = subscription.filter.text
        server = Server(session, subscription, self.happened)
        self._by_topic.setdefault(topic, {})[subscription] = server

    def rotate(self, server: Server) -> None:
        """It has got a call: among equals it comes last."""
        serving = self._by_topic[server.topic]
        del serving[server.subscription]
        serving[server.subscription] = server

    def part(self, subscription: Subscription, why: str) -> None:
        """It serves no more."""
        topic = subscription.filter.text
        serving = self._by_topic[topic]
        server = serving.pop(subscription)
        if not serving:
            del self._by_topic[topic]
        self.happened.append(Ended(server, why))

    def leave(self, session: Session) -> None:
        """The session is over, as one who serves and as one who called."""
        for subscription in session.subscriptions.values():
            if subscription.wish.serve:
                self.part(subscription, "")
        self.hang_up(session)

    def hang_up(self, session: Session) -> None:
        """Nobody waits for replies to the calls of this session any more."""
        self.happened.append(Gone(session))


def check_serving(wish: Subscribe) -> None:
    """Raises InvalidTopic and LocalProtocolError for what cannot be served."""
    if not wish.serve:
        return
    try:
        check_topic(wish.filter)
    except InvalidTopic as error:
        raise InvalidTopic(
            f"nobody can serve {wish.filter[:80]!r}: {error.args[0]}",
            hint="serve a topic, without wildcards, and each with a subscription of its own",
        ) from None
    if wish.group or wish.selection:
        raise LocalProtocolError(
            "who serves a topic gets calls, which know no groups and no selection",
            hint="all who serve a topic share its calls",
        )
