"""What was lost with a connection, found by comparing sequences.  Pure.

Each owner of subscriptions has a memory of its own: the last sequence it heard of each publisher
and topic, and on which connection.  Two owners of one client do not hear the same: one may have
lost what the other got, or be subscribed again a moment later.

That a later number was heard does not mean that one before it was, when the owner has lost
something on the same connection: the broker says how much that was, and not what.  So after a loss
a value that is said again is taken, once for each publisher and topic.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

from daemoneye.bus.envelope import Envelope, Publisher

Owner = TypeVar("Owner")

REMEMBERED_SEQUENCES = 1 << 14
"""For how many pairs of publisher and topic the last sequence is kept, over all owners; some 3 MB
when full.  The owners share it evenly, and each forgets its oldest pair first."""

_Key: TypeAlias = tuple[Publisher, str]


class Sequences(Generic[Owner]):
    """The last sequence that each owner heard of each publisher and topic."""

    __slots__ = ("_connection", "_losses", "_memories")

    def __init__(self) -> None:
        self._connection = 0
        # Of each owner: on which connection it heard the pair last, the sequence then, and how
        # many losses it had when a value that was said again made good for them.
        self._memories: dict[Owner, dict[_Key, list[int]]] = {}
        self._losses: dict[Owner, int] = {}

    def begin(self, owner: Owner) -> None:
        """From now on this owner listens."""
        self._memories.setdefault(owner, {})

    def forget(self, owner: Owner) -> None:
        """It listens no more."""
        self._memories.pop(owner, None)
        self._losses.pop(owner, None)

    def reconnect(self) -> None:
        """What comes from now on comes over another connection."""
        self._connection += 1

    def missed(self, owner: Owner, events: list[Envelope]) -> int:
        """How many messages before this run the owner lost with a connection; remembers the run.

        On one connection that is 0: there the broker says what was missed.
        """
        memory = self._memories.get(owner)
        if memory is None or not events:
            return 0
        _, _, last, header, _ = events[-1]  # at the price of one of its properties
        key = (header.publisher, header.topic)
        cell = memory.get(key)
        if cell is None:
            memory[key] = [self._connection, last, 0]
            while len(memory) > max(1, REMEMBERED_SEQUENCES // len(self._memories)):
                del memory[next(iter(memory))]
            return 0
        if cell[0] == self._connection:
            cell[1] = last
            return 0
        before = cell[1]
        cell[:2] = self._connection, last
        return max(0, events[0].sequence - before - 1)

    def missed_before(self, owner: Owner, event: Envelope) -> int:
        """The same of a value that is said again: what is missing behind it is still to be found.

        It was published before this connection, as what was lost then may have been after it.
        """
        cell = self._cell(owner, event)
        if cell is None or cell[0] == self._connection:
            return self.missed(owner, [event])
        before, cell[1] = cell[1], event.sequence
        return max(0, event.sequence - before - 1)

    def lost(self, owner: Owner) -> None:
        """The broker says that the owner has lost something."""
        if owner in self._memories:
            self._losses[owner] = self._losses.get(owner, 0) + 1

    def is_past(self, owner: Owner, event: Envelope) -> bool:
        """Whether the owner has heard this message, or one after it."""
        cell = self._cell(owner, event)
        return cell is not None and event.sequence <= cell[1]

    def may_have_lost(self, owner: Owner, event: Envelope) -> bool:
        """Whether a message that it is past may be among what it has lost; once after each loss."""
        cell, losses = self._cell(owner, event), self._losses.get(owner, 0)
        if cell is None or cell[2] == losses or cell[1] == event.sequence:
            return False
        cell[2] = losses
        return True

    def _cell(self, owner: Owner, event: Envelope) -> list[int] | None:
        header = event.header
        return self._memories.get(owner, {}).get((header.publisher, header.topic))

    def __len__(self) -> int:
        return sum(map(len, self._memories.values()))
