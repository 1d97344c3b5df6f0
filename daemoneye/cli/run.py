"""`run`: starts everything, says what is worth knowing, ends in order."""

from __future__ import annotations

import os
import shlex
import sys
import time
from argparse import ArgumentParser, Namespace

from daemoneye import __version__
from daemoneye.cli import options as shared
from daemoneye.cli.exits import Exit
from daemoneye.cli.screen import Screen, harmless, wrapped
from daemoneye.config.plan import Configuration, load
from daemoneye.rundir import RunDir
from daemoneye.supervisor.health import Happening, HappeningKind
from daemoneye.supervisor.spec import BROKER
from daemoneye.supervisor.supervisor import Supervisor
from daemoneye.units import format_duration

_UNTOLD = {HappeningKind.STARTING, HappeningKind.STACKS, HappeningKind.CONFIGURED}
"""What `explain` tells and nobody has to read as it comes."""

_STYLES = {
    HappeningKind.READY: "good",
    HappeningKind.WELL: "good",
    HappeningKind.ALL_READY: "good",
    HappeningKind.DEGRADED: "warning",
    HappeningKind.CRASHED: "bad",
    HappeningKind.QUARANTINED: "bad",
    HappeningKind.GAVE_UP: "bad",
    HappeningKind.LOST: "bad",
}


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
    configuration = load(options.config, instance=options.instance)
    run_dir = RunDir.find(options.run_dir, configuration.plan.instance)
    # Spawned children inherit this path: classes of a configuration are found beside its file.
    # Behind everything else, so that no file there stands in for a module of the library.
    sys.path += [each for each in configuration.import_dirs if each not in sys.path]
    told = _Told(Screen.out(), time.monotonic(), _words_of_place(options))
    told.beginning(configuration, run_dir)
    supervisor = Supervisor(configuration.plan, run_dir=run_dir, on_happening=told.happening)
    code = supervisor.run(for_seconds=options.for_)
    told.end(code)
    return code


def _words_of_place(options: Namespace) -> str:
    """The arguments another command needs to find this instance."""
    words = []
    if options.run_dir:
        words += ["--run-dir", options.run_dir]
    elif options.instance:
        words += ["--instance", options.instance]
    return f" {shlex.join(words)}" if words else ""


class _Told:
    """What a person at the screen has been told so far."""

    def __init__(self, screen: Screen, began_at: float, place: str) -> None:
        self.screen = screen
        self.began_at = began_at
        self.place = place
        self.is_ready = False
        """The first `ready` has been said; from then on each child's own is worth a line."""

    def beginning(self, configuration: Configuration, run_dir: RunDir) -> None:
        """What is started and where: the first lines, before anything can be slow."""
        plan = configuration.plan
        files = ", ".join(map(str, configuration.files)) or "defaults, no file"
        names = ", ".join((BROKER, *(spec.name for spec in plan.children)))
        self.say(f"daemoneye {__version__}, instance {plan.instance}, pid {os.getpid()}")
        self.say(names, "  starts         ")
        self.say(files, "  configuration  ")
        self.say(run_dir.path, "  run directory  ")
        for warning in configuration.warnings:
            self.say(warning, "  warning        ")

    def happening(self, happening: Happening) -> None:
        """One line for what is worth knowing."""
        if happening.kind is HappeningKind.ALL_READY and not self.is_ready:
            self.is_ready = True
            took = time.monotonic() - self.began_at
            self.say(f"ready in {took:.2f} s: {happening.text}; Ctrl-C ends it in order")
            self.say(f"daemoneye events -f{self.place}", "  watch it with  ")
            self.say(f"daemoneye status{self.place}", " " * 17)
        elif happening.kind is HappeningKind.READY and not self.is_ready:
            return
        elif happening.kind not in _UNTOLD:
            self.line(happening)

    def line(self, happening: Happening) -> None:
        """A happening with its time."""
        text = harmless(f"{happening.child} {happening.text}".strip())
        style = _STYLES.get(happening.kind, "")
        for line in wrapped(text, self.screen.width, time.strftime("%H:%M:%S  "), " " * 10):
            self.screen.say(self.screen.paint(line, style))

    def end(self, code: int) -> None:
        """The last line."""
        ran = format_duration(time.monotonic() - self.began_at)
        how = "ended in order" if code == Exit.OK else f"ended with exit code {code}"
        self.say(f"daemoneye {how} after {ran}")

    def say(self, text: object, first: str = "") -> None:
        """One paragraph behind a title."""
        for line in wrapped(harmless(text), self.screen.width, first, " " * len(first)):
            self.screen.say(line)
