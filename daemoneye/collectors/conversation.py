"""The thread of a collector's process that talks on the control topics.  A shell.

It is a thread of its own so that a collector whose main thread hangs can still be asked what it is
doing, and still beats on the bus.

    control.collector.lifecycle, .config ──▶ a wish ──▶ the supervisor, over the lifeline
                 its verdict ──▶ control.health.status.<name>, to whoever asked
    control.health.diagnostics ──▶ a question ──▶ the answer, to whoever asked
    every 5 s ──▶ control.health.heartbeat
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from daemoneye.bus.envelope import Envelope
from daemoneye.bus.hierarchy import (
    COLLECTOR_CONFIG,
    COLLECTOR_LIFECYCLE,
    DIAGNOSTICS,
    HEARTBEAT,
    status_topic,
)
from daemoneye.bus.proto.events_pb2 import ChildStatus, Diagnostics, Health, Heartbeat
from daemoneye.bus.roles import AGENT
from daemoneye.collectors import wishes
from daemoneye.collectors.hearing import Hearing
from daemoneye.collectors.redaction import redact_settings
from daemoneye.collectors.schedule import Schedule
from daemoneye.collectors.sides import ChildSide, Subscription
from daemoneye.errors import (
    BusBroken,
    BusClosed,
    BusError,
    CollectorError,
    DaemoneyeError,
    DeadlineExceeded,
)

HEARTBEAT_INTERVAL = 5.0
_CONTROL_TOPICS = (COLLECTOR_LIFECYCLE, COLLECTOR_CONFIG, DIAGNOSTICS)


@dataclass(frozen=True, slots=True)
class State:
    """What the main thread is at, for whoever asks."""

    doing: str
    """The method at work; empty when it waits."""
    busy_since: float
    """When that began, on the monotonic clock."""
    paused: bool
    degraded: bool
    settings: Mapping[str, object]
    capabilities: Mapping[str, object]
    """What it collects and hears, for agents."""
    counters: Mapping[str, int]
    answers_itself: bool = False
    """It listens to questions, so those that are unknown here are left to it."""

    def busy_seconds(self, now: float) -> float:
        """How long the work in hand has taken; 0 when there is none."""
        return max(0.0, now - self.busy_since) if self.doing else 0.0


class Conversation:
    """Answers for a collector on the control topics until it is closed."""

    def __init__(
        self,
        child: ChildSide,
        state: Callable[[], State],
        check: Callable[[Mapping[str, object]], object],
        failed: Callable[[Exception], None],
    ) -> None:
        """Ask `state` for what to tell; `check` raises ConfigError for settings that cannot be.

        `failed` hears of the bug that ended the thread, should there be one.
        """
        self._child = child
        self._state = state
        self._check = check
        self._began_at = time.monotonic()
        self._hearing = Hearing(child, _CONTROL_TOPICS, self._converse, failed)

    def start(self) -> None:
        """Begin."""
        self._hearing.start("bus-conversation")

    def wait_listening(self) -> None:
        """Wait until it hears what is said, or there is no broker."""
        self._hearing.wait_listening()

    def close(self) -> None:
        """Have the thread end as soon as the bus client is closed."""
        self._hearing.close()

    def tell_status(self, reason: str) -> None:
        """Publish how this collector is; `reason` is empty when there is nothing to complain of."""
        degraded = self._state().degraded
        status = ChildStatus(
            reason=reason, health=Health.HEALTH_DEGRADED if degraded else Health.HEALTH_HEALTHY
        )
        self._tell_status(status, "")

    def _converse(self, control: Subscription) -> None:
        beats = Schedule({HEARTBEAT: HEARTBEAT_INTERVAL}, time.monotonic())
        while not self._hearing.closing:
            # A sign of life that waits for a broker would be a lie by the time it arrives.
            if beats.due(time.monotonic()) and self._child.bus.connected:
                self._publish(HEARTBEAT, self._heartbeat())
            wait = (beats.next_at or 0.0) - time.monotonic()
            said = control.get(timeout=max(0.0, wait))
            if said is not None:
                self._answer(said)

    def _answer(self, said: Envelope) -> None:
        try:
            if said.topic == DIAGNOSTICS:
                # Collectors publish here as well, but only answers: what one may see of another
                # is not theirs to ask.
                if said.publisher.role == AGENT:
                    self._answer_question(said)
            elif said.topic == COLLECTOR_LIFECYCLE:
                self._hand_over(said, wishes.lifecycle_wish(said))
            else:
                self._hand_over(said, wishes.config_wish(said))
        except CollectorError as error:
            self._child.log.warning("%s from %s: %s", said.topic, said.publisher.name, error)
            self._reply(said, Diagnostics(error=str(error), observed_at=time.time()))

    def _hand_over(self, said: Envelope, wish: wishes.Wish) -> None:
        done, text = self._validate(wish) if wish.validate_only else self._wish(said, wish)
        if not wish.request:
            return
        status = ChildStatus(
            answer_to=wish.request, reason=text if done else "", error="" if done else text
        )
        self._tell_status(status, said.publisher.name)

    def _wish(self, said: Envelope, wish: wishes.Wish) -> tuple[bool, str]:
        asker = said.publisher.name
        self._child.log.info("%s wishes: %s", asker, wish.verb)
        try:
            return self._child.wish(wish.verb, self._child.name, wish.settings, asker)
        except DeadlineExceeded as error:
            return False, str(error)

    def _validate(self, wish: wishes.Wish) -> tuple[bool, str]:
        try:
            self._check(wish.settings or {})
        except DaemoneyeError as error:
            return False, str(error)
        return True, "these settings would do"

    def _answer_question(self, said: Envelope) -> None:
        asked = wishes.question(said)
        if asked not in wishes.QUESTIONS:
            if asked and not self._state().answers_itself:
                known = ", ".join(wishes.QUESTIONS)
                raise CollectorError(f"{asked!r:.40} is no question", hint=f"there are {known}")
            return
        answer = Diagnostics(observed_at=time.time())
        if asked == "threads":
            answer.stacks = all_stacks()
        else:
            answer.answer = json.dumps(self._facts(asked), default=str)
        self._reply(said, answer)

    def _facts(self, asked: str) -> Mapping[str, object]:
        state = self._state()
        if asked == "settings":
            return redact_settings(state.settings)
        return state.capabilities if asked == "capabilities" else dict(state.counters)

    def _heartbeat(self) -> Heartbeat:
        state, now = self._state(), time.monotonic()
        return Heartbeat(
            child=self._child.name,
            pid=os.getpid(),
            incarnation=self._child.passport.incarnation,
            progress=state.counters["collections_total"],
            uptime_seconds=now - self._began_at,
            paused=state.paused,
            busy_seconds=state.busy_seconds(now),
            doing=state.doing,
            sent_at=time.time(),
        )

    def _tell_status(self, status: ChildStatus, target: str) -> None:
        status.name = self._child.name
        status.pid = os.getpid()
        status.incarnation = self._child.passport.incarnation
        status.uptime_seconds = time.monotonic() - self._began_at
        status.observed_at = time.time()
        self._publish(status_topic(self._child.name), status, target)

    def _reply(self, said: Envelope, answer: Diagnostics) -> None:
        try:
            self._child.bus.publish(
                DIAGNOSTICS, answer, target=said.publisher.name, correlation=said.correlation
            )
        except (BusBroken, BusClosed):
            return  # whoever asked is as cut off as we are

    def _publish(self, topic: str, message: Message, target: str = "") -> None:
        try:
            self._child.bus.publish(topic, message, target=target)
        except BusError as error:
            self._child.log.debug("%s was not published: %s", topic, error)


def all_stacks() -> str:
    """What every thread of this process is at, innermost frame last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )
