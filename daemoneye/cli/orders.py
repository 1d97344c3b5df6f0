"""`start`, `stop`, `restart`, `pause`, `resume`: an order about a child, and what became of it."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace

from daemoneye.cli import options as shared
from daemoneye.cli.control import ORDER_TIMEOUT, ControlClient
from daemoneye.cli.exits import Exit
from daemoneye.cli.screen import Screen
from daemoneye.foreign import harmless
from daemoneye.units import format_duration

SCHEMA_VERSION = 1
BROKER = "broker"
"""The name of the child that the bus stands on."""


def add_arguments(parser: ArgumentParser, command: str) -> None:
    """Their arguments."""
    parser.add_argument("name", metavar="NAME", help="a child, as `status` lists it")
    shared.add_json(parser)


def run(options: Namespace) -> int:
    """Give the order and wait until it is done or refused."""
    began = time.monotonic()
    client = ControlClient(shared.run_dir_of(options), ORDER_TIMEOUT)
    answer = client.ask(options.command, child=options.name)
    took = time.monotonic() - began
    text = str(answer["text"])
    if options.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "order": options.command,
            "child": options.name,
            "text": text,
            "took_seconds": round(took, 3),
        }
        Screen.out().say(json.dumps(document))
    else:
        Screen.out().tell(f"{harmless(text)}, after {format_duration(took)}")
        if (options.command, options.name) == ("stop", BROKER):
            command = shared.reaching("daemoneye start broker", shared.place_typed(options))
            Screen.err().tell(f"nothing can be published until `{command}`", "  → ", "    ")
    return Exit.OK
