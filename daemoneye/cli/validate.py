"""`validate`: everything that is wrong with a configuration, without starting anything."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

from daemoneye.cli import options as shared
from daemoneye.cli.exits import Exit
from daemoneye.cli.screen import Screen
from daemoneye.config.plan import Configuration, examine
from daemoneye.config.problems import Problem
from daemoneye.foreign import harmless

SCHEMA_VERSION = 1


def add_arguments(parser: ArgumentParser, command: str) -> None:
    """Its arguments."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="without one: what `daemoneye run` would use"
    )
    shared.add_json(parser)


def run(options: Namespace) -> int:
    """Check, and print what was found; problems are the data of this command."""
    found = examine(options.file, instance=options.instance)
    if options.json:
        Screen.out().say(json.dumps(_document(found)))
    else:
        _print(found)
    return Exit.BAD_CONFIGURATION if found.problems else Exit.OK


def _document(found: Configuration) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "valid": not found.problems,
        "files": list(found.files),
        "children": [spec.name for spec in found.plan.children],
        "problems": list(_rows(found.problems)),
        "warnings": list(_rows(found.warnings)),
    }


def _rows(problems: Iterable[Problem]) -> Iterable[dict[str, object]]:
    for each in problems:
        yield {
            "source": each.place.source,
            "line": each.place.line or None,
            "key": each.key,
            "message": each.text,
            "expected": each.expected or None,
            "suggestion": each.suggestion or None,
        }


def _print(found: Configuration) -> None:
    screen = Screen.out()
    for problem in found.problems:
        screen.say(f"{screen.paint('problem', 'bad')}  {harmless(problem)}")
    for warning in found.warnings:
        screen.say(f"{screen.paint('warning', 'warning')}  {harmless(warning)}")
    files = ", ".join(found.files) or "the defaults"
    if found.problems:
        count = len(found.problems)
        screen.say(f"{harmless(files)}: {count} {'problem' if count == 1 else 'problems'}")
    else:
        names = ", ".join(spec.name for spec in found.plan.children) or "nothing"
        screen.say(f"{harmless(files)}: valid; runs {names}")
