"""What was written down somewhere, merged: a tree of values, each with its place.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from daemoneye.config.problems import NOWHERE, Place, Problem

Tree: TypeAlias = dict[str, object]
"""A TOML table as `tomllib` gives it."""

KeyPath: TypeAlias = tuple[str | int, ...]
"""A key's way from the top: names, and the position in an array of tables."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class RawText(str):
    """A value out of the environment: text whose type only its key can tell."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources of a configuration, laid one over the other."""

    tree: Tree = field(default_factory=dict)
    """The merged values."""
    places: Mapping[KeyPath, Place] = field(default_factory=dict)
    """Where each of them stands."""
    files: tuple[str, ...] = ()
    """The files that were read, strongest first."""
    problems: tuple[Problem, ...] = ()
    """What could not be read or parsed, and what is written twice."""

    def place_of(self, path: KeyPath) -> Place:
        """Where a key stands, or the nearest thing around it that stands anywhere."""
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return place
        return Place(self.files[0]) if self.files else NOWHERE


def dotted(path: KeyPath) -> str:
    """A key as a person writes it: `bus.access[2].who`."""
    text = ""
    for each in path:
        if isinstance(each, int):
            text += f"[{each + 1}]"
        else:
            shown = each if _BARE_KEY.fullmatch(each) else repr(each)
            text += f".{shown}" if text else shown
    return text
