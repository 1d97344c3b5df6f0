"""What a living child says of itself, or is seen to be, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from daemoneye.supervisor import stopping
from daemoneye.supervisor.contract import (
    Answer,
    AskDump,
    BeatHeard,
    BecameReady,
    ConditionSaid,
    ConfiguredSaid,
    DumpTaken,
    FactsTaken,
    FailureSaid,
    Inspect,
    MoreTimeAsked,
    OfIncarnation,
    Spawned,
    Verb,
)
from daemoneye.supervisor.health import HappeningKind
from daemoneye.supervisor.heartbeats import Level
from daemoneye.supervisor.incarnation import (
    FAILURE,
    UPWARDS,
    Rung,
    Slot,
    Stopping,
    StopReason,
    Turn,
)
from daemoneye.supervisor.lifecycle import SERVING, Event, State
from daemoneye.supervisor.words import DOING_CHARACTERS, NAME_CHARACTERS, cut

MAX_EXTENSION = 3600.0
"""Seconds a child may ask for at once to get ready."""

MAX_STACKS = 65536
"""Characters of a stack dump that are kept."""

MAX_COUNTERS = 256
"""Counters of one child that are kept."""

_STEPS = {
    (State.RUNNING, State.DEGRADED): (Event.UNWELL, HappeningKind.DEGRADED),
    (State.RUNNING, State.PAUSED): (Event.PAUSE, HappeningKind.PAUSED),
    (State.DEGRADED, State.RUNNING): (Event.WELL, HappeningKind.WELL),
    (State.DEGRADED, State.PAUSED): (Event.PAUSE, HappeningKind.PAUSED),
    (State.PAUSED, State.RUNNING): (Event.RESUME, HappeningKind.RESUMED),
    (State.PAUSED, State.DEGRADED): (Event.UNWELL, HappeningKind.DEGRADED),
}
"""From the state a serving child is in to the one its signs of life ask for."""

_WORDS = {
    HappeningKind.WELL: "is well again",
    HappeningKind.PAUSED: "is paused",
    HappeningKind.RESUMED: "goes on",
}


def take(slot: Slot, turn: Turn, report: OfIncarnation) -> None:
    """One message from, or look at, an incarnation that is not over."""
    words = slot.life().last_words
    match report:
        case Spawned():
            born(slot, turn, report)
        case BecameReady():
            ready(slot, turn)
        case BeatHeard():
            beat(slot, turn, report)
        case MoreTimeAsked(seconds=seconds):
            more_time(slot, turn, seconds)
        case ConditionSaid(degraded=text):
            complaint(slot, turn, text)
        case ConfiguredSaid():
            configured(slot, turn, report)
        case FailureSaid():
            words.failure = replace(
                report,
                exception=cut(report.exception, NAME_CHARACTERS),
                message=cut(report.message),
                traceback=report.traceback[-MAX_STACKS:],
            )
        case FactsTaken(facts=facts):
            words.facts = facts
        case DumpTaken(stacks=stacks):
            dumped(slot, turn, stacks)


def born(slot: Slot, turn: Turn, spawned: Spawned) -> None:
    """A process exists: its time to get ready begins, or the rung that waited for it."""
    incarnation = slot.life()
    incarnation.pid = spawned.pid
    incarnation.begun_at = turn.now
    if slot.state is State.STARTING:
        slot.lifecycle.arm(turn.now + slot.spec.timeouts.ready_timeout)
    else:
        stopping.repeat_rung(slot, turn)


def more_time(slot: Slot, turn: Turn, seconds: float) -> None:
    """A child that is getting ready needs longer; it never gets less than it had."""
    deadline = slot.lifecycle.deadline
    if slot.state is State.STARTING and deadline is not None and seconds > 0:
        slot.lifecycle.arm(max(deadline, turn.now + min(seconds, MAX_EXTENSION)))


def not_ready(slot: Slot, turn: Turn) -> None:
    """Its time to get ready is up."""
    name, number = slot.name, slot.life().number
    turn.do(Inspect(name, number))
    turn.do(AskDump(name, number))
    timeout = slot.spec.timeouts.ready_timeout
    why = f"not ready after {timeout:g} s"
    turn.announce(slot, HappeningKind.STOPPING, f"is {why}: it is ended")
    stopping.begin(slot, turn, Stopping(StopReason.FAILED, Rung.TERMINATE, "not-ready", why))


def ready(slot: Slot, turn: Turn) -> None:
    """It serves.  A late word from one that is being ended changes nothing."""
    if slot.state is not State.STARTING:
        return
    incarnation = slot.life()
    incarnation.ready_at = turn.now
    incarnation.heartbeats = replace(incarnation.heartbeats, heard_at=turn.now)
    slot.history.first_ready_at = slot.history.first_ready_at or turn.now
    slot.lifecycle.step(Event.READY, turn.now)
    turn.do(Inspect(slot.name, incarnation.number))  # so that nobody waits for its first facts
    turn.announce(slot, HappeningKind.READY, f"is ready (pid {incarnation.pid})")
    turn.answer(slot, UPWARDS, f"is running (pid {incarnation.pid})")
    assess(slot, turn)


def beat(slot: Slot, turn: Turn, heard: BeatHeard) -> None:
    """A heartbeat; also the answer to pause and resume."""
    if slot.state not in SERVING:
        return
    incarnation = slot.life()
    counters = ((cut(name, NAME_CHARACTERS), value) for name, value in heard.counters)
    heard = replace(
        heard,
        doing=cut(heard.doing, DOING_CHARACTERS),
        counters=tuple(islice(counters, MAX_COUNTERS)),
    )
    incarnation.heartbeats = incarnation.heartbeats.heard(heard, turn.now)
    if not heard.paused:
        turn.answer(slot, {Verb.RESUME}, "goes on")
    elif incarnation.heartbeats.is_paused():
        turn.answer(slot, {Verb.PAUSE}, "is paused")
    assess(slot, turn)


def complaint(slot: Slot, turn: Turn, text: str) -> None:
    """What it thinks of itself; empty when it is well."""
    incarnation = slot.life()
    incarnation.heartbeats = replace(incarnation.heartbeats, complaint=cut(text))
    assess(slot, turn)


def dumped(slot: Slot, turn: Turn, stacks: str) -> None:
    """It wrote down its stacks: kept for a crash report, and told."""
    words = slot.life().last_words
    words.stacks = stacks[:MAX_STACKS]
    turn.announce(slot, HappeningKind.STACKS, "wrote down what its threads do", detail=words.stacks)


def configured(slot: Slot, turn: Turn, said: ConfiguredSaid) -> None:
    """Its answer to new settings: they are kept for its next lives, or nothing has changed."""
    for request in slot.requests:
        if request.id == said.request and request.verb is Verb.CONFIGURE:
            slot.requests.remove(request)
            if said.error:
                text = f"{slot.name} refuses the settings: {cut(said.error)}"
                turn.do(Answer(request.id, False, text, FAILURE))
                return
            slot.keep_settings(request.settings or {})
            turn.announce(slot, HappeningKind.CONFIGURED, "has new settings")
            turn.do(Answer(request.id, True, f"{slot.name} has the new settings"))
            return


def assess(slot: Slot, turn: Turn) -> None:
    """Compare the signs of life with the limits, and move the state to what they say."""
    if slot.state not in SERVING:
        return
    incarnation, timeouts = slot.life(), slot.spec.timeouts
    signs, facts = incarnation.heartbeats, incarnation.last_words.facts
    level = signs.level(turn.now, timeouts)
    reason = signs.reason(turn.now, timeouts, facts)
    if level is Level.HARD:
        word = signs.hang_word(turn.now, timeouts, facts)
        why = signs.limit_reason(turn.now, timeouts, facts)
        turn.announce(slot, HappeningKind.STOPPING, f"hangs and is killed: {why}")
        ending = Stopping(StopReason.FAILED, Rung.KILL, f"hang({word})", why)
        stopping.begin(slot, turn, ending)
        return
    if level is Level.SOFT and incarnation.level is Level.FINE:
        turn.do(Inspect(slot.name, incarnation.number))
        turn.do(AskDump(slot.name, incarnation.number))
    incarnation.level = level
    target = State.DEGRADED if reason else State.PAUSED if signs.is_paused() else State.RUNNING
    if target is not slot.state:
        event, kind = _STEPS[slot.state, target]
        slot.lifecycle.step(event, turn.now)
        turn.announce(slot, kind, reason or _WORDS[kind])
    slot.lifecycle.arm(signs.next_limit(turn.now, timeouts))
