"""What the configurations of the tests name: a good collector, a bad one, a worker."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from daemoneye.collectors.collector import Collector, Event, every

print("modules may print while they are imported")


class Clock(Collector):
    """A collector with everything declared."""

    name = "clock"
    kind = "performance"
    publishes = ("events.performance.clock",)
    subscribes = ("events.demo.#",)
    settings = MappingProxyType({"interval": "5s"})

    @every(setting="interval")
    def tick(self) -> Iterator[Event]:
        """Nothing to say."""
        yield from ()


class NoCollector:
    """Something else."""


NOT_CALLABLE = 5


def work(child: object) -> None:
    """A worker's target."""
