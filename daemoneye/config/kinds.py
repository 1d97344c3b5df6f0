"""What a value in a configuration may be: for each kind, how it is read and how it is described.

Rules: a kind turns what `tomllib` gave into the value the plan holds, or raises ConfigError with
what is wrong.  Text from the environment is tried as TOML first, so `DAEMONEYE_BUS__BACKLOG=64` is
a number and `DAEMONEYE_INSTANCE=7` still a name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from daemoneye.bus.access import EVERYBODY, Access, AccessRule
from daemoneye.bus.topics import TopicFilter
from daemoneye.config.tree import RawText
from daemoneye.errors import ConfigError
from daemoneye.units import parse_duration, parse_size

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value."""

    expected: str
    """What would be right, to be read after "expected"."""
    read_plain: Callable[[object], object]
    """The value the plan holds; raises ConfigError."""

    def read(self, value: object) -> object:
        """As `read_plain`, also for text of the environment.  Raises ConfigError."""
        if not isinstance(value, RawText):
            return self.read_plain(value)
        try:
            return self.read_plain(typed(value))
        except ConfigError:
            return self.read_plain(str(value))


def typed(text: RawText) -> object:
    """A variable's text as TOML where it is TOML (`true`, `5`, `["a"]`), else as it stands."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return str(text)


def shown(value: object) -> str:
    """A value as a complaint quotes it: short, and with its type where that is the complaint."""
    if isinstance(value, bool):
        return f"found {str(value).lower()}"
    if isinstance(value, dict):
        return "found a table"
    if isinstance(value, list):
        return "found an array"
    return f"found {value!r:.60}"


def _instance_of(wanted: type, refused: type | None = None) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, wanted) or (refused and isinstance(value, refused)):
            raise ConfigError(shown(value))
        return value

    return read


def _matching(pattern: re.Pattern[str]) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ConfigError(shown(value))
        return value

    return read


def _each(read_one: Callable[[object], object]) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, list):
            raise ConfigError(shown(value))
        return tuple(read_one(each) for each in value)

    return read


def _read_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(shown(value))
    return float(value)


def _read_filter(value: object) -> object:
    if not isinstance(value, str):
        raise ConfigError(shown(value))
    return TopicFilter(value).text


def _read_who(value: object) -> object:
    if not isinstance(value, str):
        raise ConfigError(shown(value))
    return AccessRule(value, Access.READ_ONLY, "#").who


def _read_rule_filter(value: object) -> object:
    if not isinstance(value, str):
        raise ConfigError(shown(value))
    if "{" not in value:
        return _read_filter(value)
    return AccessRule(EVERYBODY, Access.READ_ONLY, value).filter


def _read_json(value: object) -> object:
    """A table as settings, which travel as JSON: TOML's dates and times have no place there."""
    if not isinstance(value, dict):
        raise ConfigError(shown(value))
    return {key: _json_value(each) for key, each in value.items()}


def _json_value(value: object) -> object:
    if isinstance(value, RawText):
        return _json_value(typed(value))
    if isinstance(value, dict):
        return {key: _json_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json_value(each) for each in value]
    if isinstance(value, (str, bool, int, float)):
        return value
    raise ConfigError(f"a {type(value).__name__} inside")


def one_of(words: Iterable[str]) -> Kind:
    """One of a few words."""
    known = [str(word) for word in words]

    def read(value: object) -> object:
        if not isinstance(value, str) or value not in known:
            raise ConfigError(shown(value))
        return value

    return Kind(f"one of {', '.join(known)}", read)


BOOLEAN = Kind("true or false", _instance_of(bool))
INTEGER = Kind("a whole number", _instance_of(int, refused=bool))
INTEGERS = Kind("an array of whole numbers", _each(_instance_of(int, refused=bool)))
NUMBER = Kind("a number", _read_number)
DURATION = Kind('a duration such as 5, "250ms" or "10 min"', parse_duration)
SIZE = Kind('a size such as 4096, "64 KiB" or "8 MiB"', parse_size)
NAME = Kind("a name of 1 to 64 of a-z, 0-9, _ and -", _matching(_NAME))
NAMES = Kind('an array of names, such as ["procmond"]', _each(_matching(_NAME)))
RULE_FILTER = Kind('a topic filter such as "events.process.#" or "health.{id}"', _read_rule_filter)
FILTERS = Kind('an array of topic filters, such as ["events.demo.#"]', _each(_read_filter))
WHO = Kind('a name such as "procmond", a role such as "role:observer", or "*"', _read_who)
TARGET = Kind('"module:name", such as "my_package.jobs:work"', _matching(_TARGET))
JSON_TABLE = Kind("a table of texts, numbers, booleans, arrays and tables", _read_json)
JSON_ARRAY = Kind(
    "an array of texts, numbers, booleans, arrays and tables",
    _each(_json_value),
)


def kind_of(name: str, default: object) -> Kind:
    """The kind that a field's name and default imply, by the conventions of this project.

    `…_timeout` and `…_interval` are durations, `…_bytes` sizes; a word of an enum is one of its
    words; whole numbers and numbers follow their default.
    """
    if name.endswith(("_timeout", "_interval")):
        return DURATION
    if name.endswith("_bytes"):
        return SIZE
    if isinstance(default, StrEnum):
        return one_of(type(default))
    if isinstance(default, bool):
        return BOOLEAN
    if isinstance(default, tuple):
        return INTEGERS
    return NUMBER if isinstance(default, float) else INTEGER
