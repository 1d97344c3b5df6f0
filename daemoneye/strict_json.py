"""JSON that came from elsewhere, taken only as far as JSON goes.  Pure.

Python's reader takes more than the standard and fails in ways nobody catches: nesting deeper than
the interpreter's stack is a RecursionError, NaN is no JSON, and half a surrogate pair is a text
that no encoder will write again.  What comes over a socket or a lifeline is read here instead, so
that one sentence of a stranger is one error of one kind.
"""

from __future__ import annotations

import json

from daemoneye.errors import RemoteProtocolError

MAX_DEPTH = 32
"""Objects and arrays inside of one another; settings have two or three."""


def read_object(text: str | bytes, what: str) -> dict[str, object]:
    """The JSON object in `text`.

    Raises RemoteProtocolError, which calls the text `what`, for anything else: what is no JSON, an
    array or a bare value, nesting past MAX_DEPTH, NaN and infinities, text that is not Unicode.
    """
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(found, dict):
            raise ValueError(f"it is {_name_of(found)}")
        _check(found)
    except RecursionError:
        raise RemoteProtocolError(f"{what} is nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:  # of JSON, of UTF-8, and ours
        raise RemoteProtocolError(f"{what} is not a JSON object we take: {error}") from None
    return found


def _check(found: object) -> None:
    """Raises ValueError for what is too deep, and for text that cannot be written again."""
    level: list[object] = [found]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for value in level:
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, dict):
                inner += value.keys()
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        level = inner
        if not level:
            return
    raise ValueError(f"it is nested deeper than {MAX_DEPTH}")


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _name_of(value: object) -> str:
    names = {list: "an array", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
