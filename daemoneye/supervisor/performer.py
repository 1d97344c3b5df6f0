"""Does what the rules say: one short method for each instruction, and nothing is decided here."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from daemoneye import lifeline as line
from daemoneye.signals import SIGCONT, SIGKILL
from daemoneye.supervisor.contract import (
    Announce,
    Answer,
    AskDump,
    Configure,
    Drain,
    FactsTaken,
    Finish,
    Inspect,
    Instruction,
    Kill,
    Observation,
    Pause,
    Release,
    Resume,
    Spawn,
    SpawnFailed,
    Terminate,
)
from daemoneye.supervisor.crashes import write_crash
from daemoneye.supervisor.desk import Desk
from daemoneye.supervisor.documents import crash_document
from daemoneye.supervisor.health import Happening
from daemoneye.supervisor.lives import Lives
from daemoneye.supervisor.process import ChildProcess, Newborn, Outcome, Starter
from daemoneye.supervisor.spec import BROKER
from daemoneye.supervisor.tenure import Tenure
from daemoneye.supervisor.view import View
from daemoneye.supervisor.voice import Voice, credential_of, new_key

log = logging.getLogger("daemoneye.supervisor")


@dataclass(frozen=True, slots=True)
class Tools:
    """What instructions are performed with."""

    tenure: Tenure
    """The run directory, the mark, the switch."""
    lives: Lives
    """The living."""
    starter: Starter
    """Gives birth."""
    voice: Voice
    """Speaks to the broker."""
    desk: Desk
    """Answers."""
    view: View
    """Knows how everything is."""
    on_happening: Callable[[Happening], None]
    """Whoever wants to hear what is worth telling."""


class Performer:
    """Performs instructions, in their order."""

    def __init__(self, tools: Tools, has_bus: bool, observe: Callable[[Observation], None]) -> None:
        self._tools = tools
        self._has_bus = has_bus
        self._observe = observe
        self._dumps = count(1)
        self._keys: dict[tuple[str, int], bytes] = {}
        self.finish: Finish | None = None
        """The last instruction, once it has come."""

    def perform(self, instruction: Instruction) -> None:  # noqa: C901  # one case for each of them
        """Do what one instruction says."""
        lives = self._tools.lives
        match instruction:
            case Spawn():
                self._spawn(instruction)
            case Drain(child, number, timeout):
                lives.say(child, number, line.Drain(timeout))
            case Terminate(child, number):
                self._signal(child, number, signal.SIGTERM, SIGCONT)
            case Kill(child, number):
                self._signal(child, number, SIGKILL)
            case AskDump(child, number):
                lives.say(child, number, line.Dump(next(self._dumps)))
            case Pause(child, number):
                lives.say(child, number, line.Pause(True))
            case Resume(child, number):
                lives.say(child, number, line.Pause(False))
            case Configure(child, number, request, settings):
                lives.say(child, number, line.Configure(request, json.dumps(dict(settings))))
            case Inspect(child, number):
                self._inspect(child, number)
            case Release(child, number, cause):
                self._keys.pop((child, number), None)
                lives.forget(child, number)
                self._tools.voice.ended(child, number, cause)
            case Answer():
                self._tools.desk.answer(instruction)
            case Announce(happening):
                self.announce(happening)
            case Finish():
                self.finish = instruction

    def born(self, spawn: Spawn, outcome: Outcome) -> None:
        """What became of a start."""
        child, number = spawn.child, spawn.number
        if not isinstance(outcome, ChildProcess):
            self._observe(SpawnFailed(child, number, outcome))
            return
        self._tools.lives.born(child, number, outcome)
        if child == BROKER:
            self._tools.voice.broker_born(number)
        elif self._has_bus:
            key = self._keys[child, number]
            self._tools.voice.admit(credential_of(spawn.spec, number, key, outcome.pid))

    def announce(self, happening: Happening) -> None:
        """Tell the screen, the bus and the crash directory."""
        if happening.crash is not None:
            self._write_crash(happening)
        view = self._tools.view
        child = view.child(happening.child)
        if child is not None:
            self._tools.voice.tell_child(child, happening.crash, view.wall)
        try:
            self._tools.on_happening(happening)
        except Exception:  # the listener is the user's, and must not end the supervisor
            log.exception("on_happening failed for %s", happening)

    def _spawn(self, spawn: Spawn) -> None:
        spec, number, tenure = spawn.spec, spawn.number, self._tools.tenure
        key = new_key()
        if self._has_bus and spec.name != BROKER:
            # Before its birth, without a pid: it may be at the broker's door sooner than we are.
            self._keys[spec.name, number] = key
            self._tools.voice.admit(credential_of(spec, number, key))
        bus = str(tenure.run_dir.bus_path) if self._has_bus else ""
        place = str(tenure.run_dir.path)
        passport = line.Passport(spec.name, spec.role, spec.kind, number, key, bus, place)
        self._tools.starter.submit(Newborn(spawn, passport, tenure.scope, tenure.switch))

    def _signal(self, child: str, number: int, *signals: signal.Signals) -> None:
        life = self._tools.lives.get(child, number)
        if life is not None:
            life.process.signal_group(*signals)

    def _inspect(self, child: str, number: int) -> None:
        life = self._tools.lives.get(child, number)
        facts = life.process.facts() if life is not None and not life.ended else None
        if facts is not None:
            self._observe(FactsTaken(child, number, facts))

    def _write_crash(self, happening: Happening) -> None:
        crash, clock = happening.crash, self._tools.view.wall
        assert crash is not None
        moment = datetime.fromtimestamp(crash.at + clock.offset, UTC)
        name = f"{moment:%Y%m%dT%H%M%S.%f}-{crash.child}-{crash.number}"
        try:
            write_crash(self._tools.tenure.run_dir.crash_dir, name, crash_document(crash, clock))
        except OSError as error:  # a full disk must not end the supervision
            log.warning("crash report of %s could not be written: %s", crash.child, error)
