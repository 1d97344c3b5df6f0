"""A short-lived interpreter that looks at the classes and functions a configuration names.

The supervisor must outlive any code it starts, so it never imports that code: this program does,
says what it found as one line of JSON for each question, and is gone.  When a module takes the
whole interpreter down, the lines before tell which one it was, and another one does the rest.

    configuration ── {"path": […], "questions": […]} ──▶ python -m daemoneye.config.probe
                  ◀──── one line of JSON for each ────
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from importlib import import_module

from daemoneye.collectors import collector as collecting
from daemoneye.errors import ConfigError

_TIMEOUT = 30.0
_MARK = "\x1edaemoneye-probe "
"""Begins each line of ours, so that nothing a module prints can pass for one."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something a configuration names."""

    reference: str
    """`module:name`."""
    wants_collector: bool = True
    """It has to be a collector class; otherwise anything that can be called will do."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """What the configuration sets for it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What that turned out to be."""

    problems: tuple[str, ...] = ()
    """Why it cannot be used."""
    name: str = ""
    """A collector's own name."""
    kind: str = ""
    """What a collector collects."""
    publishes: tuple[str, ...] = ()
    """Topic filters it declares to publish to; empty for what its kind gives it."""
    subscribes: tuple[str, ...] | None = None
    """Topic filters it declares to hear; None for what its kind gives it."""


def describe(found: object, settings: Mapping[str, object]) -> Found:
    """What a collector class declares, and what is wrong with it or its settings."""
    if not isinstance(found, type) or not issubclass(found, collecting.Collector):
        return Found(problems=("is no subclass of daemoneye.Collector",))
    try:
        in_force = collecting.describe(found, settings).settings
    except ConfigError as error:
        return Found(problems=error.problems)
    if problems := tuple(_own_problems(found, in_force)):
        return Found(problems=problems)
    hears = found.subscribes
    return Found(
        name=found.name,
        kind=found.kind,
        publishes=tuple(found.publishes),
        subscribes=None if hears is None else tuple(hears),
    )


_OWN_CHECKS = {
    "daemoneye.collectors.procmond.procmond:Procmond": "top_count",
    "daemoneye.collectors.perfmond.perfmond:Perfmond": "thresholds",
}
"""The function beside each built-in class that reads its settings, and refuses what it cannot."""


def _own_problems(found: type, settings: Mapping[str, object]) -> Iterator[str]:
    """What a built-in collector would refuse as it starts; classes of others are only described."""
    check = _OWN_CHECKS.get(f"{found.__module__}:{found.__qualname__}")
    if check is None:
        return
    try:
        getattr(sys.modules[found.__module__], check)(settings)
    except ConfigError as error:
        for problem in error.problems or (str(error.args[0]),):
            yield f"settings.{problem.removeprefix('settings.')}"


def look_at(questions: Sequence[Question], path: Sequence[str]) -> tuple[Found, ...]:
    """The answer to each question, from an interpreter of its own with `path` as its `sys.path`."""
    answers: dict[int, Found] = {}
    while missing := [n for n in range(len(questions)) if n not in answers]:
        said, fate = _ask([questions[n] for n in missing], path)
        answers.update(zip(missing, said, strict=False))
        if len(said) < len(missing):
            answers[missing[len(said)]] = Found(problems=(fate,))
    return tuple(answers[n] for n in range(len(questions)))


def _ask(questions: Sequence[Question], path: Sequence[str]) -> tuple[list[Found], str]:
    """What one interpreter answered before it ended, and how it ended."""
    order = json.dumps({"path": list(path), "questions": [asdict(each) for each in questions]})
    # -P: a file in the current directory must not stand in for a module of the library.
    command = [sys.executable, "-P", "-m", "daemoneye.config.probe"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            output, _ = process.communicate(order, timeout=_TIMEOUT)
            fate = f"ends the interpreter while it is imported (exit {process.returncode})"
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            fate = f"is still being imported after {_TIMEOUT:g} s"
    return list(_answers_in(output)), fate


def _answers_in(output: str) -> Iterator[Found]:
    for line in output.split("\n"):  # splitlines would split at our mark too
        _, mark, answer = line.partition(_MARK)
        if mark:
            said = json.loads(answer)
            listed = {key: tuple(each) for key, each in said.items() if isinstance(each, list)}
            yield Found(**{**said, **listed})


def _answer(question: Question) -> Found:
    module, _, inside = question.reference.partition(":")
    try:
        found = reduce(getattr, inside.split("."), import_module(module))
        if question.wants_collector:
            return describe(found, question.settings)
        return Found() if callable(found) else Found(problems=("cannot be called",))
    except ModuleNotFoundError as error:
        where = "" if error.name == module else f" (imported by {module})"
        return Found(problems=(f"cannot be imported: no module named {error.name!r}{where}",))
    except AttributeError as error:
        return Found(problems=(f"cannot be found: {error}",))
    except (Exception, SystemExit) as error:  # any failure of foreign code is the answer itself
        return Found(problems=(f"cannot be imported: {type(error).__name__}: {error}",))


def main() -> None:
    """Answer one order on standard input."""
    order = json.load(sys.stdin)
    sys.path[:] = order["path"]
    out = sys.stdout
    sys.stdout = sys.stderr
    for question in order["questions"]:
        out.write(f"\n{_MARK}{json.dumps(asdict(_answer(Question(**question))))}\n")
        out.flush()


if __name__ == "__main__":
    main()
