"""Child specs for collectors: the built-in ones by name, anybody's by class or import string."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemoneye.collectors.collector import Collector
from daemoneye.config.probe import Found, Question, describe, look_at
from daemoneye.errors import ConfigError
from daemoneye.supervisor.spec import ChildSpec, RestartPolicy, Timeouts

RUNNER = "daemoneye.collectors.runner:run"
"""What the process of every collector runs, with the collector's class as its argument."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A collector of our own, known without importing it."""

    reference: str
    """Its `module:Class`."""
    kind: str
    """What it collects."""


BUILT_IN: Mapping[str, BuiltIn] = {
    "procmond": BuiltIn("daemoneye.collectors.procmond:Procmond", "process"),
    "perfmond": BuiltIn("daemoneye.collectors.perfmond:Perfmond", "performance"),
}
"""Collectors that need no class in a configuration; all of them run unless one is disabled."""


def collector_spec(
    collector: type[Collector] | str,
    *,
    name: str | None = None,
    settings: Mapping[str, object] | None = None,
    restart: RestartPolicy | str = "permanent",
    timeouts: Timeouts | None = None,
    depends_on: tuple[str, ...] = (),
    essential: bool = False,
) -> ChildSpec:
    """The spec of a child that runs a collector.

    `collector` is a class at the top of a module, its `"module:Class"`, or the name of a built-in
    one.  A class given by text is looked at in an interpreter of its own, which takes the time of
    importing it.  Raises ConfigError when it is no collector or cannot be imported.
    """
    reference, found = _resolve(collector, settings or {})
    if found.problems:
        raise ConfigError(
            f"{reference} cannot be a collector: {'; '.join(found.problems)}",
            problems=found.problems,
            hint='give a subclass of daemoneye.Collector, its "module:Class", or a built-in name',
        )
    return ChildSpec(
        name or found.name,
        RUNNER,
        args=(reference,),
        role="collector",
        kind=found.kind,
        publishes=found.publishes or None,
        subscribes=found.subscribes,
        settings=dict(settings or {}),
        restart=restart,
        timeouts=timeouts or Timeouts(),
        depends_on=depends_on,
        essential=essential,
    )


def _resolve(collector: type[Collector] | str, settings: Mapping[str, object]) -> tuple[str, Found]:
    if not isinstance(collector, str):
        return import_string(collector), describe(collector, settings)
    known = BUILT_IN.get(collector)
    if known and not settings:
        return known.reference, Found(name=collector, kind=known.kind)
    reference = known.reference if known else collector
    return reference, look_at([Question(reference, settings=settings)], sys.path)[0]


def import_string(collector: type) -> str:
    """How another process names a class: `"module:Class"`.

    A class of the program itself is named by the program's file, because `__main__` is another
    program there.  Raises ConfigError for a class inside of a function.
    """
    if "<" in collector.__qualname__:
        raise ConfigError(
            f"{collector.__qualname__} cannot be named in another process",
            hint="move the class to the top of its module",
        )
    module = collector.__module__
    return f"{_main_module() if module == '__main__' else module}:{collector.__qualname__}"


def _main_module() -> str:
    """The name by which the running program can be imported."""
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return main.__spec__.name
    file = getattr(main, "__file__", None)
    if file is None:
        raise ConfigError(
            "a class made at the prompt cannot be named in another process",
            hint="write it into a file and import it from there",
        )
    return Path(file).stem
