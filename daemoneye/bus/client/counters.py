"""What a client has counted.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """What this client has counted.

    What was published is, as a whole, `published`, `waiting` or `dropped`; but a confirmed publish
    that could not be written is none of them, because whoever asked was told.
    """

    published: int
    """Messages written to a broker."""
    unconfirmed: int
    """Of those: written to a connection that was lost before the broker had counted them."""
    waiting: int
    """Messages that are not written yet: for some milliseconds to fill a frame, for as long as the
    broker reads nothing, or until there is a connection."""
    dropped: int
    """Messages that found no room while there was no connection (the oldest ones), or while a
    signal handler published more than one write can take along."""
    denied: int
    """Publishes that an access rule refused."""
    unreadable: int
    """Deliveries whose body was not what its publisher claimed."""
    forgotten: int = 0
    """Retained values that a broker started anew will not be told: there were too many."""
    late: int = 0
    """What was said of jobs that were not in our hands any more: others have handled them."""
    overdue: int = 0
    """Jobs that waited here, behind others, until they were another member's: nobody was given
    them.  A smaller `max_messages` leaves them to who is free."""
    refused: int = 0
    """Publishes, and words about jobs, that the broker refused for another reason than a rule."""


class Tally:
    """Messages written to a connection, and how many of them the broker said it has taken."""

    __slots__ = ("_base", "_open", "confirmed", "published", "sent", "unconfirmed")

    def __init__(self) -> None:
        self.published = 0
        """In all, over earlier connections."""
        self.unconfirmed = 0
        """Of those: written, and not confirmed when the connection was lost."""
        self.sent = 0
        """On this connection."""
        self.confirmed = 0
        """Of these."""
        self._base = 0  # what the session had taken before this connection
        self._open = 0  # what was written to the last one, as far as nobody knows what became of it

    def confirm(self, messages: int) -> None:
        """The broker says how many it has taken in this session, in all."""
        self.confirmed = messages - self._base

    def close(self) -> None:
        """The connection is lost."""
        self._base += self.confirmed
        self._open += max(0, self.sent - self.confirmed)
        self.published += self.sent
        self.unconfirmed += max(0, self.sent - self.confirmed)
        self.sent = self.confirmed = 0

    def begin(self) -> None:
        """There is a new session: what was not confirmed in the last one stays so."""
        self._base = self._open = 0

    def resume(self, taken: int) -> None:
        """The session goes on, and the broker has taken so many messages in it, in all."""
        self.unconfirmed -= min(self._open, max(0, taken - self._base))
        self.begin()
        self._base = taken


def counters(
    tally: Tally,
    told: Mapping[str, int],
    waiting: int,
    dropped: int,
    forgotten: int = 0,
    overdue: int = 0,
) -> Counters:
    """All of it; `told` is how many notices of each code there were."""
    return Counters(
        published=tally.published + tally.sent,
        unconfirmed=tally.unconfirmed,
        waiting=waiting,
        dropped=dropped,
        denied=told.get("denied", 0),
        unreadable=told.get("unreadable", 0),
        forgotten=forgotten,
        late=told.get("late", 0),
        overdue=overdue,
        refused=told.get("refused", 0),
    )
