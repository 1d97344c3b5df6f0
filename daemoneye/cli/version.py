"""`version`: which version this is, on what it runs."""

from __future__ import annotations

import json
import platform
import sys
from argparse import ArgumentParser, Namespace

from daemoneye import __version__
from daemoneye.cli import options as shared
from daemoneye.cli.exits import Exit
from daemoneye.cli.screen import Screen

SCHEMA_VERSION = 1


def add_arguments(parser: ArgumentParser, command: str) -> None:
    """Its arguments."""
    shared.add_json(parser)


def run(options: Namespace) -> int:
    """Print the version."""
    python = platform.python_version()
    if options.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "version": __version__,
            "python": python,
            "platform": sys.platform,
        }
        Screen.out().say(json.dumps(document))
    else:
        Screen.out().say(f"daemoneye {__version__} (Python {python} on {sys.platform})")
    return Exit.OK
