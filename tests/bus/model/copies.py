"""The promise of one copy for each client, in order."""

from __future__ import annotations

from tests.bus.model.reach import matches
from tests.bus.model.seats import Got, Message, Seat
from tests.bus.model.world import World


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
