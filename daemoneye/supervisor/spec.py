"""What a supervisor is asked to run: child specs, restart policies, timeouts, and the plan of all.

Values only.  Making one never raises; `problems()` lists everything that is wrong with it, and
`Plan.check()` raises one `ConfigError` with all of it, so a person mends a file in one go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite

from daemoneye.bus.roles import COLLECTOR, ROLES
from daemoneye.errors import ConfigError, UnknownChild
from daemoneye.supervisor.bus_plan import BusPlan
from daemoneye.supervisor.dependencies import Dependencies, cycles
from daemoneye.supervisor.settings import Settings, settings_fault

BROKER = "broker"
"""The name of the child that carries the bus; one in each plan that uses the bus."""

_NAME = re.compile(r"[a-z0-9_-]{1,64}\Z")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


class RestartType(StrEnum):
    """When an ended child is started again, as in OTP."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Unless it ended well: exit 0 or a success code, or death by SIGTERM or SIGINT."""
    TEMPORARY = "temporary"
    """Never."""


class Strategy(StrEnum):
    """Who else is restarted when one child fails, as in OTP."""

    ONE_FOR_ONE = "one_for_one"
    """Nobody."""
    REST_FOR_ONE = "rest_for_one"
    """Everybody after it in the plan."""
    ONE_FOR_ALL = "one_for_all"
    """Everybody."""


class Desired(StrEnum):
    """What the operator wants of a child, whatever it is doing at the moment."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint about a plan, with enough of an address to find the line it is about."""

    child: str
    """The child's name; empty when the plan as a whole is meant."""
    key: str
    """The field, as a person writes it: `depends_on`, `restart.max_failures`."""
    text: str
    """What is wrong, and what was expected."""

    def __str__(self) -> str:
        return (
            f"child {self.child!r}: {self.key}: {self.text}"
            if self.child
            else f"{self.key}: {self.text}"
        )


class OnGiveUp(StrEnum):
    """What follows when a child has failed for good."""

    ISOLATE = "isolate"
    """It stays FATAL; the others go on.  An essential child ends the run all the same."""
    SHUTDOWN = "shutdown"
    """The run ends in order, with exit code 70."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When, how soon and how often a child that ended is started again."""

    type: RestartType | str = RestartType.PERMANENT
    """Permanent, transient or temporary."""
    _: KW_ONLY
    success_codes: tuple[int, ...] = (0,)
    """Exit codes that count as a clean end."""
    backoff_interval: float = 0.2
    """Seconds before the second attempt; doubles with each failure in a row."""
    max_backoff_interval: float = 60.0
    """Seconds no delay exceeds."""
    decay_interval: float = 30.0
    """Seconds of healthy running, or twice the last delay if longer, that halve the count."""
    max_failures: int = 5
    """Failures within the window that are still tolerated; one more means quarantine."""
    window_interval: float = 60.0
    """Seconds the window looks back."""
    quarantine_interval: float = 60.0
    """Seconds between attempts in quarantine."""
    give_up_after: int | None = None
    """Failures in a row after which the child is FATAL; None: never."""
    on_give_up: OnGiveUp | str = OnGiveUp.ISOLATE
    """What follows then."""

    @property
    def restart_type(self) -> RestartType:
        """`type` as the enum, however it was written."""
        return RestartType(self.type)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Everything wrong here, as pairs of field and complaint."""
        yield from _unknown_word("type", self.type, RestartType)
        yield from _unknown_word("on_give_up", self.on_give_up, OnGiveUp)
        yield from _bad_durations(self)
        if self.max_failures < 0:
            yield "max_failures", f"expected 0 or more, found {self.max_failures}"
        if self.give_up_after is not None and self.give_up_after < 1:
            yield (
                "give_up_after",
                f"expected 1 or more, or nothing for never, found {self.give_up_after}",
            )
        if self.backoff_interval > self.max_backoff_interval:
            yield "backoff_interval", f"{self.backoff_interval:g} s is above max_backoff_interval"

    def warnings(self) -> Iterator[tuple[str, str]]:
        """Limits that can never trigger, with the numbers that show it."""
        least = sum(self.shortest_delays(self.max_failures))
        if least > self.window_interval:
            yield (
                "max_failures",
                f"quarantine can never come: {self.max_failures + 1} failures take "
                f"at least {least:g} s, and the window is {self.window_interval:g} s",
            )

    def shortest_delays(self, count: int) -> tuple[float, ...]:
        """The first `count` delays with the luckiest jitter, for a child that had been ready."""
        return tuple(
            0.0
            if n == 1
            else 0.5 * min(self.max_backoff_interval, self.backoff_interval * 2.0 ** (n - 2))
            for n in range(1, count + 1)
        )


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a child may take for each thing that is asked of it; all in seconds."""

    _: KW_ONLY
    spawn_timeout: float = 15.0
    """To be born: until the starter thread gives up on `Process.start()`."""
    ready_timeout: float = 30.0
    """From birth to READY; a child may ask for more."""
    drain_timeout: float = 5.0
    """To end by itself when asked on the lifeline."""
    terminate_timeout: float = 5.0
    """To end after SIGTERM."""
    kill_timeout: float = 5.0
    """To be gone after SIGKILL; then it is LOST."""
    beat_interval: float = 1.0
    """Between two heartbeats."""
    soft_timeout: float = 10.0
    """Without a heartbeat, or busy with one piece of work: then DEGRADED, with stacks."""
    hard_timeout: float = 30.0
    """The same, until it is killed and started again."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """Everything wrong here, as pairs of field and complaint."""
        yield from _bad_durations(self)
        if self.soft_timeout >= self.hard_timeout:
            yield "soft_timeout", f"{self.soft_timeout:g} s is not below hard_timeout"
        if self.soft_timeout <= self.beat_interval:
            yield "soft_timeout", f"{self.soft_timeout:g} s is not above beat_interval"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, watch, stop and restart one child."""

    name: str
    """Unique in its plan; `[a-z0-9_-]{1,64}`, for it is also its identity on the bus."""
    target: Callable[..., object] | str
    """It is run as `target(child, *args, **kwargs)`: a function, or `"module:name"`."""
    _: KW_ONLY
    args: tuple[object, ...] = ()
    """Positional arguments: picklable, and small enough for a pipe's buffer."""
    kwargs: Mapping[str, object] = field(default_factory=dict)
    """Arguments by name, under the same rule."""
    restart: RestartPolicy | str = RestartType.PERMANENT
    """A policy, or just its type: `permanent`, `transient`, `temporary`."""
    timeouts: Timeouts = Timeouts()
    """How long it may take for what."""
    depends_on: tuple[str, ...] = ()
    """Children that have to be ready, or to have completed, before it starts."""
    essential: bool = False
    """The run ends with exit code 70 when this child fails for good."""
    settings: Settings = field(default_factory=dict)
    """The part that may change while it runs: JSON values by name."""
    role: str = "worker"
    """Its rights on the bus: one of `ROLES`."""
    kind: str = ""
    """What a collector collects: `process`, `network`, … or a word of yours."""
    publishes: tuple[str, ...] | None = None
    """Topic filters it may publish to; None: what its role gives it."""
    subscribes: tuple[str, ...] | None = None
    """Topic filters it may subscribe to; None: what its role gives it."""
    uses_bus: bool = True
    """It waits for the broker to be ready before it starts."""
    desired: Desired | str = Desired.UP
    """Whether the run starts it, or leaves it for an operator to start."""

    @property
    def policy(self) -> RestartPolicy:
        """`restart` as a policy, however it was written."""
        return (
            self.restart if isinstance(self.restart, RestartPolicy) else RestartPolicy(self.restart)
        )

    @property
    def can_pause(self) -> bool:
        """Whether what it runs obeys an order to pause; any other would only hear it."""
        return self.role == COLLECTOR

    def problems(self) -> Iterator[Problem]:
        """Everything wrong with this spec by itself."""
        for key, text in self._own_problems():
            yield Problem(self.name, key, text)
        for key, text in self.policy.problems():
            yield Problem(
                self.name, "restart" if isinstance(self.restart, str) else f"restart.{key}", text
            )
        for key, text in self.timeouts.problems():
            yield Problem(self.name, f"timeouts.{key}", text)

    def _own_problems(self) -> Iterator[tuple[str, str]]:
        if not _NAME.match(self.name):
            yield "name", f"expected 1 to 64 of a-z, 0-9, _ and -, found {self.name!r}"
        yield from _bad_target(self.target)
        yield from _unknown_word("role", self.role, ROLES)
        yield from _unknown_word("desired", self.desired, Desired)
        if self.kind and not _NAME.match(self.kind):
            yield "kind", f"expected 1 to 64 of a-z, 0-9, _ and -, found {self.kind!r}"
        if fault := settings_fault(self.settings):
            yield "settings", fault
        if self.name in self.depends_on:
            yield "depends_on", "a child cannot wait for itself"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one supervisor is asked to run."""

    children: tuple[ChildSpec, ...]
    """All children, in the order they are started when nothing else decides."""
    _: KW_ONLY
    instance: str = "default"
    """The name of this supervisor on its machine."""
    strategy: Strategy | str = Strategy.ONE_FOR_ONE
    """Who else is restarted when one child fails."""
    bus: BusPlan = field(default_factory=BusPlan)
    """Limits, access rules and named clients of the bus."""
    shutdown_timeout: float = 30.0
    """Seconds an orderly end may take in all."""
    first_success_timeout: float = 60.0
    """Seconds in which an essential child has to be ready for the first time."""
    facts_interval: float = 5.0
    """Seconds between two looks at all processes from outside."""
    max_starting: int = 8
    """Children that may be starting at the same time."""
    restart_rate: float = 10.0
    """Restarts a second, of all children together."""
    restart_burst: int = 20
    """Restarts that may come at once before the rate counts."""

    @property
    def dependencies(self) -> Dependencies:
        """Whom each child waits for: those it names, and the broker where there is one it uses."""
        brokers = {BROKER} & {spec.name for spec in self.children}
        return {
            spec.name: (*(brokers - {spec.name, *spec.depends_on}), *spec.depends_on)
            if spec.uses_bus
            else spec.depends_on
            for spec in self.children
        }

    def problems(self) -> Iterator[Problem]:
        """Everything wrong with the plan, in reading order."""
        yield from self._own_problems()
        seen: set[str] = set()
        for spec in self.children:
            yield from spec.problems()
            if spec.name in seen:
                yield Problem(spec.name, "name", "another child has this name")
            seen.add(spec.name)
        for spec in self.children:
            for missing in (name for name in spec.depends_on if name not in seen):
                yield Problem(
                    spec.name, "depends_on", f"no child is named {missing!r}{_meant(missing, seen)}"
                )
        for key, text in self.bus.problems(seen):
            yield Problem("", f"bus.{key}", text)
        for cycle in cycles(self.dependencies):
            yield Problem(cycle[0], "depends_on", "waits for itself: " + " → ".join(cycle))

    def _own_problems(self) -> Iterator[Problem]:
        if not _NAME.match(self.instance):
            yield Problem(
                "", "instance", f"expected 1 to 64 of a-z, 0-9, _ and -, found {self.instance!r}"
            )
        for key, text in (
            *_unknown_word("strategy", self.strategy, Strategy),
            *_bad_durations(self),
        ):
            yield Problem("", key, text)
        if self.strategy in (Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL):
            yield Problem("", "strategy", f"{self.strategy} is not built yet; one_for_one is")
        for key, least in (("max_starting", 1), ("restart_burst", 1)):
            if getattr(self, key) < least:
                yield Problem("", key, f"expected {least} or more, found {getattr(self, key)}")
        if self.restart_rate <= 0:
            yield Problem("", "restart_rate", f"expected more than 0, found {self.restart_rate:g}")

    def warnings(self) -> Iterator[Problem]:
        """What can be run but will surprise: limits of a policy that never trigger."""
        for spec in self.children:
            for key, text in spec.policy.warnings():
                yield Problem(spec.name, f"restart.{key}", text)

    def check(self) -> None:
        """Raise one `ConfigError` that lists all problems, if there are any."""
        problems = [str(problem) for problem in self.problems()]
        if problems:
            raise ConfigError(
                f"the plan cannot be run: {'; '.join(problems)}",
                problems=problems,
                hint="nothing was started",
            )


def unknown_child(name: str, known: Iterable[str]) -> UnknownChild:
    """The error for a name that is not in the plan, with what was probably meant."""
    names = sorted(known)
    return UnknownChild(
        f"no child is named {name!r}{_meant(name, names)}",
        hint=f"children: {', '.join(names)}" if names else "the plan has no children",
    )


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _unknown_word(key: str, word: str, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    words = [str(one) for one in known]
    if word not in words:
        yield (
            key,
            f"expected one of {', '.join(words)}, found {str(word)!r}{_meant(str(word), words)}",
        )


def _bad_durations(value: RestartPolicy | Timeouts | Plan) -> Iterator[tuple[str, str]]:
    for one in fields(value):
        if one.name.endswith(("_timeout", "_interval")):
            seconds = getattr(value, one.name)
            if not isfinite(seconds) or seconds <= 0:
                yield one.name, f"expected a duration above 0 s, found {seconds:g} s"


def _bad_target(target: Callable[..., object] | str) -> Iterator[tuple[str, str]]:
    if isinstance(target, str):
        if not _TARGET.match(target):
            yield "target", f'expected "module:name", found {target!r}'
        return
    name = getattr(target, "__qualname__", "")
    if not name or "<" in name:
        what = name or type(target).__name__
        yield (
            "target",
            f"{what} cannot be named in a new process; use a function at the top of a module",
        )
