"""What the runner asks of the two sides it stands between: its supervisor and the bus.

Protocols, because collectors and supervisor do not know each other, and because a test puts a
fake of a few lines on either side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from daemoneye.bus.envelope import Correlation, Envelope, Payload


class Passport(Protocol):
    """Who this process is."""

    @property
    def incarnation(self) -> int:
        """Which life of the child."""


class Stopping(Protocol):
    """Set when the child was asked to end."""

    def is_set(self) -> bool:
        """Whether it was asked."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is asked; False when the timeout came first."""


class Orders(Protocol):
    """Who hears the supervisor's orders; called on the lifeline's thread, so it must not block."""

    def paused(self, paused: bool) -> None:
        """Stop collecting, or go on."""

    def configure(self, request: int, settings: str) -> None:
        """Take these settings, a JSON object; say how it went under this number."""

    def told(self, name: str, body: bytes) -> None:
        """Something for the program itself."""


class Subscription(Protocol):
    """What the bus delivers for one subscription."""

    def get(self, timeout: float | None = None) -> Envelope | None:
        """The next event; None when none came in time.  Raises BusClosed or AccessDenied."""

    def close(self) -> None:
        """End it."""


class Counters(Protocol):
    """What a bus client has counted."""

    @property
    def waiting(self) -> int:
        """Events that wait for a broker."""

    @property
    def dropped(self) -> int:
        """Events that waited in vain: there were too many."""

    @property
    def denied(self) -> int:
        """Events that an access rule refused."""


class Bus(Protocol):
    """The part of a bus client that a runner uses."""

    @property
    def connected(self) -> bool:
        """Whether there is a broker at the other end."""

    def counters(self) -> Counters:
        """What it has counted so far.  Raises BusClosed."""

    def publish(
        self,
        topic: str,
        payload: Payload,
        *,
        target: str = "",
        correlation: Correlation | None = None,
    ) -> None:
        """Send and count; a missing broker is waited for within bounds."""

    def flush(self) -> None:
        """Write what was published up to now."""

    def subscribe(self, *filters: str) -> Subscription:
        """Hear what matches."""

    def close(self) -> None:
        """End; whoever waits gets BusClosed."""


class ChildSide(Protocol):
    """The part of a supervised child that a runner uses."""

    @property
    def name(self) -> str:
        """Who it is in the plan."""

    @property
    def passport(self) -> Passport:
        """Who it is on the bus."""

    @property
    def settings(self) -> Mapping[str, object]:
        """What the plan gives it."""

    @property
    def log(self) -> logging.Logger:
        """Where it says what is for the operator."""

    @property
    def stopping(self) -> Stopping:
        """Set when it was asked to end."""

    @property
    def bus(self) -> Bus:
        """Its client, made on first use."""

    def ready(self) -> None:
        """It can serve."""

    def degraded(self, reason: str) -> None:
        """It serves badly."""

    def well(self) -> None:
        """It serves well again."""

    def working(self, doing: str) -> AbstractContextManager[object]:
        """Busy while inside."""

    def listen(self, listener: Orders) -> None:
        """Hear the supervisor's orders."""

    def when_stopping(self, callback: Callable[[], None]) -> None:
        """Have this called when it is asked to end; it must not block."""

    def configured(self, request: int, error: str) -> None:
        """How new settings went; empty: they are in force."""

    def count(self, name: str, value: int) -> None:
        """A figure that travels with the next beat."""

    def before_beat(self, callback: Callable[[], None]) -> None:
        """Have this called before each beat; it must not block."""

    def wish(
        self,
        verb: str,
        child: str,
        settings: Mapping[str, object] | None = None,
        asked_by: str = "",
        timeout: float = 5.0,
    ) -> tuple[bool, str]:
        """Hand a wish to the supervisor; whether it was done, and what it said.

        Raises DeadlineExceeded when it said nothing in time.
        """
