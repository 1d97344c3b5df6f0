"""Values and their places."""

from __future__ import annotations

from daemoneye.config.problems import NOWHERE, Place
from daemoneye.config.tree import Sources, dotted

SOURCES = Sources({"a": {"b": 1}}, {("a",): Place("x.toml", 1)}, ("x.toml", "y.toml"))


def test_a_key_stands_where_it_or_what_is_around_it_was_written() -> None:
    assert SOURCES.place_of(("a",)) == Place("x.toml", 1)
    assert SOURCES.place_of(("a", "b", "c")) == Place("x.toml", 1)


def test_a_key_that_is_nowhere_belongs_to_the_strongest_file_or_the_defaults() -> None:
    assert SOURCES.place_of(("elsewhere",)) == Place("x.toml")
    assert Sources().place_of(("elsewhere",)) == NOWHERE


def test_a_path_is_shown_as_a_person_writes_it() -> None:
    assert dotted(("bus", "access", 1, "who")) == "bus.access[2].who"
    assert dotted(("workers", "a b")) == "workers.'a b'"
