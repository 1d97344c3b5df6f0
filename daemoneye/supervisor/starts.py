"""Whose turn it is to start: dependencies, how many at once, and the rate of restarts."""

from __future__ import annotations

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
    how many there are in a second.
    """

    __slots__ = ("_depends_on", "_max_starting", "_order", "_rate", "_slots")

    def __init__(self, plan: Plan, slots: Mapping[str, Slot], now: float) -> None:
        self._slots = slots
        self._depends_on = plan.dependencies
        self._order = start_order(self._depends_on)
        self._max_starting = plan.max_starting
        self._rate = RestartRate.full(plan.restart_rate, plan.restart_burst, now)

    def retry(self, slot: Slot, turn: Turn) -> None:
        """The wait after a failure is over: the child may try again, as soon as the rate allows."""
        at = self._rate.next_at(turn.now)
        if at > turn.now:
            slot.lifecycle.arm(at)
            return
        self._rate = self._rate.take(turn.now)
        slot.lifecycle.step(Event.DUE, turn.now)
        slot.history.restarts += 1

    def admit(self, turn: Turn) -> None:
        """Start all whose dependencies are ready, as many as may start at once."""
        starting = sum(slot.state is State.STARTING for slot in self._slots.values())
        for name in self._order:
            slot = self._slots[name]
            if slot.state is not State.PENDING:
                continue
            waiting_for = self.waiting_for(slot)
            if waiting_for:
                turn.answer(slot, UPWARDS, f"starts when {' and '.join(waiting_for)} can serve")
            elif starting < self._max_starting:
                starting += 1
                _spawn(slot, turn)

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
