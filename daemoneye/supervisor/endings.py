"""What becomes of a child when nothing of its incarnation is left, or when it will not go.

wanted?  who ended it     what follows
no       anybody          STOPPED
yes      we, on purpose   PENDING: that was the first half of a restart
yes      itself, cleanly  EXITED, unless it is permanent
yes      a failure        the ledger decides: BACKOFF, QUARANTINED, FATAL; EXITED if temporary
"""

from __future__ import annotations

from daemoneye.supervisor.contract import FailureSaid, Release, Verb
from daemoneye.supervisor.health import CrashReport, HappeningKind, exit_word, signal_name
from daemoneye.supervisor.incarnation import (
    FAILURE,
    IN_LIFE,
    TRY_AGAIN,
    UPWARDS,
    Incarnation,
    Rung,
    Slot,
    Stopping,
    StopReason,
    Turn,
)
from daemoneye.supervisor.lifecycle import Event, State
from daemoneye.supervisor.restarts import (
    Failure,
    Jitter,
    Verdict,
    is_clean_end,
    is_restarted,
)
from daemoneye.supervisor.words import cut

_EVENTS = {
    State.BACKOFF: Event.FAILED,
    State.QUARANTINED: Event.FAILED_OFTEN,
    State.FATAL: Event.GAVE_UP,
}


_KILLED = -9
"""SIGKILL as an exit code."""


def spawn_failed(slot: Slot, turn: Turn, error: str) -> None:
    """No process was born: as good as ended, with what the system said as its last words."""
    incarnation = slot.life()
    if incarnation.stopping is None:
        slot.lifecycle.step(Event.CONDEMNED, turn.now)
        incarnation.stopping = Stopping(StopReason.FAILED, Rung.KILL, "spawn-error")
    incarnation.last_words.failure = FailureSaid(slot.name, incarnation.number, "", cut(error), "")


def over(slot: Slot, turn: Turn, wanted: bool, jitter: Jitter) -> None:
    """Nothing of the incarnation is left: let it go, and decide what becomes of the child."""
    incarnation = slot.life()
    stopping = incarnation.stopping
    assert stopping is not None
    cause = cause_of(slot, incarnation)
    slot.incarnation = None
    turn.do(Release(slot.name, incarnation.number, cause))
    turn.answer(slot, IN_LIFE, f"ended meanwhile ({cause})", TRY_AGAIN)
    if not wanted:
        _stopped(slot, turn, incarnation, cause)
    elif stopping.reason is StopReason.ASKED:
        slot.lifecycle.step(Event.GONE_WANTED, turn.now)
    else:
        _ended_unasked(slot, turn, incarnation, jitter, cause)


def cause_of(slot: Slot, incarnation: Incarnation) -> str:
    """Why it ended, in one word."""
    if slot.state is State.LOST:
        return "lost"
    fault = incarnation.stopping.fault if incarnation.stopping else ""
    return fault or exit_word(incarnation.last_words.exit_code) or "gone"


def lost(slot: Slot, turn: Turn) -> None:
    """SIGKILL was not enough: say so, and answer those who wait; nothing replaces it meanwhile."""
    slot.lifecycle.step(Event.OVERDUE, turn.now)
    verdict = "nothing is started in its place until it is gone"
    report = _crash_report(slot, slot.life(), turn, "lost", verdict)
    slot.history.crash = report
    turn.announce(slot, HappeningKind.LOST, "was killed and does not go away", crash=report)
    turn.answer(slot, frozenset(Verb), "was killed and does not go away", FAILURE)


def _stopped(slot: Slot, turn: Turn, incarnation: Incarnation, cause: str) -> None:
    slot.lifecycle.step(Event.GONE, turn.now)
    exit_code = incarnation.last_words.exit_code
    slot.history.end = cause if exit_code or exit_code is None else ""
    turn.announce(slot, HappeningKind.STOPPED, f"has stopped ({cause})")
    turn.answer(slot, {Verb.STOP}, f"has stopped ({cause})")
    turn.answer(slot, UPWARDS, f"has stopped ({cause})", TRY_AGAIN)


def _ended_unasked(
    slot: Slot, turn: Turn, incarnation: Incarnation, jitter: Jitter, cause: str
) -> None:
    stopping, policy = incarnation.stopping, slot.spec.policy
    assert stopping is not None
    clean = stopping.reason is StopReason.BY_ITSELF and is_clean_end(
        policy, incarnation.last_words.exit_code
    )
    if is_restarted(policy, clean):
        _failed(slot, turn, incarnation, jitter, cause)
        return
    slot.lifecycle.step(Event.COMPLETED, turn.now)
    if clean:
        turn.announce(slot, HappeningKind.COMPLETED, f"is done ({cause})")
        turn.answer(slot, UPWARDS, f"is done ({cause})")
        return
    report = _crash_report(slot, incarnation, turn, cause, "not started again: it is temporary")
    slot.history.crash = report
    turn.announce(slot, HappeningKind.CRASHED, _sentence(report), crash=report)
    turn.answer(slot, UPWARDS, f"failed: {_sentence(report)}", FAILURE)


def _failed(slot: Slot, turn: Turn, incarnation: Incarnation, jitter: Jitter, cause: str) -> None:
    ready_at = incarnation.ready_at
    healthy = turn.now - ready_at if ready_at is not None else 0.0
    failure = Failure(turn.now, ready_at is not None, healthy)
    slot.ledger, verdict = slot.ledger.enter(failure, slot.spec.policy, jitter)
    slot.lifecycle.step(_EVENTS[verdict.state], turn.now)
    if verdict.state is not State.FATAL:
        slot.lifecycle.arm(turn.now + verdict.delay)
    report = _crash_report(slot, incarnation, turn, cause, _next_action(verdict))
    slot.history.crash = report
    turn.announce(slot, HappeningKind.CRASHED, _sentence(report), crash=report)
    if verdict.state is State.QUARANTINED:
        text = f"failed too often: one attempt each {verdict.delay:g} s from now on"
        turn.announce(slot, HappeningKind.QUARANTINED, text)
    elif verdict.state is State.FATAL:
        count = slot.ledger.in_a_row
        text = f"failed {f'{count} times in a row ' if count > 1 else ''}and is given up"
        turn.announce(slot, HappeningKind.GAVE_UP, text)
    turn.answer(slot, UPWARDS, f"failed: {_sentence(report)}", FAILURE)


def _next_action(verdict: Verdict) -> str:
    match verdict.state:
        case State.FATAL:
            return "given up"
        case State.QUARANTINED:
            return f"in quarantine: next attempt in {verdict.delay:g} s"
        case _ if not verdict.delay:
            return "started again at once"
        case _:
            return f"started again in {verdict.delay:.1f} s"


def _why(slot: Slot, incarnation: Incarnation) -> str:
    """What to say beside the cause: what we ended it for, or why an end in order is a failure."""
    stopping, exit_code = incarnation.stopping, incarnation.last_words.exit_code
    if stopping is not None and stopping.why:
        return f"{stopping.why}; {'killed' if exit_code == _KILLED else 'ended'} by daemoneye"
    if exit_code in slot.spec.policy.success_codes:
        return (
            "ended by itself, which counts as a failure with restart = permanent; "
            "transient if it may finish"
        )
    return ""


def _sentence(report: CrashReport) -> str:
    name = f" ({report.signal_name})" if report.signal_name and not report.ours else ""
    words = report.why or report.exception
    why = f": {words}" if words else ""
    return f"{report.cause}{name} after {report.uptime_seconds:.1f} s{why}; {report.next_action}"


def _crash_report(
    slot: Slot, incarnation: Incarnation, turn: Turn, cause: str, next_action: str
) -> CrashReport:
    words, stopping = incarnation.last_words, incarnation.stopping
    signal = signal_name(words.exit_code)
    said = words.failure
    deadline = slot.lifecycle.deadline
    ours = (
        bool(signal)
        and stopping is not None
        and stopping.reason is not StopReason.BY_ITSELF
        and stopping.rung >= Rung.TERMINATE
    )
    return CrashReport(
        child=slot.name,
        number=incarnation.number,
        pid=incarnation.pid,
        at=turn.now + turn.skipped,
        cause=cause,
        why=_why(slot, incarnation),
        signal_name=signal,
        exit_code=words.exit_code,
        ours=ours,
        uptime_seconds=turn.now - incarnation.begun_at,
        exception=": ".join(part for part in (said.exception, said.message) if part)
        if said
        else "",
        traceback=said.traceback if said else "",
        stacks=words.stacks,
        facts=words.facts,
        failures_in_a_row=slot.ledger.in_a_row,
        failures_in_window=slot.ledger.in_window(turn.now, slot.spec.policy),
        next_action=next_action,
        next_attempt_at=None if deadline is None else deadline + turn.skipped,
    )
