"""`bus …`: subscribe, publish, call, and look at who is there and who may what."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from textwrap import wrap

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.hierarchy import PACKAGE, TOPICS, declared_topic
from daemoneye.bus.kinds import TopicRow
from daemoneye.bus.roles import ROLES
from daemoneye.bus.terms import Choice, Overflow, Replay
from daemoneye.bus.topics import TopicFilter
from daemoneye.cli import options as shared
from daemoneye.cli import sending
from daemoneye.cli.exits import Exit
from daemoneye.cli.screen import Column, Screen, cut, left_out, table
from daemoneye.cli.streams import Wanted, connected, print_events
from daemoneye.config.problems import nearest
from daemoneye.errors import BusError, UnknownChild
from daemoneye.foreign import harmless

SCHEMA_VERSION = 1
_CHOICES = tuple(each for each in Choice if each is not Choice.DEFAULT)


def add_arguments(parser: ArgumentParser, command: str) -> None:
    """Its commands, each with its arguments."""
    commands = parser.add_subparsers(dest="bus_command", metavar="COMMAND", required=True)

    def command_parser(name: str, text: str) -> ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        shared.add_everywhere(made, below=True)
        shared.add_json(made)
        made.add_argument(
            "--as", metavar="NAME", dest="as_", help="as this client of [bus.clients]"
        )
        return made

    sub = command_parser("sub", "print what arrives, until Ctrl-C")
    sub.add_argument("filters", metavar="FILTER", nargs="+", help="topics to subscribe to")
    sub.add_argument(
        "--group",
        metavar="NAME",
        default="",
        help="share them with this group: each message goes to one of it, and is handled when it"
        " is printed",
    )
    sub.add_argument("--choice", choices=_CHOICES, default="", help="who of the group is next")
    sub.add_argument(
        "--overflow", choices=tuple(Overflow), default=None, help="when it is read too slowly"
    )
    sub.add_argument(
        "--replay", choices=tuple(Replay), default=None, help="which retained values to begin with"
    )
    shared.add_correlation(sub)
    shared.add_limits_of_a_stream(sub)
    pub = command_parser("pub", "publish one message and say how many got it")
    sending.add_to_publish(pub)
    retained = command_parser("retained", "the last values that are kept")
    retained.add_argument(
        "filter",
        metavar="FILTER",
        nargs="?",
        default="",
        help="on these topics; without it, on all",
    )
    clear = command_parser("clear", "have the last value of a topic forgotten")
    clear.add_argument("topic", metavar="TOPIC")
    call = command_parser("call", "ask whoever serves a topic and print the reply")
    sending.add_to_call(call)
    command_parser("clients", "who is connected")
    command_parser("subs", "who is subscribed to what")
    topics = command_parser("topics", "which topics there are, and which are in use")
    topics.add_argument("filter", metavar="FILTER", nargs="?", default="", help="only of these")
    acl = command_parser("acl", "why somebody may or may not")
    acl.add_argument("acl_command", metavar="explain", choices=("explain",))
    acl.add_argument("who", metavar="WHO", help="a client's name, or role:NAME")
    acl.add_argument(
        "action", metavar="ACTION", choices=("publish", "subscribe"), help="publish or subscribe"
    )
    acl.add_argument("topic", metavar="TOPIC", help="a topic, or with subscribe a filter")


def run(options: Namespace) -> int:
    """Do one of them."""
    return _COMMANDS[options.bus_command](options)


def _sub(options: Namespace) -> int:
    wanted = Wanted(options.group, options.choice, options.overflow, options.replay)
    return print_events(options, options.filters, options.for_, wanted)


def _clients(options: Namespace) -> int:
    with connected(options) as bus:
        rows = bus.clients()
    documents = [{**asdict(row), "connected_at": _moment(row.connected_at)} for row in rows]
    return _print_rows(options, "clients", _CLIENT_COLUMNS, documents)


def _subscriptions(options: Namespace) -> int:
    with connected(options) as bus:
        rows = bus.subscriptions()
    documents = [asdict(row) for row in rows]
    return _print_rows(options, "subscriptions", _SUBSCRIPTION_COLUMNS, documents)


def _topics(options: Namespace) -> int:
    with connected(options) as bus:
        used = bus.topics(options.filter)
    rows = topic_documents(used, TopicFilter(options.filter) if options.filter else None)
    screen = Screen.out()
    if options.json:
        return _print_rows(options, "topics", (), rows)
    say_table(_topic_columns(rows, screen), screen, Screen.err())
    return Exit.OK


def topic_documents(
    used: Iterable[TopicRow], wanted: TopicFilter | None
) -> list[dict[str, object]]:
    """The topics in use and the declared ones, each once, in the order of their names."""
    documents: dict[str, dict[str, object]] = {}
    for declared in TOPICS:
        if wanted is None or wanted.intersects(declared.filter):
            documents[declared.text] = _topic_document(TopicRow(declared.text, 0, 0, False))
    for row in used:
        documents[row.topic] = _topic_document(row)
    return [documents[topic] for topic in sorted(documents)]


def _topic_document(row: TopicRow) -> dict[str, object]:
    declared = next((each for each in TOPICS if each.text == row.topic), None)
    if declared is None:
        declared = declared_topic(row.topic)
    return {
        **asdict(row),
        "declared": declared is not None,
        "message": declared.message if declared else None,
        "meaning": declared.sentence if declared else None,
    }


def _topic_columns(rows: Sequence[dict[str, object]], screen: Screen) -> list[Column]:
    """For people: what a topic means gives way to how it is used, and fills what is left."""
    shown: list[dict[str, object]] = [
        {
            "topic": row["topic"],
            "publishers": row["publishers"],
            "subscribers": row["subscribers"],
            "retained": row["retained"],
            "payload": str(row["message"] or "").removeprefix(f"{PACKAGE}."),
        }
        for row in rows
    ]
    names = ("topic", "publishers", "subscribers", "payload", "retained")
    columns = columns_of(names, shown)
    left = screen.width - sum(each.width + 2 for each in columns)
    if left >= _LEAST_MEANING:
        meanings = [cut(str(row["meaning"] or ""), left) for row in rows]
        columns.append(Column("MEANING", meanings, keep=len(names) + 1))
    return columns


_LEAST_MEANING = 24
"""Columns that are worth beginning a sentence in."""


def _retained(options: Namespace) -> int:
    with connected(options) as bus:
        rows = bus.retained(options.filter)
    documents = [
        {
            **asdict(row),
            "received_at": _moment(row.received_at),
            "expires_at": _moment(row.expires_at) if row.expires_at else None,
        }
        for row in sorted(rows, key=lambda row: row.topic)
    ]
    return _print_rows(options, "retained", _RETAINED_COLUMNS, documents)


def _clear(options: Namespace) -> int:
    with connected(options) as bus:
        bus.clear_retained(options.topic)
    if options.json:
        document = {"schema_version": SCHEMA_VERSION, "topic": options.topic, "status": "cleared"}
        Screen.out().say(json.dumps(document))
    else:
        Screen.out().tell(f"{options.topic}: nothing is retained any more")
    return Exit.OK


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")


_CLIENT_COLUMNS = (
    "identity",
    "role",
    "pid",
    "published",
    "delivered",
    "lost",
    "queued",
    "subscriptions",
    "away",
    "connected_at",
    "incarnation",
)
_SUBSCRIPTION_COLUMNS = (
    "identity",
    "filter",
    "delivered",
    "lost",
    "queued",
    "group",
    "in_flight",
    "overflow",
    "subscription",
)
_RETAINED_COLUMNS = (
    "topic",
    "publisher",
    "size",
    "received_at",
    "expires_at",
    "content_type",
    "sequence",
)
"""What is shown to people, the most telling first: a narrow screen leaves out the last."""


def _print_rows(
    options: Namespace, what: str, names: Sequence[str], rows: Sequence[dict[str, object]]
) -> int:
    screen = Screen.out()
    if options.json:
        screen.say(json.dumps({"schema_version": SCHEMA_VERSION, what: list(rows)}))
        return Exit.OK
    say_table(columns_of(names, rows), screen, Screen.err())
    return Exit.OK


def say_table(columns: Sequence[Column], screen: Screen, beside: Screen) -> None:
    """Print a table, and tell a person beside it what it has no room for."""
    for line in table(columns, screen.width):
        screen.say(line)
    if screen.terminal and (remark := left_out(columns, screen.width)):
        for line in wrap(remark, beside.width):
            beside.say(line)


def columns_of(names: Sequence[str], rows: Sequence[dict[str, object]]) -> list[Column]:
    """A column for each name, the earlier the longer it stays; numbers to the right."""
    return [
        Column(
            name.upper().replace("_", " "),
            [_cell(row[name]) for row in rows],
            right=all(type(row[name]) is int for row in rows),
            keep=len(names) - position,
        )
        for position, name in enumerate(names)
    ]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else harmless(value)


def _acl(options: Namespace) -> int:
    """The words of the running broker, which are those of the errors it sends.

    A no is told to scripts by the code that whoever it is about would end with.
    """
    with connected(options) as bus:
        _check_role(options.who)
        try:
            answer = bus.explain(options.action, options.topic, who=options.who)
        except BusError as error:
            if type(error) is not BusError:
                raise
            # The broker answers, and knows nobody of that name.
            raise _unknown(options.who, bus, error) from None
    if options.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "who": options.who,
            "action": options.action,
            "topic": options.topic,
            "decision": answer.text,
            "rule": answer.rule,
            "narrowed": list(answer.narrowed),
            "hint": answer.hint or None,
        }
        Screen.out().say(json.dumps(document))
    else:
        Screen.out().tell(harmless(answer.text))
    return Exit.OK if answer.allowed else Exit.NOT_PERMITTED


def _check_role(who: str) -> None:
    """Raises UnknownChild for a role that there is not."""
    prefix, _, name = who.rpartition(":")
    if prefix == "role" and name not in ROLES:
        near, roles = nearest(name, ROLES), f"roles: {', '.join(ROLES)}"
        hint = f"did you mean {near!r}? {roles}" if near else roles
        raise UnknownChild(f"there is no role {name!r}", hint=hint)


def _unknown(who: str, bus: BusClient, error: BusError) -> UnknownChild:
    near = nearest(who, {row.identity for row in bus.clients()})
    hint = f"did you mean {near!r}? {error.hint}" if near else error.hint
    return UnknownChild(str(error.args[0]), hint=hint)


_COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "sub": _sub,
    "pub": sending.publish,
    "retained": _retained,
    "clear": _clear,
    "call": sending.call,
    "clients": _clients,
    "subs": _subscriptions,
    "topics": _topics,
    "acl": _acl,
}
