"""`run`: starts everything, says what is worth knowing, ends in order."""

from __future__ import annotations

import os
import shlex
import sys
import time
from argparse import ArgumentParser, Namespace
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
    began_at = time.monotonic()
    configuration = load(options.config, instance=options.instance)
    run_dir = RunDir.find(options.run_dir, configuration.plan.instance)
    # Spawned children inherit this path: classes of a configuration are found beside its file.
    # Behind everything else, so that no file there stands in for a module of the library.
    sys.path += [each for each in configuration.import_dirs if each not in sys.path]
    screen = Screen.out()
    telling, printer = Telling(screen, began_at, _words_of_place(options)), Printer(screen)

    def tell(happening: Happening) -> None:
        printer.say(telling.happening(happening, time.monotonic(), datetime.now()))

    try:
        printer.say(telling.beginning(configuration, run_dir, os.getpid()))
        supervisor = Supervisor(configuration.plan, run_dir=run_dir, on_happening=tell)
        code = supervisor.run(for_seconds=options.for_)
        printer.say([telling.end(code, time.monotonic())])
    finally:
        printer.close()
    return code


def _words_of_place(options: Namespace) -> str:
    """The arguments by which another command finds this instance."""
    if options.run_dir:
        return f" --run-dir {shlex.quote(options.run_dir)}"
    return f" --instance {shlex.quote(options.instance)}" if options.instance else ""
