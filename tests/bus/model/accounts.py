"""The promise that nothing is lost in silence."""

from __future__ import annotations

from collections import Counter

from daemoneye.bus.broker.members import WorkStream
from daemoneye.bus.frames import StreamMark, decode
from daemoneye.framing import HEADER_BYTES
from tests.bus.model.seats import Got, Missed, Seat


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
