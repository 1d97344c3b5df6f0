"""Complaints about a configuration."""

from __future__ import annotations

from daemoneye.config.problems import Place, Problem, in_reading_order, nearest, refusal

UNKNOWN = Problem(Place("a.toml", 3), "bus.bcklog", "unknown key", suggestion="backlog")


def test_a_problem_reads_as_where_which_key_what_and_what_was_meant() -> None:
    assert str(UNKNOWN) == "a.toml:3: bus.bcklog: unknown key; did you mean 'backlog'?"


def test_a_problem_of_a_whole_file_names_no_key_and_no_line() -> None:
    problem = Problem(Place("a.toml"), "", "is not UTF-8", "text in UTF-8")
    assert str(problem) == "a.toml: is not UTF-8; expected text in UTF-8"


def test_problems_are_listed_by_line_and_each_once() -> None:
    first = Problem(Place("a.toml", 1), "x", "unknown key")
    assert in_reading_order([UNKNOWN, first, UNKNOWN]) == (first, UNKNOWN)


def test_the_error_carries_all_problems_and_says_that_nothing_was_changed() -> None:
    error = refusal([UNKNOWN, UNKNOWN])
    assert error.problems == (str(UNKNOWN),)
    assert "1 problem" in str(error)
    assert "nothing was started" in error.hint


def test_a_suggestion_comes_only_when_something_is_near() -> None:
    assert nearest("procmnd", ["procmond", "perfmond"]) == "procmond"
    assert nearest("xyz", ["procmond", "perfmond"]) == ""
