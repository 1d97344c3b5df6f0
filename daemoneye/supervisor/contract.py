"""What the rules of supervision are told, and what they answer.

    observations ──▶ Supervision.handle(now, observations) ──▶ instructions

An observation is something that happened; an instruction is something to do.  All are small frozen
values, so a whole crash storm is one comparison of lists.  A child and a number name one
incarnation: an observation about an incarnation that is over changes nothing.

A shell delivers, in one batch, messages before deaths, and sends `GroupEmptied` right behind
`Ended` when nothing of the group is left.  It performs instructions in their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from daemoneye.supervisor.health import Facts, Happening
from daemoneye.supervisor.settings import Settings
from daemoneye.supervisor.spec import ChildSpec

__all__ = [
    "Announce",
    "Answer",
    "AskDump",
    "BeatHeard",
    "BecameReady",
    "Commanded",
    "ConditionSaid",
    "Configure",
    "ConfiguredSaid",
    "Drain",
    "DumpTaken",
    "Ended",
    "Facts",
    "FactsTaken",
    "FailureSaid",
    "Finish",
    "GroupEmptied",
    "Happening",
    "Inspect",
    "Instruction",
    "Kill",
    "MoreTimeAsked",
    "Observation",
    "OfIncarnation",
    "Pause",
    "Release",
    "Resume",
    "ShutdownAsked",
    "Spawn",
    "SpawnFailed",
    "Spawned",
    "Terminate",
    "TimeSkipped",
    "Urgency",
    "Verb",
]


class Verb(StrEnum):
    """What an operator, or somebody on the bus, may ask about one child."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    RESUME = "resume"
    CONFIGURE = "configure"
    STATUS = "status"


class Urgency(IntEnum):
    """How fast a shutdown has to be; each further signal is one step up."""

    ORDERLY = 1
    """In ranks, the broker last, each child with its whole stop ladder."""
    FAST = 2
    """Everybody at once: SIGTERM, and SIGKILL two seconds later."""
    KILL = 3
    """SIGKILL to everybody, now."""


# --- observations ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfIncarnation:
    """What all words about one incarnation have in common."""

    child: str
    """The child's name."""
    number: int
    """Which of its lives: rises by one with each `Spawn`, beginning at 1."""


@dataclass(frozen=True, slots=True)
class Spawned(OfIncarnation):
    """A process was born."""

    pid: int
    """Its process id, which is also its group."""
    created_at: float
    """Its creation time as the operating system tells it; pid and this are its identity."""


@dataclass(frozen=True, slots=True)
class SpawnFailed(OfIncarnation):
    """No process was born; there is nothing left to clean up."""

    error: str
    """What the operating system, or pickle, said."""


@dataclass(frozen=True, slots=True)
class BecameReady(OfIncarnation):
    """The child said that it can serve."""


@dataclass(frozen=True, slots=True)
class BeatHeard(OfIncarnation):
    """A heartbeat from the child's runtime thread."""

    progress: int = 0
    """Rises with every piece of work finished."""
    busy_seconds: float = 0.0
    """How long the work in hand has taken; 0: it waits for work, which is healthy however long."""
    doing: str = ""
    """The work in hand, for a person."""
    paused: bool = False
    """It was paused and does no work."""
    bus_connected: bool = False
    """Its bus client has a connection."""
    uses_bus: bool = False
    """It has a bus client at all."""
    counters: tuple[tuple[str, int], ...] = ()
    """What it counts, by name."""


@dataclass(frozen=True, slots=True)
class MoreTimeAsked(OfIncarnation):
    """The child needs longer to get ready."""

    seconds: float
    """From now."""


@dataclass(frozen=True, slots=True)
class ConditionSaid(OfIncarnation):
    """The child called itself degraded, or well again."""

    degraded: str
    """The reason; empty: well."""


@dataclass(frozen=True, slots=True)
class FailureSaid(OfIncarnation):
    """A child's last words: the exception that is ending it."""

    exception: str
    """Qualified class name."""
    message: str
    """Its text."""
    traceback: str
    """The whole traceback as text."""


@dataclass(frozen=True, slots=True)
class Ended(OfIncarnation):
    """The child's own process is over and reaped; others of its group may still live."""

    exit_code: int
    """As multiprocessing says it: negative for a signal."""


@dataclass(frozen=True, slots=True)
class GroupEmptied(OfIncarnation):
    """Nothing is left of the child's process group; comes after `Ended`."""


@dataclass(frozen=True, slots=True)
class FactsTaken(OfIncarnation):
    """A look at the child's process from outside."""

    facts: Facts
    """What was seen."""


@dataclass(frozen=True, slots=True)
class DumpTaken(OfIncarnation):
    """The child wrote down its stacks."""

    stacks: str
    """As text."""


@dataclass(frozen=True, slots=True)
class ConfiguredSaid(OfIncarnation):
    """The child's answer to `Configure`."""

    request: int
    """Which one."""
    error: str
    """Why it refuses; empty: the settings are in force."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """Somebody asks for something; there is exactly one final `Answer` for each."""

    request: int
    """The shell's number for it, used by no other."""
    verb: Verb
    """What is asked."""
    child: str
    """About whom."""
    settings: Settings = field(default_factory=dict)
    """With `configure`: settings to change, the others stay."""
    asked_by: str = "operator"
    """Who asks, as proven."""
    handed_up_by: str = ""
    """The child whose lifeline it came on; empty: it came by the control endpoint, or from us."""


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    """The whole is to end."""

    urgency: Urgency = Urgency.ORDERLY
    """How fast.  It never goes down again."""
    signal: int = 0
    """The signal that asked; 0: somebody asked in words, or the time was up."""


@dataclass(frozen=True, slots=True)
class TimeSkipped:
    """The supervisor did not run for a while (stopped, suspended, starved): all deadlines move."""

    seconds: float
    """By how much."""


Observation = (
    Spawned
    | SpawnFailed
    | BecameReady
    | BeatHeard
    | MoreTimeAsked
    | ConditionSaid
    | FailureSaid
    | Ended
    | GroupEmptied
    | FactsTaken
    | DumpTaken
    | ConfiguredSaid
    | Commanded
    | ShutdownAsked
    | TimeSkipped
)


# --- instructions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spawn(OfIncarnation):
    """Start a process; answered by `Spawned` or `SpawnFailed`."""

    spec: ChildSpec
    """What to start, with the settings it has now."""


@dataclass(frozen=True, slots=True)
class Drain(OfIncarnation):
    """Ask on the lifeline to finish and end."""

    timeout: float
    """Seconds until SIGTERM."""


@dataclass(frozen=True, slots=True)
class Terminate(OfIncarnation):
    """SIGTERM and SIGCONT to the group."""


@dataclass(frozen=True, slots=True)
class Kill(OfIncarnation):
    """SIGKILL to the group."""


@dataclass(frozen=True, slots=True)
class AskDump(OfIncarnation):
    """Ask on the lifeline for all stacks; answered by `DumpTaken`, or not at all."""


@dataclass(frozen=True, slots=True)
class Pause(OfIncarnation):
    """Ask on the lifeline to do no work until resumed."""


@dataclass(frozen=True, slots=True)
class Resume(OfIncarnation):
    """Ask on the lifeline to go on."""


@dataclass(frozen=True, slots=True)
class Configure(OfIncarnation):
    """Send new settings down the lifeline; answered by `ConfiguredSaid`."""

    request: int
    """The number the child's answer carries."""
    settings: Settings
    """All settings, the unchanged ones included."""


@dataclass(frozen=True, slots=True)
class Inspect(OfIncarnation):
    """Look at the process from outside now; answered by `FactsTaken`."""


@dataclass(frozen=True, slots=True)
class Release(OfIncarnation):
    """The incarnation is over: close its lifeline, tell the broker, forget it."""

    cause: str
    """`exit:0`, `exit:1`, `signal:9`, `hang(stopped)`, `spawn-error` …"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The one final answer to a `Commanded`."""

    request: int
    """Which."""
    ok: bool
    """It was done."""
    text: str
    """What was done, or why not, as a sentence."""
    code: int = 0
    """The exit code a command line ends with: 0, 1 failure, 5 not found, 75 try again."""
    hint: str = ""
    """What to do about it."""

    @property
    def words(self) -> str:
        """All of it in one line, for who has no place for a hint."""
        return f"{self.text} ({self.hint})" if self.hint else self.text


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell whoever listens: the screen, the bus, the crash directory."""

    happening: Happening
    """What."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over; the last instruction there is."""

    exit_code: int
    """0 in order, 70 an essential child gave up, 130 or 143 cut short, 1 somebody would not go."""
    reason: str
    """Why, as a sentence; it is printed last."""


Instruction = (
    Spawn
    | Drain
    | Terminate
    | Kill
    | AskDump
    | Pause
    | Resume
    | Configure
    | Inspect
    | Release
    | Answer
    | Announce
    | Finish
)
