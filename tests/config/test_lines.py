"""On which line each key of a TOML document stands."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.config.lines import Duplicate, scan

DOCUMENT = """\
# a comment with a [header]
instance = "x"

[collectors.procmond]
enabled = true
text = '''
[not.a.header]
key = 1
'''
array = [
  1, # ]
  "]",
]
inline = { a = 1, b = [2] }
dotted.key = 1
"quo.ted" = 1

[[bus.access]]
who = "a"
[[bus.access]]
who = "b"
[bus]
backlog = 4
"""


def test_every_table_and_key_has_the_line_it_is_written_on() -> None:
    lines = scan(DOCUMENT).lines
    assert lines["instance",] == 2
    assert lines["collectors", "procmond"] == 4
    assert lines["collectors", "procmond", "enabled"] == 5
    assert lines["collectors", "procmond", "text"] == 6
    assert lines["collectors", "procmond", "array"] == 10
    assert lines["collectors", "procmond", "inline"] == 14
    assert lines["collectors", "procmond", "dotted", "key"] == 15
    assert lines["collectors", "procmond", "quo.ted"] == 16
    assert lines["bus", "access", 0, "who"] == 19
    assert lines["bus", "access", 1] == 20
    assert lines["bus", "backlog"] == 23


def test_what_stands_inside_of_strings_and_arrays_is_no_key() -> None:
    found = scan(DOCUMENT)
    assert ("not", "a", "header") not in found.lines
    assert ("collectors", "procmond", "key") not in found.lines
    assert found.duplicates == []


def test_the_header_of_a_table_is_its_line_even_behind_that_of_an_inner_one() -> None:
    found = scan("[a.b]\nc = 1\n[a]\nd = 1\n")
    assert found.lines["a",] == 3
    assert found.lines["a", "d"] == 4


def test_a_key_without_a_line_has_that_of_what_is_around_it() -> None:
    found = scan("[a]\nb = { c = { d = 1 } }\n")
    assert found.line_of(("a", "b", "c", "d")) == 2
    assert found.line_of(("elsewhere",)) == 0


def test_a_table_written_twice_is_found_and_its_second_writing_left_out() -> None:
    found = scan("[a]\nx = 1\n[b]\n[a]\nx = 2\ny = 3\n[c]\nz = 1\n")
    assert found.duplicates == [Duplicate(("a",), 1, 4)]
    assert tomllib.loads(found.text) == {"a": {"x": 1}, "b": {}, "c": {"z": 1}}
    assert found.lines["c", "z"] == 8


def test_a_key_written_twice_is_found_and_its_second_writing_left_out() -> None:
    found = scan("[a]\nx = 1\nx = [\n 2,\n]\ny = 3\n")
    assert found.duplicates == [Duplicate(("a", "x"), 2, 3)]
    assert tomllib.loads(found.text) == {"a": {"x": 1, "y": 3}}
    assert found.text.count("\n") == 6


def test_tables_of_an_array_are_no_duplicates() -> None:
    text = "[[a]]\nx = 1\n[a.b]\ny = 1\n[[a]]\nx = 1\n[a.b]\ny = 2\n"
    found = scan(text)
    assert found.duplicates == []
    assert found.lines["a", 1, "b", "y"] == 8


@given(st.text(alphabet="ab=[]{}.\"'#\n \\,1"))
def test_no_text_whatever_breaks_the_scanner_or_moves_a_line(text: str) -> None:
    assert scan(text).text.count("\n") == text.count("\n")
