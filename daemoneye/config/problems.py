"""Complaints about a configuration: what, where, what was expected.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from daemoneye.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written."""

    source: str
    """A file's path, an environment variable's name, or `the command line`."""
    line: int = 0
    """The line in the file, from 1; 0 where there is none to name."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


NOWHERE = Place("the defaults")


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint, complete enough to mend what it is about without reading the documentation."""

    place: Place
    """Where the value stands."""
    key: str
    """The dotted key as a person writes it; empty when the whole file is meant."""
    text: str
    """What is wrong."""
    expected: str = ""
    """What would be right; empty when `text` says it."""
    suggestion: str = ""
    """What was probably meant; empty when nothing is near."""

    def __str__(self) -> str:
        parts = [
            f"{self.place}: {self.key}: {self.text}" if self.key else f"{self.place}: {self.text}"
        ]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.suggestion:
            parts.append(f"did you mean {self.suggestion!r}?")
        return "; ".join(parts)


def nearest(word: str, choices: Iterable[str]) -> str:
    """The choice that looks most like `word`, or nothing when none does."""
    return next(iter(get_close_matches(word, sorted(choices), n=1, cutoff=0.6)), "")


def in_reading_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by file and line, each once, as somebody mending the file would meet them."""
    return tuple(
        sorted(dict.fromkeys(problems), key=lambda each: (each.place.source, each.place.line))
    )


def refusal(problems: Iterable[Problem]) -> ConfigError:
    """The error that carries all of `problems`."""
    listed = in_reading_order(problems)
    count = "1 problem" if len(listed) == 1 else f"{len(listed)} problems"
    return ConfigError(
        f"the configuration has {count}",
        problems=[str(each) for each in listed],
        hint="mend them and try again; nothing was started or changed",
    )
