"""What the broker told unasked: all of it counted, and each topic and code logged once.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from daemoneye.bus.frames import BadBody, Notice

LOGGED = 256
"""How many different ones are logged; all are counted."""


class Weight(Enum):
    """How much a remark matters to who reads the log; the numbers are those of `logging`."""

    INFO = 20
    WARNING = 30


@dataclass(frozen=True, slots=True)
class Remark:
    """A line for the log."""

    text: str
    """The line."""
    weight: Weight = Weight.WARNING
    """How much it matters."""


class Notices:
    """How many came of each code, and which have been logged."""

    __slots__ = ("_logged", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._logged: set[tuple[str, str]] = set()

    def take(self, notice: Notice) -> Remark | None:
        """One notice has come; what to log, when it is the first of its kind."""
        self._count(notice.code)
        if not self._is_new(notice.code, notice.topic):
            return None
        rule = f" ({notice.rule})" if notice.rule else ""
        text = f"broker: {notice.code} {notice.topic}: {notice.detail}{rule}"
        return Remark(text, Weight.INFO if notice.code == "going-down" else Weight.WARNING)

    def take_unreadable(self, body: BadBody) -> Remark | None:
        """A delivery could not be understood; what to log, as above."""
        self._count("unreadable")
        if not self._is_new("unreadable", body.topic):
            return None
        whose = f"{body.count} messages of {body.publisher.name} on {body.topic}"
        return Remark(f"{whose} are unreadable: {body.reason}")

    def _count(self, code: str) -> None:
        self.counts[code] = self.counts.get(code, 0) + 1

    def _is_new(self, code: str, topic: str) -> bool:
        if (code, topic) in self._logged or len(self._logged) >= LOGGED:
            return False
        self._logged.add((code, topic))
        return True
