"""Printing what arrives from the bus, one line for each event, until something ends it."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.jobs import Job
from daemoneye.bus.client.subscriber import Jobs, Subscription
from daemoneye.bus.envelope import Envelope
from daemoneye.bus.hierarchy import BUS, is_silent
from daemoneye.bus.terms import Choice, Overflow, Replay
from daemoneye.cli import options as shared
from daemoneye.cli.control import ControlClient
from daemoneye.cli.exits import Exit
from daemoneye.cli.payloads import document_of, essence_of, payload_of
from daemoneye.cli.screen import Screen, cut
from daemoneye.errors import BusBroken, DaemoneyeError, LocalProtocolError, Refused
from daemoneye.foreign import harmless
from daemoneye.supervisor.spec import BROKER

_USUAL = "events."
"""How nearly all topics begin: a person needs it on no line."""
_TOPIC_WIDTH = 20
_NAME_WIDTH = 8
_WIDE = 100
_ACKNOWLEDGED = 5.0
"""Seconds for the broker to say that what was printed is handled."""
_NARROW = 70


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a subscription wants to be served; what is not said is as usual."""

    group: str = ""
    """Whom its messages are shared with; empty: nobody."""
    choice: str = ""
    """Who of the group is given the next."""
    overflow: str | None = None
    """What happens when they are printed too slowly."""
    replay: str | None = None
    """Which retained values it begins with."""


AS_USUAL = Wanted()
"""A viewer of its own."""


def connected(options: Namespace) -> BusClient:
    """A client of the instance that is meant: its operator, or who `--as` names."""
    place = shared.run_dir_of(options)
    try:
        return BusClient.connect(name=getattr(options, "as_", None), run_dir=place.path)
    except Refused:
        raise
    except BusBroken as error:
        with suppress(DaemoneyeError, OSError):  # then nobody knows better
            rows = ControlClient(place).ask("status")["children"]
            error.hint = next(what_next(row) for row in rows if row["name"] == BROKER)
        raise


def what_next(broker: Mapping[str, object]) -> str:
    """What a person does who cannot reach a broker of which `status` has this row."""
    if broker["state"] == "STOPPED" and broker["desired"] == "down":
        return "it was stopped, and stays so: `daemoneye start broker`"
    return f"the broker is {broker['state']}: `daemoneye explain broker` says why"


def print_events(
    options: Namespace, filters: Sequence[str], seconds: float | None, wanted: Wanted = AS_USUAL
) -> int:
    """Print each event that matches, for that long; `--count` ends it earlier.

    In a group each is acknowledged when it is printed, and not one more than is printed is taken.
    """
    screen = Screen.out()
    end = None if seconds is None else time.monotonic() + seconds
    printed = 0
    with connected(options) as bus, _subscribed(bus, options, filters, wanted) as events:
        choice = events.choice if isinstance(events, Jobs) and not wanted.choice else Choice.DEFAULT
        for line in remarks_on(filters, events.narrowed, choice):
            Screen.err().say(harmless(line))
        while options.count is None or printed < options.count:
            left = None if end is None else end - time.monotonic()
            event = events.get(timeout=left) if left is None or left > 0 else None
            if event is None:
                break
            screen.say(
                json.dumps(document_of(event)) if options.json else event_line(event, screen)
            )
            if isinstance(event, Job):
                _acknowledge(event)
            printed += 1
    return Exit.OK


def _acknowledge(job: Job) -> None:
    """It is printed; whoever reads that slowly is told what became of it meanwhile, and goes on."""
    try:
        job.ack(timeout=_ACKNOWLEDGED)
    except LocalProtocolError as error:
        Screen.err().say(harmless(f"printed, but not acknowledged, so it goes to others: {error}"))


def _subscribed(
    bus: BusClient, options: Namespace, filters: Sequence[str], wanted: Wanted
) -> Subscription:
    of_one_alone = {
        "--correlation": options.correlation,
        "--stage": options.stage,
        "--overflow": wanted.overflow,
        "--replay": wanted.replay,
    }
    if not wanted.group:
        if wanted.choice:
            raise LocalProtocolError("a choice is for groups", hint="say which, with --group NAME")
        return bus.subscribe(
            *filters,
            correlation_id=options.correlation,
            stage=options.stage,
            overflow=wanted.overflow or Overflow.DEFAULT,
            replay=wanted.replay or Replay.IF_NEW,
        )
    if said := [name for name, value in of_one_alone.items() if value]:
        raise LocalProtocolError(
            "a group shares all that its filter matches, as it comes",
            hint=f"leave out --group, or {' and '.join(said)}",
        )
    return bus.subscribe(*filters, group=wanted.group, choice=wanted.choice)


def remarks_on(
    filters: Iterable[str], narrowed: Iterable[str], choice: Choice = Choice.DEFAULT
) -> Iterator[str]:
    """What a person has to know of a subscription that shows less than was asked for.

    As a member of a group that goes by a choice nobody named here, too.
    """
    narrowed = tuple(narrowed)
    if silent := [each for each in filters if is_silent(each)]:
        yield f"daemoneye: nothing speaks on {', '.join(silent)}; see daemoneye bus topics '{BUS}'"
    if narrowed:
        yield f"daemoneye: an access rule denies {', '.join(dict.fromkeys(narrowed))}: not shown"
    if choice not in (Choice.DEFAULT, Choice.LEAST_IN_FLIGHT):
        yield f"daemoneye: this group goes by {choice}, as its first member chose"


def event_line(event: Envelope, screen: Screen) -> str:
    """One event for people: when, where, who, what; and before that, what was missed.

    A terminal of 80 columns has no room for all of it and a narrow one only for what happened:
    what stands in front gives way, so that a process keeps its name and its pid.
    """
    at = datetime.fromtimestamp(event.time).astimezone()
    lost = f"[{_losses(event.lost)}] " if event.lost else ""
    essence = lost + harmless(essence_of(event.topic, payload_of(event)) + _tags(event))
    clock = f"{at:%H:%M:%S}"
    moment = f"{clock}.{at.microsecond // 1000:03}"
    where, who = harmless(event.topic), f"{harmless(event.publisher.name):{_NAME_WIDTH}}"
    if not screen.terminal:
        return f"{moment}  {where:{len(_USUAL) + _TOPIC_WIDTH}}  {who}  {essence}"
    where = f"{where.removeprefix(_USUAL):{_TOPIC_WIDTH}}"
    if screen.width >= _WIDE:
        line = f"{moment}  {where}  {who}  {essence}"
    elif screen.width >= _NARROW:
        line = f"{clock}  {where}  {essence}"
    else:
        line = essence
    return cut(line, screen.width)


def _tags(event: Envelope) -> str:
    """What its correlation is marked with: of a will the cause."""
    if event.correlation is None or not event.correlation.tags:
        return ""
    told = ", ".join(f"{key}={value}" for key, value in event.correlation.tags)
    stage = f"{event.correlation.stage}: " if event.correlation.stage else ""
    return f" [{stage}{told}]"


def _losses(lost: Mapping[str, int]) -> str:
    """What was missed; a gap in which nothing is known to be missed is told all the same."""
    told = (f"missed {n} by {why}" if n else f"gap: {why}" for why, n in sorted(lost.items()))
    return ", ".join(told)
