"""From sources to a validated plan: everything is checked before anything is acted on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

from daemoneye.bus.access import EVERYBODY, AccessRule, forbidding_rule
from daemoneye.bus.demands import Demand, doubts, unmet_demands
from daemoneye.bus.limits import Limits
from daemoneye.bus.roles import AGENT, ROLES
from daemoneye.bus.topics import is_level
from daemoneye.config import schema
from daemoneye.config.collectors import BUILT_IN, RUNNER, BuiltIn
from daemoneye.config.probe import Found, Question, look_at
from daemoneye.config.problems import Problem, in_reading_order, nearest, refusal
from daemoneye.config.sources import config_files, instance_of, read_sources
from daemoneye.config.tree import KeyPath, Sources, dotted
from daemoneye.errors import ConfigError
from daemoneye.supervisor.bus_plan import RESERVED_NAMES, AccessLine, BusPlan, NamedClient
from daemoneye.supervisor.spec import (
    BROKER,
    ChildSpec,
    Plan,
    RestartPolicy,
    Timeouts,
)
from daemoneye.supervisor.spec import Problem as PlanProblem
from daemoneye.system import open_max

Values: TypeAlias = dict[str, Any]
"""A table of values that the schema has typed; it does not leave this package."""

_SETTING_PROBLEM = re.compile(r"settings\.([\w-]+): ")
_TIMEOUTS = {each.name for each in fields(Timeouts)}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What all sources together ask for, and what is wrong with it."""

    plan: Plan
    """The plan; only worth running when there are no problems."""
    files: tuple[str, ...] = ()
    """The files that were read, strongest first."""
    problems: tuple[Problem, ...] = ()
    """Why it cannot be run, in reading order."""
    warnings: tuple[Problem, ...] = ()
    """What can be run and will surprise."""
    import_dirs: tuple[str, ...] = ()
    """Directories of the files: classes of a configuration are found beside it, so whoever runs
    the plan appends these to `sys.path`, which spawned children inherit."""


def load(
    config: str | os.PathLike[str] | None = None,
    *,
    instance: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Configuration:
    """The configuration these sources make.

    Raises ConfigError with all problems, each with its file and line.
    """
    configuration = examine(config, instance=instance, environ=environ)
    if configuration.problems:
        raise refusal(configuration.problems)
    return configuration


def examine(
    config: str | os.PathLike[str] | None = None,
    *,
    instance: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Configuration:
    """As `load`, with problems in the answer.  Raises ConfigError when `config` does not exist."""
    sources = read_sources(config_files(config, environ), environ)
    return _Draft(sources).configuration(instance or instance_of(sources))


@dataclass(slots=True)
class _Draft:
    """A plan in the making: children are built from typed values, complaints are gathered."""

    sources: Sources
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    origins: dict[str, KeyPath] = field(default_factory=dict)

    def configuration(self, instance: str) -> Configuration:
        reading = schema.read(self.sources)
        self.problems += [*self.sources.problems, *reading.problems]
        values: Values = reading.values
        collectors: Values = values.get("collectors", {})
        workers: Values = values.get("workers", {})
        self._check_names(collectors, workers)
        found = self._look_at_code(collectors, workers)
        children = (*self._collectors(collectors, found), *self._workers(workers))
        plan = Plan(
            children,
            instance=instance,
            bus=self._bus(values.get("bus", {}), children),
            **values.get("supervisor", {}),
        )
        self.problems += self._translated(plan.problems())
        return Configuration(
            plan,
            self.sources.files,
            in_reading_order(self.problems),
            in_reading_order([*self.warnings, *self._translated(plan.warnings())]),
            self.import_dirs,
        )

    @property
    def import_dirs(self) -> tuple[str, ...]:
        """The directories of the files, strongest first."""
        return tuple(dict.fromkeys(str(Path(file).resolve().parent) for file in self.sources.files))

    def _complain(self, path: KeyPath, text: str, expected: str = "", suggestion: str = "") -> None:
        place = self.sources.place_of(path)
        self.problems.append(Problem(place, dotted(path), text, expected, suggestion))

    def _check_names(self, collectors: Values, workers: Values) -> None:
        for section, tables in (("collectors", collectors), ("workers", workers)):
            for name in tables:
                if name in RESERVED_NAMES:
                    reserved = ", ".join(sorted(RESERVED_NAMES))
                    self._complain((section, name), "this name is reserved", f"none of {reserved}")
        for name in workers:
            if name in collectors or name in BUILT_IN:
                at = self.sources.place_of(("collectors", name))
                whose = f"at {at}" if name in collectors else "built in"
                self._complain(
                    ("workers", name), f"a collector has this name ({whose})", "another name"
                )

    def _look_at_code(self, collectors: Values, workers: Values) -> Mapping[KeyPath, Found]:
        """What the classes and targets that a configuration names turn out to be, by their keys.

        Built-in collectors are known; only settings for one are a question.
        """
        questions: dict[KeyPath, Question] = {}
        for name, each in collectors.items():
            reference = each.get("class") or (name in BUILT_IN and BUILT_IN[name].reference)
            settings = each.get("settings", {})
            if _is_enabled(each) and reference and (settings or "class" in each):
                questions["collectors", name, "class"] = Question(reference, settings=settings)
        for name, each in workers.items():
            if _is_enabled(each) and "target" in each:
                questions["workers", name, "target"] = Question(each["target"], False)
        path = [*sys.path, *self.import_dirs]
        answers = look_at(tuple(questions.values()), path) if questions else ()
        found = dict(zip(questions, answers, strict=True))
        for key, answer in found.items():
            self._complain_of_code(key, questions[key].reference, answer)
        return found

    def _complain_of_code(self, path: KeyPath, reference: str, found: Found) -> None:
        for problem in found.problems:
            setting = _SETTING_PROBLEM.match(problem)
            if setting:
                where = (*path[:-1], "settings", setting[1])
                self._complain(where, problem[setting.end() :])
            else:
                self._complain(path, f"{reference}: {problem}")

    def _collectors(self, tables: Values, found: Mapping[KeyPath, Found]) -> Iterator[ChildSpec]:
        for name in (*BUILT_IN, *(each for each in tables if each not in BUILT_IN)):
            values: Values = dict(tables.get(name, {}))
            if not _is_enabled(values):
                continue
            known = BUILT_IN.get(name, BuiltIn("", ""))
            reference = values.pop("class", known.reference)
            if not reference:
                self._complain_of_no_class(name)
                continue
            described = found.get(("collectors", name, "class"), Found(kind=known.kind))
            declared: Values = {
                "kind": described.kind,
                "publishes": described.publishes or None,
                "subscribes": described.subscribes,
                **values,
            }
            path: KeyPath = ("collectors", name)
            yield self._child(path, RUNNER, declared, role="collector", args=(reference,))

    def _complain_of_no_class(self, name: str) -> None:
        path: KeyPath = ("collectors", name)
        if (*path, "class") not in self.sources.places:  # one that is there has its own complaint
            self._complain(
                path,
                "no built-in collector has this name",
                f'class = "module:Class", or one of {", ".join(BUILT_IN)}',
                nearest(name, BUILT_IN),
            )

    def _workers(self, tables: Values) -> Iterator[ChildSpec]:
        for name, values in tables.items():
            if _is_enabled(values) and "target" in values:
                target = values.pop("target")
                yield self._child(("workers", name), target, values)

    def _child(self, path: KeyPath, target: str, values: Values, **fixed: Any) -> ChildSpec:
        name = str(path[1])
        self.origins[name] = path
        given = {key: value for key, value in values.items() if key not in _TIMEOUTS}
        given.pop("enabled", None)
        # Everybody who uses the bus waits for the broker; saying so changes nothing.
        given["depends_on"] = tuple(each for each in given.get("depends_on", ()) if each != BROKER)
        role = fixed.get("role", given.get("role", "worker"))
        self._check_rights(path, role, {key: given.get(key) for key in ("publishes", "subscribes")})
        return ChildSpec(
            name,
            target,
            timeouts=Timeouts(**{key: values[key] for key in _TIMEOUTS & values.keys()}),
            restart=RestartPolicy(**given.pop("restart", {})),
            **given,
            **fixed,
        )

    def _bus(self, values: Values, children: Iterable[ChildSpec]) -> BusPlan:
        rules, clients = values.pop("access", []), values.pop("clients", {})
        self._check_limits(values, [each for each in children if each.uses_bus])
        named = tuple(self._clients(clients))
        access = tuple(self._access(rules, {each.name for each in named}))
        return BusPlan(limits=values, access=access, clients=named)

    def _check_limits(self, values: Values, members: Sequence[ChildSpec]) -> None:
        """Each limit by itself, and then, if they can be used, all of them together."""
        senseless = [(name, Limits.unmet(name, value)) for name, value in values.items()]
        for name, expected in senseless:
            if expected:
                self._complain(("bus", name), f"found {values[name]:g}", expected)
        if any(expected for _, expected in senseless):
            return
        try:
            limits = Limits.of(values)
        except ConfigError as error:
            for problem in error.problems:
                name, _, text = problem.removeprefix("limits.").partition(": ")
                self._complain(("bus", name), text)
            return
        agents = sum(each.role == AGENT for each in members)
        for demand in unmet_demands(limits, len(members), agents):
            self._complain(_written(demand, values), demand.text, demand.expected)
        # The default is more than most shells allow, and more than anybody reaches there.
        for doubt in doubts(limits, open_max()) if "connections" in values else ():
            path = _written(doubt, values)
            place = self.sources.place_of(path)
            self.warnings.append(Problem(place, dotted(path), doubt.text, doubt.expected))

    def _check_rights(
        self, path: KeyPath, role: str, filters: Mapping[str, Sequence[str] | None]
    ) -> None:
        """What is declared and nobody of the role will ever have."""
        for key, texts in filters.items():
            for text in texts or ():
                if rule := forbidding_rule(role, text, publishes=key == "publishes"):
                    self._complain((*path, key), f"{text} is for nobody of role {role}: {rule}")

    def _clients(self, tables: Values) -> Iterator[NamedClient]:
        for name, values in tables.items():
            client = NamedClient(name, **values)
            path: KeyPath = ("bus", "clients", name)
            for key, text in client.problems(self.origins):
                if key != "name":
                    self._complain((*path, key), text)
                elif is_level(name):  # else that was said where it was read
                    self._complain(path, text)
            declared = {"publishes": client.publishes, "subscribes": client.subscribes}
            self._check_rights(path, client.role, declared)
            yield client

    def _access(self, rules: Iterable[Values], clients: set[str]) -> Iterator[AccessLine]:
        for position, rule in enumerate(rules):
            if not {"who", "access", "filter"} <= rule.keys():
                continue  # what is missing or wrong was said where it stands
            try:
                AccessRule(**rule)
            except ConfigError as error:
                self._complain(("bus", "access", position), error.args[0], error.hint)
            self._check_who(position, rule["who"], RESERVED_NAMES | self.origins.keys() | clients)
            yield AccessLine(**rule)

    def _check_who(self, position: int, who: str, known: Set[str]) -> None:
        """A rule about nobody that grants is noticed soon; one that denies is not."""
        path: KeyPath = ("bus", "access", position, "who")
        prefix, _, name = who.rpartition(":")
        if prefix == "role":
            if name not in ROLES:
                near = nearest(name, ROLES)
                roles = f"one of {', '.join(f'role:{each}' for each in ROLES)}"
                self._complain(path, f"there is no role {name!r}", roles, near and f"role:{near}")
        elif who != EVERYBODY and name not in known:
            near = nearest(name, known)
            text = f"nothing here has the name {name!r}, so the rule is about nobody"
            self.warnings.append(
                Problem(self.sources.place_of(path), dotted(path), text, suggestion=near)
            )

    def _translated(self, problems: Iterable[PlanProblem]) -> Iterator[Problem]:
        """Complaints of the plan, moved to the place in a file that caused them."""
        for problem in problems:
            # Names and clients were checked where they are written, with better words.
            if problem.key != "name" and not problem.key.startswith("bus."):
                path = self._path_of(problem)
                yield Problem(self.sources.place_of(path), dotted(path), problem.text)

    def _path_of(self, problem: PlanProblem) -> KeyPath:
        if not problem.child:
            return ("instance",) if problem.key == "instance" else ("supervisor", problem.key)
        keys = problem.key.removeprefix("timeouts.").split(".")
        return (*self.origins[problem.child], *keys)


def _written(demand: Demand, values: Values) -> KeyPath:
    """The key a person has to look at: the limit itself, or what it is measured by."""
    return "bus", next((name for name in demand.names if name in values), demand.names[0])


def _is_enabled(values: Values) -> bool:
    return bool(values.get("enabled", True))
