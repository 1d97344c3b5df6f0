"""What is said about children: happenings, health reports, crash reports, explanations.

Values and pure functions.  Points in time are on the supervisor's monotonic clock; whoever prints
or sends one turns it into a date.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from daemoneye.supervisor.lifecycle import State


class Overall(StrEnum):
    """How well a child, or the whole, is; from best to worst."""

    HEALTHY = "healthy"
    STARTING = "starting"
    DEGRADED = "degraded"
    FAILED = "failed"


class HappeningKind(StrEnum):
    """What sort of thing is worth telling a person."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    WELL = "well"
    PAUSED = "paused"
    RESUMED = "resumed"
    CONFIGURED = "configured"
    CRASHED = "crashed"
    COMPLETED = "completed"
    QUARANTINED = "quarantined"
    GAVE_UP = "gave-up"
    STOPPING = "stopping"
    STOPPED = "stopped"
    LOST = "lost"
    STACKS = "stacks"
    AWAITED = "awaited"
    ALL_READY = "all-ready"
    SHUTDOWN = "shutdown"
    ENDED = "ended"
    TIME_SKIPPED = "time-skipped"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the operating system says about a child's process, from outside."""

    status: str = ""
    """psutil's word: `running`, `sleeping`, `stopped`, `disk-sleep` …; empty: not known."""
    cpu_percent: float = 0.0
    """Share of one core since the last look."""
    rss_bytes: int = 0
    """Resident memory."""
    descriptors: int = 0
    """Open files, sockets and pipes."""
    threads: int = 0
    """Threads."""


@dataclass(frozen=True, slots=True)
class CrashReport:
    """One failure of one incarnation: what is known about it and what happens next."""

    child: str
    """Who failed."""
    number: int
    """Which incarnation."""
    pid: int
    """Its process id; 0 when it was never born."""
    at: float
    """When it ended, on the monotonic clock."""
    cause: str
    """`exit:1`, `signal:9`, `not-ready`, `hang(stopped)`, `spawn-error`, `lost`."""
    why: str
    """What the cause means here, for a person; empty when it says everything."""
    signal_name: str
    """`SIGSEGV` …; empty when no signal ended it."""
    exit_code: int | None
    """As multiprocessing says it: negative for a signal; None when it never ended or never was."""
    ours: bool
    """The signal came from us: what we killed it for is the cause."""
    uptime_seconds: float
    """From its birth."""
    exception: str
    """Qualified name and message of what it raised; empty when it said no last words."""
    traceback: str
    """The traceback it sent, as text."""
    stacks: str
    """The last dump of its stacks."""
    facts: Facts | None
    """The last look at its process."""
    failures_in_a_row: int
    """The ledger's count, this one included."""
    failures_in_window: int
    """Failures the window still sees, this one included."""
    next_action: str
    """What the supervisor does about it, as a sentence."""
    next_attempt_at: float | None
    """When it is started again, on the monotonic clock."""

    @property
    def reason(self) -> str:
        """Cause and meaning in one clause."""
        return ": ".join(part for part in (self.cause, self.why or self.exception) if part)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something worth telling: one line on a screen, one event on the bus."""

    at: float
    """When, on the monotonic clock."""
    kind: HappeningKind
    """What sort."""
    child: str
    """Whom it is about; empty: the supervisor."""
    number: int
    """Which incarnation; 0: none."""
    text: str
    """One sentence for a person, without the child's name."""
    crash: CrashReport | None = None
    """With `crashed` and `lost`: the whole report."""
    detail: str = ""
    """More lines, when there are any: stacks."""


@dataclass(frozen=True, slots=True)
class ChildHealth:
    """One row of `status`."""

    name: str
    """The child's name."""
    state: State
    """What it is doing."""
    desired: str
    """What the operator wants: up or down."""
    pid: int | None
    """Its process id; None when there is none."""
    incarnation: int
    """The number of its current or last life; 0: never started."""
    restarts: int
    """Starts after an end that nobody had asked for."""
    uptime_seconds: float | None
    """Since its birth; None when it does not live."""
    heartbeat_age_seconds: float | None
    """Since its last sign of life; None when it gave none."""
    rss_bytes: int | None
    """Resident memory; None when not known."""
    cpu_percent: float | None
    """Share of one core; None when not known."""
    reason: str
    """Why it is in this state; empty when there is nothing to say."""
    next_attempt_at: float | None
    """When it is started next, on the monotonic clock."""
    counters: tuple[tuple[str, int], ...] = ()
    """What it counts itself, from its last heartbeat, by name."""
    essential: bool = False
    """The others need it: it is missed even when somebody has stopped it on purpose."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the whole is."""

    overall: Overall
    """The worst of all children."""
    reason: str
    """Why; empty when healthy."""
    children: tuple[ChildHealth, ...]
    """One row for each child, in the order of the plan."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a child is as it is, and what will happen."""

    child: ChildHealth
    """The row of `status`."""
    since: float
    """When it came into this state, on the monotonic clock."""
    why: str
    """One sentence."""
    next_step: str
    """What happens next if nothing else does, as a sentence."""
    next_at: float | None
    """When, on the monotonic clock."""
    what_would_change_it: tuple[str, ...]
    """Things a person can do, each as a sentence."""
    happenings: tuple[Happening, ...]
    """The last ten, oldest first."""
    crash: CrashReport | None
    """Its last failure."""


_OVERALL = {
    State.PENDING: Overall.STARTING,
    State.STARTING: Overall.STARTING,
    State.RUNNING: Overall.HEALTHY,
    State.DEGRADED: Overall.DEGRADED,
    State.PAUSED: Overall.HEALTHY,
    State.STOPPING: Overall.DEGRADED,
    State.STOPPED: Overall.HEALTHY,
    State.EXITED: Overall.HEALTHY,
    State.BACKOFF: Overall.DEGRADED,
    State.QUARANTINED: Overall.FAILED,
    State.FATAL: Overall.FAILED,
    State.LOST: Overall.FAILED,
}

_GRAVITY = tuple(Overall)

REASONS_TOLD = 10
"""Children the reason of the whole names; each has its own in its row."""


def overall_of(child: ChildHealth) -> Overall:
    """How well one child is; one that is not wanted is not missed, unless it is essential."""
    if child.state in (State.STOPPING, State.STOPPED) and child.desired == "down":
        return Overall.DEGRADED if child.essential else Overall.HEALTHY
    if child.state is State.EXITED and child.reason:
        return Overall.DEGRADED
    return _OVERALL[child.state]


def report(children: tuple[ChildHealth, ...]) -> HealthReport:
    """The worst of all children, and which of them it is because of."""
    worst = max((overall_of(child) for child in children), key=_GRAVITY.index, default=_GRAVITY[0])
    if worst is Overall.HEALTHY:
        return HealthReport(worst, "", children)
    reasons = [
        f"{child.name} is {child.state}" + (f": {child.reason}" if child.reason else "")
        for child in children
        if overall_of(child) is worst
    ]
    told = reasons[:REASONS_TOLD]
    if len(reasons) > len(told):
        told.append(f"and {len(reasons) - len(told)} more")
    return HealthReport(worst, "; ".join(told), children)


SIGNAL_NAMES = MappingProxyType(
    {
        1: "SIGHUP",
        2: "SIGINT",
        3: "SIGQUIT",
        4: "SIGILL",
        5: "SIGTRAP",
        6: "SIGABRT",
        7: "SIGBUS",
        8: "SIGFPE",
        9: "SIGKILL",
        10: "SIGUSR1",
        11: "SIGSEGV",
        12: "SIGUSR2",
        13: "SIGPIPE",
        14: "SIGALRM",
        15: "SIGTERM",
        24: "SIGXCPU",
        25: "SIGXFSZ",
        31: "SIGSYS",
    }
)
"""Names of the signals that end processes, by number as on Linux."""


def signal_name(exit_code: int | None) -> str:
    """The name of the signal an exit code stands for; empty when it stands for none."""
    if exit_code is None or exit_code >= 0:
        return ""
    return SIGNAL_NAMES.get(-exit_code, f"SIG{-exit_code}")


def exit_word(exit_code: int | None) -> str:
    """An exit code as a cause: `exit:1`, `signal:9`; empty when it never ended."""
    if exit_code is None:
        return ""
    return f"exit:{exit_code}" if exit_code >= 0 else f"signal:{-exit_code}"
