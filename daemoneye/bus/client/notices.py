"""What a client puts into its log.  Pure.

What the broker told unasked is counted, all of it, and logged once for each topic and code.  So is
what could not be read of what it brought, by the publisher to blame.  Whoever answers at the
address has words here, so they are made harmless before they come into a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from daemoneye.bus.client.answers import reason_of
from daemoneye.bus.frames import BadBody, Notice
from daemoneye.errors import BusError, Refused
from daemoneye.foreign import brief

REFUSALS_UNTIL_TOLD = 6
"""With the backoff between attempts: some three seconds."""

KNOWN = 256
"""How many different ones are logged, and counted by their codes."""

OTHERS = "others"
"""What notices count as whose code is one too many to remember."""


class Weight(Enum):
    """How much a remark matters to who reads the log; the numbers are those of `logging`."""

    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Remark:
    """A line for the log."""

    text: str
    """The line."""
    weight: Weight = Weight.WARNING
    """How much it matters."""


class Notices:
    """How many came of each code, and which have been logged."""

    __slots__ = ("_logged", "_told_dropped", "counts", "overdue")

    def __init__(self) -> None:
        self._told_dropped = 0
        self.overdue = 0
        """Jobs that nobody was given."""
        self.counts: dict[str, int] = {}
        self._logged: set[tuple[str, str]] = set()

    def take(self, notice: Notice) -> Remark | None:
        """One notice has come; what to log, when it is the first of its kind."""
        self._count(notice.code)
        if not self._is_new(notice.code, notice.topic):
            return None
        rule = f" ({notice.rule})" if notice.rule else ""
        about = f"{notice.code} {notice.topic}".strip()
        said = brief(f"{about}: {notice.detail}{rule}")
        return Remark(
            f"broker: {said}", Weight.INFO if notice.code == "going-down" else Weight.WARNING
        )

    def take_unreadable(self, body: BadBody) -> Remark | None:
        """A delivery could not be understood; its publisher is to blame, and has its own count."""
        blamed = f"unreadable of {body.publisher.name}"
        self._count("unreadable")
        self._count(blamed)
        if not self._is_new(blamed, body.topic):
            return None
        whose = brief(f"{body.count} messages of {body.publisher.name} on {body.topic}")
        return Remark(f"{whose} are unreadable: {body.reason}")

    def pass_over(self, topic: str) -> Remark | None:
        """A job was here too long for anybody to be given it; what to log, the first time there."""
        self.overdue += 1
        if not self._is_new("overdue", topic):
            return None
        return Remark(
            f"jobs on {topic} waited here until they were another member's;"
            " a smaller max_messages leaves them to who is free"
        )

    def found_no_room(self, dropped: int) -> Remark | None:
        """So many were dropped in all; what to log about those that have not been told."""
        new, self._told_dropped = dropped - self._told_dropped, dropped
        if not new:
            return None
        return Remark(f"{new} messages found no room while there was no connection")

    def _count(self, code: str) -> None:
        if code not in self.counts and len(self.counts) >= KNOWN:
            code = OTHERS
        self.counts[code] = self.counts.get(code, 0) + 1

    def _is_new(self, code: str, topic: str) -> bool:
        if (code, topic) in self._logged or len(self._logged) >= KNOWN:
            return False
        self._logged.add((code, topic))
        return True


def lost(cause: BaseException) -> Remark:
    """The connection is gone."""
    return Remark(
        f"the connection to the broker is lost ({brief(reason_of(cause))}); connecting again"
    )


def back() -> Remark:
    """There is a connection again; as loud as the loss, so that whoever read of it reads this."""
    return Remark("connected to the broker again")


class Refusals:
    """What a broker says that does not let us in again: told when it says so for some seconds.

    Not at once: a child may come before a broker that was started anew knows of it.
    """

    __slots__ = ("_in_a_row",)

    def __init__(self) -> None:
        self._in_a_row = 0

    def heard(self, error: Exception) -> Remark | None:
        """One attempt more ended so; what to log about it."""
        self._in_a_row = self._in_a_row + 1 if isinstance(error, Refused) else 0
        if self._in_a_row != REFUSALS_UNTIL_TOLD:
            return None
        return Remark(f"{brief(str(error))}; trying again until this client is closed")


def never_sent(messages: int) -> Remark | None:
    """The client ends; what to log about what still waits in it."""
    if not messages:
        return None
    return Remark(f"{messages} messages were never sent: there was no connection that took them")


def never_again(error: BusError) -> Remark:
    """What has to be said first on every connection cannot be said."""
    return Remark(f"this client can never connect again: {error}", Weight.ERROR)
