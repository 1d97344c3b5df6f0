"""What a caller gave, refused in the same words everywhere when it is of a wrong kind.  Pure.

Each refusal names the argument, says what it was, and what is expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from daemoneye.errors import LocalProtocolError

_TAGS_HINT = 'for example tags=(("host", "a"),)'


def not_a(kind: str, name: str, value: object, hint: str) -> LocalProtocolError:
    """That `name` has to be of this kind, and what it was instead."""
    return LocalProtocolError(
        f"{name} is {kind}, and not {type(value).__name__}: {value!r:.100}", hint=hint
    )


def check_text(name: str, value: object, hint: str) -> None:
    """Refuse what is no text, or one that cannot travel.  Raises LocalProtocolError."""
    if not isinstance(value, str):
        raise not_a("a str", name, value, hint)
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(
            f"{name} is {value!a:.100}, and UTF-8 cannot say all of it",
            hint="a lone surrogate is half a character: leave it out",
        ) from None


def checked_tags(tags: object) -> tuple[tuple[str, str], ...]:
    """These tags as pairs; a mapping is taken too.  Raises LocalProtocolError."""
    if isinstance(tags, Mapping):
        tags = sorted(tags.items(), key=str)
    if not isinstance(tags, Iterable) or isinstance(tags, str | bytes):
        raise not_a("pairs of str", "tags", tags, _TAGS_HINT)
    found: dict[str, str] = {}
    for each in tags:
        if not isinstance(each, tuple | list) or len(each) != 2:
            raise not_a("a pair of str", "each of tags", each, _TAGS_HINT)
        for word in each:
            check_text("a tag", word, _TAGS_HINT)
        key, value = each
        if key in found:
            raise LocalProtocolError(
                f"tags have the key {key!r:.100} twice", hint="each key has one value"
            )
        found[key] = value
    return tuple(found.items())


def checked_flag(name: str, value: object) -> bool:
    """Whether it is so; 0 and 1 say that too.  Raises LocalProtocolError."""
    if isinstance(value, int) and 0 <= value <= 1:
        return bool(value)
    raise not_a("True or False", name, value, "write it without quotes")
