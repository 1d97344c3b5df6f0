"""The real router, and clients in memory who come, go, and read as much as the test says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from operator import attrgetter

from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.session import Standing
from daemoneye.bus.frames import (
    PUBLISH,
    Answer,
    Carriage,
    Choice,
    Clear,
    Credit,
    Envelope,
    Goodbye,
    Notice,
    Overflow,
    Replay,
    Reply,
    Resumption,
    Settle,
    Settling,
    StreamMark,
    Subscribe,
    Unsubscribe,
    Will,
    encode,
    parse,
)
from daemoneye.bus.handshake import Return
from daemoneye.bus.limits import Limits
from daemoneye.framing import FrameCutter
from tests.bus.model.seats import (
    Answered,
    Called,
    Coming,
    Got,
    Job,
    Membership,
    Message,
    Missed,
    Noticed,
    OfCalls,
    Seat,
    Wish,
)
from tests.bus.support import NOW, Bus, Client, Heard

SECOND = 1_000_000_000
RESUME_TIMEOUT = 60.0
LONGEST_OUTBOX = 64
RETAINED_TOPICS = 2
WILL_TIMEOUT = 2.0
OPEN_CALLS = 4
IN_FLIGHT = 3


class World:
    """A bus, and a seat for each name."""

    def __init__(self, names: str, resume_messages: int) -> None:
        self.limits: dict[str, float] = {
            "subscription_messages_at_most": LONGEST_OUTBOX,
            "resume_messages": resume_messages,
            "resume_timeout": RESUME_TIMEOUT,
            "retained_topics": RETAINED_TOPICS,
            "will_timeout": WILL_TIMEOUT,
            "calls": OPEN_CALLS,
            "in_flight": IN_FLIGHT,
        }
        self.router = Bus(**self.limits).router
        self._largest_outbox = self._largest_frame = 1
        self.seats = {name: Seat(name) for name in names}
        self.rules: tuple[AccessRule, ...] = ()
        self.now_ns = NOW
        self._numbers = 0
        self._lives = 0
        self.lives: dict[str, int] = {}
        """The incarnation that each name is or was last."""

    # ---- who is there ---------------------------------------------------------------------------

    def come(self, seat: Seat, *, same: bool = False) -> None:
        """A client connects, of the same life of its process or another; it begins with nothing."""
        self._lives += 1
        if not same or seat.name not in self.lives:
            self.lives[seat.name] = self._lives
        identity = Identity(seat.name, "agent", incarnation=self.lives[seat.name], pid=4242)
        session = self.router.open(identity, Declared(), self.now_ns, number=self._lives)
        seat.clear()
        seat.client = Client(self.router, session)

    def go(self, seat: Seat, *, cleanly: bool) -> None:
        """Its connection ends, and its client does not mean to come back."""
        client = seat.client
        assert client is not None
        if cleanly:
            client.say(Goodbye())
            self.router.doomed.pop(client.session, None)
        else:
            self.router.close(client.session)
        seat.clear()

    def over(self) -> list[Seat]:
        """Whose session the broker has ended by itself."""
        return [
            seat
            for seat in self.seats.values()
            if seat.client is not None and seat.client.session.standing is Standing.OVER
        ]

    # ---- connections ----------------------------------------------------------------------------

    def lose(self, seat: Seat) -> None:
        """Its connection breaks, with all that was on its way."""
        client = seat.client
        assert client is not None
        self.router.park(client.session)
        client.cutter = FrameCutter(4 << 20)
        seat.marked = ()
        seat.memberships.clear()
        seat.in_hand.clear()
        seat.serving.clear()
        seat.called.clear()
        seat.unsaid.update(seat.wishes)
        seat.waited_until = self.router.clock.now + RESUME_TIMEOUT

    def come_back(self, seat: Seat, numbers: Iterable[int]) -> Resumption:
        """It has another connection, and wants to keep these subscriptions."""
        client = seat.client
        assert client is not None
        session = client.session
        wanted = Return(session.number, seat.received, tuple(numbers))
        assert self.router.find(wanted, session.identity, session.declared) is session
        resumption = self.router.go_on(session, wanted, Carriage())
        seat.waited_until = None
        for number in seat.unsaid.keys() - set(wanted.subscriptions):
            del seat.unsaid[number]
        return resumption

    def say_again(self, seat: Seat, number: int) -> bool:
        """It goes on with a subscription; whether that is a new one, or none."""
        client = seat.client
        assert client is not None
        wish = seat.unsaid.pop(number)
        before = client.session.subscriptions.get(number)
        client.say(wish.said, now_ns=self.now_ns)
        after = client.session.subscriptions.get(number)
        if after is not None:
            wish.granted = wish.said.credit_messages
            seat.wishes[number] = wish
        return before is None or after is not before

    # ---- what they do ---------------------------------------------------------------------------

    def subscribe(
        self,
        seat: Seat,
        text: str,
        overflow: Overflow,
        room: int,
        credit: int,
        replay: Replay = Replay.IF_NEW,
    ) -> int:
        """Its number; 0 when it was refused."""
        assert seat.client is not None
        self._numbers += 1
        number = self._numbers
        wish = Subscribe(
            number,
            text,
            overflow,
            replay=replay,
            max_messages=room,
            credit_messages=credit,
            credit_bytes=1 << 40,
            request=number,
        )
        seat.client.say(wish, now_ns=self.now_ns)
        if number not in seat.client.session.subscriptions:
            return 0
        seat.wishes[number] = Wish(wish, credit)
        self._largest_outbox = max(self._largest_outbox, room)
        return number

    def join(self, seat: Seat, group: str, text: str, choice: Choice, credit: int) -> int:
        """Be a member of a group; its number, or 0 when it was refused."""
        assert seat.client is not None
        self._numbers += 1
        number = self._numbers
        wish = Subscribe(
            number,
            text,
            group=group,
            choice=choice,
            credit_messages=credit,
            credit_bytes=1 << 40,
            request=number,
        )
        seat.client.say(wish)
        if number not in seat.client.session.subscriptions:
            return 0
        seat.memberships[number] = Membership(group, text)
        seat.credit[number] = credit
        return number

    def part(self, seat: Seat, number: int) -> None:
        """Be none any more."""
        assert seat.client is not None
        seat.client.say(Unsubscribe(number, request=1))
        del seat.memberships[number]
        seat.in_hand = [each for each in seat.in_hand if each.subscription != number]

    def settle(self, seat: Seat, job: Job, what: Settling, seconds: float = 0.0) -> bool:
        """Say what became of it; whether it was in this seat's hands."""
        assert seat.client is not None
        self._numbers += 1
        _, held = self.router.directory.groups.in_flight.get(job.delivery, (None, None))
        place = held.place if held is not None else None
        mine = place is not None and place.session is seat.client.session
        seat.credit[job.subscription] = seat.credit.get(job.subscription, 0) + 1
        seat.client.say(
            Credit(job.subscription, seat.credit[job.subscription], 1 << 40),
            Settle(what, (job.delivery,), seconds, request=self._numbers),
        )
        seat.in_hand.remove(job)
        return mine

    def unsubscribe(self, seat: Seat, number: int) -> None:
        """It does not want that any more."""
        assert seat.client is not None
        seat.client.say(Unsubscribe(number, request=1))
        del seat.wishes[number]
        seat.unsaid.pop(number, None)

    def grant(self, seat: Seat, number: int, messages: int, *, tells: bool = True) -> None:
        """It has room for so many more, and may tell how many came in all."""
        assert seat.client is not None
        wish = seat.wishes[number]
        wish.granted += messages
        received = seat.received if tells else 0
        seat.client.say(Credit(number, wish.granted, 1 << 40, received))

    def number(self) -> int:
        """For a message: one that no other has."""
        self._numbers += 1
        return self._numbers

    def publish(self, seat: Seat, messages: list[Message], *, joins: bool = False) -> int:
        """All in one turn, each in a frame of its own or with its neighbours; how many were taken.

        That is fewer when the publisher's own subscriptions cost it its session meanwhile.
        """
        client = seat.client
        assert client is not None
        seat.published = []
        for topic, some in _frames(messages, joins=joins):
            payloads = [str(each.number).encode() for each in some]
            key = str(some[0].number % 5)
            raw = client.frame(topic, *payloads, target=some[0].target, partition_key=key)
            seat.published.append(raw)
            self._largest_frame = max(self._largest_frame, len(some))
        before = client.session.publishing.messages
        self.router.receive(client.session, seat.published, self.now_ns)
        return client.session.publishing.messages - before

    @property
    def largest_run(self) -> int:
        """Messages joined at most: past a quarter of an outbox the broker adds no frame."""
        return self._largest_outbox // 4 + self._largest_frame

    def retain(self, seat: Seat, message: Message) -> None:
        """Publish it, to be kept for who subscribes later."""
        client = seat.client
        assert client is not None
        raw = client.frame(
            message.topic,
            str(message.number).encode(),
            target=message.target,
            partition_key=str(message.number % 5),
            expires_at=message.expires_at,
            retain=True,
        )
        self.router.receive(client.session, [raw], self.now_ns)

    def clear(self, seat: Seat, topic: str) -> None:
        """What is kept there is not kept any more."""
        assert seat.client is not None
        seat.client.say(Clear(topic, request=1), now_ns=self.now_ns)

    def leave_will(self, seat: Seat, will: Message | None) -> None:
        """This is to be said when it ends without a goodbye; None: nothing."""
        assert seat.client is not None
        if will is None:
            seat.client.say(Will(), now_ns=self.now_ns)
        else:
            said = Will(will.topic, str(will.number).encode())
            seat.client.say(said, now_ns=self.now_ns)

    def publish_again(self, seat: Seat) -> None:
        """It cannot know that its last frames were taken, and repeats them: none may be heard."""
        assert seat.client is not None
        self.router.receive(seat.client.session, seat.published, self.now_ns)

    def set_rules(self, rules: tuple[AccessRule, ...]) -> dict[str, list[int]]:
        """New rules hold; which subscriptions ended by them, by seat."""
        self.rules = rules
        self.router.set_rules(Limits.of(self.limits), AccessList(rules))
        ended: dict[str, list[int]] = {}
        for seat in self.seats.values():
            if seat.client is not None:
                left = seat.client.session.subscriptions
                ended[seat.name] = [number for number in seat.wishes if number not in left]
                for number in ended[seat.name]:
                    del seat.wishes[number]
                for number in [each for each in seat.memberships if each not in left]:
                    del seat.memberships[number]
                    seat.in_hand = [each for each in seat.in_hand if each.subscription != number]
                for number in [each for each in seat.serving if each not in left]:
                    del seat.serving[number]
        return ended

    def pass_time(self, seconds: float) -> None:
        """Clients are served for so long."""
        self.now_ns += round(seconds * SECOND)
        self.router.clock.pass_time(seconds)
        if self.router.clock.rings:
            self.router.keep_time(self.now_ns)

    # ---- what they hear -------------------------------------------------------------------------

    def write(self, seat: Seat, at_once: int, share: float = 1.0) -> list[Coming]:
        """The kernel takes a part of one write of so many bytes; the frames that became whole."""
        client = seat.client
        assert client is not None
        data = b"".join(client.session.take(at_once, self.now_ns))
        data = data[: max(1, round(len(data) * share))]
        if not data:
            return []
        client.session.written(len(data))
        whole = [self._coming(seat, client, raw) for raw in client.cutter.feed(data)]
        seat.coming.extend(whole)
        return whole

    def read(self, seat: Seat, share: float = 1.0) -> Iterator[Got | Missed | Job | OfCalls]:
        """It reads a part of what is on its way."""
        for _ in range(round(len(seat.coming) * share)):
            frame = seat.coming.popleft()
            seat.received += frame.messages
            if frame.messages:
                seat.since.clear()
            for item in frame.items:
                if isinstance(item, Job):
                    if item.subscription in seat.memberships:
                        seat.in_hand.append(item)
                        yield item
                    continue
                if isinstance(item, OfCalls):
                    if not isinstance(item, Called) or item.subscription in seat.serving:
                        yield item
                    continue
                came = replace(item, subscriptions=seat.live(item.subscriptions))
                if isinstance(came, Missed):
                    seat.since.append(came)
                yield came

    def _coming(self, seat: Seat, client: Client, raw: bytes) -> Coming:
        frame = parse(raw)
        heard = client._understood(raw)
        if frame.kind != PUBLISH or not frame.delivery:
            items = [item for each in heard if (item := self._item(seat, each)) is not None]
            return Coming(frame.count, tuple(items))
        [number], [event] = seat.marked, heard
        assert isinstance(event, Envelope)
        membership = seat.memberships.get(number)
        if number in seat.serving:
            return Coming(frame.count, (Called(number, frame.delivery, event),))
        if membership is None:
            return Coming(frame.count, ())
        payload = int(bytes(event.payload))
        job = Job(number, membership, frame.delivery, frame.delivery_count, payload)
        return Coming(frame.count, (job,))

    def _item(self, seat: Seat, heard: Heard) -> Got | Missed | OfCalls | None:
        match heard:
            case StreamMark():
                seat.marked = heard.subscriptions
                if heard.lost:
                    return Missed(frozenset(seat.marked), heard.lost)
            case Envelope():
                return Got(frozenset(seat.marked), heard)
            case Answer():
                return Answered(heard.request, heard.error)
            case Notice():
                return Noticed(heard.delivery, heard.code)
            case Reply():
                said = heard.rejected or bytes(heard.payload).decode()
                return Answered(heard.request, said, heard.publisher.name)
            case _:
                encode(heard)  # type: ignore[arg-type]  # whatever it is, it is a value of ours
        return None


def _frames(messages: list[Message], *, joins: bool) -> Iterator[tuple[str, list[Message]]]:
    if joins:
        for topic, some in groupby(messages, key=attrgetter("topic")):
            yield topic, list(some)
    else:
        for each in messages:
            yield each.topic, [each]
