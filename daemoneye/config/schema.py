"""The table of every key a configuration may have, with its kind and default.  Pure.

Limits, timeouts and policies are values of their own packages; their keys and defaults are taken
from those values' fields, so that nothing stands in two places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TypeAlias

from daemoneye.bus.access import Access
from daemoneye.bus.limits import Limits
from daemoneye.bus.roles import OBSERVER
from daemoneye.config.kinds import (
    BOOLEAN,
    FILTERS,
    INTEGER,
    JSON_ARRAY,
    JSON_TABLE,
    NAME,
    NAMES,
    RULE_FILTER,
    TARGET,
    WHO,
    Kind,
    kind_of,
    one_of,
    shown,
)
from daemoneye.config.problems import Problem, nearest
from daemoneye.config.tree import KeyPath, Sources, dotted
from daemoneye.errors import ConfigError, InvalidTopic
from daemoneye.supervisor.bus_plan import CLIENT_ROLES
from daemoneye.supervisor.spec import Plan, RestartPolicy, RestartType, Timeouts

WORKER_ROLES = ("worker", "observer", "agent")


@dataclass(frozen=True, slots=True)
class Key:
    """A key with a plain value."""

    kind: Kind
    """What it may be."""
    default: object = None
    """Its value where nobody writes one; None where that means "not given"."""
    required: bool = False
    """It has to be written."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with known keys."""

    keys: Mapping[str, Shape]
    """What may stand in it."""
    short: Kind | None = None
    """A plain value that may stand for the whole table, as the value of `short_key`."""
    short_key: str = ""
    """The key inside that such a value means."""


@dataclass(frozen=True, slots=True)
class NamedTables:
    """A table of tables whose names the person chooses."""

    table: Table
    """What each of them is."""


@dataclass(frozen=True, slots=True)
class TableArray:
    """An array of tables: `[[…]]`."""

    table: Table
    """What each of them is."""


Shape: TypeAlias = Key | Table | NamedTables | TableArray


def _keys_of(value: type, leave_out: Iterable[str] = ()) -> dict[str, Shape]:
    """The keys that are the fields of a dataclass, with its defaults."""
    keys: dict[str, Shape] = {}
    for each in fields(value):
        if each.name not in leave_out and each.default is not MISSING:
            keys[each.name] = Key(kind_of(each.name, each.default), each.default)
    return keys


RESTART = Table(
    _keys_of(RestartPolicy) | {"give_up_after": Key(INTEGER)},
    short=one_of(RestartType),
    short_key="type",
)
_EVERY_CHILD: dict[str, Shape] = {
    "enabled": Key(BOOLEAN, True),
    "restart": RESTART,
    "depends_on": Key(NAMES, ()),
    "essential": Key(BOOLEAN, False),
    "publishes": Key(FILTERS),
    "subscribes": Key(FILTERS),
    "settings": Key(JSON_TABLE),
    **_keys_of(Timeouts),
}
COLLECTOR = Table({"class": Key(TARGET), **_EVERY_CHILD})
WORKER = Table(
    {
        "target": Key(TARGET, required=True),
        "args": Key(JSON_ARRAY, ()),
        "kwargs": Key(JSON_TABLE),
        "role": Key(one_of(WORKER_ROLES), "worker"),
        "uses_bus": Key(BOOLEAN, True),
        **_EVERY_CHILD,
    }
)
ACCESS = Table(
    {
        "who": Key(WHO, required=True),
        "access": Key(one_of(Access), required=True),
        "filter": Key(RULE_FILTER, required=True),
        "deny": Key(BOOLEAN, False),
    }
)
CLIENT = Table(
    {
        "role": Key(one_of(CLIENT_ROLES), OBSERVER),
        "kind": Key(NAME),
        "publishes": Key(FILTERS),
        "subscribes": Key(FILTERS),
    }
)
DOCUMENT = Table(
    {
        "instance": Key(NAME, "default"),
        "supervisor": Table(_keys_of(Plan, leave_out=("instance", "bus"))),
        "bus": Table(
            {
                **_keys_of(Limits),
                "access": TableArray(ACCESS),
                "clients": NamedTables(CLIENT),
            }
        ),
        "collectors": NamedTables(COLLECTOR),
        "workers": NamedTables(WORKER),
    }
)
"""Everything a configuration may say."""


@dataclass(slots=True)
class Reading:
    """What a configuration says, as typed values, and every way in which it does not fit."""

    values: dict[str, object] = field(default_factory=dict)
    """The values that were written and fit, by key; tables are dicts, arrays of tables lists."""
    problems: list[Problem] = field(default_factory=list)
    """What does not fit."""


def read(sources: Sources) -> Reading:
    """Hold everything that was written against the table of keys."""
    reading = Reading()
    reader = _Reader(sources, reading.problems)
    reading.values = reader.table((), sources.tree, DOCUMENT)
    return reading


class _Reader:
    """One walk over what was written, beside the table of what may be."""

    def __init__(self, sources: Sources, problems: list[Problem]) -> None:
        self.sources = sources
        self.problems = problems

    def complain(self, path: KeyPath, text: str, expected: str = "", suggestion: str = "") -> None:
        place = self.sources.place_of(path)
        self.problems.append(Problem(place, dotted(path), text, expected, suggestion))

    def table(self, path: KeyPath, written: object, shape: Table) -> dict[str, object]:
        if not isinstance(written, dict):
            return self._short(path, written, shape)
        values: dict[str, object] = {}
        for key, value in written.items():
            inner = shape.keys.get(key)
            if inner is None:
                self._unknown((*path, key), shape)
            elif (found := self._value((*path, key), value, inner)) is not None:
                values[key] = found
        for key, inner in shape.keys.items():
            if isinstance(inner, Key) and inner.required and key not in written:
                self.complain((*path, key), "is missing", inner.kind.expected)
        return values

    def _short(self, path: KeyPath, written: object, shape: Table) -> dict[str, object]:
        if shape.short is None:
            self.complain(path, shown(written), "a table")
            return {}
        value = self._plain(path, written, shape.short)
        return {} if value is None else {shape.short_key: value}

    def _value(self, path: KeyPath, written: object, shape: Shape) -> object:
        if isinstance(shape, Key):
            return self._plain(path, written, shape.kind)
        if isinstance(shape, Table):
            return self.table(path, written, shape)
        if isinstance(shape, NamedTables):
            return self._named(path, written, shape.table)
        return self._array(path, written, shape.table)

    def _plain(self, path: KeyPath, written: object, kind: Kind) -> object:
        try:
            return kind.read(written)
        except InvalidTopic as error:
            self.complain(path, str(error), kind.expected)
        except ConfigError as error:
            text = error.args[0] if error.hint else str(error)
            suggestion = ""
            if kind.expected.startswith("one of ") and isinstance(written, str):
                suggestion = nearest(written, kind.expected.removeprefix("one of ").split(", "))
            self.complain(path, text, kind.expected, suggestion)
        return None

    def _named(self, path: KeyPath, written: object, table: Table) -> dict[str, object]:
        if not isinstance(written, dict):
            self.complain(path, shown(written), "tables, each with a name")
            return {}
        for name in written:
            self._plain((*path, name), name, NAME)
        return {name: self.table((*path, name), each, table) for name, each in written.items()}

    def _array(self, path: KeyPath, written: object, table: Table) -> list[object]:
        if not isinstance(written, list):
            self.complain(path, shown(written), f"[[{dotted(path)}]], an array of tables")
            return []
        return [self.table((*path, n), each, table) for n, each in enumerate(written)]

    def _unknown(self, path: KeyPath, shape: Table) -> None:
        name = str(path[-1])
        if path == ("bus", "limits"):
            self.complain(path, "the limits are keys of [bus] itself", "[bus] in its place")
            return
        suggestion = nearest(name, shape.keys)
        expected = "" if suggestion else f"one of {', '.join(sorted(shape.keys))}"
        self.complain(path, "unknown key", expected, suggestion)
