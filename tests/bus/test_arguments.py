"""Arguments of a wrong kind: refused by name, with what they were and what is expected."""

from __future__ import annotations

from typing import Any

import pytest

from daemoneye.bus.arguments import check_text, checked_flag, checked_tags
from daemoneye.errors import LocalProtocolError


@pytest.mark.parametrize("text", ["", "abc", "é", "\U0001f600", "a\0b"])
def test_what_utf8_can_say_is_a_text(text: str) -> None:
    check_text("word", text, "a hint")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "word is a str, and not int: 3"),
        (None, "word is a str, and not NoneType: None"),
        (b"x", "word is a str, and not bytes: b'x'"),
        ("a\ud800", r"word is 'a\\ud800', and UTF-8 cannot say all of it"),
    ],
)
def test_what_is_no_text_is_refused(value: object, said: str) -> None:
    with pytest.raises(LocalProtocolError, match=said) as caught:
        check_text("word", value, "a hint")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("tags", "pairs"),
    [
        ((), ()),
        ({}, ()),
        ({"b": "2", "a": "1"}, (("a", "1"), ("b", "2"))),
        ((("b", "2"), ("a", "1")), (("b", "2"), ("a", "1"))),
        ([["a", "1"]], (("a", "1"),)),
    ],
)
def test_tags_are_pairs_or_a_mapping(tags: object, pairs: tuple[tuple[str, str], ...]) -> None:
    assert checked_tags(tags) == pairs


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (7, "tags is pairs of str, and not int: 7"),
        (None, "tags is pairs of str, and not NoneType"),
        ("ab", "tags is pairs of str, and not str: 'ab'"),
        (("t1", "t2"), "each of tags is a pair of str, and not str: 't1'"),
        ([("a", "b", "c")], "each of tags is a pair of str, and not tuple"),
        ({"a": 1}, "a tag is a str, and not int: 1"),
        ({1: "a"}, "a tag is a str, and not int: 1"),
        ((("a", "\udc80"),), "UTF-8 cannot say"),
        ((("a", "1"), ("a", "2")), "tags have the key 'a' twice"),
    ],
)
def test_tags_of_another_shape_are_refused(tags: object, said: str) -> None:
    with pytest.raises(LocalProtocolError, match=said) as caught:
        checked_tags(tags)
    assert caught.value.hint


def test_a_flag_is_true_or_false() -> None:
    flags: tuple[Any, ...] = (True, False, 1, 0)
    assert [checked_flag("retain", each) for each in flags] == [True, False, True, False]


@pytest.mark.parametrize("value", ["yes", "", None, 2, -1, 1.0, [], 1 << 70])
def test_what_is_neither_is_no_flag(value: object) -> None:
    with pytest.raises(LocalProtocolError, match="retain is True or False, and not") as caught:
        checked_flag("retain", value)
    assert caught.value.hint
