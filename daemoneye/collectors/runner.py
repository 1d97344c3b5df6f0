"""A collector's process: lifeline, bus, loop, orderly end.  A shell.

    lifeline's thread ──orders, the end──▶ ┌───────┐
    bus-listener ───────────────events───▶ │ inbox │ ──▶ main thread: the collector's methods
                                           └───────┘           └──▶ events to the bus
    bus-conversation: control topics, heartbeats; reads what the main thread is at

Only the main thread calls a collector.  What failures lead to is decided in `conduct.py`, when
something is due in `schedule.py`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from functools import reduce
from importlib import import_module

from daemoneye.bus.envelope import Envelope
from daemoneye.bus.hierarchy import DIAGNOSTICS
from daemoneye.collectors.collector import Collector, Description, describe
from daemoneye.collectors.conduct import Conduct, Step, Verdict
from daemoneye.collectors.conversation import Conversation, State
from daemoneye.collectors.hearing import Hearing
from daemoneye.collectors.inbox import Broken, Configure, Inbox, Pause, Stop
from daemoneye.collectors.schedule import Schedule
from daemoneye.collectors.sides import ChildSide, Subscription
from daemoneye.collectors.wishes import settings_of
from daemoneye.collectors.work import Work
from daemoneye.errors import BusClosed, CollectorError, ConfigError


def run(child: ChildSide, collector: type[Collector] | str) -> None:
    """Be this collector until asked to end: the target of every collector's child spec.

    `collector` is a class or `"module:Class"`.  Raises ConfigError when it cannot be run, and what
    the collector raised when it fails too often in a row.
    """
    collector_class = resolve(collector) if isinstance(collector, str) else collector
    description = describe(collector_class, child.settings)
    instance = collector_class()
    instance.log = child.log
    Runner(child, Work(child, instance, description)).run()


def resolve(name: str) -> type[Collector]:
    """The class that `"module:Class"` names.  Raises ConfigError when there is none."""
    module, _, inside = name.partition(":")
    try:
        found: object = reduce(getattr, inside.split("."), import_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"collector {name} cannot be imported: {error}", hint='expected "module:Class"'
        ) from error
    if not (isinstance(found, type) and issubclass(found, Collector)):
        raise ConfigError(f"{name} is no subclass of daemoneye.Collector")
    return found


class Runner:
    """One collector at work between its supervisor and the bus."""

    def __init__(self, child: ChildSide, work: Work) -> None:
        self._child = child
        self._work = work
        self._inbox = Inbox()
        self._conduct = Conduct()
        self._schedule = Schedule(_intervals(work.description), time.monotonic())
        self._conversation = Conversation(child, self._state, work.described, self._inbox.broken)
        heard = dict.fromkeys(str(each.filter) for each in work.description.listeners)
        self._listener = Hearing(child, tuple(heard), self._listen, self._inbox.broken)

    def run(self) -> None:
        """Set up, collect until asked to end, tear down."""
        self._child.listen(self._inbox)
        self._child.when_stopping(self._inbox.stop)
        self._child.before_beat(self._count)
        try:
            self._conversation.start()
            self._listener.start("bus-listener")
            self._work.do("setup")
            self._conversation.wait_listening()
            self._listener.wait_listening()
            self._child.ready()
            self._schedule.resume(time.monotonic())
            self._collect_until_stopped()
            self._work.do("teardown")
        finally:
            self._inbox.close()
            self._listener.close()
            self._conversation.close()
            self._child.bus.close()

    def _collect_until_stopped(self) -> None:
        order: object = None
        while not isinstance(order, Stop):
            for due in self._schedule.due(time.monotonic()):
                self._work.tally.skipped_total += due.skipped
                self._perform(due.name)
            next_at = self._schedule.next_at
            wait = None if next_at is None else max(0.0, next_at - time.monotonic())
            order = self._inbox.take(wait, events=not self._schedule.paused)
            if isinstance(order, Pause | Configure):
                self._obey(order)
            elif isinstance(order, Broken):
                raise order.error
            elif isinstance(order, Envelope):
                self._hear(order)

    def _obey(self, order: Pause | Configure) -> None:
        if isinstance(order, Configure):
            self._configure(order)
        elif order.paused:
            self._schedule.pause()
        else:
            self._schedule.resume(time.monotonic())

    def _configure(self, order: Configure) -> None:
        try:
            description = self._work.reconfigure(settings_of(order.settings))
        except Exception as error:  # a collector refuses settings by whatever it raises
            self._child.log.warning("new settings were refused: %s", error)
            self._child.configured(order.request, str(error) or type(error).__name__)
            return
        self._schedule.replace(_intervals(description), time.monotonic())
        self._child.configured(order.request, "")

    def _hear(self, event: Envelope) -> None:
        self._work.tally.heard_total += 1
        for listener in self._work.description.listeners:
            if listener.filter.matches(event.topic):
                self._perform(listener.method, event)

    def _perform(self, method: str, *arguments: object) -> None:
        """Call one method of the collector and draw the consequences of how it went."""
        try:
            self._work.do(method, *arguments)
        except CollectorError as error:
            self._work.tally.failures_total += 1
            self._child.log.warning("%s: %s", method, error)
        except (
            Exception
        ) as error:  # a user's code raises anything; what follows is conduct's to say
            self._work.tally.failures_total += 1
            self._child.log.exception("%s failed", method)
            verdict = self._conduct.failed(method, f"{type(error).__name__}: {error}")
            self._draw(verdict)
            if verdict.step is Step.END:
                raise
        else:
            self._draw(self._conduct.succeeded(method))

    def _draw(self, verdict: Verdict) -> None:
        if verdict.step is Step.DEGRADE:
            self._child.degraded(verdict.reason)
        elif verdict.step is Step.RECOVER:
            self._child.well()
        if verdict.reason or verdict.step is Step.RECOVER:
            self._conversation.tell_status(verdict.reason)

    def _listen(self, events: Subscription) -> None:
        while (event := events.get()) is not None and self._inbox.put_event(event):
            continue

    def _count(self) -> None:
        """Put what was counted into the next beat; on the lifeline's thread."""
        for name, value in self._work.tally.figures().items():
            self._child.count(name, value)
        with contextlib.suppress(BusClosed):
            bus = self._child.bus.counters()
            self._child.count("events_waiting", bus.waiting)
            self._child.count("events_dropped_total", bus.dropped)
            self._child.count("events_denied_total", bus.denied)

    def _state(self) -> State:
        description, doing = self._work.description, self._work.doing
        return State(
            doing=doing.method,
            busy_since=doing.since,
            paused=self._schedule.paused,
            degraded=self._conduct.degraded,
            settings=description.settings,
            capabilities=_capabilities(description),
            counters=self._work.tally.figures(),
            answers_itself=any(each.filter.matches(DIAGNOSTICS) for each in description.listeners),
        )


def _intervals(description: Description) -> dict[str, float]:
    return {each.method: each.interval for each in description.collections}


def _capabilities(description: Description) -> Mapping[str, object]:
    return {
        "name": description.name,
        "kind": description.kind,
        "publishes": [str(each) for each in description.publishes],
        "hears": [str(each.filter) for each in description.listeners],
        "collections": _intervals(description),
    }
