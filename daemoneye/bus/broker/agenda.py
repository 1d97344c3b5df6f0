"""How much of what clients ask is done in one turn, and what waits for the next.  Pure.

A turn is bounded in bytes when it is read, but a few bytes can ask for much: a question may list
thousands of rows, a wildcard may touch every stream.  So the frames of one session that are not
plain publishes are obeyed until `WORK_IN_A_TURN` is used up, and one question in each turn of the
broker, whoever asks.  The frames behind keep their order and wait; nothing more is read from that
session until they are done, so what waits is bounded by one read.
"""

from __future__ import annotations

from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import Query, Unsubscribe, Value

WORK_IN_A_TURN = 512
"""What one session may have done in a turn: twice the subscriptions a client has by default, so
that whoever comes back has all of them before anybody's next publish is routed."""

_COSTS: dict[type[Value] | type[None], int] = {
    Query: 16,
    Unsubscribe: 32,  # looks at every stream of its session
}
"""What a frame costs, of `WORK_IN_A_TURN`; 1 for all others."""


class Agenda(dict[Session, list[bytes]]):
    """The frames that a turn had no time for, of each session that has some.

    A dict, because each turn and each read of it asks whether there is anything.
    """

    __slots__ = ("_answered", "postponed")

    def __init__(self) -> None:
        super().__init__()
        self._answered: Session | None = None  # whose question was, in this turn
        self.postponed = 0
        """How often frames had to wait for another turn."""

    def next_turn(self) -> list[Session]:
        """A turn begins; whose frames wait, in the order to go on: who was answered comes last.

        All are taken and kept again in that order, so everybody's question has its turn.
        """
        answered, self._answered = self._answered, None
        if answered is not None and answered in self:
            self[answered] = self.take(answered)
        return list(self)

    def keep(self, session: Session, frames: list[bytes]) -> None:
        """These are for the next turn."""
        self.postponed += 1
        self[session] = frames

    def take(self, session: Session) -> list[bytes]:
        """What waits of a session; it does not wait any more."""
        return self.pop(session, [])

    def spend(self, left: int, session: Session, value: Value | None) -> int:
        """What is left for the session after one frame more; below 0: the frame has to wait.

        None is a publish.
        """
        left -= _COSTS.get(type(value), 1)
        if left >= 0 and isinstance(value, Query):
            if self._answered is not None:
                return -1
            self._answered = session
        return left
