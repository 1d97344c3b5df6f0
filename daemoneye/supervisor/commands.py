"""What an operator, or somebody on the bus, may ask of one child, in whatever state it is.

Each command changes what is wanted and is answered once: at once, or when the child has got there,
has failed to, or somebody has asked for the opposite.
"""

from __future__ import annotations

from collections.abc import Callable

from daemoneye.supervisor import stopping
from daemoneye.supervisor.contract import (
    Answer,
    Commanded,
    Configure,
    Pause,
    Resume,
    Verb,
)
from daemoneye.supervisor.health import HappeningKind
from daemoneye.supervisor.incarnation import (
    FAILURE,
    IN_LIFE,
    MAX_REQUESTS,
    TRY_AGAIN,
    UPWARDS,
    Request,
    Rung,
    Slot,
    Stopping,
    StopReason,
    Turn,
)
from daemoneye.supervisor.lifecycle import LIVE, SERVING, Event, State
from daemoneye.supervisor.restarts import Ledger
from daemoneye.supervisor.settings import Settings, settings_fault
from daemoneye.supervisor.spec import BROKER, Desired

NOT_PERMITTED = 77
"""Exit code of an answer to somebody who may not ask for it."""


def perform(slot: Slot, turn: Turn, command: Commanded) -> None:
    """Do what is asked of this child, or begin it.

    A child may hand up what concerns itself.  Only the broker may for others: it has proven who
    asks, and the access list has said that they may.
    """
    if command.handed_up_by not in ("", BROKER, slot.name):
        text = f"is not for {command.handed_up_by} to command"
        _answer(slot, turn, command, text, NOT_PERMITTED)
        return
    if len(slot.requests) >= MAX_REQUESTS:
        _answer(slot, turn, command, "has too many commands waiting", TRY_AGAIN)
        return
    _VERBS[command.verb](slot, turn, command)


def _answer(
    slot: Slot, turn: Turn, command: Commanded, text: str, code: int = 0, hint: str = ""
) -> None:
    turn.do(Answer(command.request, not code, f"{slot.name} {text}", code, hint))


def _wait(slot: Slot, command: Commanded) -> None:
    slot.requests.append(Request(command.request, command.verb, None))


def _start(slot: Slot, turn: Turn, command: Commanded) -> None:
    slot.desired = Desired.UP
    turn.answer(slot, {Verb.STOP}, "is started again instead", TRY_AGAIN)
    if slot.state in SERVING:
        _answer(slot, turn, command, f"is running already (pid {slot.life().pid})")
    else:
        _bring_up(slot, turn, command)


def _restart(slot: Slot, turn: Turn, command: Commanded) -> None:
    slot.desired = Desired.UP
    slot.ledger = Ledger()
    turn.answer(slot, {Verb.STOP}, "is restarted instead", TRY_AGAIN)
    if slot.state in SERVING or slot.state is State.STARTING:
        # Those who waited for the life that ends now want the next one just as well.
        stopping.begin(slot, turn, Stopping(StopReason.ASKED, Rung.DRAIN))
        turn.announce(slot, HappeningKind.STOPPING, f"is restarted by {command.asked_by}")
        _wait(slot, command)
    else:
        _bring_up(slot, turn, command)


def _bring_up(slot: Slot, turn: Turn, command: Commanded) -> None:
    """Make a child that does not serve come up; what it failed before is forgiven."""
    if slot.state is State.LOST:
        text = "was killed and does not go away; it is started when it is gone"
        _answer(slot, turn, command, text, TRY_AGAIN)
        return
    if slot.state is State.STOPPING:
        ending = slot.life().stopping
        assert ending is not None
        ending.reason = StopReason.ASKED
    elif slot.state not in (State.PENDING, State.STARTING):
        slot.ledger = Ledger()
        slot.lifecycle.step(Event.WANTED, turn.now)
    _wait(slot, command)


def _stop(slot: Slot, turn: Turn, command: Commanded) -> None:
    slot.desired = Desired.DOWN
    turn.answer(slot, UPWARDS, "is stopped instead", TRY_AGAIN)
    turn.answer(slot, IN_LIFE, "is stopped instead", TRY_AGAIN)
    if slot.state is State.STOPPED:
        _answer(slot, turn, command, "is stopped already")
    elif slot.state is State.LOST:
        _answer(slot, turn, command, "was killed and does not go away", FAILURE)
    elif slot.state not in LIVE:
        slot.lifecycle.step(Event.STOP, turn.now)
        slot.history.end = ""
        turn.announce(slot, HappeningKind.STOPPED, f"is stopped by {command.asked_by}")
        _answer(slot, turn, command, "has stopped")
    else:
        if slot.state is not State.STOPPING:
            stopping.begin(slot, turn, Stopping(StopReason.ASKED, Rung.DRAIN))
            turn.announce(slot, HappeningKind.STOPPING, f"is stopped by {command.asked_by}")
        _wait(slot, command)


def _pause(slot: Slot, turn: Turn, command: Commanded) -> None:
    if not slot.spec.can_pause:
        text = "is no collector: only collectors can be paused"
        hint = f"`daemoneye stop {slot.name}` ends it until it is started again"
        _answer(slot, turn, command, text, FAILURE, hint)
        return
    turn.answer(slot, {Verb.RESUME}, "is paused instead", TRY_AGAIN)
    if slot.state not in SERVING:
        _not_serving(slot, turn, command)
    elif slot.life().heartbeats.is_paused():
        _answer(slot, turn, command, "is paused already")
    else:
        turn.do(Pause(slot.name, slot.number))
        _wait_for_child(slot, turn, command)


def _resume(slot: Slot, turn: Turn, command: Commanded) -> None:
    pausing = any(request.verb is Verb.PAUSE for request in slot.requests)
    turn.answer(slot, {Verb.PAUSE}, "goes on instead", TRY_AGAIN)
    if slot.state not in SERVING:
        _not_serving(slot, turn, command)
    elif not pausing and not slot.life().heartbeats.is_told_to_pause():
        _answer(slot, turn, command, "is not paused")
    else:
        turn.do(Resume(slot.name, slot.number))
        _wait_for_child(slot, turn, command)


def _configure(slot: Slot, turn: Turn, command: Commanded) -> None:
    settings = {**slot.spec.settings, **command.settings}
    if any(request.verb is Verb.CONFIGURE for request in slot.requests):
        _answer(slot, turn, command, "is taking other settings just now", TRY_AGAIN)
    elif fault := settings_fault(settings):
        _answer(slot, turn, command, f"cannot have these settings: {fault}", FAILURE)
    elif slot.state in SERVING:
        turn.do(Configure(slot.name, slot.number, command.request, settings))
        _wait_for_child(slot, turn, command, settings)
    elif slot.state in LIVE:
        _not_serving(slot, turn, command)
    else:
        slot.keep_settings(settings)
        turn.announce(slot, HappeningKind.CONFIGURED, "has new settings, for its next start")
        _answer(slot, turn, command, "takes the settings at its next start")


def _status(slot: Slot, turn: Turn, command: Commanded) -> None:
    pid = f" (pid {slot.incarnation.pid})" if slot.incarnation and slot.incarnation.pid else ""
    _answer(slot, turn, command, f"is {slot.state}{pid}")


def _not_serving(slot: Slot, turn: Turn, command: Commanded) -> None:
    text = f"is {slot.state}: {command.verb} needs a child that runs"
    code = TRY_AGAIN if slot.state is State.STARTING else FAILURE
    hint = f"`daemoneye explain {slot.name}` says why, and what would change it"
    _answer(slot, turn, command, text, code, hint)


def _wait_for_child(
    slot: Slot, turn: Turn, command: Commanded, settings: Settings | None = None
) -> None:
    """The answer is the child's; one that has not come by the soft limit is given without it."""
    deadline = turn.now + slot.spec.timeouts.soft_timeout
    slot.requests.append(Request(command.request, command.verb, deadline, settings))


_VERBS: dict[Verb, Callable[[Slot, Turn, Commanded], None]] = {
    Verb.START: _start,
    Verb.STOP: _stop,
    Verb.RESTART: _restart,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.CONFIGURE: _configure,
    Verb.STATUS: _status,
}
