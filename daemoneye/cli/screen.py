"""Text for people: how wide, in colour or not, with foreign text made harmless.

Colour only ever underlines what a word already says.  `NO_COLOR`, `TERM=dumb` and anything that is
no terminal get none.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from daemoneye.foreign import harmless

WIDTH_OF_A_FILE = 100
"""Columns to fill where nobody says how wide the reader is."""
NARROWEST = 20

_OF_PYTHON_ITSELF = re.compile(r"\bbuiltins\.(?=[A-Z])")
_CODES = {"good": "32", "warning": "33", "bad": "31", "strong": "1", "faint": "2"}


@dataclass(frozen=True, slots=True)
class Screen:
    """Where text goes, and what that place can show."""

    stream: TextIO
    """The stream."""
    width: int
    """Columns."""
    colour: bool
    """Whether it shows colour."""
    terminal: bool
    """Whether a person looks at it: lines are cut to the width there, and only there."""

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Screen:
        """What `stream` can show."""
        terminal = stream.isatty()
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        return cls(stream, _width(stream, environ, terminal), terminal and not plain, terminal)

    @classmethod
    def out(cls) -> Screen:
        """Standard output, for data."""
        return cls.of(sys.stdout)

    @classmethod
    def err(cls) -> Screen:
        """Standard error, for everything that is not data."""
        return cls.of(sys.stderr)

    def paint(self, text: str, style: str) -> str:
        """`text` in one of the styles good, warning, bad, strong, faint; or as it is."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and style else text

    def fitted(self, text: str, first: str = "", rest: str = "") -> Iterator[str]:
        """A sentence in lines that a terminal has room for; anywhere else it stays one line."""
        return wrapped(text, self.width, first, rest) if self.terminal else iter((first + text,))

    def tell(self, text: str, first: str = "", rest: str = "  ") -> None:
        """Print a sentence, fitted."""
        for line in self.fitted(text, first, rest):
            self.say(line)

    def say(self, text: str = "") -> None:
        """One line, at once, and in one piece: children write to the same terminal."""
        self.stream.write(f"{text}\n")
        self.stream.flush()


def _width(stream: TextIO, environ: Mapping[str, str], terminal: bool) -> int:
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return max(NARROWEST, int(columns))
    if terminal:
        try:
            columns_told = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            columns_told = 0
        if columns_told:  # a pseudo-terminal that nobody has told its size says 0
            return max(NARROWEST, columns_told)
    return WIDTH_OF_A_FILE


def plain(text: object) -> str:
    """As `harmless`; exceptions that everybody knows go without the name of their module."""
    return harmless(_OF_PYTHON_ITSELF.sub("", str(text)))


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, with a mark where something is left out."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> Iterator[str]:
    """`text` in lines of at most `width` columns behind the indents `first` and `rest`.

    Words are never cut, so a path can still be copied; one that is too long stands out.
    """
    line, room = first, ""
    for word in text.split():
        if room and len(line) + 1 + len(word) > width:
            yield line
            line, room = rest, ""
        line += room + word
        room = " "
    yield line


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    """Its heading."""
    cells: Sequence[str]
    """Its cells, from the top."""
    right: bool = False
    """Numbers stand to the right."""
    keep: int = 0
    """The higher, the longer it stays when the screen is narrow."""

    @property
    def width(self) -> int:
        """Columns of the screen it needs."""
        return max(len(self.title), *(len(cell) for cell in self.cells), 0)


def fitting(columns: Iterable[Column], width: int) -> list[Column]:
    """The columns that fit, in their order; the least worth keeping go first, one always stays."""
    chosen = list(columns)
    while len(chosen) > 1 and sum(each.width + 2 for each in chosen) - 2 > width:
        chosen.remove(min(reversed(chosen), key=lambda each: each.keep))
    return chosen


def left_out(columns: Sequence[Column], width: int) -> str:
    """A remark on the columns that do not fit; empty when all do."""
    hidden = len(columns) - len(fitting(columns, width))
    if not hidden:
        return ""
    fit = {each.title for each in fitting(columns, width)}
    titles = ", ".join(each.title for each in columns if each.title not in fit)
    return f"daemoneye: no room for {titles}; a wider screen or --json shows all"


def table(columns: Iterable[Column], width: int) -> list[str]:
    """Lines of a table with headings, as many columns as fit."""
    chosen = fitting(columns, width)
    rows = [[each.title for each in chosen]]
    rows += zip(*(each.cells for each in chosen), strict=True)  # type: ignore[arg-type]  # rows of texts
    return [_row(row, chosen, width) for row in rows]


def _row(cells: Sequence[str], columns: Sequence[Column], width: int) -> str:
    padded = [
        cell.rjust(column.width) if column.right else cell.ljust(column.width)
        for cell, column in zip(cells, columns, strict=True)
    ]
    return cut("  ".join(padded).rstrip(), width)
