"""`events`: what happens on this machine, one line for each event."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from daemoneye.bus.hierarchy import ALL_EVENTS
from daemoneye.cli import options as shared
from daemoneye.cli.streams import print_events

_A_LOOK = 5.0
"""Seconds to watch where nobody says how long."""


def add_arguments(parser: ArgumentParser, command: str) -> None:
    """Its arguments."""
    parser.add_argument(
        "filters", metavar="FILTER", nargs="*", help=f"topics to watch; without any: {ALL_EVENTS}"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help=f"go on; without it: for {_A_LOOK:g} s"
    )
    shared.add_correlation(parser)
    shared.add_limits_of_a_stream(parser)
    shared.add_json(parser)


def run(options: Namespace) -> int:
    """Print events."""
    seconds = options.for_ or (None if options.follow or options.count else _A_LOOK)
    return print_events(options, options.filters or [ALL_EVENTS], seconds)
