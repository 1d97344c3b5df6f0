"""The interpreter that imports what a configuration names, so that the supervisor need not."""

from __future__ import annotations

import sys

from daemoneye.config.probe import Found, Question, look_at

HERE = "tests.config.importable"
CLOCK = Found((), "clock", "performance", ("events.performance.clock",), ("events.demo.#",))


def ask(*questions: Question) -> tuple[Found, ...]:
    return look_at(questions, sys.path)


def problem(found: Found) -> str:
    (only,) = found.problems
    return only


def test_a_collector_class_is_described_without_importing_it_here() -> None:
    sys.modules.pop(HERE, None)
    assert ask(Question(f"{HERE}:Clock", settings={"interval": "1s"})) == (CLOCK,)
    assert HERE not in sys.modules


def test_each_name_that_cannot_be_used_has_its_own_reason() -> None:
    answers = ask(
        Question(f"{HERE}:Clock", settings={"intervall": "1s"}),
        Question(f"{HERE}:NoCollector"),
        Question(f"{HERE}:Missing"),
        Question("tests.config.nowhere:X"),
        Question(f"{HERE}:NOT_CALLABLE", False),
        Question(f"{HERE}:work", False),
    )
    assert problem(answers[0]).startswith("settings.intervall: ")
    assert problem(answers[1]) == "is no subclass of daemoneye.Collector"
    assert "has no attribute 'Missing'" in problem(answers[2])
    assert "no module named 'tests.config.nowhere'" in problem(answers[3])
    assert problem(answers[4]) == "cannot be called"
    assert answers[5] == Found()


def test_a_module_that_ends_the_interpreter_is_named_and_the_others_are_still_looked_at() -> None:
    answers = ask(
        Question(f"{HERE}:Clock"), Question("tests.config.lethal:X"), Question(f"{HERE}:Clock")
    )
    assert problem(answers[1]) == "ends the interpreter while it is imported (exit 3)"
    assert answers[0] == answers[2] == CLOCK
