"""Child specs for collectors."""

from __future__ import annotations

import sys
import types

import pytest

from daemoneye.collectors.collector import describe
from daemoneye.config.collectors import BUILT_IN, RUNNER, collector_spec, import_string
from daemoneye.config.probe import Question, look_at
from daemoneye.errors import ConfigError
from tests.config.importable import Clock, NoCollector


def test_a_class_becomes_a_child_with_the_rights_it_declares() -> None:
    spec = collector_spec(Clock, settings={"interval": "1s"}, depends_on=("other",))
    assert (spec.name, spec.target, spec.args) == (
        "clock",
        RUNNER,
        ("tests.config.importable:Clock",),
    )
    assert (spec.role, spec.kind) == ("collector", "performance")
    assert spec.publishes == ("events.performance.clock",)
    assert spec.subscribes == ("events.demo.#",)
    assert spec.settings == {"interval": "1s"}
    assert spec.depends_on == ("other",)
    assert list(spec.problems()) == []


def test_an_import_string_gives_the_same_spec_as_its_class() -> None:
    assert collector_spec("tests.config.importable:Clock") == collector_spec(Clock)


def test_a_built_in_collector_is_known_by_its_name() -> None:
    spec = collector_spec("procmond", name="second")
    assert (spec.name, spec.kind, spec.publishes) == ("second", "process", None)


def test_built_in_collectors_are_what_the_table_says() -> None:
    questions = [Question(each.reference) for each in BUILT_IN.values()]
    for name, found in zip(BUILT_IN, look_at(questions, sys.path), strict=True):
        assert found.problems == ()
        assert (found.name, found.kind) == (name, BUILT_IN[name].kind)


def test_what_is_no_collector_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no subclass"):
        collector_spec(NoCollector)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(ConfigError, match=r"settings\.intervall"):
        collector_spec(Clock, settings={"intervall": "1s"})


def test_a_class_inside_of_a_function_cannot_be_named_elsewhere() -> None:
    class Inner(Clock):
        name = "inner"

    describe(Inner)
    with pytest.raises(ConfigError, match="cannot be named in another process") as refused:
        collector_spec(Inner)
    assert "top of its module" in refused.value.hint


def test_a_class_of_the_running_program_is_named_by_the_programs_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = types.ModuleType("__main__")
    program.__file__ = "/somewhere/uptime_collector.py"
    monkeypatch.setitem(sys.modules, "__main__", program)
    mine = type("Mine", (), {"__module__": "__main__", "__qualname__": "Mine"})
    assert import_string(mine) == "uptime_collector:Mine"
    del program.__file__
    with pytest.raises(ConfigError, match="prompt"):
        import_string(mine)
