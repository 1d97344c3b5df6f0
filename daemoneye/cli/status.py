"""`status`, `health`, `explain`: what runs, how it is, and why."""

from __future__ import annotations

import json
import re
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from daemoneye.cli import options as shared
from daemoneye.cli.control import ControlClient, Document
from daemoneye.cli.exits import Exit
from daemoneye.cli.screen import Column, Screen, plain, table, wrapped
from daemoneye.config.problems import nearest
from daemoneye.errors import UnknownChild
from daemoneye.foreign import harmless
from daemoneye.units import format_duration, format_size

_WATCH_INTERVAL = 1.0
_CLEAR = "\x1b[H\x1b[2J"
_STYLES = {
    "RUNNING": "good",
    "EXITED": "good",
    "PENDING": "faint",
    "STARTING": "warning",
    "STOPPED": "faint",
    "PAUSED": "warning",
    "healthy": "good",
    "starting": "warning",
    "degraded": "warning",
}
"""What is not here is bad."""

_BUS_COUNTERS = {
    "clients": "client(s)",
    "subscriptions": "subscription(s)",
    "published_total": "published",
    "delivered_total": "delivered",
    "lost_total": "lost",
}

_LOST = re.compile(r"lost_(\w+)_total")

_GIVEN_UP = ("exhausted", "rejected", "abandoned")
"""Why a message of a group is lost of which a dead letter tells."""

_DEAD_LETTERS = "daemoneye bus sub '$bus.dead.#'"

_BROKER = "broker"
"""The name of the child that the bus stands on."""

_ORDERS = ("start ", "stop ", "restart ", "pause ", "resume ")
"""How a choice begins that is a command of ours."""

_SHOWN_OF_A_STACK = 8
"""Lines; two for each frame."""

_CALM = {"RUNNING", "EXITED"}
"""States that need no explanation."""


def add_arguments(parser: ArgumentParser, command: str) -> None:
    """Their arguments."""
    if command == "explain":
        parser.add_argument("name", metavar="NAME", help="a child, as `status` lists it")
    if command == "status":
        parser.add_argument("name", metavar="NAME", nargs="?", help="only this child")
        parser.add_argument("--watch", action="store_true", help="again each second, until Ctrl-C")
    shared.add_json(parser)


def run(options: Namespace) -> int:
    """Ask the supervisor and print its answer."""
    client = ControlClient(shared.run_dir_of(options))
    if options.command == "explain":
        return _explain(client, options)
    if options.command == "health":
        return _health(client, options)
    return _status(client, options)


def _status(client: ControlClient, options: Namespace) -> int:
    screen, place = Screen.out(), shared.place_typed(options)
    while True:
        document = client.ask("status")
        bus = bus_words(document)
        if options.name:
            document["children"] = [_row_of(document, options.name)]
        if options.json:
            screen.say(json.dumps(document))
        else:
            top = _CLEAR if options.watch and screen.colour else ""
            lines = status_lines(document, screen, now=time.time(), place=place, bus=bus)
            screen.say(top + "\n".join(lines))
        if not options.watch:
            return Exit.OK
        time.sleep(_WATCH_INTERVAL)


def _row_of(document: Document, name: str) -> Document:
    rows = {row["name"]: row for row in document["children"]}
    if name not in rows:
        near = nearest(name, rows)
        meant = f"; did you mean {near!r}?" if near else ""
        children = ", ".join(sorted(rows))
        raise UnknownChild(f"no child is named {name!r}{meant}", hint=f"children: {children}")
    row: Document = rows[name]
    return row


def status_lines(
    document: Document, screen: Screen, *, now: float, place: str = "", bus: str = ""
) -> Iterator[str]:
    """The picture of `status`: a sentence, a table that fits, reasons for all that is not well.

    `bus` are the words about the bus where the document has only some of its children.
    """
    yield from _first_lines(document, screen)
    children: list[Document] = document["children"]
    lines = table(_columns(children), screen.width)
    yield screen.paint(lines[0], "faint")
    for row, line in zip(children, lines[1:], strict=True):
        yield line.replace(
            row["state"], screen.paint(row["state"], _STYLES.get(row["state"], "bad")), 1
        )
    yield from wrapped(bus or bus_words(document), screen.width, rest="  ")
    if any(document["broker"].get(f"lost_{why}_total") for why in _GIVEN_UP):
        words = f"{shared.reaching(_DEAD_LETTERS, place)} shows what groups give up, as it happens"
        yield from wrapped(words, screen.width, "→ ", "  ")
    restless = [row for row in children if row["state"] not in _CALM or row.get("reason")]
    for row in restless:
        yield from wrapped(_sentence(row, now), screen.width, "  ", "    ")
    if restless:
        command = f"daemoneye explain {harmless(restless[0]['name'])}"
        yield f"→ {shared.reaching(command, place)}"


def _first_lines(document: Document, screen: Screen) -> Iterator[str]:
    supervisor = document["supervisor"]
    children = document["children"]
    running = sum(row["state"] == "RUNNING" for row in children)
    overall = document["overall"]
    words = f"{document['instance']} is {overall}: {running} of {len(children)} running"
    uptime = format_duration(supervisor["uptime_seconds"])
    line = f"{words}, up {uptime}, pid {supervisor['pid']}"
    painted = screen.paint(overall, _STYLES.get(overall, "bad"))
    for each in wrapped(harmless(line), screen.width, rest="  "):
        yield each.replace(f" {overall}:", f" {painted}:", 1)


def bus_words(document: Document) -> str:
    """What the broker has counted; what a dead one would say of itself is nothing."""
    broker = document["broker"]
    if any(row["name"] == _BROKER and row["pid"] is None for row in document["children"]):
        return "bus: the broker does not run"
    counted = (
        f"{broker[key]} {_counted(word, broker[key])}" for key, word in _BUS_COUNTERS.items()
    )
    return f"bus: {', '.join(counted)}{_by_reason(broker)}"


def _by_reason(broker: Document) -> str:
    """Why so many are lost, the most first: what waited for one who left is no overflow."""
    found = ((_LOST.fullmatch(key), number) for key, number in broker.items())
    reasons = {match[1].replace("_", "-"): number for match, number in found if match and number}
    told = sorted(reasons.items(), key=lambda each: -each[1])
    return f" ({', '.join(f'{harmless(why)} {number}' for why, number in told)})" if told else ""


def _counted(word: str, number: int) -> str:
    return word.replace("(s)", "" if number == 1 else "s")


def _columns(children: Iterable[Document]) -> list[Column]:
    rows = list(children)

    def column(
        title: str, key: str, show: Callable[[Any], str], *, keep: int, right: bool = True
    ) -> Column:
        cells = ["-" if row.get(key) is None else harmless(show(row[key])) for row in rows]
        return Column(title, cells, right=right, keep=keep)

    return [
        column("NAME", "name", str, keep=9, right=False),
        column("STATE", "state", str, keep=8, right=False),
        column("PID", "pid", str, keep=7),
        column("UPTIME", "uptime_seconds", format_duration, keep=5),
        column("RESTARTS", "restarts", str, keep=6),
        column("CPU", "cpu_percent", lambda percent: f"{percent:.1f} %", keep=3),
        column("MEMORY", "rss_bytes", format_size, keep=4),
        column(
            "HEARTBEAT", "heartbeat_age_seconds", lambda age: f"{format_duration(age)} ago", keep=2
        ),
    ]


def _sentence(row: Document, now: float) -> str:
    text = f"{row['name']} is {row['state']}"
    if row.get("desired") == "up" and row["state"] == "STOPPED":
        text += ", wanted up"
    if row.get("reason"):
        text += f": {row['reason']}"
    if row.get("next_attempt_at"):
        text += f"; next attempt {_when(row['next_attempt_at'], now)}"
    return plain(text)


def _when(moment: str, now: float) -> str:
    seconds = datetime.fromisoformat(moment).timestamp() - now
    return f"in {format_duration(seconds)}" if seconds > 0 else "now"


def _health(client: ControlClient, options: Namespace) -> int:
    document = client.ask("health")
    screen = Screen.out()
    if options.json:
        screen.say(json.dumps(document))
    else:
        overall = document["overall"]
        reason = f": {harmless(document['reason'])}" if document.get("reason") else ""
        screen.say(f"{screen.paint(overall, _STYLES.get(overall, 'bad'))}{reason}")
    return Exit.OK if document["overall"] == "healthy" else Exit.UNHEALTHY


def _explain(client: ControlClient, options: Namespace) -> int:
    document = client.ask("explain", child=options.name)
    screen = Screen.out()
    if options.json:
        screen.say(json.dumps(document))
    else:
        place = shared.place_typed(options)
        for line in explanation_lines(document, screen, now=time.time(), place=place):
            screen.say(line)
    return Exit.OK


def explanation_lines(
    document: Document, screen: Screen, *, now: float, place: str = ""
) -> Iterator[str]:
    """The picture of `explain`: why, since when, what comes next, what to do, what was before."""
    child = document["child"]
    state = screen.paint(child["state"], _STYLES.get(child["state"], "bad"))
    since = datetime.fromisoformat(document["since"]).timestamp()
    yield f"{harmless(child['name'])} is {state} for {format_duration(max(0.0, now - since))}"
    for title, text in (("why", document["why"]), ("next", _next_step(document, now))):
        if text:
            yield from wrapped(plain(text), screen.width, f"  {title + ':':6}", " " * 8)
    for choice in document["what_would_change_it"]:
        command = "daemoneye " if choice.startswith(_ORDERS) else ""
        words = shared.reaching(command + choice, place)
        yield from wrapped(harmless(words), screen.width, "  → ", "    ")
    if document.get("crash"):
        yield from _crash_lines(document["crash"], screen)
    if document["happenings"]:
        yield "before:"
    for each in document["happenings"]:
        first = f"  {_clock(each['at'])}  "
        yield from wrapped(plain(each["text"]), screen.width, first, " " * len(first))


def _next_step(document: Document, now: float) -> str:
    text = str(document["next_step"])
    return f"{text} ({_when(document['next_at'], now)})" if document.get("next_at") else text


def _crash_lines(crash: Document, screen: Screen) -> Iterator[str]:
    # A signal of ours is what we did about it, and `why` says that; the cause was before.
    cause = crash["cause"] if crash["ours"] else crash["signal_name"] or crash["cause"]
    after = format_duration(crash["uptime_seconds"])
    heading = f"{cause} after {after}, incarnation {crash['number']}, pid {crash['pid']}"
    yield from wrapped(harmless(heading), screen.width, "last failure: ", "  ")
    for text in (crash["why"], crash["exception"]):
        if text:
            yield from wrapped(plain(text), screen.width, "  ", "    ")
    for line in str(crash.get("traceback") or "").splitlines():
        yield f"  │ {harmless(line)}"
    stack = _main_stack(str(crash.get("stacks") or ""))
    if stack:
        yield "  what its main thread did, the innermost last:"
        yield from (f"  │ {harmless(line)}" for line in stack[-_SHOWN_OF_A_STACK:])


def _main_stack(stacks: str) -> list[str]:
    """The lines of the main thread in a dump of all threads, or of the first one."""
    threads: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in stacks.splitlines():
        if line.startswith("thread "):
            lines = threads[line] = []
        else:
            lines.append(line)
    main = (each for title, each in threads.items() if title.startswith("thread MainThread "))
    return next(main, next(iter(threads.values()), []))


def _clock(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%H:%M:%S")
