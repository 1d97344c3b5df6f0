"""The living: every incarnation there is, what it says, and its end, as observations.

Everything is registered with the loop's selector, and what happens is collected in the order it is
read.  A death is told behind everything its child had said; an empty group behind the death.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from daemoneye import lifeline as line
from daemoneye.errors import LocalProtocolError, ProtocolError, TooLarge
from daemoneye.supervisor.contract import (
    Answer,
    BeatHeard,
    BecameReady,
    ConditionSaid,
    ConfiguredSaid,
    DumpTaken,
    Ended,
    FailureSaid,
    GroupEmptied,
    MoreTimeAsked,
    Observation,
    Spawned,
)
from daemoneye.supervisor.incarnation import TRY_AGAIN
from daemoneye.supervisor.process import ChildProcess

log = logging.getLogger("daemoneye.supervisor")

GROUP_INTERVAL = 0.05
"""Seconds between two looks at a group whose leader is gone."""

REPORTS_PER_TURN = 64
"""Reports of one child that are taken in at once; what else it said waits for the next turn."""

WISHES_LIMIT = 64
"""Wishes of one incarnation that may wait for their verdict."""

LAST_REPORTS = 256
"""How many of its last reports are heard behind a child's end."""

_LAST_READS = 32  # more than a lifeline's two buffers hold

Name: TypeAlias = str
Key: TypeAlias = tuple[Name, int]
Decide: TypeAlias = Callable[[Answer], None]
WishHeard: TypeAlias = Callable[[Name, line.Wish, Decide], None]


@dataclass(eq=False, slots=True)
class Life:
    """One incarnation."""

    child: Name
    """The child's name."""
    number: int
    """Which of its lives."""
    process: ChildProcess
    """Its process, and our end of its lifeline."""
    ended: bool = False
    """It is reaped; something of its group may be left."""
    unheard: deque[line.Report] = field(default_factory=deque)
    """What it said and nobody has looked at: one read's worth at most, while it lives."""
    wishes: int = 0
    """How many of its wishes wait for their verdict."""

    @property
    def lifeline(self) -> line.SupervisorEnd:
        """Our end of its private pipe."""
        return self.process.lifeline


class Lives:
    """All living incarnations, and what they have said and done since the last look."""

    def __init__(self, selector: selectors.BaseSelector, wish: WishHeard) -> None:
        """`wish` is called when a child hands a wish up, with what to call with the answer."""
        self._selector = selector
        self._wish = wish
        self._lives: dict[Key, Life] = {}
        self._observed: list[Observation] = []
        self._groups_at: float | None = None
        self.untold = 0
        """How much could not be said to a child."""

    def __iter__(self) -> Iterator[Life]:
        return iter(self._lives.values())

    def get(self, child: Name, number: int) -> Life | None:
        """An incarnation that has been born and not been forgotten."""
        return self._lives.get((child, number))

    def born(self, child: Name, number: int, process: ChildProcess) -> Life:
        """A process was born: listen to it and wait for its end."""
        life = Life(child, number, process)
        self._lives[child, number] = life
        self._selector.register(
            process.lifeline, selectors.EVENT_READ, lambda mask: self._hear(life, mask)
        )
        self._selector.register(process, selectors.EVENT_READ, lambda mask: self._end(life))
        self._observed.append(Spawned(child, number, process.pid, process.created_at))
        return life

    def say(self, child: Name, number: int, order: line.Order) -> None:
        """Say something on a child's lifeline, unless it is too long or the child does not read.

        What could not be said is counted, and logged the first time: nobody here can mend it.
        """
        life = self.get(child, number)
        if life is None:
            return
        try:
            said = life.lifeline.send(order)
            why = "it does not read"
        except (TooLarge, LocalProtocolError) as error:
            said, why = False, str(error)
        if not said:
            if not self.untold:
                log.warning("%s is not told a %s: %s", child, type(order).__name__, why)
            self.untold += 1
        elif life.lifeline.wants_write:
            self._want_write(life, True)

    def forget(self, child: Name, number: int) -> None:
        """The incarnation is over."""
        life = self._lives.pop((child, number), None)
        if life is not None:
            self._unregister(life.lifeline)
            self._unregister(life.process)
            life.process.close()

    def take(self) -> list[Observation]:
        """What was observed since the last call."""
        observed, self._observed = self._observed, []
        return observed

    def next_deadline(self) -> float | None:
        """When `hear` or `look_at_groups` should be called."""
        if any(life.unheard for life in self):
            return 0.0
        return self._groups_at

    def hear(self) -> None:
        """Take in what the living have said, a part of it from one who says very much."""
        for life in list(self):
            for _ in range(min(REPORTS_PER_TURN, len(life.unheard))):
                self._take_in(life, life.unheard.popleft())

    def look_at_groups(self, now: float) -> None:
        """See whether anything is left of the groups of the dead."""
        if self._groups_at is None or now < self._groups_at:
            return
        waiting = [life for life in self._lives.values() if life.ended]
        left = [life for life in waiting if not self._is_empty(life)]
        self._groups_at = now + GROUP_INTERVAL if left else None

    # -- called by the selector --

    def _hear(self, life: Life, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and life.lifeline.flush():
            self._want_write(life, False)
        if mask & selectors.EVENT_READ and not life.unheard and not self._read(life):
            self._unregister(life.lifeline)

    def _read(self, life: Life) -> bool:
        """Take in one bulk read; False when the lifeline has ended."""
        try:
            life.unheard += life.lifeline.read()
        except (EOFError, ProtocolError, TooLarge):
            # It is dead, which its process tells, or it speaks nonsense: then it has no more
            # heartbeats for us, and ends as a child that hangs.
            return False
        return True

    def _take_in(self, life: Life, report: line.Report) -> None:
        if isinstance(report, line.Wish):
            self._take_wish(life, report)
            return
        observation = _observation(life.child, life.number, report)
        if observation is not None:
            self._observed.append(observation)

    def _take_wish(self, life: Life, wish: line.Wish) -> None:
        def decide(answer: Answer) -> None:
            life.wishes -= 1
            if wish.request:
                verdict = line.Verdict(wish.request, answer.ok, answer.words)
                self.say(life.child, life.number, verdict)

        life.wishes += 1
        if life.wishes > WISHES_LIMIT:
            text = f"too many wishes of {life.child} wait for their verdict"
            decide(Answer(0, False, text, TRY_AGAIN))
        else:
            self._wish(life.child, wish, decide)

    def _end(self, life: Life) -> None:
        code = life.process.exit_code()
        if code is None or life.ended:
            return
        life.ended = True
        self._unregister(life.process)
        for _ in range(_LAST_READS):
            if not self._read(life):
                break
        self._unregister(life.lifeline)
        for report in list(life.unheard)[-LAST_REPORTS:]:
            self._take_in(life, report)
        life.unheard.clear()
        self._observed.append(Ended(life.child, life.number, code))
        if not self._is_empty(life):
            self._groups_at = time.monotonic() + GROUP_INTERVAL

    def _is_empty(self, life: Life) -> bool:
        if not life.process.group_is_empty():
            return False
        self._observed.append(GroupEmptied(life.child, life.number))
        return True

    def _want_write(self, life: Life, wanted: bool) -> None:
        key = self._selector.get_map().get(life.lifeline)
        if key is not None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
            self._selector.modify(life.lifeline, events, key.data)

    def _unregister(self, which: line.SupervisorEnd | ChildProcess) -> None:
        if self._selector.get_map().get(which) is not None:
            self._selector.unregister(which)


def _observation(child: Name, number: int, report: line.Report) -> Observation | None:
    """A report as the rules know it; None for what they do not care about."""
    match report:
        case line.Ready():
            return BecameReady(child, number)
        case line.Beat():
            return BeatHeard(
                child,
                number,
                report.progress,
                report.busy_seconds,
                report.doing,
                report.paused,
                report.bus_connected,
                report.uses_bus,
                tuple(sorted(report.counters.items())),
            )
        case line.Extend(seconds):
            return MoreTimeAsked(child, number, seconds)
        case line.Condition(degraded):
            return ConditionSaid(child, number, degraded)
        case line.Failure(exception, message, traceback):
            return FailureSaid(child, number, exception, message, traceback)
        case line.Dumped(_, stacks):
            return DumpTaken(child, number, stacks)
        case line.Configured(request, error):
            return ConfiguredSaid(child, number, request, error)
        case _:
            return None
