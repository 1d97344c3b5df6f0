"""The promise that who subscribes hears the last value of each topic."""

from __future__ import annotations

from collections import Counter

from daemoneye.bus.frames import Replay
from tests.bus.model.reach import matches, may_read
from tests.bus.model.seats import Got, Message, Seat
from tests.bus.model.world import RETAINED_TOPICS, World


class Values:
    """One value for each topic: the last, until it expires or is cleared, within a bound."""

    def __init__(self) -> None:
        self.kept: dict[str, Message] = {}
        self.due: dict[int, set[int]] = {}
        """The messages that a subscription is still to hear, or to be told of."""
        self.counted: Counter[str] = Counter()

    def forget_expired(self, world: World) -> None:
        """Nobody needs those."""
        for topic, message in list(self.kept.items()):
            if 0 < message.expires_at <= world.now_ns:
                del self.kept[topic]

    def has_room(self, message: Message) -> bool:
        """Who has values on so many topics may have one on no other."""
        mine = [topic for topic, each in self.kept.items() if each.publisher == message.publisher]
        return message.topic in mine or len(mine) < RETAINED_TOPICS

    def subscribed(self, world: World, seat: Seat, number: int) -> int:
        """How many values this new subscription is to hear: of what it wants and may read."""
        self.forget_expired(world)
        said = seat.wishes[number].said
        self.due[number] = {
            message.number
            for topic, message in self.kept.items()
            if said.replay is not Replay.NONE
            and matches(said.filter, topic)
            and message.target in ("", seat.name)
            and may_read(world.rules, seat.name, topic)
        }
        return len(self.due[number])

    def take(self, came: Got) -> None:
        """It is one of those, and comes once."""
        for number in came.subscriptions:
            self.due[number].remove(came.number)
            self.counted["values heard"] += 1

    def check(self, world: World) -> None:
        """The broker keeps exactly these."""
        self.forget_expired(world)
        kept = {
            value.topic
            for value in world.router.directory.retained.values()
            if not (value.topic[0] == "$" or 0 < value.expires_at <= world.now_ns)
        }
        assert kept == self.kept.keys()
