"""The promise that who ends without a goodbye has its will said, once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from daemoneye.bus.broker.session import Session
from tests.bus.model.seats import Got, Message, Seat
from tests.bus.model.world import WILL_TIMEOUT, World


@dataclass
class Waiting:
    """A will whose client may come back."""

    session: Session
    will: Message
    cause: str
    due_at: float

    @property
    def who(self) -> tuple[str, int]:
        return self.session.identity.name, self.session.identity.incarnation


class LastWords:
    """Said in time unless the same life of its process is there again; never after a goodbye."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.said: dict[int, str] = {}
        """By number: with which cause."""
        self.heard: set[tuple[str, int]] = set()
        self.counted: Counter[str] = Counter()

    def left(self, world: World, seat: Seat, cause: str) -> None:
        """Its connection is gone: the will waits, but for a goodbye."""
        assert seat.client is not None
        will, seat.will = seat.will, None
        if will is not None and cause != "goodbye":
            due_at = world.router.clock.now + WILL_TIMEOUT
            self.waiting.append(Waiting(seat.client.session, will, cause, due_at))
        elif will is not None:
            self.counted["wills ended by a goodbye"] += 1

    def came(self, seat: Seat) -> None:
        """Nothing has ended; who goes on with its session has its will again."""
        assert seat.client is not None
        session = seat.client.session
        who = session.identity.name, session.identity.incarnation
        for each in [each for each in self.waiting if each.who == who]:
            self.waiting.remove(each)
            self.counted["wills not said"] += 1
            if each.session is session:
                seat.will = each.will

    def ended(self, world: World, who: tuple[str, int], cause: str) -> None:
        """It will not come back, and this is why."""
        for each in self.waiting:
            if each.who == who:
                each.due_at, each.cause = world.router.clock.now, cause

    def due(self, now: float) -> list[Waiting]:
        """What is said by then, whether or not its publisher may still say it."""
        due = [each for each in self.waiting if each.due_at <= now]
        self.waiting = [each for each in self.waiting if each.due_at > now]
        return due

    def say(self, last: Waiting) -> None:
        """It may be heard from now on."""
        assert last.will.number not in self.said
        self.said[last.will.number] = last.cause
        self.counted["wills said"] += 1

    def take(self, seat: Seat, came: Got) -> None:
        """It was said, for that cause, and comes once to each."""
        correlation = came.event.correlation
        assert correlation is not None
        assert self.said[came.number] == dict(correlation.tags)["cause"]
        assert (seat.name, came.number) not in self.heard
        self.heard.add((seat.name, came.number))
        self.counted["wills heard"] += 1

    def check(self, world: World) -> None:
        """The broker knows of these, and of no more."""
        left = sum(seat.will is not None for seat in world.seats.values())
        assert len(world.router.directory.wills) == left + len(self.waiting)
