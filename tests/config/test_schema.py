"""The table of keys, and what does not fit it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from daemoneye.bus.limits import Limits
from daemoneye.config import schema
from daemoneye.config.kinds import kind_of
from daemoneye.config.problems import Place
from daemoneye.config.schema import COLLECTOR, DOCUMENT, RESTART, Key, Reading, Table
from daemoneye.config.tree import RawText, Sources, Tree
from daemoneye.supervisor.spec import RestartPolicy, Timeouts

EXAMPLE = Path(__file__).parents[2] / "examples" / "daemoneye.toml"


def read(tree: Tree) -> Reading:
    return schema.read(Sources(tree))


def complaints(tree: Tree) -> dict[str, str]:
    return {each.key: each.text for each in read(tree).problems}


def test_every_limit_timeout_and_policy_is_a_key_with_its_own_default() -> None:
    bus = DOCUMENT.keys["bus"]
    assert isinstance(bus, Table)
    for value, keys in (
        (Limits, bus.keys),
        (Timeouts, COLLECTOR.keys),
        (RestartPolicy, RESTART.keys),
    ):
        for each in fields(value):
            if each.name == "_":
                continue
            key = keys[each.name]
            assert isinstance(key, Key)
            assert key.default == each.default


def test_values_that_fit_are_read_and_typed() -> None:
    reading = read(
        {
            "bus": {"frame_bytes": "2 MiB"},
            "collectors": {"procmond": {"restart": "transient", "ready_timeout": "5s"}},
            "workers": {"w": {"target": "a:b", "restart": {"max_failures": 2}}},
        }
    )
    assert reading.problems == []
    assert reading.values == {
        "bus": {"frame_bytes": 2 << 20},
        "collectors": {"procmond": {"restart": {"type": "transient"}, "ready_timeout": 5.0}},
        "workers": {"w": {"target": "a:b", "restart": {"max_failures": 2}}},
    }


def test_an_unknown_key_is_told_with_what_was_probably_meant() -> None:
    (problem,) = read({"instnce": "x"}).problems
    assert (problem.key, problem.text, problem.suggestion) == ("instnce", "unknown key", "instance")


def test_an_unknown_key_like_no_other_is_told_with_all_that_there_are() -> None:
    (problem,) = read({"bus": {"access": [{"who": "a", "zzz": 1}]}}).problems[:1]
    assert problem.key == "bus.access[1].zzz"
    assert problem.expected == "one of access, deny, filter, who"


def test_every_wrong_value_is_told_at_once() -> None:
    assert complaints(
        {
            "instance": "Upper Case",
            "supervisor": {"max_starting": "many", "shutdown_timeout": "soon"},
            "collectors": {"a": {"enabled": 1, "restart": 5}, "b": 3, "C!": {}},
            "workers": [],
        }
    ) == {
        "instance": "found 'Upper Case'",
        "supervisor.max_starting": "found 'many'",
        "supervisor.shutdown_timeout": "'soon' is not a duration",
        "collectors.a.enabled": "found 1",
        "collectors.a.restart": "found 5",
        "collectors.b": "found 3",
        "collectors.'C!'": "found 'C!'",
        "workers": "found an array",
    }


def test_a_missing_key_is_told_where_its_table_stands() -> None:
    place = Place("a.toml", 7)
    sources = Sources({"workers": {"w": {}}}, {("workers", "w"): place})
    (problem,) = schema.read(sources).problems
    assert (problem.place, problem.key, problem.text) == (place, "workers.w.target", "is missing")


def test_a_misspelt_word_is_told_with_the_one_that_was_meant() -> None:
    (problem,) = read({"collectors": {"a": {"restart": "permanant"}}}).problems
    assert problem.suggestion == "permanent"


def test_a_table_where_there_is_none_is_told() -> None:
    assert complaints({"supervisor": 5, "bus": {"access": 5}}) == {
        "supervisor": "found 5",
        "bus.access": "found 5",
    }


def keys_of(shape: schema.Shape, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to every key that has a plain value; `*` where a person chooses the name."""
    if isinstance(shape, schema.Key):
        yield path
    elif isinstance(shape, schema.Table):
        for key, inner in shape.keys.items():
            yield from keys_of(inner, (*path, key))
    else:
        yield from keys_of(shape.table, (*path, "*"))


def test_the_example_has_every_key_with_its_default() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    written = set(re.findall(r"^#? *(\w+) = ", text, re.MULTILINE))
    tables = set(re.findall(r"\w+", " ".join(re.findall(r"^\[.*\]$", text, re.MULTILINE))))
    assert {path[-1] for path in keys_of(schema.DOCUMENT)} - written - tables == set()
    bus = text.partition("[bus]")[2].partition("# Who may do what")[0]
    shown = dict(re.findall(r"^# (\w+) = ([^#\n]*?) *(?:#.*)?$", bus, re.MULTILINE))
    defaults = {name: getattr(Limits(), name) for name in Limits.names()}
    read = {
        name: kind_of(name, defaults[name]).read(RawText(value)) for name, value in shown.items()
    }
    assert read == defaults
