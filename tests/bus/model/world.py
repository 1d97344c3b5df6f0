"""The real router, and clients in memory who come, go, and read as much as the test says."""

from __future__ import annotations

from collections.abc import Iterator

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.frames import (
    PUBLISH,
    Answer,
    Choice,
    Credit,
    Envelope,
    Goodbye,
    Notice,
    OuterFrame,
    Overflow,
    Settle,
    Settling,
    StreamMark,
    Subscribe,
    Unsubscribe,
    encode,
    parse,
)
from daemoneye.bus.limits import Limits
from tests.bus.model.seats import Got, Job, Membership, Message, Missed, Seat, Wish
from tests.bus.support import NOW, Bus, Heard

SECOND = 1_000_000_000

LIMITS: dict[str, float] = {"subscription_messages_at_most": 64}


class World:
    """A bus, and a seat for each name."""

    def __init__(self, names: str) -> None:
        self.bus = Bus(**LIMITS)
        self.router = self.bus.router
        self.seats = {name: Seat(name) for name in names}
        self.rules: tuple[AccessRule, ...] = ()
        self.now_ns = NOW
        self._numbers = 0
        self._lives = 0

    # ---- who is there ---------------------------------------------------------------------------

    def come(self, seat: Seat) -> None:
        """Its client connects; it begins with nothing."""
        self._lives += 1
        seat.client = self.bus.client(seat.name, incarnation=self._lives)
        self._forget(seat)

    def go(self, seat: Seat, *, cleanly: bool) -> None:
        """Its connection ends."""
        client = seat.client
        assert client is not None
        if cleanly:
            client.say(Goodbye())
            self.router.doomed.pop(client.session, None)
        else:
            self.router.close(client.session)
        self._leave(seat)

    def _leave(self, seat: Seat) -> None:
        seat.client = None
        self._forget(seat)

    def _forget(self, seat: Seat) -> None:
        seat.wishes.clear()
        seat.memberships.clear()
        seat.in_hand.clear()
        seat.marked = ()

    def cut_off(self) -> list[Seat]:
        """Whom the broker has ended by itself since this was asked last."""
        ended = [
            seat
            for seat in self.seats.values()
            if seat.client is not None and seat.client.session in self.router.doomed
        ]
        for seat in ended:
            assert seat.client is not None
            del self.router.doomed[seat.client.session]
            self._leave(seat)
        return ended

    # ---- what they do ---------------------------------------------------------------------------

    def subscribe(self, seat: Seat, text: str, overflow: Overflow, room: int, credit: int) -> int:
        """Its number; 0 when it was refused."""
        assert seat.client is not None
        self._numbers += 1
        number = self._numbers
        wish = Subscribe(
            number,
            text,
            overflow,
            max_messages=room,
            credit_messages=credit,
            credit_bytes=1 << 40,
            request=number,
        )
        seat.client.say(wish)
        if number not in seat.client.session.subscriptions:
            return 0
        seat.wishes[number] = Wish(text, overflow, credit)
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

    def grant(self, seat: Seat, number: int, messages: int) -> None:
        """It has room for so many more."""
        assert seat.client is not None
        wish = seat.wishes[number]
        wish.granted += messages
        seat.client.say(Credit(number, wish.granted, 1 << 40))

    def number(self) -> int:
        """For a message: one that no other has."""
        self._numbers += 1
        return self._numbers

    def publish(self, seat: Seat, messages: list[Message]) -> int:
        """All in one turn, each in a frame of its own; how many the broker took.

        That is fewer when the publisher's own subscriptions cost it its session meanwhile.
        """
        client = seat.client
        assert client is not None
        frames = [
            client.frame(
                each.topic,
                str(each.number).encode(),
                target=each.target,
                partition_key=str(each.number % 5),
            )
            for each in messages
        ]
        before = client.session.publishing.messages
        self.router.receive(client.session, frames, self.now_ns)
        return client.session.publishing.messages - before

    def set_rules(self, rules: tuple[AccessRule, ...]) -> dict[str, list[int]]:
        """New rules hold; which subscriptions ended by them, by seat."""
        self.rules = rules
        self.router.set_rules(Limits.of(LIMITS), AccessList(rules))
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
        return ended

    def pass_time(self, seconds: float) -> None:
        """Clients are served for so long."""
        self.now_ns += round(seconds * SECOND)
        self.router.clock.pass_time(seconds)
        if self.router.clock.rings:
            self.router.keep_time(self.now_ns)

    # ---- what they hear -------------------------------------------------------------------------

    def read(self, seat: Seat, at_once: int, share: float = 1.0) -> Iterator[Got | Missed | Job]:
        """It reads one write of so many bytes, or a part of one, and this is what came whole."""
        client = seat.client
        assert client is not None
        data = b"".join(client.session.take(at_once, self.now_ns))
        data = data[: max(1, round(len(data) * share))]
        if not data:
            return
        client.session.written(len(data))
        for raw in client.cutter.feed(data):
            frame = parse(raw)
            for each in client._understood(raw):
                if frame.kind == PUBLISH and frame.delivery:
                    assert isinstance(each, Envelope)
                    yield from self._job(seat, frame, each)
                else:
                    yield from self._understood(seat, each)

    def _job(self, seat: Seat, frame: OuterFrame, event: Envelope) -> Iterator[Job]:
        [number] = seat.marked
        if number in seat.memberships:
            job = Job(
                number,
                seat.memberships[number],
                frame.delivery,
                frame.delivery_count,
                int(bytes(event.payload)),
            )
            seat.in_hand.append(job)
            yield job

    def _understood(self, seat: Seat, heard: Heard) -> Iterator[Got | Missed]:
        match heard:
            case StreamMark():
                seat.marked = heard.subscriptions
                if heard.lost:
                    yield Missed(seat.live(seat.marked), heard.lost)
            case Envelope():
                yield Got(seat.live(seat.marked), heard)
            case Answer() | Notice():
                pass
            case _:
                encode(heard)  # type: ignore[arg-type]  # whatever it is, it is a value of ours
