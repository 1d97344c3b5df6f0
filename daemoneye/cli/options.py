"""Arguments that several commands share, and what they mean."""

from __future__ import annotations

import os
import re
import shlex
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping

from daemoneye.config.sources import instance_name
from daemoneye.errors import ConfigError
from daemoneye.rundir import RunDir
from daemoneye.units import parse_duration

RUN_DIR_VARIABLE = "DAEMONEYE_RUN_DIR"
_COMMAND = re.compile(
    r"\bdaemoneye"
    r"(?= (?:run|status|health|explain|start|stop|restart|pause|resume|events|bus)\b)"
)
"""How a command that is about an instance begins, in a hint or an answer."""


def add_everywhere(parser: ArgumentParser, *, below: bool = False) -> None:
    """What every command takes; `below` another that takes it too, so its word is not undone."""
    nothing = SUPPRESS if below else None
    parser.add_argument("--run-dir", metavar="DIR", default=nothing, help="where it lives")
    parser.add_argument("--instance", metavar="NAME", default=nothing, help="which one is meant")
    parser.add_argument("--debug", action="store_true", default=nothing, help="show tracebacks")


def add_json(parser: ArgumentParser) -> None:
    """The choice of JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_limits_of_a_stream(parser: ArgumentParser) -> None:
    """What ends a command that would go on for ever."""
    parser.add_argument("--count", metavar="N", type=positive, help="end after N messages")
    parser.add_argument(
        "--for", metavar="TIME", dest="for_", type=duration, help="end after, say, 10s"
    )


def add_correlation(parser: ArgumentParser) -> None:
    """Which conversation is meant, and which step of it."""
    parser.add_argument("--correlation", metavar="ID", default="", help="of this conversation")
    parser.add_argument("--stage", metavar="NAME", default="", help="of this step of one")


def run_dir_of(options: Namespace, environ: Mapping[str, str] = os.environ) -> RunDir:
    """The run directory that is meant.  Raises ConfigError for an impossible name."""
    config = getattr(options, "config", None)
    return find_run_dir(options, options.instance or instance_name(config, environ), environ)


def find_run_dir(options: Namespace, instance: str, environ: Mapping[str, str]) -> RunDir:
    """Where the instance of this name is; one that was typed is stronger than DAEMONEYE_RUN_DIR."""
    if options.instance:
        environ = {key: value for key, value in environ.items() if key != RUN_DIR_VARIABLE}
    return RunDir.find(options.run_dir, instance, environ)


def place_typed(options: Namespace) -> str:
    """The arguments by which this command found its instance, for one to be typed after it."""
    given = (("--run-dir", options.run_dir), ("--instance", options.instance))
    return "".join(f" {name} {shlex.quote(value)}" for name, value in given if value)


def reaching(text: str, place: str) -> str:
    """`text` with each of our commands in it made to reach the instance at `place`."""
    return _COMMAND.sub(lambda found: found[0] + place, text) if place else text


def duration(text: str) -> float:
    """A duration above 0 as an argument."""
    try:
        seconds = parse_duration(text)
    except ConfigError as error:
        raise ArgumentTypeError(f"{error.args[0]}; {error.hint}") from None
    if not seconds:
        raise ArgumentTypeError("has to be longer than 0 s")
    return seconds


def positive(text: str) -> int:
    """A whole number above 0 as an argument."""
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
