"""How something is wanted done, in the terms that several kinds of frame say it.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Overflow(StrEnum):
    """What happens when an outbox is full."""

    DEFAULT = "default"
    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    LATEST = "latest"
    DISCONNECT = "disconnect"
    BLOCK = "block"


class Choice(StrEnum):
    """Who of a group gets the next message."""

    DEFAULT = "default"
    """What the group has already, else the one with the fewest in flight."""
    LEAST_IN_FLIGHT = "least-in-flight"
    ROUND_ROBIN = "round-robin"
    BY_KEY = "by-key"
    """Equal partition keys go to the same member."""
    STANDBY = "standby"
    """One is active, the others take over when it is gone."""


class Replay(StrEnum):
    """Which retained values a new subscription is sent."""

    IF_NEW = "if-new"
    """Those that its client has not seen; the client knows, so the broker sends all."""
    ALL = "all"
    NONE = "none"


class Settling(StrEnum):
    """What a member of a group says of a message it was given."""

    ACK = "ack"
    """It is handled."""
    RETRY = "retry"
    """Somebody has to try again."""
    REJECT = "reject"
    """Nobody can handle it."""
    EXTEND = "extend"
    """It takes longer."""


class Resumption(StrEnum):
    """What became of the session that a connection before had."""

    NONE = "none"
    """It is over; this is a new one."""
    COMPLETE = "complete"
    """It goes on, and all that was missed is sent again or told."""
    PARTIAL = "partial"
    """It goes on, and more had been written than was kept."""


SELECTION_CHARACTERS = 1024
"""What a selection may have in all."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which correlations a subscription wants; what is empty may be anything."""

    id: str = ""
    """Of the conversation, or of the one at the root of it."""
    stage: str = ""
    """The name of the step."""
    tags: tuple[tuple[str, str], ...] = ()
    """All of these have to be there."""

    def __bool__(self) -> bool:
        """Whether it leaves out anything at all."""
        return bool(self.id or self.stage or self.tags)

    @property
    def characters(self) -> int:
        """How many it has in all."""
        return len(self.id) + len(self.stage) + sum(len(a) + len(b) for a, b in self.tags)

    def matches(self, id: str, root: str, stage: str, tags: frozenset[tuple[str, str]]) -> bool:
        """Whether it wants a message whose correlation says this."""
        return (
            (not self.id or self.id in (id, root))
            and (not self.stage or self.stage == stage)
            and len(self.tags) <= len(tags)
            and tags.issuperset(self.tags)
        )


NO_SELECTION = Selection()


@dataclass(frozen=True, slots=True)
class Carriage:
    """How large payloads travel on a connection: what one side offers, or both have agreed on."""

    descriptors: bool = False
    """Whether as descriptors of sealed memory; else in chunks."""
    max_payload_bytes: int = 0
    """The largest that is taken; 0: none."""
    large_from_bytes: int = 0
    """From which size a payload goes apart from its frame."""


NO_CARRIAGE = Carriage()
"""They do not travel."""
