"""How a collector's process conducts itself when collections fail, and what it counts.  Pure.

Failures are counted in a row and for each method: one that always fails is not excused by another
that never does.  What follows from a number is a table at the top of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, auto

DEGRADED_AFTER = 3
"""Failures of one method in a row that make the collector degraded."""
ENDED_AFTER = 10
"""Failures of one method in a row that end the process, so that the supervisor starts another."""


class Step(Enum):
    """What to do about how a collection went."""

    GO_ON = auto()
    DEGRADE = auto()
    """Tell the supervisor, with the reason."""
    RECOVER = auto()
    """Tell the supervisor that all is well again."""
    END = auto()
    """Let the exception out: the process ends, and another is started."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do now."""

    step: Step
    reason: str = ""
    """For a person; empty when there is nothing to say."""


@dataclass(slots=True)
class Conduct:
    """The failures in a row of each method."""

    _failures: dict[str, int] = field(default_factory=dict)

    @property
    def degraded(self) -> bool:
        """Whether some method has failed too often in a row."""
        return any(count >= DEGRADED_AFTER for count in self._failures.values())

    def failed(self, method: str, error: str) -> Verdict:
        """A method raised `error`."""
        count = self._failures[method] = self._failures.get(method, 0) + 1
        if count >= ENDED_AFTER:
            return Verdict(Step.END, f"{method} failed {count} times in a row: {error}")
        if count >= DEGRADED_AFTER:
            return Verdict(Step.DEGRADE, f"{method} failed {count} times in a row: {error}")
        return Verdict(Step.GO_ON, f"{method} failed: {error}")

    def succeeded(self, method: str) -> Verdict:
        """A method went through."""
        was_degraded = self.degraded
        self._failures.pop(method, None)
        recovered = was_degraded and not self.degraded
        return Verdict(Step.RECOVER if recovered else Step.GO_ON)


@dataclass(slots=True)
class Tally:
    """What a collector's process counts; every number only rises."""

    collections_total: int = 0
    """Collections and listeners that ended, however."""
    failures_total: int = 0
    """Those among them that raised."""
    skipped_total: int = 0
    """Collections that were due while another still ran."""
    events_total: int = 0
    """Events handed to the bus."""
    undelivered_total: int = 0
    """Events the bus client did not take, not even to keep them until there is a broker."""
    heard_total: int = 0
    """Events that listeners were called with."""

    def figures(self) -> Mapping[str, int]:
        """All numbers by name."""
        return asdict(self)
