"""One child as the rules know it: its slot, the incarnation in it, and who waits for what.

Slot            the place of a child in the plan; lives as long as the plan
  Lifecycle     state and deadline
  Ledger        failures
  Incarnation   one life: exists from `Spawn` until nothing of its group is left
  Request…      commands that have not had their final answer
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

from daemoneye.supervisor.contract import (
    Announce,
    Answer,
    FailureSaid,
    Instruction,
    Verb,
)
from daemoneye.supervisor.health import CrashReport, Facts, Happening, HappeningKind
from daemoneye.supervisor.heartbeats import Heartbeats, Level
from daemoneye.supervisor.lifecycle import Lifecycle, State
from daemoneye.supervisor.restarts import Ledger
from daemoneye.supervisor.settings import Settings
from daemoneye.supervisor.spec import ChildSpec, Desired

MAX_REQUESTS = 64
"""Commands about one child that may wait for their answer."""

FAILURE, TRY_AGAIN = 1, 75
"""Exit codes of answers: it cannot be done; it cannot be done now."""

UPWARDS = frozenset({Verb.START, Verb.RESTART})
"""What is answered when the child serves."""

IN_LIFE = frozenset({Verb.PAUSE, Verb.RESUME, Verb.CONFIGURE})
"""What only a living child can answer."""

HAPPENINGS_KEPT = 10
"""Happenings of one child that `explain` can still tell."""


class Rung(IntEnum):
    """How far the stop ladder has been climbed."""

    LEADER_GONE = 0
    """The process is over by itself; what is left of its group has not been asked yet."""
    DRAIN = 1
    TERMINATE = 2
    KILL = 3


class StopReason(StrEnum):
    """Why an incarnation is being ended; what becomes of the child depends on it."""

    ASKED = "asked"
    """An operator, a change or a shutdown wants it: no failure."""
    BY_ITSELF = "by itself"
    """Its process ended unasked."""
    FAILED = "failed"
    """It hung, or did not become ready in time; the fault says which."""


@dataclass(slots=True)
class Stopping:
    """An end in progress."""

    reason: StopReason
    """Why."""
    rung: Rung
    """How far."""
    fault: str = ""
    """With FAILED: `not-ready`, `hang(stopped)` …"""
    why: str = ""
    """With a fault: what was seen, for a person."""


@dataclass(slots=True)
class LastWords:
    """What is known of an incarnation for its crash report."""

    failure: FailureSaid | None = None
    """The exception that ended it."""
    stacks: str = ""
    """The last dump of its stacks."""
    facts: Facts | None = None
    """The last look at its process."""
    exit_code: int | None = None
    """How its process ended; None while it lives, or when it was never born."""


@dataclass(slots=True)
class Incarnation:
    """One life of a child."""

    number: int
    """Rises with each life, beginning at 1."""
    begun_at: float
    """When its start was ordered."""
    pid: int = 0
    """Its process id; 0 until it is born."""
    ready_at: float | None = None
    """When it said that it can serve."""
    heartbeats: Heartbeats = field(default_factory=lambda: Heartbeats(0.0))
    """Its signs of life, from readiness on."""
    level: Level = Level.FINE
    """How far past its limits it was at the last look."""
    stopping: Stopping | None = None
    """How its end goes on; None while nobody thinks of it."""
    last_words: LastWords = field(default_factory=LastWords)
    """For the crash report."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command that waits for its final answer."""

    id: int
    """The shell's number for it."""
    verb: Verb
    """What was asked."""
    deadline: float | None
    """When it is answered at the latest; None: its child's own deadlines see to it."""
    settings: Settings | None = None
    """With `configure`: what is kept when the child agrees."""


@dataclass(slots=True)
class History:
    """What `explain` tells of a child's past; bounded."""

    happenings: deque[Happening] = field(default_factory=lambda: deque(maxlen=HAPPENINGS_KEPT))
    """The last ones, oldest first."""
    crash: CrashReport | None = None
    """The last failure."""
    first_ready_at: float | None = None
    """When it was ready for the first time."""
    restarts: int = 0
    """Starts that followed a failure; what an operator asks for is not counted."""
    end: str = ""
    """How the last incarnation ended, when that is worth a word: `exit:1`."""


class Slot:
    """The place of one child in the plan."""

    __slots__ = (
        "desired",
        "history",
        "incarnation",
        "ledger",
        "lifecycle",
        "number",
        "requests",
        "spec",
    )

    def __init__(self, spec: ChildSpec, now: float) -> None:
        self.spec = spec
        self.desired = Desired(spec.desired)
        self.lifecycle = Lifecycle(now)
        self.ledger = Ledger()
        self.number = 0
        self.incarnation: Incarnation | None = None
        self.requests: list[Request] = []
        self.history = History()

    @property
    def name(self) -> str:
        """The child's name."""
        return self.spec.name

    @property
    def state(self) -> State:
        """What the child is doing."""
        return self.lifecycle.state

    def life(self) -> Incarnation:
        """The incarnation of a child whose state says that there is one."""
        assert self.incarnation is not None, f"{self.name} is {self.state} without an incarnation"
        return self.incarnation

    def completed(self) -> bool:
        """It is done and ended well."""
        crash = self.history.crash
        return self.state is State.EXITED and (crash is None or crash.number != self.number)

    def keep_settings(self, settings: Settings) -> None:
        """Start the next incarnation with these."""
        self.spec = replace(self.spec, settings=settings)


class Turn:
    """One call of `handle`: its time, and the instructions it gathers.

    `now` is the rules' own clock, which stands still while the supervisor does not run; `skipped`
    is how far the real one is ahead.
    """

    __slots__ = ("instructions", "now", "skipped")

    def __init__(self, now: float, skipped: float) -> None:
        self.now = now
        self.skipped = skipped
        self.instructions: list[Instruction] = []

    def do(self, instruction: Instruction) -> None:
        """Order it."""
        self.instructions.append(instruction)

    def announce(
        self,
        slot: Slot | None,
        kind: HappeningKind,
        text: str,
        *,
        crash: CrashReport | None = None,
        detail: str = "",
    ) -> None:
        """Tell, and remember it with the child; without a slot it is about the supervisor."""
        name, number = (slot.name, slot.number) if slot else ("", 0)
        at = self.now + self.skipped
        happening = Happening(at, kind, name, number, text, crash, detail)
        if slot:
            slot.history.happenings.append(happening)
        self.do(Announce(happening))

    def answer(self, slot: Slot, verbs: Collection[Verb], text: str, code: int = 0) -> None:
        """Give all waiting requests of these verbs their final answer; code 0 means done."""
        for request in slot.requests:
            if request.verb in verbs:
                self.do(Answer(request.id, not code, f"{slot.name} {text}", code))
        slot.requests = [request for request in slot.requests if request.verb not in verbs]
