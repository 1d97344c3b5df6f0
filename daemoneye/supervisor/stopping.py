"""How one incarnation is ended, and how all are: the stop ladder, and the order of a shutdown.

    drain on the lifeline ──▶ SIGTERM, SIGCONT ──▶ SIGKILL ──▶ LOST
              5 s                    5 s              5 s

It is over when the *group* is empty, not when the process is.  Nothing here trusts the child.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from daemoneye.supervisor.contract import Drain, Kill, Terminate, Urgency
from daemoneye.supervisor.health import HappeningKind
from daemoneye.supervisor.incarnation import Rung, Slot, Stopping, StopReason, Turn
from daemoneye.supervisor.lifecycle import LIVE, Event, State

FAST_SECONDS = 2.0
"""From a second signal to SIGKILL for everybody."""

KILL_SHARE = 1 / 6
"""The last part of a shutdown's time, kept for what SIGKILL takes."""

_NEXT = {
    Rung.LEADER_GONE: Rung.TERMINATE,
    Rung.DRAIN: Rung.TERMINATE,
    Rung.TERMINATE: Rung.KILL,
}

_EVENTS = {
    StopReason.ASKED: Event.STOP,
    StopReason.BY_ITSELF: Event.ENDED,
    StopReason.FAILED: Event.CONDEMNED,
}


def begin(slot: Slot, turn: Turn, stopping: Stopping) -> None:
    """End the incarnation of a child that is not yet STOPPING, from the given rung on."""
    slot.lifecycle.step(_EVENTS[stopping.reason], turn.now)
    slot.life().stopping = stopping
    take_rung(slot, turn, stopping.rung)


def take_rung(slot: Slot, turn: Turn, rung: Rung) -> None:
    """Do what this rung does, and allow it its time."""
    incarnation = slot.life()
    assert incarnation.stopping is not None
    incarnation.stopping.rung = rung
    timeouts = slot.spec.timeouts
    match rung:
        case Rung.LEADER_GONE:
            slot.lifecycle.arm(turn.now)
            return
        case Rung.DRAIN:
            timeout = timeouts.drain_timeout
        case Rung.TERMINATE:
            timeout = timeouts.terminate_timeout
        case Rung.KILL:
            timeout = timeouts.kill_timeout
    slot.lifecycle.arm(turn.now + timeout)
    repeat_rung(slot, turn)


def repeat_rung(slot: Slot, turn: Turn) -> None:
    """Order what the present rung asks for; nothing while no process is born."""
    incarnation = slot.life()
    if incarnation.stopping is None or not incarnation.pid:
        return
    name, number = slot.name, incarnation.number
    match incarnation.stopping.rung:
        case Rung.DRAIN:
            turn.do(Drain(name, number, slot.spec.timeouts.drain_timeout))
        case Rung.TERMINATE:
            turn.do(Terminate(name, number))
        case Rung.KILL:
            turn.do(Kill(name, number))


def leader_ended(slot: Slot, turn: Turn) -> None:
    """The process is over, the group perhaps not: who is left is asked as soon as that is known."""
    incarnation = slot.life()
    if incarnation.stopping is None:
        begin(slot, turn, Stopping(StopReason.BY_ITSELF, Rung.LEADER_GONE))
    elif slot.state is State.STOPPING and incarnation.stopping.rung is Rung.DRAIN:
        take_rung(slot, turn, Rung.LEADER_GONE)


def climb(slot: Slot, turn: Turn) -> bool:
    """The time of a rung is up.  Whether there was a rung left; if not, the child is LOST."""
    stopping = slot.life().stopping
    assert stopping is not None
    following = _NEXT.get(stopping.rung)
    if following is None:
        return False
    take_rung(slot, turn, following)
    return True


def hurry(slot: Slot, turn: Turn, rung: Rung) -> None:
    """Be at least on this rung, whatever the child was doing; a child without a life stays."""
    if slot.state not in LIVE or slot.state is State.LOST:
        return
    stopping = slot.life().stopping
    if stopping is None:
        begin(slot, turn, Stopping(StopReason.ASKED, rung))
        turn.announce(slot, HappeningKind.STOPPING, "is asked to end")
    elif stopping.rung < rung:
        take_rung(slot, turn, rung)


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The end of the whole, in progress."""

    urgency: Urgency
    """How fast."""
    kill_at: float | None
    """When everybody left is killed; None once that was done."""
    deadline: float
    """When it is over, whoever is left."""
    exit_code: int
    """What the run ends with, if nobody is left."""
    reason: str
    """Why it ends."""

    @classmethod
    def ordered(cls, now: float, timeout: float, exit_code: int, reason: str) -> Shutdown:
        """One in ranks that has its whole time."""
        deadline = now + timeout
        return cls(Urgency.ORDERLY, deadline - timeout * KILL_SHARE, deadline, exit_code, reason)

    def hastened(self, now: float, urgency: Urgency, exit_code: int, timeout: float) -> Shutdown:
        """The same, faster; `timeout` is what SIGKILL may take."""
        kill_at = now + (FAST_SECONDS if urgency is Urgency.FAST else 0.0)
        if self.kill_at is not None:
            kill_at = min(kill_at, self.kill_at)
        return replace(
            self,
            urgency=urgency,
            kill_at=kill_at,
            deadline=min(self.deadline, kill_at + timeout),
            exit_code=self.exit_code or exit_code,
        )

    def killing(self) -> Shutdown:
        """The same, once everybody left was killed."""
        return replace(self, kill_at=None)

    def next_deadline(self) -> float:
        """When there is something to do again."""
        return self.deadline if self.kill_at is None else min(self.kill_at, self.deadline)


def next_rank(ranks: Iterable[tuple[Slot, ...]]) -> tuple[Slot, ...]:
    """Whose turn it is to end: the first rank in which somebody still lives."""
    for rank in ranks:
        living = tuple(slot for slot in rank if slot.state in LIVE and slot.state is not State.LOST)
        if living:
            return living
    return ()
