"""What waits for the main thread of a collector: orders first, then events from the bus.  A shell.

Operations wanted: put an order without blocking (the lifeline's thread calls it), put an event and
wait for room (so that a slow collector uses up its credit and overflow happens in the broker, where
it is counted), take the next of either within a time, close.

Bounds: `EVENTS` events; orders come from one supervisor that waits for answers, and are few.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from daemoneye.bus.envelope import Envelope

EVENTS = 64


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop collecting, or go on."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Configure:
    """Take other settings."""

    request: int
    settings: str
    """A JSON object."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End in order."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A thread of this process ended by a bug; the main thread has to end by it, too."""

    error: Exception


Order = Pause | Configure | Stop | Broken


class Inbox:
    """Filled by the threads of the lifeline and of the bus, emptied by the main one."""

    def __init__(self) -> None:
        self._orders: deque[Order] = deque()
        self._events: deque[Envelope] = deque()
        self._changed = threading.Condition()
        self._open = True

    def paused(self, paused: bool) -> None:
        """The supervisor ordered a pause, or its end."""
        self._put(Pause(paused))

    def configure(self, request: int, settings: str) -> None:
        """The supervisor ordered other settings."""
        self._put(Configure(request, settings))

    def told(self, name: str, body: bytes) -> None:
        """Nothing is said to collectors this way."""

    def stop(self) -> None:
        """The supervisor wants this process to end."""
        self._put(Stop())

    def broken(self, error: Exception) -> None:
        """A thread of this process ended by a bug."""
        self._put(Broken(error))

    def put_event(self, event: Envelope) -> bool:
        """Add an event, waiting for room; False when the inbox was closed instead."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) < EVENTS or not self._open)
            if self._open:
                self._events.append(event)
                self._changed.notify_all()
            return self._open

    def take(self, timeout: float | None, *, events: bool = True) -> Order | Envelope | None:
        """The next order, else the next event; None when nothing came within `timeout` seconds.

        Without `events`, events stay where they are.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._orders or (events and self._events), timeout)
            if self._orders:
                return self._orders.popleft()
            if events and self._events:
                self._changed.notify_all()
                return self._events.popleft()
            return None

    def close(self) -> None:
        """Take no more events; who waits for room is let go."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _put(self, order: Order) -> None:
        with self._changed:
            self._orders.append(order)
            self._changed.notify_all()
