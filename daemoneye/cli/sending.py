"""`bus pub` and `bus call`: what a person types, on its way to the bus, and what became of it."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace

from daemoneye.bus.client.answers import Status
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.wishes import GUARANTEES, UNTIL_HANDLED
from daemoneye.bus.envelope import Correlation
from daemoneye.cli import options as shared
from daemoneye.cli.exits import Exit
from daemoneye.cli.payloads import UNDECLARED, essence_of, payload_from, reply_document, said_in
from daemoneye.cli.screen import Screen
from daemoneye.cli.streams import connected
from daemoneye.errors import LocalProtocolError, TooLarge
from daemoneye.foreign import harmless

SCHEMA_VERSION = 1
_LARGEST_INPUT_BYTES = 1 << 20


def add_to_publish(parser: ArgumentParser) -> None:
    """The arguments of `bus pub`."""
    _add_message(parser)
    parser.add_argument(
        "--retain", action="store_true", help="keep it for whoever subscribes later"
    )
    parser.add_argument("--target", metavar="NAME", default="", help="only for this client")
    parser.add_argument("--key", default="", help="groups by key have equal ones handled in order")
    parser.add_argument(
        "--guarantee",
        choices=tuple(each for each in GUARANTEES if each),
        default="",
        help="at least once waits in a group for a member; below control it is so by itself",
    )
    parser.add_argument(
        "--until", choices=(UNTIL_HANDLED,), default="", help="wait until every group handled it"
    )
    parser.add_argument(
        "--timeout",
        metavar="5s",
        type=shared.duration,
        default=5.0,
        help="how long to wait for what became of it",
    )
    shared.add_correlation(parser)


def add_to_call(parser: ArgumentParser) -> None:
    """The arguments of `bus call`."""
    _add_message(parser)
    parser.add_argument(
        "--timeout",
        metavar="2s",
        type=shared.duration,
        default=2.0,
        help="how long to wait for the reply",
    )


def _add_message(parser: ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument(
        "payload",
        metavar="PAYLOAD",
        nargs="?",
        help="text, a JSON object, or - to read it; without any, what is piped in",
    )
    parser.add_argument("--raw", action="store_true", help="send it as it is, whatever the topic")


def publish(options: Namespace) -> int:
    """Publish it, and say who got it."""
    data = given(options.payload)
    payload = payload_from(options.topic, data, raw=options.raw)
    said = Correlation(options.correlation, stage=options.stage)
    with connected(options) as bus:
        receipt = bus.publish_confirmed(
            options.topic,
            payload,
            target=options.target,
            correlation=said if said != Correlation() else None,
            retain=options.retain,
            guarantee=options.guarantee,
            key=options.key,
            until=options.until,
            timeout=options.timeout,
        )
        away = not receipt.subscribers and _is_away(options, bus)
    if options.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "topic": options.topic,
            "status": str(receipt.status),
            "subscribers": receipt.subscribers,
        }
        Screen.out().say(json.dumps(document))
    elif receipt.status is Status.HANDLED:
        Screen.out().tell(f"{options.topic}: handled")
    elif receipt.subscribers:
        who = "1 client" if receipt.subscribers == 1 else f"{receipt.subscribers} clients"
        Screen.out().tell(f"{options.topic}: {who} got it")
    elif away:
        target = harmless(options.target)
        Screen.out().tell(f"{options.topic}: accepted, and no client called {target} is connected")
    else:
        Screen.out().tell(f"{options.topic}: accepted, and nobody is subscribed")
    return Exit.OK


def call(options: Namespace) -> int:
    """Ask, and print the reply."""
    data = given(options.payload, "call")
    payload = payload_from(options.topic, data, raw=options.raw)
    with connected(options) as bus:
        reply = bus.call(options.topic, payload, timeout=options.timeout)
    if options.json:
        document = {"schema_version": SCHEMA_VERSION, **reply_document(reply)}
        Screen.out().say(json.dumps(document))
    else:
        Screen.out().say(harmless(essence_of(UNDECLARED, said_in(reply))))
    return Exit.OK


def _is_away(options: Namespace, bus: BusClient) -> bool:
    """Whether the target is not there; a named client may see itself only, and cannot tell."""
    if not options.target or options.as_ is not None:
        return False
    return all(row.identity != options.target for row in bus.clients())


def given(payload: str | None, command: str = "pub") -> bytes:
    """What is to be sent.  Raises LocalProtocolError where a terminal would have to be read."""
    if payload is None and sys.stdin.isatty():
        raise LocalProtocolError(
            "the payload is missing",
            hint="give text or a JSON object, - to type it, or '' for none: "
            f"daemoneye bus {command} --help",
        )
    return _input() if payload in (None, "-") else os.fsencode(payload or "")


def _input() -> bytes:
    """All of standard input.  Raises TooLarge for more than a message may hold: nothing is cut."""
    data = sys.stdin.buffer.read(_LARGEST_INPUT_BYTES + 1)
    if len(data) > _LARGEST_INPUT_BYTES:
        raise TooLarge(
            f"standard input holds more than {_LARGEST_INPUT_BYTES} bytes, the most of one message",
            hint="nothing was sent; send it in parts, or say where it is",
        )
    return data
