"""A world of simulated children with a virtual clock, for the rules of supervision.

The children are fakes that behave as they are told: when they are ready, how long they live, what
they ignore.  Instructions come back as observations, so the rules see what they would see of real
processes, in no time.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from daemoneye.supervisor.contract import (
    Announce,
    Answer,
    BeatHeard,
    BecameReady,
    Commanded,
    Configure,
    ConfiguredSaid,
    Drain,
    Ended,
    Facts,
    FactsTaken,
    Finish,
    GroupEmptied,
    Happening,
    Inspect,
    Instruction,
    Kill,
    Observation,
    OfIncarnation,
    Pause,
    Release,
    Resume,
    Spawn,
    Spawned,
    SpawnFailed,
    Terminate,
    Verb,
)
from daemoneye.supervisor.health import ChildHealth
from daemoneye.supervisor.settings import Settings
from daemoneye.supervisor.spec import ChildSpec, Plan, RestartPolicy
from daemoneye.supervisor.supervision import Supervision


def longest(low: float, high: float) -> float:
    """A jitter that is always at its upper bound."""
    return high


def child(name: str, policy: RestartPolicy | str = "permanent", **settings: object) -> ChildSpec:
    """A spec of a collector with a target that nobody looks for, outside the bus."""
    return replace(
        ChildSpec(name, "somewhere:run", restart=policy, uses_bus=False, role="collector"),
        **settings,  # type: ignore[arg-type]  # fields of ChildSpec, as the test names them
    )


def plan(*children: ChildSpec, **settings: object) -> Plan:
    """A plan of these children."""
    return replace(Plan(children), **settings)  # type: ignore[arg-type]  # fields of Plan


def orders(instructions: Iterable[Instruction]) -> list[Instruction]:
    """What there is to do, without what there is to tell."""
    return [one for one in instructions if not isinstance(one, Announce)]


def told(instructions: Iterable[Instruction]) -> list[Happening]:
    """What there is to tell."""
    return [one.happening for one in instructions if isinstance(one, Announce)]


ASLEEP = Facts(status="sleeping")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a simulated child does by itself."""

    ready_after: float | None = 0.1
    """Seconds from birth to READY; None: never."""
    lives: float | None = None
    """Seconds from birth to its end; None: until it is asked."""
    exit_code: int = 1
    """How it ends by itself."""
    ignores: frozenset[type[Instruction]] = frozenset()
    """Drain, Terminate, Kill: what does not end it."""
    leftover: float = 0.0
    """Seconds that others of its group outlive it, unless they are killed."""
    spawn_error: str = ""
    """Why it cannot be born; empty: it can."""
    silent_after: float | None = None
    """Seconds from birth to its last heartbeat; None: it beats as long as it lives."""
    facts: Facts = ASLEEP
    """How its process looks from outside."""
    refuses: str = ""
    """What it says to new settings; empty: it takes them."""


@dataclass(slots=True)
class _Life:
    """One simulated incarnation."""

    behaviour: Behaviour
    born_at: float
    alive: bool = True
    ready: bool = False
    paused: bool = False


@dataclass(slots=True)
class Record:
    """What happened in the world, for a test to look at."""

    starts: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each child was started."""
    instructions: list[tuple[float, Instruction]] = field(default_factory=list)
    """All of them, with their times."""
    answers: defaultdict[int, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    """The answers to each request."""
    finish: Finish | None = None
    """How the run ended."""


class Simulation:
    """A supervision and its simulated children."""

    def __init__(self, the_plan: Plan, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self.now = 1000.0
        self.begun_at = self.now
        self.behaviours = dict(behaviours or {})
        self.record = Record()
        self.supervision = Supervision(the_plan, self.now, longest)
        self._lives: dict[tuple[str, int], _Life] = {}
        self._coming: list[tuple[float, int, Observation]] = []
        self._ids = count(1)
        self.tell()

    # --- what a test does -------------------------------------------------------------------

    def tell(self, *observations: Observation) -> list[Instruction]:
        """Let the rules take these in, and let the world follow the instructions."""
        for death in observations:
            if isinstance(death, Ended):
                self._lives[death.child, death.number].alive = False
        instructions = self.supervision.handle(self.now, observations)
        deadline = self.supervision.next_deadline()
        assert deadline is None or deadline > self.now, "the loop would spin"
        for one in instructions:
            self.record.instructions.append((self.now, one))
            self._perform(one)
        return instructions

    def run(self, seconds: float) -> Simulation:
        """Let so much time pass, everything in its order."""
        until = self.now + seconds
        while self.record.finish is None:
            deadline = self.supervision.next_deadline()
            times = [at for at, _, _ in self._coming[:1]] + ([] if deadline is None else [deadline])
            at = min(times, default=until)
            if at > until:
                break
            self.now = max(self.now, at)
            batch: list[Observation] = []
            while self._coming and self._coming[0][0] <= self.now:
                batch += self._arrives(heapq.heappop(self._coming)[2])
            self.tell(*batch)
        self.now = until
        return self

    def command(self, verb: Verb, name: str, settings: Settings | None = None) -> int:
        """Ask for something; the number under which `answers` has the answer."""
        request = next(self._ids)
        self.tell(Commanded(request, verb, name, settings or {}))
        return request

    def answer(self, request: int) -> Answer | None:
        """The one answer, if it was given; a second one is a failure."""
        answers = self.record.answers[request]
        assert len(answers) <= 1, answers
        return answers[0] if answers else None

    # --- what a test looks at ---------------------------------------------------------------

    def row(self, name: str) -> ChildHealth:
        """A child's row of `status`."""
        return next(one for one in self.supervision.health(self.now).children if one.name == name)

    def state(self, name: str) -> str:
        """A child's state."""
        return self.row(name).state.value

    def starts(self, name: str) -> list[float]:
        """When a child was started, in seconds from the beginning."""
        return [round(at - self.begun_at, 6) for at in self.record.starts[name]]

    def given(self, *kinds: type[Instruction]) -> list[tuple[float, Instruction]]:
        """Instructions of these kinds, with seconds from the beginning."""
        return [
            (round(at - self.begun_at, 6), one)
            for at, one in self.record.instructions
            if isinstance(one, kinds)
        ]

    def happenings(self, name: str = "") -> list[Happening]:
        """What was told about a child; without a name, about the supervisor."""
        everything = told(one for _, one in self.record.instructions)
        return [one for one in everything if one.child == name]

    def alive(self) -> Counter[str]:
        """How many incarnations of each child live."""
        return Counter(name for (name, _), life in self._lives.items() if life.alive)

    # --- the world --------------------------------------------------------------------------

    def _later(self, seconds: float, observation: Observation) -> None:
        heapq.heappush(self._coming, (self.now + seconds, next(self._ids), observation))

    def _perform(self, instruction: Instruction) -> None:
        match instruction:
            case Spawn(name, number):
                self._spawn(name, number)
            case Drain(name, number) | Terminate(name, number) | Kill(name, number):
                self._ask(name, number, instruction)
            case Pause(name, number) | Resume(name, number):
                life = self._lives[name, number]
                life.paused = isinstance(instruction, Pause)
                self._later(0.01, BeatHeard(name, number, progress=1))
            case Configure(name, number, request):
                error = self._lives[name, number].behaviour.refuses
                self._later(0.01, ConfiguredSaid(name, number, request, error))
            case Inspect(name, number):
                life = self._lives[name, number]
                self._later(0.001, FactsTaken(name, number, life.behaviour.facts))
            case Answer(request):
                self.record.answers[request].append(instruction)
            case Release(name, number):
                assert not self._lives[name, number].alive
            case Finish():
                self.record.finish = instruction

    def _spawn(self, name: str, number: int) -> None:
        behaviour = self.behaviours.get(name, Behaviour())
        self.record.starts[name].append(self.now)
        life = self._lives[name, number] = _Life(behaviour, self.now)
        assert self.alive()[name] == 1, f"{name} lives twice"
        if behaviour.spawn_error:
            life.alive = False
            self._later(0.0, SpawnFailed(name, number, behaviour.spawn_error))
            return
        self._later(0.0, Spawned(name, number, 10_000 + number, self.now))
        if behaviour.ready_after is not None:
            self._later(behaviour.ready_after, BecameReady(name, number))
            self._later(behaviour.ready_after, BeatHeard(name, number))
        if behaviour.lives is not None:
            self._later(behaviour.lives, Ended(name, number, behaviour.exit_code))

    def _ask(self, name: str, number: int, how: Drain | Terminate | Kill) -> None:
        life = self._lives[name, number]
        if life.alive and type(how) not in life.behaviour.ignores:
            self._later(0.01, Ended(name, number, {Drain: 0, Terminate: -15, Kill: -9}[type(how)]))
        elif isinstance(how, Kill) and not life.alive:
            self._later(0.01, GroupEmptied(name, number))

    def _arrives(self, observation: Observation) -> list[Observation]:
        """What of it is still true: the dead say nothing."""
        assert isinstance(observation, OfIncarnation)
        life = self._lives[observation.child, observation.number]
        match observation:
            case Ended(name, number):
                if not life.alive:
                    return []
                life.alive = False
                if life.behaviour.leftover:
                    self._later(life.behaviour.leftover, GroupEmptied(name, number))
                    return [observation]
                return [observation, GroupEmptied(name, number)]
            case BeatHeard(name, number):
                silent = life.behaviour.silent_after
                if not life.alive or (silent is not None and self.now >= life.born_at + silent):
                    return []
                if not observation.progress:  # the regular ones; an answer to an order has 1
                    self._later(1.0, observation)
                return [replace(observation, paused=life.paused)]
            case FactsTaken() | ConfiguredSaid() | BecameReady():
                return [observation] if life.alive else []
        return [observation]
