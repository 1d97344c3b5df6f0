"""What a value in a configuration may be."""

from __future__ import annotations

import datetime

import pytest

from daemoneye.config import kinds
from daemoneye.config.kinds import Kind
from daemoneye.config.tree import RawText
from daemoneye.errors import ConfigError, InvalidTopic
from daemoneye.supervisor.spec import RestartType

GOOD = [
    (kinds.BOOLEAN, True, True),
    (kinds.INTEGER, 5, 5),
    (kinds.INTEGERS, [0, 3], (0, 3)),
    (kinds.NUMBER, 5, 5.0),
    (kinds.DURATION, "10 min", 600.0),
    (kinds.SIZE, "64 KiB", 65536),
    (kinds.NAME, "my-probe_2", "my-probe_2"),
    (kinds.NAMES, ["a", "b"], ("a", "b")),
    (kinds.FILTERS, ["events.#"], ("events.#",)),
    (kinds.RULE_FILTER, "health.{id}.#", "health.{id}.#"),
    (kinds.WHO, "role:observer", "role:observer"),
    (kinds.WHO, "*", "*"),
    (kinds.TARGET, "a.b:C.d", "a.b:C.d"),
    (kinds.JSON_TABLE, {"a": [1, {"b": True}]}, {"a": [1, {"b": True}]}),
    (kinds.JSON_ARRAY, ["a", 1], ("a", 1)),
    (kinds.one_of(RestartType), "permanent", "permanent"),
]

BAD = [
    (kinds.BOOLEAN, "yes"),
    (kinds.BOOLEAN, 1),
    (kinds.INTEGER, True),
    (kinds.INTEGER, 5.0),
    (kinds.INTEGERS, [0, "3"]),
    (kinds.INTEGERS, 0),
    (kinds.NUMBER, "5"),
    (kinds.NUMBER, True),
    (kinds.NAME, "Upper"),
    (kinds.NAMES, "procmond"),
    (kinds.FILTERS, [5]),
    (kinds.RULE_FILTER, 5),
    (kinds.RULE_FILTER, "health.{nobody}.#"),
    (kinds.WHO, "role:"),
    (kinds.WHO, 5),
    (kinds.TARGET, "no_colon"),
    (kinds.JSON_TABLE, [1]),
    (kinds.JSON_TABLE, {"a": datetime.date(2026, 1, 1)}),
    (kinds.one_of(RestartType), "sometimes"),
]

FROM_THE_ENVIRONMENT = [
    (kinds.BOOLEAN, "false", False),
    (kinds.INTEGER, "64", 64),
    (kinds.NAME, "7", "7"),
    (kinds.DURATION, "10 min", 600.0),
    (kinds.NAMES, '["a", "b"]', ("a", "b")),
    (kinds.JSON_TABLE, "{ a = 1 }", {"a": 1}),
]


@pytest.mark.parametrize(("kind", "written", "value"), GOOD)
def test_a_value_of_the_kind_is_read(kind: Kind, written: object, value: object) -> None:
    assert kind.read(written) == value


@pytest.mark.parametrize(("kind", "written"), BAD)
def test_any_other_value_is_refused(kind: Kind, written: object) -> None:
    with pytest.raises(ConfigError):
        kind.read(written)


def test_an_invalid_filter_is_refused_with_the_words_of_the_bus() -> None:
    with pytest.raises(InvalidTopic, match="`#` is the rest"):
        kinds.FILTERS.read(["events.*"])


@pytest.mark.parametrize(("kind", "text", "value"), FROM_THE_ENVIRONMENT)
def test_text_of_the_environment_becomes_what_the_key_wants(
    kind: Kind, text: str, value: object
) -> None:
    assert kind.read(RawText(text)) == value


def test_settings_of_the_environment_are_toml_where_they_can_be() -> None:
    given = {"interval": RawText("2s"), "top": RawText("5")}
    assert kinds.JSON_TABLE.read(given) == {"interval": "2s", "top": 5}


@pytest.mark.parametrize(
    ("name", "default", "kind"),
    [
        ("ready_timeout", 30.0, kinds.DURATION),
        ("beat_interval", 1.0, kinds.DURATION),
        ("frame_bytes", 1024, kinds.SIZE),
        ("backlog", 128, kinds.INTEGER),
        ("restart_rate", 10.0, kinds.NUMBER),
        ("deny", False, kinds.BOOLEAN),
        ("success_codes", (0,), kinds.INTEGERS),
    ],
)
def test_the_name_and_default_of_a_field_imply_its_kind(
    name: str, default: object, kind: Kind
) -> None:
    assert kinds.kind_of(name, default) is kind
