"""Observations in, instructions out: all that is decided about children is decided here.

    handle(now, observations)
        │  time that was skipped       every deadline moves
        │  messages, deaths, commands  each to the rules of its kind: reports, endings, commands
        │  timers                      what each state's deadline means
        │  starts                      whose turn it is
        ▼  the whole                   boot is over? the end of everything, rank by rank
    instructions

Nothing here calls out, sleeps, or reads a clock.  `now` is the supervisor's monotonic clock; behind
it the rules keep their own, which stands still while the supervisor did not run, so time that was
skipped moves all deadlines by changing one number.

A strategy other than one_for_one would be one more step between deaths and starts: it turns one
failure into stops, with reason ASKED, of the siblings that are wanted up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from daemoneye.supervisor import commands, endings, health, reports, starts, status, stopping
from daemoneye.supervisor.contract import (
    Answer,
    Commanded,
    Ended,
    Finish,
    GroupEmptied,
    Inspect,
    Instruction,
    Observation,
    OfIncarnation,
    ShutdownAsked,
    SpawnFailed,
    TimeSkipped,
    Urgency,
    Verb,
)
from daemoneye.supervisor.dependencies import stop_ranks
from daemoneye.supervisor.health import Explanation, HappeningKind, HealthReport
from daemoneye.supervisor.incarnation import (
    IN_LIFE,
    TRY_AGAIN,
    UPWARDS,
    Rung,
    Slot,
    Turn,
)
from daemoneye.supervisor.lifecycle import LIVE, WAITING, Event, State
from daemoneye.supervisor.restarts import Jitter
from daemoneye.supervisor.spec import BROKER, Desired, OnGiveUp, Plan, unknown_child
from daemoneye.supervisor.words import NAME_CHARACTERS, cut

GAVE_UP = 70
"""Exit code of a run that an essential child ended."""

NOT_FOUND = 5
"""Exit code of an answer about a child that is not in the plan."""

_HAIR = 1e-6
"""Seconds by which a deadline may be late, and never is early."""


class Phase(StrEnum):
    """Where the whole run stands."""

    BOOTING = "booting"
    SERVING = "serving"
    ENDING = "ending"
    FINISHED = "finished"


_ORDER: Mapping[type[Observation], int] = {
    TimeSkipped: 0,
    SpawnFailed: 2,
    Ended: 2,
    GroupEmptied: 3,
    Commanded: 4,
    ShutdownAsked: 4,
}
"""What is looked at before what; messages, which are not listed, are 1."""


@dataclass(slots=True)
class Run:
    """Where the whole stands, and its own deadlines."""

    phase: Phase
    """Booting, serving, ending, finished."""
    clock: float
    """The rules' own time at the last turn."""
    skipped: float
    """How far the supervisor's clock is ahead of it."""
    first_success_deadline: float | None
    """Until when each essential child has to have been ready once; None when that was judged."""
    inspect_at: float
    """When all processes are looked at from outside again."""
    awaited_at: float
    """While booting: when it is told who keeps it waiting."""
    shutdown: stopping.Shutdown | None = None
    """The end of everything, once it has begun."""


class Supervision:
    """The rules for all children of one plan.

    Raises `ConfigError` with every problem of the plan, before anything is decided.
    """

    def __init__(self, plan: Plan, now: float, jitter: Jitter) -> None:
        """`jitter(low, high)` draws a number between two bounds, as `random.uniform` does."""
        plan.check()
        self._plan = plan
        self._jitter = jitter
        self._slots = {spec.name: Slot(spec, now) for spec in plan.children}
        self._starts = starts.Starts(plan, self._slots, now)
        self._ranks = tuple(
            tuple(self._slots[name] for name in rank)
            for rank in stop_ranks(plan.dependencies, BROKER)
        )
        self._run = Run(
            Phase.BOOTING,
            now,
            0.0,
            now + plan.first_success_timeout,
            now + plan.facts_interval,
            now + starts.AWAITED_AFTER,
        )
        for slot in self._slots.values():
            if slot.desired is Desired.UP:
                slot.lifecycle.step(Event.WANTED, now)

    @property
    def phase(self) -> Phase:
        """Where the whole run stands."""
        return self._run.phase

    def handle(self, now: float, observations: Iterable[Observation]) -> list[Instruction]:
        """Take in what happened, let due timers fire, and say what to do, in this order."""
        batch = sorted(observations, key=lambda one: _ORDER.get(type(one), 1))
        turn = self._turn(now, batch)
        for observation in batch:
            self._observe(observation, turn)
        if self._run.phase is Phase.FINISHED:
            return turn.instructions
        self._fire(turn)
        if self._run.phase in (Phase.BOOTING, Phase.SERVING):
            self._starts.admit(turn)
            self._boot(turn)
        if self._run.shutdown is not None:
            self._end(turn, self._run.shutdown)
        return turn.instructions

    def next_deadline(self) -> float | None:
        """When `handle` has to be called at the latest, observations or not; None: never again."""
        run = self._run
        if run.phase is Phase.FINISHED:
            return None
        times = [run.inspect_at]
        for slot in self._slots.values():
            if slot.lifecycle.deadline is not None:
                times.append(slot.lifecycle.deadline)
            times += [one.deadline for one in slot.requests if one.deadline is not None]
        if run.phase is Phase.BOOTING:
            times.append(run.awaited_at)
            if run.first_success_deadline is not None:
                times.append(run.first_success_deadline)
        if run.shutdown is not None:
            times.append(run.shutdown.next_deadline())
        elif self._starts.next_at is not None:
            times.append(self._starts.next_at)
        # Adding and taking away what was skipped may round a deadline to a hair before itself.
        return min(times) + (run.skipped + _HAIR if run.skipped else 0.0)

    def health(self, now: float) -> HealthReport:
        """How the whole is, with a row for each child in the order of the plan."""
        turn = Turn(now - self._run.skipped, self._run.skipped)
        return health.report(
            tuple(
                status.row(slot, turn, self._starts.waiting_for(slot))
                for slot in self._slots.values()
            )
        )

    def explain(self, name: str, now: float) -> Explanation:
        """Why a child is as it is.  Raises `UnknownChild`."""
        slot = self._slots.get(name)
        if slot is None:
            raise unknown_child(name, self._slots)
        turn = Turn(now - self._run.skipped, self._run.skipped)
        return status.explanation(slot, turn, self._starts.waiting_for(slot))

    # --- what happened ---------------------------------------------------------------------

    def _turn(self, now: float, batch: Iterable[Observation]) -> Turn:
        """A turn at our own time, which never goes back, however much is said to be skipped."""
        run = self._run
        gap = sum(one.seconds for one in batch if isinstance(one, TimeSkipped))
        passed = max(0.0, now - run.skipped - run.clock)
        if gap > 0 and isfinite(gap):
            run.skipped += min(gap, passed)
        run.clock = max(run.clock, now - run.skipped)
        return Turn(run.clock, run.skipped)

    def _observe(self, observation: Observation, turn: Turn) -> None:
        match observation:
            case TimeSkipped(seconds):
                text = f"the supervisor did not run for {seconds:.1f} s; all deadlines move"
                turn.announce(None, HappeningKind.TIME_SKIPPED, text)
            case Commanded():
                self._command(observation, turn)
            case ShutdownAsked():
                self._shutdown_asked(observation, turn)
            case _:
                slot = self._slots.get(observation.child)
                life = slot.incarnation if slot else None
                if slot and life and life.number == observation.number:
                    self._observe_life(slot, observation, turn)

    def _observe_life(self, slot: Slot, observation: OfIncarnation, turn: Turn) -> None:
        match observation:
            case SpawnFailed(error=error):
                endings.spawn_failed(slot, turn, error)
                self._over(slot, turn)
            case Ended(exit_code=exit_code):
                slot.life().last_words.exit_code = exit_code
                stopping.leader_ended(slot, turn)
            case GroupEmptied():
                stopping.leader_ended(slot, turn)
                self._over(slot, turn)
            case _:
                reports.take(slot, turn, observation)

    def _over(self, slot: Slot, turn: Turn) -> None:
        wanted = slot.desired is Desired.UP and self._run.shutdown is None
        endings.over(slot, turn, wanted, self._jitter)
        policy = slot.spec.policy
        if slot.state is State.FATAL and (
            slot.spec.essential or OnGiveUp(policy.on_give_up) is OnGiveUp.SHUTDOWN
        ):
            crash = slot.history.crash
            self._shut_down(
                turn, GAVE_UP, f"{slot.name} is given up: {crash.cause if crash else ''}"
            )

    def _command(self, command: Commanded, turn: Turn) -> None:
        slot = self._slots.get(command.child)
        if slot is None:
            error = unknown_child(cut(command.child, NAME_CHARACTERS), self._slots)
            text = str(error.args[0])
            turn.do(Answer(command.request, False, text, NOT_FOUND, error.hint))
        elif self._run.shutdown is not None and command.verb not in (Verb.STOP, Verb.STATUS):
            turn.do(Answer(command.request, False, "the supervisor is ending", TRY_AGAIN))
        else:
            commands.perform(slot, turn, command)

    # --- timers ----------------------------------------------------------------------------

    def _fire(self, turn: Turn) -> None:
        run = self._run
        for slot in self._slots.values():
            deadline = slot.lifecycle.deadline
            if deadline is not None and deadline <= turn.now:
                self._due(slot, turn)
            _answer_overdue(slot, turn)
        if run.inspect_at <= turn.now:
            run.inspect_at = turn.now + self._plan.facts_interval
            for slot in self._slots.values():
                if slot.incarnation is not None and slot.incarnation.pid:
                    turn.do(Inspect(slot.name, slot.number))

    def _due(self, slot: Slot, turn: Turn) -> None:
        """What the deadline of each state means; the words for it are `lifecycle.DEADLINES`."""
        if slot.state is State.STARTING:
            reports.not_ready(slot, turn)
        elif slot.state is State.STOPPING:
            if not stopping.climb(slot, turn):
                endings.lost(slot, turn)
        elif slot.state in WAITING:
            self._starts.retry(slot, turn)
        else:
            reports.assess(slot, turn)

    # --- the whole -------------------------------------------------------------------------

    def _boot(self, turn: Turn) -> None:
        """Boot is over when every first start has come to something, the essential ones to good."""
        run = self._run
        if run.phase is not Phase.BOOTING:
            return
        missing = [
            slot
            for slot in self._slots.values()
            if slot.spec.essential
            and slot.desired is Desired.UP
            and slot.history.first_ready_at is None
            and slot.state is not State.EXITED
        ]
        due = run.first_success_deadline is not None and run.first_success_deadline <= turn.now
        if due:
            run.first_success_deadline = None
        if missing and due:
            crash = missing[0].history.crash
            why = f"{crash.cause} {crash.exception}".strip() if crash else "it is not ready"
            timeout = self._plan.first_success_timeout
            reason = f"{missing[0].name} has not been ready once in {timeout:g} s: {why}"
            self._shut_down(turn, GAVE_UP, reason)
        elif not missing and all(map(self._starts.is_settled, self._slots.values())):
            run.phase = Phase.SERVING
            wanted = [slot for slot in self._slots.values() if slot.desired is Desired.UP]
            ready = sum(slot.history.first_ready_at is not None for slot in wanted)
            text = f"{ready} of {len(wanted)} children are ready"
            turn.announce(None, HappeningKind.ALL_READY, text)
        elif run.awaited_at <= turn.now:
            run.awaited_at = turn.now + starts.AWAITED_INTERVAL
            text = f"still waiting for {self._starts.awaited(missing)}"
            turn.announce(None, HappeningKind.AWAITED, text)

    def _shutdown_asked(self, asked: ShutdownAsked, turn: Turn) -> None:
        """A first signal ends in order; each further one hastens, and then the end is cut short."""
        run = self._run
        code = 128 + asked.signal if asked.signal else 0
        if run.shutdown is None:
            booting = run.phase is Phase.BOOTING
            reason = f"signal {asked.signal}" if asked.signal else "it was asked to end"
            self._shut_down(turn, code if booting else 0, reason)
        shutdown = run.shutdown
        if shutdown is not None and asked.urgency > shutdown.urgency:
            timeouts = [slot.spec.timeouts.kill_timeout for slot in self._slots.values()]
            run.shutdown = shutdown.hastened(
                turn.now, asked.urgency, code, max(timeouts, default=0.0)
            )

    def _shut_down(self, turn: Turn, exit_code: int, reason: str) -> None:
        """Begin the end of everything: from here on nothing is started."""
        run = self._run
        if run.shutdown is not None:
            return
        run.phase = Phase.ENDING
        timeout = self._plan.shutdown_timeout
        run.shutdown = stopping.Shutdown.ordered(turn.now, timeout, exit_code, reason)
        turn.announce(None, HappeningKind.SHUTDOWN, f"everything ends: {reason}")
        for slot in self._slots.values():
            turn.answer(slot, UPWARDS | IN_LIFE, "is not done: the supervisor ends", TRY_AGAIN)
            if slot.state is State.PENDING or slot.state in WAITING:
                slot.lifecycle.step(Event.STOP, turn.now)

    def _end(self, turn: Turn, shutdown: stopping.Shutdown) -> None:
        """Go on with the end of everything."""
        run = self._run
        if shutdown.kill_at is not None and shutdown.kill_at <= turn.now:
            run.shutdown = shutdown = shutdown.killing()
            self._hurry(turn, self._slots.values(), Rung.KILL)
        elif shutdown.urgency is Urgency.ORDERLY:
            waiting = [
                one for one in stopping.next_rank(self._ranks) if one.life().stopping is None
            ]
            self._hurry(turn, waiting, Rung.DRAIN)
        else:
            self._hurry(turn, self._slots.values(), Rung.TERMINATE)
        living = [slot for slot in self._slots.values() if slot.state in LIVE]
        if shutdown.deadline <= turn.now:
            for slot in living:
                if slot.state is not State.LOST:
                    endings.lost(slot, turn)
        elif any(slot.state is not State.LOST for slot in living):
            return
        run.phase = Phase.FINISHED
        turn.do(_finish(shutdown, living))

    def _hurry(self, turn: Turn, slots: Iterable[Slot], rung: Rung) -> None:
        for slot in slots:
            stopping.hurry(slot, turn, rung)


def _answer_overdue(slot: Slot, turn: Turn) -> None:
    """Requests only the child could have answered, and it did not."""
    for request in [one for one in slot.requests if one.deadline is not None]:
        if request.deadline is not None and request.deadline <= turn.now:
            slot.requests.remove(request)
            text = f"{slot.name} {_not_done(slot, request.verb)}"
            turn.do(Answer(request.id, False, text, TRY_AGAIN))


def _not_done(slot: Slot, verb: Verb) -> str:
    signs = slot.life().heartbeats
    if verb is Verb.PAUSE and signs.is_told_to_pause():
        return f"will pause when {signs.work()} is done"
    return "did not answer in time"


def _finish(shutdown: stopping.Shutdown, left: list[Slot]) -> Finish:
    if not left:
        return Finish(shutdown.exit_code, shutdown.reason)
    names = ", ".join(slot.name for slot in left)
    return Finish(shutdown.exit_code or 1, f"{shutdown.reason}; still there: {names}")
