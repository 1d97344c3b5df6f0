"""`run`: starts everything, says what is worth knowing, ends in order."""

from __future__ import annotations

import os
import shlex
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from datetime import datetime

from daemoneye.cli import options as shared
from daemoneye.cli.screen import Screen
from daemoneye.cli.telling import Printer, Telling
from daemoneye.config.plan import load
from daemoneye.rundir import RunDir
from daemoneye.supervisor.health import Happening
from daemoneye.supervisor.supervisor import Supervisor


def add_arguments(parser: ArgumentParser, command: str) -> None:
    """Its arguments."""
    parser.add_argument("--config", metavar="FILE", help="only this file instead of the usual ones")
    parser.add_argument(
        "--for",
        metavar="TIME",
        dest="for_",
        type=shared.duration,
        help="end in order after, say, 10s",
    )


def run(options: Namespace) -> int:
    """Run until asked to end; the result is the supervisor's exit code."""
    # Interpreter and imports are part of what a person waits for, and are nearly all CPU time.
    began_at = time.monotonic() - time.process_time()
    configuration = load(options.config, instance=options.instance)
    run_dir = shared.find_run_dir(options, configuration.plan.instance, os.environ)
    # Spawned children inherit this path: classes of a configuration are found beside its file.
    # Behind everything else, so that no file there stands in for a module of the library.
    sys.path += [each for each in configuration.import_dirs if each not in sys.path]
    screen = Screen.out()
    place = words_of_place(run_dir, configuration.plan.instance, os.environ)
    telling, printer = Telling(screen, began_at, place, options.for_), Printer(screen)
    # Said when the first thing happens: a second run in the same place never gets as far.
    beginning = telling.beginning(configuration, run_dir, os.getpid())

    def tell(happening: Happening) -> None:
        printer.say(beginning)
        printer.say(telling.happening(happening, time.monotonic(), datetime.now()))

    try:
        supervisor = Supervisor(configuration.plan, run_dir=run_dir, on_happening=tell)
        code = supervisor.run(for_seconds=options.for_)
        printer.say([telling.end(code, time.monotonic())])
    finally:
        printer.close()
    return code


def words_of_place(run_dir: RunDir, instance: str, environ: Mapping[str, str]) -> str:
    """The arguments by which a command typed in another terminal finds this instance."""
    elsewhere = {key: value for key, value in environ.items() if key not in _OF_THIS_TERMINAL}
    if run_dir == RunDir.find(None, "default", elsewhere):
        return ""
    if run_dir == RunDir.find(None, instance, elsewhere):
        return f" --instance {instance}"
    return f" --run-dir {shlex.quote(str(run_dir.path))}"


_OF_THIS_TERMINAL = {shared.RUN_DIR_VARIABLE, "RUNTIME_DIRECTORY"}
