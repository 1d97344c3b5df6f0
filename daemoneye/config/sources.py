"""Where a configuration comes from: files and environment, merged, each value with its place.

Strongest first:

    flags of the command line           (laid over by the caller)
    DAEMONEYE_SECTION__KEY              the environment; sections are joined by two underscores
    ./daemoneye.toml                    the current directory
    $XDG_CONFIG_HOME/daemoneye/daemoneye.toml     the user (~/.config where unset)
    /etc/daemoneye/daemoneye.toml       the system
    the defaults                        schema.py

`--config FILE` stands for all three files.  Tables are merged key by key; any other value of a
stronger source replaces the weaker one whole, arrays too.  This module is light: `daemoneye status`
uses it to learn which instance is meant.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from daemoneye.config.lines import LineMap, scan
from daemoneye.config.problems import Place, Problem
from daemoneye.config.tree import KeyPath, RawText, Sources, Tree, dotted
from daemoneye.errors import ConfigError

FILE_NAME = "daemoneye.toml"
SYSTEM_FILE = Path("/etc/daemoneye") / FILE_NAME
VARIABLE_PREFIX = "DAEMONEYE_"
_TOP_LEVEL_VARIABLES = frozenset({"DAEMONEYE_INSTANCE"})
_LARGEST_FILE_BYTES = 1 << 20
_LINE_IN_MESSAGE = re.compile(r" \(at line (\d+), column \d+\)$")


def config_files(
    explicit: str | os.PathLike[str] | None, environ: Mapping[str, str]
) -> tuple[Path, ...]:
    """The files that exist and count, strongest first.

    Raises ConfigError when the one that was named does not exist.
    """
    if explicit is not None:
        if not Path(explicit).exists():
            raise ConfigError(
                f"there is no configuration file {os.fspath(explicit)}",
                hint="check the path; without --config, ./daemoneye.toml or the defaults are used",
            )
        return (Path(explicit),)
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "/", ".config")
    candidates = (Path(FILE_NAME), Path(home, "daemoneye", FILE_NAME), SYSTEM_FILE)
    return tuple(path for path in candidates if path.is_file())


def read_sources(files: tuple[Path, ...], environ: Mapping[str, str]) -> Sources:
    """Read and merge `files` (strongest first) and the environment."""
    merged = _Merge()
    for file in reversed(files):
        merged.lay_file(file)
    merged.lay_environment(environ)
    return Sources(merged.tree, merged.places, tuple(map(str, files)), tuple(merged.problems))


def instance_of(sources: Sources) -> str:
    """The name of the instance these sources ask for; `default` where they say nothing usable."""
    name = sources.tree.get("instance")
    return name if isinstance(name, str) and name else "default"


def instance_name(
    config: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
) -> str:
    """The instance that is meant where the command line names none.

    Raises ConfigError when `config` does not exist.
    """
    return instance_of(read_sources(config_files(config, environ), environ))


class _Merge:
    """Sources laid one over the other, weakest first."""

    def __init__(self) -> None:
        self.tree: Tree = {}
        self.places: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []

    def lay_file(self, file: Path) -> None:
        text = self._read(file)
        found = scan(text)
        for twice in found.duplicates:
            self._complain(
                file,
                twice.line,
                dotted(twice.path),
                f"written twice, first at line {twice.first_line}",
                "each table and key once",
            )
        try:
            tree = tomllib.loads(found.text)
        except tomllib.TOMLDecodeError as error:
            self._complain_of_syntax(file, str(error))
            return
        self._lay(tree, (), file, found)

    def _read(self, file: Path) -> str:
        try:
            with open(file, "rb") as stream:
                content = stream.read(_LARGEST_FILE_BYTES + 1)
            text = content.decode("utf-8")
        except OSError as error:
            self._complain(file, 0, "", f"cannot be read: {error.strerror}", "a readable file")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._complain(file, line, "", "is not UTF-8", "text in UTF-8")
        else:
            if len(content) <= _LARGEST_FILE_BYTES:
                return text.replace("\r\n", "\n")
            self._complain(file, 0, "", "is too large", "a file of 1 MiB at most")
        return ""

    def _complain_of_syntax(self, file: Path, message: str) -> None:
        at = _LINE_IN_MESSAGE.search(message)
        line = int(at[1]) if at else 0
        text = message[: at.start()] if at else message
        self._complain(file, line, "", f"is not TOML: {text}", "TOML; the rest was not checked")

    def _complain(self, file: Path, line: int, key: str, text: str, expected: str) -> None:
        self.problems.append(Problem(Place(str(file), line), key, text, expected))

    def _lay(self, tree: Tree, path: KeyPath, file: Path, found: LineMap) -> None:
        """Lay one table of a file over what is there."""
        for key, value in tree.items():
            here = (*path, key)
            self._forget_below(here, keep=isinstance(value, dict))
            self.places[here] = Place(str(file), found.line_of(here))
            if isinstance(value, dict):
                self._table_at(here)
                self._lay(value, here, file, found)
                continue
            self._table_at(path)[key] = value
            if isinstance(value, list):
                self._place_elements(value, here, file, found)

    def _place_elements(
        self, values: list[object], path: KeyPath, file: Path, found: LineMap
    ) -> None:
        for position, element in enumerate(values):
            here = (*path, position)
            self.places[here] = Place(str(file), found.line_of(here))
            if isinstance(element, dict):
                for key in element:
                    self.places[(*here, key)] = Place(str(file), found.line_of((*here, key)))

    def _forget_below(self, path: KeyPath, *, keep: bool) -> None:
        """Drop the places inside of a value that is replaced whole."""
        if not keep:
            for known in [each for each in self.places if each[: len(path)] == path]:
                del self.places[known]

    def _table_at(self, path: KeyPath) -> Tree:
        """The table at `path`, made where it is missing, put in place of anything that is none."""
        table = self.tree
        for key in path:
            inner = table.get(str(key))
            if not isinstance(inner, dict):
                inner = table[str(key)] = {}
            table = inner
        return table

    def lay_environment(self, environ: Mapping[str, str]) -> None:
        """Lay every DAEMONEYE_SECTION__KEY over what the files say."""
        for variable, text in sorted(environ.items()):
            if not variable.startswith(VARIABLE_PREFIX):
                continue
            if "__" not in variable and variable not in _TOP_LEVEL_VARIABLES:
                continue
            names = variable.removeprefix(VARIABLE_PREFIX).lower().split("__")
            path = self._spelled_as_in_files(names)
            self._table_at(path[:-1])[str(path[-1])] = RawText(text)
            self._forget_below(path, keep=False)
            for length in range(1, len(path) + 1):
                self.places.setdefault(path[:length], Place(variable))

    def _spelled_as_in_files(self, names: list[str]) -> KeyPath:
        """A variable cannot hold `-`: `MY_PROBE` means `my-probe` where the files have that."""
        path: KeyPath = ()
        table: object = self.tree
        for name in names:
            known = table if isinstance(table, dict) else {}
            dashed = [key for key in known if key.replace("-", "_") == name and key != name]
            key = dashed[0] if dashed and name not in known else name
            path = (*path, key)
            table = known.get(key)
        return path
