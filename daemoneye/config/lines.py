"""On which line each key of a TOML document stands.  Pure.

`tomllib` tells values without places, and stops at the first key that is written twice.  This
scanner knows only as much of the grammar as places need: headers, keys, and where strings and
arrays that span lines end.  What it makes of a document that is not TOML does not matter, because
`tomllib` judges that afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from daemoneye.config.tree import KeyPath

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_ARRAY_HEADER = re.compile(rf"\s*\[\[\s*({_DOTTED})\s*\]\]")
_HEADER = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED})\s*=")
_ONE_KEY = re.compile(_KEY)
# What can hide a bracket or a line's end: strings of four kinds, and comments.
_TOKEN = re.compile(
    r"""\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''.*?'''|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|[\[\]{}]|\n""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A table or key that is written twice."""

    path: KeyPath
    """The key's way from the top."""
    first_line: int
    """Where it stands first."""
    line: int
    """Where it stands again."""


@dataclass(slots=True)
class LineMap:
    """What one scan found."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    """Line of each table and key, from 1."""
    duplicates: list[Duplicate] = field(default_factory=list)
    """What is written twice, in reading order."""
    text: str = ""
    """The document with the second writings left out, its lines where they were."""

    def line_of(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest thing around it that has one; 0 when nothing has."""
        for length in range(len(path), 0, -1):
            if line := self.lines.get(path[:length]):
                return line
        return 0


def scan(text: str) -> LineMap:
    """Find the line of every key in `text`, and what is written twice."""
    return _Scan(text).run()


class _Scan:
    """One pass over a document, statement by statement."""

    def __init__(self, text: str) -> None:
        self.statements = _statements(text)
        self.kept: list[str] = []
        self.found = LineMap()
        self.table: KeyPath | None = ()
        self.arrays: dict[KeyPath, int] = {}
        self.headers: set[KeyPath] = set()

    def run(self) -> LineMap:
        line = 1
        for statement in self.statements:
            span = statement.count("\n")
            kept = self._take(statement, line)
            self.kept.append(statement if kept else "\n" * span)
            line += span
        self.found.text = "".join(self.kept)
        return self.found

    def _take(self, statement: str, line: int) -> bool:
        """Note what one statement declares; False when it is a second writing."""
        if header := _ARRAY_HEADER.match(statement):
            path = self._within_arrays(_keys(header[1]))
            self.arrays[path] = self.arrays.get(path, -1) + 1
            self.table = (*path, self.arrays[path])
            self._note_all(self.table, line)
            return True
        if header := _HEADER.match(statement):
            path = self._within_arrays(_keys(header[1]))
            self.table = path if self._declare(path, line) else None
            return self.table is not None
        if assignment := _ASSIGNMENT.match(statement):
            if self.table is None:  # inside a table that is written twice
                return False
            return self._assign((*self.table, *_keys(assignment[1])), line)
        return True

    def _declare(self, path: KeyPath, line: int) -> bool:
        if path in self.headers:
            self.found.duplicates.append(Duplicate(path, self.found.lines[path], line))
            return False
        self.headers.add(path)
        # `[a.b]` before `[a]` gave `a` a line already; its own header is the better one.
        self.found.lines[path] = line
        self._note_all(path, line)
        return True

    def _assign(self, path: KeyPath, line: int) -> bool:
        if path in self.found.lines:
            self.found.duplicates.append(Duplicate(path, self.found.lines[path], line))
            return False
        self._note_all(path, line)
        return True

    def _note_all(self, path: KeyPath, line: int) -> None:
        """Give `path` and everything around it this line, where nothing earlier did."""
        for length in range(1, len(path) + 1):
            self.found.lines.setdefault(path[:length], line)

    def _within_arrays(self, keys: KeyPath) -> KeyPath:
        """The path a header means: below an array of tables it speaks of its latest element."""
        path: KeyPath = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if path in self.arrays and position < len(keys) - 1:
                path = (*path, self.arrays[path])
        return path


def _statements(text: str) -> list[str]:
    """The document cut where a line ends outside of strings and brackets."""
    statements, start, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth = max(0, depth - 1)
        elif mark == "\n" and not depth:
            statements.append(text[start : token.end()])
            start = token.end()
    if start < len(text):
        statements.append(text[start:])
    return statements


def _keys(dotted: str) -> KeyPath:
    return tuple(_unquoted(key) for key in _ONE_KEY.findall(dotted))


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    # Escapes in a key are legal and nobody writes them; a key with one only loses its line.
    return key[1:-1]
