"""The tree of exceptions: as drawn, each with a hint, and told apart where a caller must."""

from __future__ import annotations

import inspect
import re

import pytest

from daemoneye import errors
from daemoneye.errors import (
    AccessDenied,
    AlreadyRunning,
    BusBroken,
    BusClosed,
    ConfigError,
    DaemoneyeError,
    DeadlineExceeded,
    InvalidTopic,
)

CLASSES = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each) and issubclass(each, DaemoneyeError)
]


def drawn() -> dict[str, str]:
    """Each class in the module's picture with the class it hangs below."""
    above: list[tuple[int, str]] = []
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        if entry := re.match(r"([ │├└─]*)([A-Z]\w+)(?: {2,}|$)", line):
            depth = len(entry[1])
            while above and above[-1][0] >= depth:
                above.pop()
            found[entry[2]] = above[-1][1] if above else "Exception"
            above.append((depth, entry[2]))
    return found


def test_the_picture_shows_every_class_below_its_parent() -> None:
    assert drawn() == {each.__name__: each.__bases__[0].__name__ for each in CLASSES}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_says_when_one_gets_it(error: type[DaemoneyeError]) -> None:
    assert error.__doc__


def test_the_hint_follows_the_message() -> None:
    error = BusBroken("the broker went away", hint="is it running?")
    assert str(error) == "the broker went away (is it running?)"
    assert error.hint == "is it running?"


def test_without_a_hint_there_is_only_the_message() -> None:
    assert str(BusBroken("the broker went away")) == "the broker went away"
    assert BusBroken("the broker went away").hint == ""


def test_what_the_standard_library_calls_it_works_too() -> None:
    assert issubclass(InvalidTopic, ValueError)
    assert issubclass(DeadlineExceeded, TimeoutError)


def test_closed_by_us_is_not_taken_away() -> None:
    assert not issubclass(BusClosed, BusBroken)
    assert not issubclass(BusBroken, BusClosed)


def test_what_a_caller_needs_is_an_attribute() -> None:
    assert ConfigError("2 problems", problems=["a", "b"]).problems == ("a", "b")
    assert AlreadyRunning("held", pid=42).pid == 42
    assert AccessDenied("no", rule="deny * read-only a.#").rule == "deny * read-only a.#"
