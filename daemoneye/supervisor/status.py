"""Slots as a person sees them: rows of `status`, and explanations."""

from __future__ import annotations

from daemoneye.supervisor.health import ChildHealth, Explanation
from daemoneye.supervisor.incarnation import Slot, Turn
from daemoneye.supervisor.lifecycle import DEADLINES, LIVE, SERVING, WAITING, State
from daemoneye.supervisor.spec import BROKER, Desired

_WHY = {
    State.STARTING: "it was started and has not said that it is ready",
    State.RUNNING: "it said that it is ready, and beats",
    State.PAUSED: "it was told to do no work",
    State.STOPPED: "it is not wanted",
    State.EXITED: "it did what it was for",
}
"""What there is to say when no reason is known."""

_ACTIONS = {
    State.PENDING: ("stop {name}: it is not started",),
    State.STARTING: ("stop {name}", "restart {name}: its start begins again"),
    State.RUNNING: ("stop {name}", "restart {name}"),
    State.DEGRADED: ("stop {name}", "restart {name}: do not wait for the hard limit"),
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
        restarts=max(0, slot.number - 1),
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
        return life.stopping.fault or ("stop asked" if slot.desired is Desired.DOWN else "ended")
    if slot.state is State.STOPPED:
        return _why_stopped(slot)
    if slot.state is State.LOST:
        return "killed, and does not go away"
    if crash is not None and crash.number == slot.number and slot.state not in LIVE:
        return f"{crash.cause}: {crash.exception}" if crash.exception else crash.cause
    return ""


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
    deadline = slot.lifecycle.deadline
    actions = _ACTIONS[slot.state]
    if slot.state is State.RUNNING and slot.spec.can_pause:
        actions += ("pause {name}: it goes on living, and does no work",)
    return Explanation(
        child=child,
        since=slot.lifecycle.since + turn.skipped,
        why=child.reason or _WHY.get(slot.state, ""),
        next_step=_next_step(slot, waiting_for),
        next_at=None if deadline is None else deadline + turn.skipped,
        what_would_change_it=tuple(
            action.format(name=slot.name, pid=child.pid or "") for action in actions
        ),
        happenings=tuple(slot.history.happenings),
        crash=slot.history.crash,
    )


def _next_step(slot: Slot, waiting_for: tuple[str, ...]) -> str:
    if slot.state is State.PENDING:
        if waiting_for:
            return f"it starts when {' and '.join(waiting_for)} can serve"
        return "it starts when fewer children are starting"
    return DEADLINES.get(slot.state, "nothing, until somebody asks for it")
