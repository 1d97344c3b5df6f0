"""Printing what arrives from the bus, one line for each event, until something ends it."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import datetime

from daemoneye.bus.client import BusClient
from daemoneye.bus.envelope import Envelope
from daemoneye.cli import options as shared
from daemoneye.cli.exits import Exit
from daemoneye.cli.payloads import document_of, essence_of, payload_of
from daemoneye.cli.screen import Screen, cut, harmless

_TOPIC_WIDTH = 28
_NAME_WIDTH = 10


def connected(options: Namespace) -> BusClient:
    """A client of the instance that is meant, as its operator."""
    return BusClient.connect(run_dir=shared.run_dir_of(options).path)


def print_events(options: Namespace, filters: Sequence[str], seconds: float | None) -> int:
    """Print each event that matches, for that long; `--count` ends it earlier."""
    screen = Screen.out()
    end = None if seconds is None else time.monotonic() + seconds
    printed = 0
    with connected(options) as bus, bus.subscribe(*filters) as events:
        while options.count is None or printed < options.count:
            left = None if end is None else end - time.monotonic()
            event = events.get(timeout=left) if left is None or left > 0 else None
            if event is None:
                break
            screen.say(
                json.dumps(document_of(event)) if options.json else event_line(event, screen)
            )
            printed += 1
    return Exit.OK


def event_line(event: Envelope, screen: Screen) -> str:
    """One event for people: when, where, who, what; and before it, what was missed."""
    at = datetime.fromtimestamp(event.time).astimezone()
    essence = harmless(essence_of(event.topic, payload_of(event)))
    lost = f"[{_losses(event.lost)}] " if event.lost else ""
    clock = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    where, who = harmless(event.topic), harmless(event.publisher.name)
    line = f"{clock}  {where:{_TOPIC_WIDTH}}  {who:{_NAME_WIDTH}}  {lost}{essence}"
    if not screen.terminal:
        return line
    if screen.width < len(clock) + _TOPIC_WIDTH + 2 * _NAME_WIDTH:
        line = f"{clock[:8]} {where} {lost}{essence}"
    return cut(line, screen.width)


def _losses(lost: Mapping[str, int]) -> str:
    """What was missed; a gap in which nothing is known to be missed is told all the same."""
    told = (f"missed {n} by {why}" if n else f"gap: {why}" for why, n in sorted(lost.items()))
    return ", ".join(told)
