"""Stand-ins for the two sides of a runner: a child without a supervisor, a bus without a broker.

They do what the real ones promise, in memory, and remember what was asked of them.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from daemoneye.bus.envelope import (
    NO_LOSS,
    Correlation,
    Envelope,
    Header,
    Payload,
    Publisher,
    encode_payload,
)
from daemoneye.bus.topics import TopicFilter
from daemoneye.collectors.sides import Orders
from daemoneye.errors import BusBroken, BusClosed
from tests.support import wait_for

ASKER = Publisher("operator", "agent", 42, 1)


@dataclass(frozen=True)
class Published:
    """One event as it was handed to the bus."""

    topic: str
    payload: Payload
    target: str
    correlation: Correlation | None


def envelope(
    topic: str,
    payload: Payload,
    correlation: Correlation | None = None,
    asker: Publisher = ASKER,
) -> Envelope:
    """An event, from the operator unless it says otherwise."""
    body, content_type = encode_payload(payload)
    header = Header(topic, asker, content_type, "", correlation, 0, 0)
    return Envelope((body, 0, 1, header, NO_LOSS))


class FakeSubscription:
    """Hears what a test says."""

    def __init__(self, filters: tuple[str, ...]) -> None:
        self.filters = tuple(TopicFilter(each) for each in filters)
        self.arrived: queue.SimpleQueue[Envelope | None] = queue.SimpleQueue()

    def get(self, timeout: float | None = None) -> Envelope | None:
        """The next event; None after `timeout`."""
        try:
            event = self.arrived.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            raise BusClosed("closed")
        return event

    def close(self) -> None:
        """Let go who waits."""
        self.arrived.put(None)


@dataclass(frozen=True)
class FakeCounters:
    """What a client counts."""

    waiting: int = 0
    dropped: int = 0
    denied: int = 0


class FakeBus:
    """Takes what is published, unless it is broken."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.subscriptions: list[FakeSubscription] = []
        self.is_broken = False
        self.flushes = 0
        self.dropped = 0

    def publish(
        self,
        topic: str,
        payload: Payload,
        *,
        target: str = "",
        correlation: Correlation | None = None,
    ) -> None:
        """Remember it."""
        self._check()
        encode_payload(payload)
        self.published.append(Published(topic, payload, target, correlation))

    @property
    def connected(self) -> bool:
        """Whether it takes what is published."""
        return not self.is_broken

    def counters(self) -> FakeCounters:
        """What a real one would count."""
        return FakeCounters(dropped=self.dropped)

    def flush(self) -> None:
        """Count the wish."""
        self._check()
        self.flushes += 1

    def subscribe(self, *filters: str) -> FakeSubscription:
        """Hear what `say` says."""
        self._check()
        self.subscriptions.append(FakeSubscription(filters))
        return self.subscriptions[-1]

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self.subscriptions:
            subscription.close()

    def _check(self) -> None:
        if self.is_broken:
            raise BusBroken("there is no broker")

    def say(
        self,
        topic: str,
        payload: Payload,
        correlation: Correlation | None = None,
        asker: Publisher = ASKER,
    ) -> None:
        """Deliver an event to every subscription that matches, once there is one."""
        event = envelope(topic, payload, correlation, asker)

        def takers() -> list[FakeSubscription]:
            return [
                each
                for each in list(self.subscriptions)
                if any(wanted.matches(topic) for wanted in each.filters)
            ]

        for taker in wait_for(takers, f"a subscription that hears {topic}"):
            taker.arrived.put(event)

    def on(self, topic: str) -> list[Published]:
        """What was published there."""
        return [each for each in list(self.published) if each.topic == topic]

    def wait_for(self, topic: str, count: int = 1) -> list[Published]:
        """What was published there, once it is so many."""
        return wait_for(
            lambda: found if len(found := self.on(topic)) >= count else [], f"{count} on {topic}"
        )


@dataclass
class FakePassport:
    """Who the child is."""

    incarnation: int = 1


@dataclass
class FakeChild:
    """A child whose supervisor is the test."""

    name: str = "uptime"
    settings: Mapping[str, object] = field(default_factory=dict)
    passport: FakePassport = field(default_factory=FakePassport)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("tests.collector"))
    stopping: threading.Event = field(default_factory=threading.Event)
    bus: FakeBus = field(default_factory=FakeBus)
    said: list[tuple[object, ...]] = field(default_factory=list)
    """What it told its supervisor, in order."""
    verdict: tuple[bool, str] = (True, "done")
    """What the supervisor answers to wishes."""
    orders: Orders | None = None
    counters: dict[str, int] = field(default_factory=dict)

    def ready(self) -> None:
        """It can serve."""
        self.said.append(("ready",))

    def degraded(self, reason: str) -> None:
        """It serves badly."""
        self.said.append(("degraded", reason))

    def well(self) -> None:
        """It serves well again."""
        self.said.append(("well",))

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Busy while inside."""
        self.said.append(("begins", doing))
        yield
        self.said.append(("ends", doing))

    def listen(self, listener: Orders) -> None:
        """Remember who hears orders."""
        self.orders = listener

    def when_stopping(self, callback: Callable[[], None]) -> None:
        """Remember whom to call."""
        self._stop = callback

    def configured(self, request: int, error: str = "") -> None:
        """How new settings went."""
        self.said.append(("configured", request, error))

    def count(self, name: str, value: int) -> None:
        """A figure for the next beat."""
        self.counters[name] = value

    def before_beat(self, callback: Callable[[], None]) -> None:
        """Remember whom to call."""
        self.beat = callback

    def wish(
        self,
        verb: str,
        child: str,
        settings: Mapping[str, object] | None = None,
        asked_by: str = "",
        timeout: float = 5.0,
    ) -> tuple[bool, str]:
        """Answer as the test wants."""
        self.said.append(("wish", verb, child, settings, asked_by))
        return self.verdict

    def stop(self) -> None:
        """Ask it to end."""
        self.stopping.set()
        self._stop()

    def wait_said(self, *said: object) -> None:
        """Wait until it told its supervisor this."""
        wait_for(lambda: said in list(self.said), f"{said} among {self.said}")
