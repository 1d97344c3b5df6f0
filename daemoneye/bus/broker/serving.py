"""The broker as a child of the supervisor: rules first, then turns, and counters for its beats."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from daemoneye.bus.access import AccessList
from daemoneye.bus.broker.broker import Broker
from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Rules, decode_order
from daemoneye.errors import RemoteProtocolError
from daemoneye.lifeline import Passport
from daemoneye.waiting import READABLE, Poller

TOLD_AS = "broker"
"""The name that the supervisor's words for a broker carry on the lifeline."""

COUNTING_INTERVAL = 1.0


class Child(Protocol):
    """What `serve` needs of the child it runs in."""

    passport: Passport

    def ready(self) -> None:
        """Say that clients may come."""

    def working(self, doing: str) -> AbstractContextManager[None]:
        """Work is in hand inside."""

    def count(self, name: str, value: int) -> None:
        """A counter for the next beat."""

    def on_tell(self, callback: Callable[[str, bytes], None]) -> None:
        """Hear the supervisor's words, on another thread."""

    def when_stopping(self, callback: Callable[[], None]) -> None:
        """Hear that it is time to end, on another thread."""

    def wish(
        self,
        verb: str,
        child: str,
        settings: Mapping[str, object] | None = None,
        asked_by: str = "",
        timeout: float = 5.0,
    ) -> tuple[bool, str]:
        """Ask the supervisor for something."""


def serve(child: Child) -> None:
    """Be the broker of an instance until the child is asked to end.

    Waits for the supervisor's rules, without which nobody may do anything, then listens.  Raises
    ConfigError when the first rules cannot be used: a broker without a policy must not start.
    """
    mailbox = Mailbox()

    def told(name: str, body: bytes) -> None:
        if name == TOLD_AS:
            mailbox.put(decode_order(body))

    child.when_stopping(mailbox.ask_to_stop)
    child.on_tell(told)
    try:
        rules = _first_rules(mailbox)
        if rules is None:
            return
        limits, access = Limits.of(rules.limits), AccessList(rules.rules)
        broker = Broker(Path(child.passport.bus_address), limits, access, mailbox)
        try:
            broker.set_clients(rules.clients)
            child.ready()
            _run(broker, child)
        finally:
            broker.close()
    finally:
        mailbox.close()


def _first_rules(mailbox: Mailbox) -> Rules | None:
    """Wait for them; None when it is time to end before they come."""
    poller = Poller()
    poller.watch(mailbox.fileno(), READABLE)
    try:
        while not mailbox.stop_asked:
            poller.poll()
            mailbox.clear()
            order = mailbox.take()
            if isinstance(order, Rules):
                mailbox.wake()  # for what stands behind them
                return order
            if order is not None:
                raise RemoteProtocolError(f"the first order is {type(order).__name__}, not Rules")
    finally:
        poller.close()
    return None


def _run(broker: Broker, child: Child) -> None:
    counted_at = 0.0
    counted = False
    while not broker.finished:
        events = broker.wait(None if counted else COUNTING_INTERVAL)
        with child.working("serving clients"):
            for wish in broker.turn(events):
                child.wish(wish.verb, wish.child, wish.settings, wish.asked_by, timeout=0)
            now = time.monotonic()
            counted = counted and not events
            if not counted and now - counted_at >= COUNTING_INTERVAL:
                counted, counted_at = True, now
                for name, value in broker.statistics().counters().items():
                    child.count(name, value)
