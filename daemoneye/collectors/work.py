"""Calls a collector's methods and publishes what they yield.  A shell.

Only the main thread calls `do`; other threads read `doing` and `tally`, which are replaced or
counted up in single steps.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daemoneye.collectors.collector import Collector, Description, Event, describe
from daemoneye.collectors.conduct import Tally
from daemoneye.collectors.sides import ChildSide
from daemoneye.errors import (
    AccessDenied,
    BusBroken,
    BusClosed,
    CollectorError,
)


@dataclass(frozen=True, slots=True)
class Doing:
    """What the main thread is at."""

    method: str = ""
    """Empty while it waits."""
    since: float = 0.0
    """When that began, on the monotonic clock."""


class Work:
    """One collector and what became of its collections."""

    def __init__(self, child: ChildSide, collector: Collector, description: Description) -> None:
        self._child = child
        self._collector = collector
        self._use(description)
        self.tally = Tally()
        self.doing = Doing()

    def do(self, method: str, *arguments: object) -> None:
        """Call a method, publish the events it yields, and flush.

        Raises what the method raises, and CollectorError for what is no event of this collector.
        """
        self.doing = Doing(method, time.monotonic())
        try:
            with self._child.working(method):
                yielded = getattr(self._collector, method)(*arguments)
                for event in _events(method, yielded):
                    self._publish(event)
                self._flush()
        finally:
            self.doing = Doing()
            self.tally.collections_total += 1

    def described(self, settings: Mapping[str, object]) -> Description:
        """The collector with other settings.  Raises ConfigError with all that is wrong."""
        return describe(type(self._collector), settings)

    def reconfigure(self, settings: Mapping[str, object]) -> Description:
        """Put other settings in force.  Raises what refuses them; then the old ones stay."""
        new = self.described(settings)
        try:
            self._collector.reconfigure(new.settings)
        except Exception:  # whatever a user's class raises is its way to refuse
            self._collector.reconfigure(self.description.settings)
            raise
        self._use(new)
        return new

    def _use(self, description: Description) -> None:
        self.description = description
        self._collector.settings = description.settings

    def _publish(self, event: Event) -> None:
        if not self.description.may_publish(event.topic):
            declared = ", ".join(map(str, self.description.publishes))
            raise AccessDenied(
                f"{self.description.name} does not say that it publishes on {event.topic}",
                rule=f"publishes = {declared}",
                hint="add it to `publishes` of the class",
            )
        try:
            self._child.bus.publish(
                event.topic, event.payload, target=event.target, correlation=event.correlation
            )
            self.tally.events_total += 1
        except (BusBroken, BusClosed):
            self.tally.undelivered_total += 1

    def _flush(self) -> None:
        try:
            self._child.bus.flush()
        except (BusBroken, BusClosed):
            return  # the client keeps and counts what waits


def _events(method: str, yielded: object) -> Iterable[Event]:
    """What a method gave, checked.  Raises CollectorError for anything but events."""
    if yielded is None:
        return
    if not isinstance(yielded, Iterable) or isinstance(yielded, (str, bytes, Mapping)):
        raise CollectorError(
            f"{method} returned {type(yielded).__name__}", hint="yield Event(topic, payload)"
        )
    for event in yielded:
        if not isinstance(event, Event):
            raise CollectorError(
                f"{method} yielded {type(event).__name__}", hint="yield Event(topic, payload)"
            )
        yield event
