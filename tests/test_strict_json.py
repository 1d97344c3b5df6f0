"""What a stranger writes as JSON is taken, or refused with one kind of error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.errors import RemoteProtocolError
from daemoneye.strict_json import MAX_DEPTH, read_object


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"text"',
        "null",
        "1",
        "{",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": "\\ud800"}',
        '{"\\udfff": 1}',
        b"\xff\xfe{}",
        b'{"a": "\xff"}',
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        nested(100_000),
        nested(MAX_DEPTH + 1),
        '{"a": ' + "9" * 5000 + "}",
    ],
    ids=lambda text: repr(text[:16]),
)
def test_what_is_no_object_of_json_is_refused_by_its_name(text: str | bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^settings "):
        read_object(text, "settings")


def test_nesting_is_taken_up_to_the_limit() -> None:
    found = read_object(nested(MAX_DEPTH - 1), "settings")
    assert json.dumps(found, separators=(",", ":")) == nested(MAX_DEPTH - 1)


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
        max_size=5,
    )
)
def test_what_json_knows_comes_back_as_it_was(value: dict[str, object]) -> None:
    assert read_object(json.dumps(value), "a document") == value
