"""Slots as a person sees them: rows of `status`, and explanations."""

from __future__ import annotations

from daemoneye.supervisor.health import ChildHealth, Explanation
from daemoneye.supervisor.heartbeats import is_frozen
from daemoneye.supervisor.incarnation import Rung, Slot, Stopping, StopReason, Turn
from daemoneye.supervisor.lifecycle import DEADLINES, LIVE, SERVING, WAITING, State
from daemoneye.supervisor.restarts import is_restarted
from daemoneye.supervisor.spec import BROKER, Desired

_WHY = {
    State.STARTING: "it was started and has not said that it is ready",
    State.RUNNING: "it said that it is ready, and beats",
    State.PAUSED: "it was told to do no work",
    State.STOPPED: "it is meant to be down",
    State.EXITED: "it did what it was for",
}
"""What there is to say when no reason is known."""

_BEFORE_REASON = {
    State.STOPPED: "it is meant to be down; ",
    State.BACKOFF: "it failed: ",
    State.QUARANTINED: "it failed too often, the last time with ",
    State.FATAL: "it is given up, the last failure was ",
}
"""What makes a sentence of the reason of a row."""

_ACTIONS = {
    State.PENDING: ("stop {name}: it is not started",),
    State.STARTING: ("stop {name}", "restart {name}: its start begins again"),
    State.RUNNING: ("stop {name}", "restart {name}"),
    State.DEGRADED: ("restart {name}", "stop {name}"),
    State.PAUSED: ("resume {name}", "stop {name}"),
    State.STOPPING: ("start {name}: it is started again when it is gone",),
    State.STOPPED: ("start {name}",),
    State.EXITED: ("start {name}",),
    State.BACKOFF: ("restart {name}: try now and forget the failures", "stop {name}"),
    State.QUARANTINED: ("restart {name}: try now and forget the failures", "stop {name}"),
    State.FATAL: ("restart {name}: try now and forget the failures", "stop {name}"),
    State.LOST: ("end process {pid} from outside, or mend what it waits for",),
}
"""What a person can do."""

_NEXT = {
    State.PENDING: "it starts when fewer children are starting",
    State.RUNNING: "nothing, as long as it beats",
    State.PAUSED: "nothing, until it is told to go on",
    State.LOST: "nothing, until it is gone",
}
"""What happens next where nothing is due."""

_NEXT_RUNG = {
    Rung.LEADER_GONE: "what is left of its group is sent SIGTERM",
    Rung.DRAIN: "if it is not gone by then, its group is sent SIGTERM",
    Rung.TERMINATE: "if it is not gone by then, its group is sent SIGKILL",
    Rung.KILL: "if it is not gone by then, it is LOST",
}
"""The stop ladder, from each rung."""


def row(slot: Slot, turn: Turn, waiting_for: tuple[str, ...]) -> ChildHealth:
    """A child's row of `status`."""
    life = slot.incarnation
    facts = life.last_words.facts if life else None
    beat = life.heartbeats.beat if life else None
    heard_at = life.heartbeats.heard_at if life and life.ready_at is not None else None
    deadline = slot.lifecycle.deadline if slot.state in WAITING else None
    return ChildHealth(
        name=slot.name,
        state=slot.state,
        desired=slot.desired.value,
        pid=life.pid or None if life else None,
        incarnation=slot.number,
        restarts=slot.history.restarts,
        uptime_seconds=turn.now - life.begun_at if life else None,
        heartbeat_age_seconds=None if heard_at is None else turn.now - heard_at,
        rss_bytes=facts.rss_bytes if facts else None,
        cpu_percent=facts.cpu_percent if facts else None,
        reason=reason(slot, turn, waiting_for),
        next_attempt_at=None if deadline is None else deadline + turn.skipped,
        counters=beat.counters if beat else (),
        essential=slot.spec.essential,
    )


def reason(slot: Slot, turn: Turn, waiting_for: tuple[str, ...]) -> str:
    """Why it is in its state, if there is something to say; without the child's name."""
    crash, life = slot.history.crash, slot.incarnation
    if slot.state is State.PENDING:
        return f"waits for {' and '.join(waiting_for)}" if waiting_for else "waits for its turn"
    if slot.state in SERVING and life:
        return life.heartbeats.reason(turn.now, slot.spec.timeouts, life.last_words.facts)
    if slot.state is State.STOPPING and life and life.stopping:
        return _why_stopping(slot, life.stopping)
    if slot.state is State.STOPPED:
        return _why_stopped(slot)
    if slot.state is State.LOST:
        return "killed, and does not go away"
    if crash is not None and crash.number == slot.number and slot.state not in LIVE:
        return crash.reason
    return ""


def _why_stopping(slot: Slot, ending: Stopping) -> str:
    if ending.fault:
        return f"{ending.fault}: {ending.why}"
    if ending.reason is StopReason.BY_ITSELF:
        return "it ended by itself, and others of its group are left"
    return "stop asked" if slot.desired is Desired.DOWN else "it is asked to end"


def _why_stopped(slot: Slot) -> str:
    reasons = [f"ended with {slot.history.end}"] if slot.history.end else []
    if slot.name == BROKER:
        reasons.append("nothing can be published")
    elif slot.spec.essential:
        reasons.append("it is essential")
    return "; ".join(reasons)


def explanation(slot: Slot, turn: Turn, waiting_for: tuple[str, ...]) -> Explanation:
    """Why a child is as it is, what happens next, and what would change it."""
    child = row(slot, turn, waiting_for)
    next_step, next_at = _next_step(slot, turn, waiting_for)
    return Explanation(
        child=child,
        since=slot.lifecycle.since + turn.skipped,
        why=_BEFORE_REASON.get(slot.state, "") + child.reason
        if child.reason
        else _WHY.get(slot.state, ""),
        next_step=next_step,
        next_at=None if next_at is None else next_at + turn.skipped,
        what_would_change_it=_choices(slot, turn, waiting_for),
        happenings=tuple(slot.history.happenings),
        crash=slot.history.crash,
    )


def _choices(slot: Slot, turn: Turn, waiting_for: tuple[str, ...]) -> tuple[str, ...]:
    """What a person can do about it."""
    name, life = slot.name, slot.incarnation
    choices = tuple(
        one.format(name=name, pid=life.pid if life else "") for one in _ACTIONS[slot.state]
    )
    match slot.state:
        case State.PENDING:
            whys = (f"daemoneye explain {one}: why it cannot serve yet" for one in waiting_for)
            return (*choices, *whys)
        case State.RUNNING if life and life.heartbeats.is_told_to_pause():
            return (*choices, f"resume {name}: do not pause")
        case State.RUNNING if slot.spec.can_pause:
            return (*choices, f"pause {name}: it lives on, and does no work")
        case State.DEGRADED if life and is_frozen(life.last_words.facts):
            return (f"kill -CONT {life.pid}: lets it go on", *choices)
        case State.STOPPING if slot.desired is Desired.UP:
            return (f"stop {name}: it is not started again",)
    return choices


def _next_step(slot: Slot, turn: Turn, waiting_for: tuple[str, ...]) -> tuple[str, float | None]:
    """What happens next if nothing else does, and when on our own clock."""
    deadline, ending = slot.lifecycle.deadline, slot.incarnation and slot.incarnation.stopping
    match slot.state:
        case State.PENDING if waiting_for:
            return f"it starts when {' and '.join(waiting_for)} can serve", None
        case State.RUNNING if slot.life().heartbeats.is_told_to_pause():
            return f"it is paused when {slot.life().heartbeats.work()} is done", None
        case State.DEGRADED:
            return _next_of_unwell(slot, turn)
        case State.STOPPING if ending:
            return _NEXT_RUNG[ending.rung], deadline
        case State.LOST if slot.desired is Desired.UP:
            return "nothing is started in its place until it is gone", None
        case State.STARTING | State.BACKOFF | State.QUARANTINED:
            return DEADLINES[slot.state], deadline
    return _NEXT.get(slot.state, "nothing, until somebody starts it"), None


def _next_of_unwell(slot: Slot, turn: Turn) -> tuple[str, float | None]:
    """The cause decides: only what hangs is killed."""
    signs, timeouts = slot.life().heartbeats, slot.spec.timeouts
    killed_at = signs.killed_at(turn.now, timeouts)
    if killed_at is not None:
        again = " and started again" if is_restarted(slot.spec.policy, clean=False) else ""
        return f"unless it recovers, it is killed{again}", killed_at
    causes = ["it is connected to the bus again"] if signs.is_cut_off(timeouts) else []
    causes += ["it says that it is well"] if signs.complaint else []
    return f"nothing, until {' and '.join(causes) or 'it recovers'}, or it ends", None
