"""The promise that nothing is lost in silence."""

from __future__ import annotations

from collections import Counter

from daemoneye.bus.broker.members import WorkStream
from daemoneye.bus.broker.servers import CallStream, ReplyStream
from daemoneye.bus.frames import StreamMark, decode, parse
from daemoneye.framing import HEADER_BYTES, FrameCutter
from tests.bus.model.seats import Got, Missed, Seat

APART = (WorkStream, CallStream, ReplyStream)
"""What is in these is the account of groups and of calls."""


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

    def untell(self, seat: Seat) -> None:
        """What was told behind the last message that came will be told again."""
        for missed in seat.since:
            if numbers := seat.live(missed.subscriptions):
                self.open[seat.name][numbers] += sum(missed.lost.values())
                self.lost.subtract(missed.lost)
        seat.since.clear()

    def miss(self, seat: Seat, of_these: Counter[frozenset[int]]) -> int:
        """Only what sequences show is missing, and that was among these; how many messages."""
        left = waiting(seat)
        missed = self.open[seat.name] - left
        assert not missed - of_these, (missed, of_these)
        self.open[seat.name] = left
        self.dropped += missed.total()
        return missed.total()

    def check(self, seat: Seat) -> None:
        """What is open waits at the broker, or is on its way."""
        left = waiting(seat) + on_the_way(seat)
        assert +left == +self.open[seat.name], (left, self.open[seat.name])
        assert not -self.open[seat.name]


def waiting(seat: Seat) -> Counter[frozenset[int]]:
    """Messages at the broker, and losses that it has not told, by who wanted them."""
    assert seat.client is not None
    outbox = seat.client.session.outbox
    found: Counter[frozenset[int]] = Counter()
    for stream in outbox.streams.values():
        if not isinstance(stream, APART):
            found[frozenset(stream.key.numbers)] += stream.messages + stream.untold.total()
    for sent in outbox.sending.frames:
        told = decode(sent.data[HEADER_BYTES:]) if sent.run is None else None
        if isinstance(told, StreamMark):
            found[seat.live(told.subscriptions)] += sum(told.lost.values())
    if outbox.sending.begun:
        sent = outbox.sending.frames[0]
        if sent.run and sent.stream and not isinstance(sent.stream, APART):
            # The broker counts runs, and some frames of this one are on their way.
            written = FrameCutter(1 << 20).feed(sent.data[: outbox.sending.begun])
            found[frozenset(sent.stream.key.numbers)] -= sum(parse(raw).count for raw in written)
    del found[frozenset()]
    return +found


def on_the_way(seat: Seat) -> Counter[frozenset[int]]:
    """Messages that were written and have not come, and losses that were, by who wanted them."""
    found: Counter[frozenset[int]] = Counter()
    for frame in seat.coming:
        for item in frame.items:
            if isinstance(item, Got):
                found[seat.live(item.subscriptions)] += 1
            elif isinstance(item, Missed):
                found[seat.live(item.subscriptions)] += sum(item.lost.values())
    del found[frozenset()]
    return found
