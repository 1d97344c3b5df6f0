"""The supervisor's loop: waits on everything at once, asks the rules, does what they say.

    lifelines ─┐                                              ┌─▶ starter thread ─▶ processes
    deaths ────┤                                              ├─▶ lifelines, signals
    control ───┼─▶ one turn: observations ─▶ Supervision ─▶ instructions
    signals ───┤             (messages, deaths, timers)       ├─▶ the broker: admit, ended, status
    guardian ──┘                                              └─▶ whoever asked, whoever listens

It never blocks and decides nothing.  One turn takes well below 50 ms; when one comes much later
than it was due, the supervisor itself did not run, and the rules are told for how long.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from random import uniform

from daemoneye import signals, system
from daemoneye.rundir import RunDir
from daemoneye.supervisor import orphans
from daemoneye.supervisor.contract import Finish, Observation, ShutdownAsked, TimeSkipped, Urgency
from daemoneye.supervisor.control import ControlServer
from daemoneye.supervisor.desk import Desk
from daemoneye.supervisor.health import Happening, HappeningKind
from daemoneye.supervisor.lives import Lives
from daemoneye.supervisor.performer import Performer, Tools
from daemoneye.supervisor.process import Starter
from daemoneye.supervisor.spec import BROKER, Plan
from daemoneye.supervisor.supervision import Supervision
from daemoneye.supervisor.tenure import Tenure
from daemoneye.supervisor.view import View
from daemoneye.supervisor.voice import Voice

STATUS_INTERVAL = 10.0
"""Seconds between two reports on the bus when nothing changes."""

GAP_SECONDS = 1.0
"""A turn that is later than this was not late, but did not happen: everything stood still."""

ENDING_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signals.SIGHUP})


class Wake:
    """A pipe that ends the loop's wait: a zero byte from a thread, or the number of a signal."""

    __slots__ = ("_read", "write_fd")

    def __init__(self) -> None:
        self._read, self.write_fd = os.pipe()
        system.set_nonblocking(self._read)
        system.set_nonblocking(self.write_fd)

    def fileno(self) -> int:
        """Readable when there is something."""
        return self._read

    def wake(self) -> None:
        """End the wait; from any thread."""
        try:
            os.write(self.write_fd, b"\0")
        except BlockingIOError:
            pass  # it is full of reasons to wake up

    def take(self) -> list[int]:
        """The signals that came, in order."""
        try:
            return [each for each in os.read(self._read, 4096) if each]
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self._read)
        os.close(self.write_fd)


@dataclass(slots=True)
class Pace:
    """When turns are due, so that it can be seen when none could be."""

    due_at: float
    """When the next one has to begin, events or not."""
    ran_at: float
    """When the last one began."""
    end_at: float | None = None
    """When the end of everything begins by itself."""
    signals: int = 0
    """How many signals have asked for the end."""
    orphans_at: float | None = None
    """When escaped grandchildren are looked for; None: that is not ours to do."""
    told_at: float = 0.0
    """When the health was last told on the bus."""
    told: str = ""
    """What it was, in short."""

    def gap(self, now: float) -> float:
        """For how long the supervisor did not run, though it should have; 0 for a little late.

        From the last turn on: it may have stood still as soon as that was over.
        """
        return now - self.ran_at if now - self.due_at > GAP_SECONDS else 0.0


class Loop:
    """One supervisor at work.  Everything but `call` is for the thread that runs it."""

    def __init__(
        self,
        plan: Plan,
        run_dir: RunDir,
        wake: Wake,
        on_happening: Callable[[Happening], None],
        whole: bool,
    ) -> None:
        """Take over the run directory; nothing is started before `run`.

        Raises ConfigError for a plan or a directory that cannot be used, AlreadyRunning when
        another supervisor is there.
        """
        now = time.monotonic()
        self._rules = Supervision(plan, now, uniform)
        self._wake = wake
        self._pace = Pace(now, now)
        self._observed: list[Observation] = []
        self._calls: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        has_bus = any(spec.name == BROKER for spec in plan.children)
        with ExitStack() as undone:
            undone.callback(self._selector.close)
            tenure = Tenure(run_dir, whole, tuple(each.name for each in plan.bus.clients))
            undone.callback(tenure.end, nothing_left=True)
            self._tools = self._made_tools(plan, tenure, on_happening)
            undone.callback(self._tools.starter.close)
            self._performer = Performer(self._tools, has_bus, self._observe)
            desk = self._tools.desk
            self._control = ControlServer(run_dir.control_path, self._selector, desk.asked)
            undone.pop_all()
        desk.control = self._control
        self._selector.register(wake, selectors.EVENT_READ, self._woken)
        if whole and orphans.become_subreaper():
            self._pace.orphans_at = now + orphans.LOOK_INTERVAL
        self._watch_guardian()

    def _made_tools(
        self, plan: Plan, tenure: Tenure, on_happening: Callable[[Happening], None]
    ) -> Tools:
        view = View(self._rules, plan.instance, time.monotonic)
        desk = Desk(view, self._observe)
        lives = Lives(self._selector, desk.wished)
        voice = Voice(plan.bus, tenure.keys, lives.say)
        starter = Starter(self._wake.wake)
        return Tools(tenure, lives, starter, voice, desk, view, on_happening)

    @property
    def view(self) -> View:
        """How everything is."""
        return self._tools.view

    @property
    def desk(self) -> Desk:
        """Where orders are given."""
        return self._tools.desk

    def call(self, what: Callable[[], None]) -> None:
        """Have something done by the loop's thread, soon; from any thread."""
        self._calls.append(what)
        self._wake.wake()

    def finish_calls(self) -> None:
        """Do what came too late for the last turn, and refuse what would need another."""
        while self._calls:
            self._calls.popleft()()
        self._tools.desk.close()

    def end(self, urgency: Urgency = Urgency.ORDERLY, number: int = 0) -> None:
        """Begin the end of everything."""
        self._observe(ShutdownAsked(urgency, number))

    def run(self, for_seconds: float | None = None) -> Finish:
        """Turn until the rules say that it is over; ends in order after `for_seconds`."""
        if for_seconds is not None:
            self._pace.end_at = time.monotonic() + for_seconds
        while self._performer.finish is None:
            self._turn()
        return self._performer.finish

    def close(self) -> None:
        """Let go of everything.  A child that is still there is left to the guardian."""
        self._tools.starter.close()
        left = list(self._tools.lives)
        for life in left:
            self._tools.lives.forget(life.child, life.number)
        self._control.close()
        self._tools.tenure.end(nothing_left=not left)
        self._selector.close()

    # -- one turn --

    def _turn(self) -> None:
        pace = self._pace
        ready = self._selector.select(max(0.0, pace.due_at - time.monotonic()))
        now = time.monotonic()
        if gap := pace.gap(now):
            self._observe(TimeSkipped(gap))
        if pace.end_at is not None and now >= pace.end_at:
            pace.end_at = None
            self.end()
        for key, mask in ready:
            key.data(mask)
        while self._calls:
            self._calls.popleft()()
        self._collect(now)
        observed, self._observed = self._observed + self._tools.lives.take(), []
        instructions = self._rules.handle(now, observed)
        for instruction in instructions:
            self._performer.perform(instruction)
        if instructions or now >= pace.told_at + STATUS_INTERVAL:
            self._tell_health(now)
        pace.due_at, pace.ran_at = self._next_deadline(now), now

    def _collect(self, now: float) -> None:
        """What does not announce itself on a descriptor."""
        for spawn, outcome in self._tools.starter.collect(now):
            self._performer.born(spawn, outcome)
        self._tools.lives.hear()
        self._tools.lives.look_at_groups(now)
        self._control.expire(now)
        fate = self._tools.tenure.replace_guardian(now)
        if fate is not None:
            text = f"{fate}; another takes its place"
            self._performer.announce(Happening(now, HappeningKind.DEGRADED, "", 0, text))
        self._watch_guardian()
        self._end_strays(now)

    def _end_strays(self, now: float) -> None:
        """Reap and end what escaped from children that are over.

        Only while nobody is being born: a newborn we do not know yet would look like a stranger.
        """
        pace, tools = self._pace, self._tools
        if pace.orphans_at is None or now < pace.orphans_at:
            return
        pace.orphans_at = now + orphans.LOOK_INTERVAL
        lives = list(tools.lives)
        guardian = tools.tenure.guardian
        own = {life.process.pid for life in lives} | ({guardian.pid} if guardian else set())
        if tools.starter.is_idle() and (found := orphans.strangers(own)):
            orphans.end_strays(found, {orphans.mark_of(one.child, one.number) for one in lives})

    def _next_deadline(self, now: float) -> float:
        tools = self._tools
        if self._observed or self._calls:
            return now
        deadlines = (
            self._rules.next_deadline(),
            tools.starter.next_deadline(),
            tools.lives.next_deadline(),
            tools.tenure.next_deadline(),
            self._control.next_deadline(),
            self._pace.told_at + STATUS_INTERVAL,
            self._pace.end_at,
            self._pace.orphans_at,
        )
        return max(now, min(each for each in deadlines if each is not None))

    def _tell_health(self, now: float) -> None:
        """Say how the whole is, on every change and now and then."""
        report = self._tools.view.health()
        short = f"{report.overall} {report.reason}"
        pace = self._pace
        if short != pace.told or now >= pace.told_at + STATUS_INTERVAL:
            pace.told, pace.told_at = short, now
            self._tools.voice.tell_health(report, self._tools.view.about(), self._tools.view.wall)

    def _woken(self, mask: int) -> None:
        for number in self._wake.take():
            if number in ENDING_SIGNALS:
                self._pace.signals = min(self._pace.signals + 1, Urgency.KILL)
                self.end(Urgency(self._pace.signals), number)

    def _watch_guardian(self) -> None:
        guardian = self._tools.tenure.guardian
        if guardian is None or guardian.fileno() < 0:
            return  # without a descriptor for it, its death is noticed at the next turn
        if self._selector.get_map().get(guardian) is None:
            self._selector.register(
                guardian, selectors.EVENT_READ, lambda mask: self._selector.unregister(guardian)
            )

    def _observe(self, observation: Observation) -> None:
        self._observed.append(observation)
