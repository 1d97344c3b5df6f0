"""Text for people: width, colour, escaping, tables."""

from __future__ import annotations

import io
import os
import pty
import termios
from collections.abc import Mapping

import pytest

from daemoneye.cli.screen import Column, Screen, cut, plain, table, wrapped


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_only_a_willing_terminal_gets_colour(
    stream: io.StringIO, environ: Mapping[str, str], colour: bool
) -> None:
    screen = Screen.of(stream, environ)
    assert screen.colour is colour
    assert ("\x1b[" in screen.paint("RUNNING", "good")) is colour
    assert "RUNNING" in screen.paint("RUNNING", "good")


def test_the_width_is_what_the_environment_says() -> None:
    assert Screen.of(io.StringIO(), {"COLUMNS": "40"}).width == 40
    assert Screen.of(io.StringIO(), {"COLUMNS": "wide"}).width == 100


def test_a_terminal_that_nobody_has_told_its_size_is_no_narrow_one() -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "w") as stream:
        assert os.get_terminal_size(slave).columns == 0
        assert Screen.of(stream, {}).width == 100
        termios.tcsetwinsize(slave, (24, 40))
        assert Screen.of(stream, {}).width == 40


def test_an_exception_that_everybody_knows_needs_no_module() -> None:
    assert plain("exit:1: builtins.ValueError: no \x1b") == r"exit:1: ValueError: no \x1b"
    assert plain("my.builtins.list") == "my.builtins.list"


def test_lines_are_wrapped_between_words_and_no_word_is_cut() -> None:
    lines = list(wrapped("one two three /a/very/long/path/that/does/not/fit", 12, "- ", "  "))
    assert lines == ["- one two", "  three", "  /a/very/long/path/that/does/not/fit"]


@pytest.mark.parametrize(
    ("terminal", "lines"),
    [(True, ["> one two", "  three"]), (False, ["> one two three"])],
)
def test_a_sentence_is_fitted_to_a_terminal_and_one_line_elsewhere(
    terminal: bool, lines: list[str]
) -> None:
    stream = io.StringIO()
    Screen(stream, 10, False, terminal).tell("one two three", "> ")
    assert stream.getvalue().splitlines() == lines


def test_a_line_that_is_cut_says_so() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"


COLUMNS = [
    Column("NAME", ["procmond", "a"], keep=3),
    Column("MEMORY", ["24 MiB", "-"], right=True, keep=1),
    Column("PID", ["4242", "7"], right=True, keep=2),
]


def test_a_table_has_headings_and_numbers_to_the_right() -> None:
    assert table(COLUMNS, 80) == [
        "NAME      MEMORY   PID",
        "procmond  24 MiB  4242",
        "a              -     7",
    ]


def test_a_narrow_table_leaves_out_what_matters_least() -> None:
    assert table(COLUMNS, 15)[0] == "NAME       PID"
    assert table(COLUMNS, 8) == ["NAME", "procmond", "a"]
    assert table(COLUMNS, 5) == ["NAME", "proc…", "a"]


def test_a_table_without_rows_has_its_headings() -> None:
    assert table([Column("NAME", [])], 40) == ["NAME"]
