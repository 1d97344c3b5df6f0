"""Whose turn it is to start: dependencies, how many at once, and the rate of restarts."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from daemoneye.supervisor.contract import Spawn
from daemoneye.supervisor.dependencies import start_order
from daemoneye.supervisor.health import HappeningKind
from daemoneye.supervisor.incarnation import UPWARDS, Incarnation, Slot, Turn
from daemoneye.supervisor.lifecycle import SERVING, Event, State
from daemoneye.supervisor.restarts import RestartRate
from daemoneye.supervisor.spec import Desired, Plan

AWAITED_AFTER = 2.0
"""Seconds of the first start after which it is told who keeps it waiting."""

AWAITED_INTERVAL = 10.0
"""Seconds until that is told again, as long as it lasts."""

AWAITED_TOLD = 10
"""Children that are named when it is told who keeps the others waiting."""


class Starts:
    """The gate between PENDING and STARTING, and before it the one between BACKOFF and PENDING.

    A planned start is limited only in how many start at once; a restart after a failure also in
    how many there are in a second: when it may try again, and once more when it begins, for those
    that had to wait in between would otherwise begin together.
    """

    __slots__ = (
        "_begun",
        "_depends_on",
        "_max_starting",
        "_order",
        "_rate",
        "_retried",
        "_slots",
        "next_at",
    )

    def __init__(self, plan: Plan, slots: Mapping[str, Slot], now: float) -> None:
        self._slots = slots
        self._depends_on = plan.dependencies
        self._order = start_order(self._depends_on)
        self._max_starting = plan.max_starting
        self._rate = RestartRate.full(plan.restart_rate, plan.restart_burst, now)
        self._retried: set[str] = set()
        self._begun: deque[float] = deque(maxlen=plan.restart_burst)
        self.next_at: float | None = None
        """When `admit` can begin a restart it has held back; None when it has not."""

    def retry(self, slot: Slot, turn: Turn) -> None:
        """The wait after a failure is over: the child may try again, as soon as the rate allows."""
        at = self._rate.next_at(turn.now)
        if at > turn.now:
            slot.lifecycle.arm(at)
            return
        self._rate = self._rate.take(turn.now)
        self._retried.add(slot.name)
        slot.lifecycle.step(Event.DUE, turn.now)
        slot.history.restarts += 1

    def admit(self, turn: Turn) -> None:
        """Start all whose dependencies are ready, as many as may start at once."""
        starting = sum(slot.state is State.STARTING for slot in self._slots.values())
        self.next_at = None
        for name in self._order:
            slot = self._slots[name]
            if slot.state is not State.PENDING:
                continue
            waiting_for = self.waiting_for(slot)
            if waiting_for:
                turn.answer(slot, UPWARDS, f"starts when {' and '.join(waiting_for)} can serve")
            elif starting < self._max_starting and self._may_begin(name, turn.now):
                starting += 1
                _spawn(slot, turn)

    def _may_begin(self, name: str, now: float) -> bool:
        """Whether this start is planned, or one of no more than a burst of restarts in a second."""
        if name not in self._retried:
            return True
        if len(self._begun) == self._begun.maxlen and now < self._begun[0] + 1.0:
            self.next_at = self._begun[0] + 1.0
            return False
        self._retried.remove(name)
        self._begun.append(now)
        return True

    def waiting_for(self, slot: Slot) -> tuple[str, ...]:
        """Dependencies that are not ready and have not completed."""
        return tuple(
            name
            for name in self._depends_on[slot.name]
            if self._slots[name].state not in SERVING and not self._slots[name].completed()
        )

    def awaited(self, missing: Collection[Slot]) -> str:
        """Whom the end of the first start waits for, the missing and the unsettled, with reasons.

        `missing` are those whose start has to come to good.
        """
        slots = [
            slot for slot in self._slots.values() if slot in missing or not self.is_settled(slot)
        ]
        named = ", ".join(map(self._awaited, slots[:AWAITED_TOLD]))
        more = len(slots) - AWAITED_TOLD
        return f"{named} and {more} more" if more > 0 else named

    def _awaited(self, slot: Slot) -> str:
        waiting_for = self.waiting_for(slot) if slot.state is State.PENDING else ()
        why = f": waits for {' and '.join(waiting_for)}" if waiting_for else ""
        return f"{slot.name} ({slot.state}{why})"

    def is_settled(self, slot: Slot) -> bool:
        """Whether its first start has come to something, good or bad, or waits for one that has."""
        if slot.desired is Desired.DOWN or slot.history.first_ready_at is not None:
            return True
        if slot.history.crash is not None or slot.state is State.EXITED:
            return True
        return slot.state is State.PENDING and any(
            self.is_settled(self._slots[name]) for name in self.waiting_for(slot)
        )


def _spawn(slot: Slot, turn: Turn) -> None:
    slot.number += 1
    slot.incarnation = Incarnation(slot.number, turn.now)
    slot.lifecycle.step(Event.SPAWN, turn.now)
    timeouts = slot.spec.timeouts
    slot.lifecycle.arm(turn.now + timeouts.spawn_timeout + timeouts.ready_timeout)
    turn.do(Spawn(slot.name, slot.number, slot.spec))
    text = f"starts again (life {slot.number})" if slot.number > 1 else "starts"
    turn.announce(slot, HappeningKind.STARTING, text)
