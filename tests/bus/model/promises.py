"""What the bus promises, each in a few lines that anybody can check by eye."""

from __future__ import annotations

from collections import Counter

from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker.members import WorkStream
from daemoneye.bus.frames import StreamMark, decode
from daemoneye.framing import HEADER_BYTES
from tests.bus.model.world import Got, Job, Message, Missed, Seat, World


def matches(text: str, topic: str) -> bool:
    """A filter and a topic, level by level."""
    wanted, levels = text.split("."), topic.split(".")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(levels) or level not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def may_read(rules: tuple[AccessRule, ...], name: str, topic: str) -> bool:
    """An agent reads everything but what is denied to it."""
    return not any(rule.who == name and matches(rule.filter, topic) for rule in rules)


def wanting(world: World, message: Message) -> list[tuple[str, frozenset[int]]]:
    """Everybody who wants it and may have it, with which of its subscriptions."""
    found = []
    for seat in world.seats.values():
        numbers = frozenset(
            number for number, wish in seat.wishes.items() if matches(wish.filter, message.topic)
        )
        meant = message.target in ("", seat.name)
        if numbers and meant and may_read(world.rules, seat.name, message.topic):
            found.append((seat.name, numbers))
    return found


class Accounts:
    """Nothing is lost in silence: expected = heard + told as lost + still at the broker.

    For each seat, and each set of its subscriptions that a message matched.
    """

    def __init__(self) -> None:
        self.open: dict[str, Counter[frozenset[int]]] = {}
        self.published = self.heard = self.dropped = 0
        self.lost: Counter[str] = Counter()

    def begin(self, seat: Seat) -> None:
        """Nothing is expected of a new connection."""
        self.end(seat)
        self.open[seat.name] = Counter()

    def end(self, seat: Seat) -> None:
        """What was expected of the last one will not come."""
        self.dropped += self.open.pop(seat.name, Counter()).total()

    def publish(self, by: list[tuple[str, frozenset[int]]]) -> None:
        """The broker took a message that these wanted."""
        for name, numbers in by:
            self.open[name][numbers] += 1
            self.published += 1

    def forget(self, seat: Seat, number: int) -> None:
        """What only that subscription wanted is not expected any more."""
        left: Counter[frozenset[int]] = Counter()
        for wanting, count in self.open[seat.name].items():
            if wanting != {number}:
                left[wanting - {number}] += count
            else:
                self.dropped += count
        self.open[seat.name] = left

    def take(self, seat: Seat, came: Got | Missed) -> None:
        """That came, or was told as lost."""
        if not came.subscriptions:
            return
        if isinstance(came, Got):
            self.open[seat.name][came.subscriptions] -= 1
            self.heard += 1
        else:
            self.open[seat.name][came.subscriptions] -= sum(came.lost.values())
            self.lost.update(came.lost)

    def check(self, seat: Seat) -> None:
        """What is open is what waits at the broker, and what it has not told yet."""
        assert seat.client is not None
        outbox = seat.client.session.outbox
        if outbox.sending.begun:
            return  # some of that run was heard, and the broker counts runs
        waiting: Counter[frozenset[int]] = Counter()
        for stream in outbox.streams.values():
            if isinstance(stream, WorkStream):
                continue  # what is in it is the group's
            waiting[frozenset(stream.key.numbers)] += stream.messages + stream.untold.total()
        for sent in outbox.sending.frames:
            told = decode(sent.data[HEADER_BYTES:]) if sent.run is None else None
            if isinstance(told, StreamMark):
                waiting[seat.live(told.subscriptions)] += sum(told.lost.values())
        assert +waiting == +self.open[seat.name], (waiting, self.open[seat.name])
        assert not -self.open[seat.name]


class Groups:
    """Each message to one member: in one pair of hands, until somebody is done with it."""

    def __init__(self) -> None:
        self.held: dict[tuple[tuple[str, str], int], tuple[str, int]] = {}
        """Of each group and message: whose hands, and under which delivery."""
        self.done: set[tuple[tuple[str, str], int]] = set()
        self.given = self.acknowledged = self.stale = 0

    def take(self, world: World, seat: Seat, job: Job) -> None:
        """It was given to this member: whoever had it before has it no more, and nobody is done."""
        key, in_flight = (job.membership.key, job.number), world.router.directory.groups.in_flight
        if job.delivery not in in_flight:
            self.stale += 1  # written before its time was up, and read after that
            return
        assert key not in self.done, "handled, and given again"
        if key in self.held:
            _, delivery = self.held[key]
            assert delivery not in in_flight, "in two pairs of hands"
        self.held[key] = (seat.name, job.delivery)
        self.given += 1

    def settled(self, job: Job) -> None:
        """It is acknowledged, or nobody can handle it."""
        self.done.add((job.membership.key, job.number))
        self.acknowledged += 1

    def check(self, world: World) -> None:
        """Offered = handled + lost (by reason) + waiting + in flight."""
        for group in world.router.directory.groups:
            work = group.work
            waits = group.waiting + group.in_flight
            assert work.offered == work.handled + work.lost.total() + waits, (group, work)
            assert not group.members or not group.delayed or group.waiting


class Copies:
    """One copy for each client, of what it asked for, in the order of its publisher."""

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.last: dict[tuple[str, str, str], int] = {}

    def begin(self, seat: Seat) -> None:
        """A new connection has heard nothing."""
        self.last = {key: last for key, last in self.last.items() if key[0] != seat.name}

    def publish(self, message: Message) -> None:
        """This is what may come."""
        self.messages[message.number] = message

    def take(self, world: World, seat: Seat, came: Got) -> None:
        """It came: to whom it is for, once, and behind what was published before it."""
        message = self.messages[came.number]
        assert (message.topic, message.publisher) == (came.event.topic, came.event.publisher.name)
        assert message.target in ("", seat.name)
        for number in came.subscriptions:
            assert matches(seat.wishes[number].filter, message.topic)
        key = (seat.name, message.publisher, message.topic)
        assert self.last.get(key, 0) < message.number
        self.last[key] = message.number
