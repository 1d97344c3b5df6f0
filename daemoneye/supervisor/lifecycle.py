"""A child's states and the one transition table.

The observed state is kept apart from the desired one: a restart is a stop of a child that is
wanted up.  Each incarnation ends through STOPPING, whoever ended it, because its group may outlive
it; what becomes of the child is decided when nothing is left.

A step the table does not have is a bug and raises `InvalidTransition`.  A state owns at most one
deadline, whose meaning `DEADLINES` gives, and a step drops it: no timer outlives its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from daemoneye.errors import InvalidTransition


class State(StrEnum):
    """What a child is doing."""

    PENDING = "PENDING"
    """It waits: for a dependency, or for its turn."""
    STARTING = "STARTING"
    """It is being born, or has not yet said that it is ready."""
    RUNNING = "RUNNING"
    """It serves."""
    DEGRADED = "DEGRADED"
    """It serves badly, or gives no sign of life; the reason says which."""
    PAUSED = "PAUSED"
    """It was told to do no work; it beats."""
    STOPPING = "STOPPING"
    """Its incarnation is being ended, or has ended and leaves others of its group behind."""
    STOPPED = "STOPPED"
    """Nothing runs, and nothing will."""
    EXITED = "EXITED"
    """It is done: a transient child that ended well, a temporary one that ended."""
    BACKOFF = "BACKOFF"
    """It failed, and is started again soon."""
    QUARANTINED = "QUARANTINED"
    """It failed too often, and is tried again slowly."""
    FATAL = "FATAL"
    """It failed for good."""
    LOST = "LOST"
    """It was killed and does not go away; nothing replaces it while it is there."""


class Event(StrEnum):
    """What moves a child from one state to another."""

    WANTED = "wanted"
    DUE = "due"
    SPAWN = "spawn"
    READY = "ready"
    UNWELL = "unwell"
    WELL = "well"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ENDED = "ended"
    CONDEMNED = "condemned"
    OVERDUE = "overdue"
    GONE = "gone"
    GONE_WANTED = "gone, wanted"
    COMPLETED = "completed"
    FAILED = "failed"
    FAILED_OFTEN = "failed often"
    GAVE_UP = "gave up"


LIVE = frozenset(
    {State.STARTING, State.RUNNING, State.DEGRADED, State.PAUSED, State.STOPPING, State.LOST}
)
"""States in which an incarnation exists."""

SERVING = frozenset({State.RUNNING, State.DEGRADED, State.PAUSED})
"""States in which a child has said that it is ready."""

WAITING = frozenset({State.BACKOFF, State.QUARANTINED})
"""States in which a failed child waits for its next attempt."""

_AT_REST = {Event.WANTED: State.PENDING, Event.STOP: State.STOPPED}
_TO_ITS_END = {
    Event.STOP: State.STOPPING,
    Event.ENDED: State.STOPPING,
    Event.CONDEMNED: State.STOPPING,
}
_WHAT_BECOMES_OF_IT = {
    Event.GONE: State.STOPPED,
    Event.GONE_WANTED: State.PENDING,
    Event.COMPLETED: State.EXITED,
    Event.FAILED: State.BACKOFF,
    Event.FAILED_OFTEN: State.QUARANTINED,
    Event.GAVE_UP: State.FATAL,
}

TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.STOPPED: {Event.WANTED: State.PENDING},
        State.PENDING: {Event.SPAWN: State.STARTING, Event.STOP: State.STOPPED},
        State.STARTING: {Event.READY: State.RUNNING, **_TO_ITS_END},
        State.RUNNING: {Event.UNWELL: State.DEGRADED, Event.PAUSE: State.PAUSED, **_TO_ITS_END},
        State.DEGRADED: {Event.WELL: State.RUNNING, Event.PAUSE: State.PAUSED, **_TO_ITS_END},
        State.PAUSED: {Event.RESUME: State.RUNNING, Event.UNWELL: State.DEGRADED, **_TO_ITS_END},
        State.STOPPING: {Event.OVERDUE: State.LOST, **_WHAT_BECOMES_OF_IT},
        State.LOST: _WHAT_BECOMES_OF_IT,
        State.BACKOFF: {Event.DUE: State.PENDING, **_AT_REST},
        State.QUARANTINED: {Event.DUE: State.PENDING, **_AT_REST},
        State.EXITED: _AT_REST,
        State.FATAL: _AT_REST,
    }
)
"""Where each event leads from each state; what is missing cannot happen."""

DEADLINES: Mapping[State, str] = MappingProxyType(
    {
        State.STARTING: "unless it is ready by then, it is ended",
        State.RUNNING: "without another sign of life it becomes DEGRADED",
        State.DEGRADED: "without another sign of life it hangs, and is killed",
        State.PAUSED: "without another sign of life it becomes DEGRADED",
        State.STOPPING: "if it is not gone by then, the next rung of the stop ladder",
        State.BACKOFF: "it is started again",
        State.QUARANTINED: "it is started again",
    }
)
"""What the one deadline of a state means; a state that is missing owns none."""


class Lifecycle:
    """Where one child stands: its state, since when, and the state's deadline."""

    __slots__ = ("_deadline", "_since", "_state")

    def __init__(self, now: float) -> None:
        self._state = State.STOPPED
        self._since = now
        self._deadline: float | None = None

    def __repr__(self) -> str:
        return f"<Lifecycle {self._state} since {self._since:.3f} deadline {self._deadline}>"

    @property
    def state(self) -> State:
        """What the child is doing."""
        return self._state

    @property
    def since(self) -> float:
        """When it came into this state."""
        return self._since

    @property
    def deadline(self) -> float | None:
        """When this state has lasted long enough; what follows is in `DEADLINES`."""
        return self._deadline

    def step(self, event: Event, now: float) -> State:
        """Go where the table says, and drop the deadline.  Raises `InvalidTransition`."""
        following = TRANSITIONS[self._state].get(event)
        if following is None:
            raise InvalidTransition(
                f"a child that is {self._state} cannot take the event {event.value!r}",
                hint="a bug in the rules of supervision; the table is in supervisor/lifecycle.py",
            )
        self._state, self._since, self._deadline = following, now, None
        return following

    def arm(self, deadline: float) -> None:
        """Set this state's deadline in place of the one it had.  Raises `InvalidTransition`."""
        if self._state not in DEADLINES:
            raise InvalidTransition(
                f"a child that is {self._state} cannot take the event 'arm': it owns no deadline",
                hint="a bug in the rules of supervision; see DEADLINES in supervisor/lifecycle.py",
            )
        self._deadline = deadline


def diagram() -> str:
    """The table as a Mermaid state diagram; several events between two states share one arrow."""
    lines = ["stateDiagram-v2", "    [*] --> STOPPED"]
    for state, steps in TRANSITIONS.items():
        arrows: dict[State, list[str]] = {}
        for event, following in steps.items():
            arrows.setdefault(following, []).append(event.value)
        lines += [
            f"    {state} --> {target}: {' / '.join(events)}" for target, events in arrows.items()
        ]
    return "\n".join(lines) + "\n"
