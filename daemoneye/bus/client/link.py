"""The client's side of the protocol, between bytes and what they mean.  Pure.

Bytes that were read go in; deliveries for their owners, answers and notices come out.  What the
client wants of the broker (its subscriptions) is kept here and belongs to the client: after every
reconnect it is said again.  What an owner missed, its next delivery tells (`gaps`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import count
from typing import Generic

from daemoneye.bus.client.answers import Response
from daemoneye.bus.client.calling import Slots, Standing, served
from daemoneye.bus.client.gaps import Gaps
from daemoneye.bus.client.holdings import Held, Holdings
from daemoneye.bus.client.interests import Interest, Options, Owner
from daemoneye.bus.client.work import Hold
from daemoneye.bus.frames import (
    PUBLISH,
    Answer,
    BadBody,
    Chunk,
    Credit,
    Envelope,
    NotAFrame,
    Notice,
    OuterFrame,
    Ping,
    Pong,
    Release,
    Reply,
    Resumption,
    StreamMark,
    Subscribe,
    Unsubscribe,
    Value,
    Will,
    control_value,
    envelopes,
    large_envelopes,
    read_outer,
)
from daemoneye.bus.frames import Confirm as Confirmation
from daemoneye.bus.handshake import NO_RETURN, Return
from daemoneye.bus.limits import MAX_STAMP_BYTES
from daemoneye.errors import RemoteProtocolError
from daemoneye.framing import HEADER_BYTES, FrameCutter

RESUMED_SUBSCRIPTIONS = 256
"""With more than so many a session is not gone on with: their numbers have to fit into a proof."""

READ_BYTES = 64 << 10
"""How much one read takes at most."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session that a new connection has."""

    session: int = 0
    """Its number, to go on with it; 0: nobody can."""
    resumption: Resumption = Resumption.NONE
    """Whether it is the one before."""
    taken: int = 0
    """How many messages of ours the broker took in it, in all."""
    subscriptions: tuple[int, ...] = ()
    """Those that were asked for with it."""


ANEW = Resumed()


@dataclass(slots=True, eq=False)
class Delivery(Generic[Owner]):
    """A run of messages for one owner."""

    interests: tuple[Interest[Owner], ...]
    """The owner's interests that it matched: each has paid for it."""
    events: list[Envelope]
    """In order; empty when the body could not be read."""
    messages: int
    """What it cost in credit."""
    bytes: int
    """The same in bytes."""
    held: Held | None = None
    """Its payload, when that came with a descriptor."""

    def consumed(self) -> list[Credit | Release]:
        """The owner is done with it; what to say, when it is time for something."""
        said: list[Credit | Release] = [] if self.held is None else [*self.dropped()]
        for each in self.interests:
            grant = each.taken(self.messages, self.bytes)
            if grant is not None:
                said.append(grant)
        return said

    def dropped(self) -> list[Release]:
        """The owner will not look at it, because it is over; what to say."""
        held, self.held = self.held, None
        return held.done() if held is not None else []


@dataclass(slots=True)
class Received(Generic[Owner]):
    """What one read brought, in the order of each kind.

    Mostly that is deliveries alone, so all else costs nothing until it comes.
    """

    deliveries: list[tuple[Owner, Delivery[Owner]]]
    """For whom, and what."""
    answers: tuple[Response, ...] = ()
    """To requests of the client, replies to its calls among them."""
    notices: tuple[Notice, ...] = ()
    """What the broker tells unasked."""
    ended: tuple[tuple[Interest[Owner], Answer | Notice], ...] = ()
    """Interests that the broker will not serve any more, and its words for it."""
    unreadable: tuple[BadBody, ...] = ()
    """Deliveries whose body is not what its frame claims."""
    replies: tuple[Value, ...] = ()
    """What to send back."""
    confirmed: int | None = None
    """How many of our messages the broker has taken in this session, when it said so."""

    @property
    def only_deliveries(self) -> bool:
        """Whether nothing but events came, as it mostly is."""
        return not (
            self.answers
            or self.notices
            or self.ended
            or self.unreadable
            or self.replies
            or self.confirmed is not None
        )


def _as_it_is(event: Envelope, hold: Hold, owner: object) -> Envelope:
    return event


def _not_heard(topic: str, time_ns: int) -> None:
    """Nobody wants to know."""


class Link(Generic[Owner]):
    """One client's end of the bus, over any number of connections."""

    __slots__ = (
        "_cutter",
        "_for_group",
        "_gaps",
        "_heard",
        "_holdings",
        "_job",
        "_marked",
        "_numbers",
        "_own",
        "_serving",
        "connection",
        "epoch",
        "interests",
        "received",
        "session",
        "slots",
        "will",
    )

    def __init__(self, job: Callable[[Envelope, Hold, Owner], Envelope] = _as_it_is) -> None:
        """`job` makes of an event of a group what its member settles."""
        self._job = job
        self._for_group = False  # whether what follows the last mark is
        self.connection = 0
        """Which connection this is; another one after each loss."""
        self.epoch = 0
        """Which life of the broker we are, or were last, connected to; 0: none yet."""
        self.interests: dict[int, Interest[Owner]] = {}
        self.will: Will | None = None
        """What the broker is to say when we end without a goodbye; None: that was never said."""
        self.slots = Slots()
        """Where we have to reply."""
        self._serving = False  # whether what follows is for one who serves
        self._own: Collection[str] = ()
        self._heard: Callable[[str, int], object] = _not_heard
        self._numbers = count(1)
        self._cutter = FrameCutter(0)
        self._holdings = Holdings()
        self._marked: dict[Owner, tuple[Interest[Owner], ...]] = {}  # for whom what follows is
        self._gaps: Gaps[Owner] = Gaps()
        self.session = 0
        """What the next connection names to go on with the session; 0: a new one begins."""
        self.received = 0
        """How many messages came in this session."""

    def watch(self, topics: Collection[str], heard: Callable[[str, int], object]) -> None:
        """Have a value that is retained on one of these told: its topic, and its time in ns."""
        self._own, self._heard = topics, heard

    # ---- wishes ---------------------------------------------------------------------------------

    def number(self) -> int:
        """A number that was not given before, for a request."""
        return next(self._numbers)

    def want(self, filter_text: str, options: Options, owner: Owner) -> Interest[Owner]:
        """From now on this is wanted, on this connection and every later one."""
        interest = Interest(self.number(), filter_text, options, owner)
        self.interests[interest.number] = interest
        self._gaps.begin(owner)
        return interest

    def forget(self, interest: Interest[Owner]) -> Unsubscribe:
        """It is not wanted any more; what to say."""
        self.interests.pop(interest.number, None)
        self._gaps.leave(interest.number)
        self.slots.leave(interest.number)
        if not any(each.owner == interest.owner for each in list(self.interests.values())):
            self._gaps.forget(interest.owner)
        return Unsubscribe(interest.number, self.number())

    def forget_owner(self, owner: Owner) -> list[Unsubscribe]:
        """Nothing that it wanted is wanted any more; what to say, the second time nothing."""
        mine = [each for each in list(self.interests.values()) if each.owner == owner]
        return [self.forget(each) for each in mine]

    def drop(self, interest: Interest[Owner]) -> list[Unsubscribe]:
        """The broker does not serve it, so its owner is over: what to say of its other filters.

        Who asked for several and may not have one of them has nothing whole to iterate over.
        """
        said = self.forget_owner(interest.owner)
        return [each for each in said if each.subscription != interest.number]

    # ---- connections ----------------------------------------------------------------------------

    def wanted(self) -> Return:
        """What a new connection asks to go on with."""
        numbers = tuple(self.interests)
        if not self.session or len(numbers) > RESUMED_SUBSCRIPTIONS:
            return NO_RETURN
        return Return(self.session, self.received, numbers)

    def lose_track(self) -> None:
        """Something that came was not handed out: the session cannot go on where it was."""
        self.session = 0

    def connected(
        self,
        epoch: int,
        max_frame_bytes: int,
        max_payload_bytes: int = 0,
        resumed: Resumed = ANEW,
    ) -> list[Subscribe | Unsubscribe | Will]:
        """A new connection is proven; what to say first on it.

        `max_payload_bytes` is the largest payload that may come apart from its frame; `resumed`
        is the session on it.
        """
        self._mark({})
        if self.epoch and resumed.resumption is not Resumption.COMPLETE:
            # What a member of a group missed, another got; calls are nothing that is missed.
            self._gaps.reconnect(
                "disconnected" if epoch == self.epoch else "broker-restart",
                [
                    number
                    for number, each in self.interests.items()
                    if not (each.options.group or each.options.serve)
                ],
            )
        if resumed.resumption is Resumption.NONE:
            self.received = 0
            self._gaps.end_session()
        else:
            self._gaps.go_on(self.received)
        self.session = resumed.session
        self.epoch = epoch
        self._cutter = FrameCutter(max_frame_bytes + MAX_STAMP_BYTES)
        self._holdings.connected(max_payload_bytes)
        gone = [each for each in resumed.subscriptions if each not in self.interests]
        wishes: list[Subscribe | Unsubscribe | Will] = [
            *(Unsubscribe(each, self.number()) for each in gone),
            *(each.subscribe(each.number) for each in list(self.interests.values())),
        ]
        will = self.will
        # One that was taken back without a connection a session that goes on still has.
        if will is not None and (will.topic or resumed.resumption is not Resumption.NONE):
            wishes.append(will)
        return wishes

    def lost(self) -> None:
        """The connection is gone, and what was in our hands went to others."""
        self.connection += 1
        self.slots.lose(Standing.LOST)

    def wants(self, subscription: int) -> bool:
        """Whether a subscription goes on."""
        return subscription in self.interests

    def came(self, contents: list[memoryview | None]) -> None:
        """The memory behind descriptors that came with what is received next; None: not usable.

        Raises RemoteProtocolError when too many wait for a publish that owns them.
        """
        self._holdings.arrivals.came(contents)

    def receive(self, data: bytes) -> Received[Owner]:
        """What these bytes mean.

        Raises RemoteProtocolError or TooLarge: the connection cannot be understood any more.
        """
        received: Received[Owner] = Received([])
        messages = 0
        try:
            for raw in self._cutter.feed(data):
                frame = read_outer(raw)
                if frame.kind == PUBLISH:
                    messages += self._deliver(frame, len(raw) + HEADER_BYTES, received)
                else:
                    messages += frame.count
                    self._take(control_value(frame), received, messages)
        except NotAFrame as error:
            raise RemoteProtocolError(f"the broker sent what is no frame: {error}") from error
        self.received += messages  # not before: what cannot be understood takes all of it along
        return received

    def _take(self, value: Value, received: Received[Owner], messages: int) -> None:
        match value:
            case StreamMark():
                self._mark(self._by_owner(value.subscriptions))
                if value.lost and not self._serving:
                    self._gaps.lose(self._marked, value.lost, self.received + messages)
            case Answer() if value.request in self.interests:
                self.interests[value.request].acknowledge_timeout = value.acknowledge_timeout
                # Subscribing is asked under the interest's own number, so this is its answer.
                if value.error:
                    received.ended += ((self.interests[value.request], value),)
                received.answers += (value,)
            case Answer() | Reply():
                received.answers += (value,)
            case Notice(code="cancelled") if value.delivery:
                self.slots.cancel(value.delivery)
            case Notice():
                interest = self.interests.get(value.subscription)
                if interest is not None and value.code == "unsubscribed":
                    received.ended += ((interest, value),)
                received.notices += (value,)
            case Confirmation():
                received.confirmed = value.messages
            case Chunk():
                self._holdings.arrivals.add(value)
            case Ping():
                received.replies += (Pong(value.request),)
            case _:
                pass  # a later broker may say more than we know

    def _mark(self, marked: dict[Owner, tuple[Interest[Owner], ...]]) -> None:
        """What follows is for these."""
        self._marked = marked
        self._for_group = any(each[0].options.group for each in marked.values())
        self._serving = any(each[0].options.serve for each in marked.values())

    def _by_owner(self, numbers: tuple[int, ...]) -> dict[Owner, tuple[Interest[Owner], ...]]:
        found: dict[Owner, tuple[Interest[Owner], ...]] = {}
        for number in dict.fromkeys(numbers):  # said twice, it is still one subscription
            interest = self.interests.get(number)
            if interest is not None:
                found[interest.owner] = (*found.get(interest.owner, ()), interest)
        return found

    def _deliver(self, frame: OuterFrame, size: int, received: Received[Owner]) -> int:
        """Hand out a publish; how many messages it has."""
        if self._serving:
            return self._serve(frame, size, received)
        marked, gaps = self._marked, self._gaps
        held: Held | None = None
        events: list[Envelope] | BadBody
        if frame.large_bytes:
            size += frame.large_bytes
            events = large_envelopes(frame, self._holdings.claim(frame))
            marked = self._still_wanting(marked)
            held = self._hold(frame, 0 if isinstance(events, BadBody) else len(marked), received)
        else:
            events = envelopes(frame)
        if isinstance(events, BadBody):
            received.unreadable += (events,)
            messages, events = events.count, []
        else:
            messages = len(events)
        if self._for_group:
            events = self._to_settle(frame, events, marked)
        if self._own and frame.topic in self._own and frame.retain and events:
            self._heard(frame.topic, events[-1].time_ns)
        may_repeat = frame.replayed or (gaps.repeats and frame.retain)
        if may_repeat and frame.said_again:
            events = [each.repeated() for each in events]
        for owner, interests in marked.items():
            for interest in interests:
                interest.arrived(messages, size)
            if self._for_group:  # what it missed, another member got
                told = gaps.tell_owed(owner, interests, events)
            elif may_repeat:
                told = gaps.tell_repeated(owner, interests, events)
            else:
                told = gaps.tell(owner, interests, events)
            received.deliveries.append((owner, Delivery(interests, told, messages, size, held)))
        return messages

    def _to_settle(
        self,
        frame: OuterFrame,
        events: list[Envelope],
        marked: dict[Owner, tuple[Interest[Owner], ...]],
    ) -> list[Envelope]:
        """An event of a group as the job of the one member that it is for."""
        made: list[Envelope] = []
        for owner, interests in marked.items():
            interest = interests[0]
            hold = Hold(
                frame.delivery,
                frame.delivery_count,
                self,
                interest.number,
                interest.acknowledge_timeout,
            )
            made += [self._job(each, hold, owner) for each in events]
        return made

    def _serve(self, frame: OuterFrame, size: int, received: Received[Owner]) -> int:
        """A call has come; its numbers say nothing of what was published, so there are no gaps."""
        events = envelopes(frame)
        if isinstance(events, BadBody):
            received.unreadable += (events,)
            received.replies += (Reply(frame.delivery, rejected=f"unreadable: {events.reason}"),)
            events = []
        for owner, interests in self._marked.items():
            number = interests[0].number
            for interest in interests:
                interest.arrived(frame.count, size)
            if number in self.interests:  # else its block was left
                calls: list[Envelope] = [
                    served(each, self.slots.begin(frame.delivery, frame.topic, number))
                    for each in events
                ]
                received.deliveries.append((owner, Delivery(interests, calls, frame.count, size)))
        return frame.count

    def _still_wanting(
        self, marked: dict[Owner, tuple[Interest[Owner], ...]]
    ) -> dict[Owner, tuple[Interest[Owner], ...]]:
        """Those of them that are not forgotten: nobody else will say when they are done with it."""
        return {
            owner: interests
            for owner, interests in marked.items()
            if any(each.number in self.interests for each in interests)
        }

    def _hold(self, frame: OuterFrame, users: int, received: Received[Owner]) -> Held | None:
        """A payload is for so many owners; with a descriptor and for none, it is let go of."""
        if not frame.descriptors:
            return None
        if not users:
            received.replies += (Release((frame.parcel,)),)
            return None
        return self._holdings.hold(frame.parcel, users)
