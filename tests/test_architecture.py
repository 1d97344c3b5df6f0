"""The house keeps its cut: layers, pure rules, words, and no back doors.

The layers, from the bottom; a module imports from its own layer and from those below it, and
`supervisor` and `collectors` do not know each other:

    base → bus → supervisor | collectors → config → cli
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "daemoneye"

LAYERS = {"base": 0, "bus": 1, "collectors": 2, "supervisor": 2, "config": 3, "cli": 4}
BASE = {"errors", "framing", "units", "system", "rundir", "lifeline", "lifeline_pb2"}

RULES = {
    "bus": {
        "topics", "hierarchy", "subscriptions", "access", "limits", "frames", "session", "router",
        "handshake", "link",
    },
    "collectors": {"collector", "schedule"},
    "supervisor": {"spec", "contract", "lifecycle", "restarts", "supervision", "health"},
}  # fmt: skip
"""The pure modules of each package; its docstring says the same to its readers."""

PURE_BASE = {"errors", "framing", "units"}

IMPURE = {
    "asyncio", "ctypes", "fcntl", "glob", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "psutil", "queue", "random", "resource", "secrets", "select", "selectors",
    "shutil", "signal", "socket", "socketserver", "subprocess", "sys", "tempfile", "threading",
    "time", "urllib",
}  # fmt: skip
"""What a rule may not import: the world, and the clock."""

IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today"}

ALLOWED_THIRD_PARTIES = {"google", "psutil"}

LATE_IMPORTS: dict[str, str] = {
    "daemoneye/__init__.py": "the face is lazy: a name costs its imports when it is used",
    "daemoneye/__main__.py": "spawned children run the entry point again and need none of the cli",
}

DRAWERS = {"Manager", "Handler", "Helper", "Util", "Utils", "Data", "Info", "Processor"}

PICKLERS = {"pickle", "marshal", "shelve", "dill"}


@cache
def modules() -> tuple[Path, ...]:
    """Every module of the house that a person wrote."""
    return tuple(p for p in sorted(HOUSE.rglob("*.py")) if not p.stem.endswith("_pb2"))


@cache
def tree_of(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    """The path as a reader of the repository writes it."""
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, wherever the import stands."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def layer_of(dotted: str) -> str | None:
    """The layer of `daemoneye.…`; None for what stands above all layers (the face)."""
    parts = dotted.split(".")
    if len(parts) > 1 and parts[1] in LAYERS:
        return parts[1]
    return "base" if len(parts) > 1 and parts[1] in BASE else None


def dotted_of(path: Path) -> str:
    """The name a module is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rule_paths() -> list[Path]:
    """Every module that has to be pure."""
    found = [HOUSE / f"{name}.py" for name in sorted(PURE_BASE)]
    found += [
        HOUSE / package / f"{name}.py" for package in RULES for name in sorted(RULES[package])
    ]
    return [path for path in found if path.exists()]


def every_module() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", modules(), ids=name_of)


@every_module()
def test_imports_only_point_down(path: Path) -> None:
    here = layer_of(dotted_of(path))
    if here is None:
        return
    for line, imported in imports_of(path):
        if not imported.startswith("daemoneye.") or (there := layer_of(imported)) is None:
            continue
        down = here == there or LAYERS[there] < LAYERS[here]
        assert down, f"{name_of(path)}:{line}: {here} may not import {imported} ({there})"


@every_module()
def test_every_module_has_a_layer(path: Path) -> None:
    alone = {"daemoneye", "daemoneye.__main__"}
    assert layer_of(dotted_of(path)) or dotted_of(path) in alone, f"{name_of(path)} has no layer"


@pytest.mark.parametrize("path", rule_paths(), ids=name_of)
def test_a_rule_imports_nothing_of_the_world(path: Path) -> None:
    for line, imported in imports_of(path):
        top = imported.partition(".")[0]
        assert top not in IMPURE, f"{name_of(path)}:{line}: a rule may not import {imported}"


@pytest.mark.parametrize("path", rule_paths(), ids=name_of)
def test_a_rule_stands_on_rules_only(path: Path) -> None:
    pure = {dotted_of(rule) for rule in rule_paths()}
    shells = {dotted_of(each) for each in modules() if each.stem != "__init__"} - pure
    for line, imported in imports_of(path):
        assert imported not in shells, f"{name_of(path)}:{line}: {imported} is a shell"


@pytest.mark.parametrize("path", rule_paths(), ids=name_of)
def test_a_rule_calls_nothing_of_the_world(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            where = f"{name_of(path)}:{node.lineno}"
            assert called not in IMPURE_CALLS, f"{where}: a rule may not call {called}()"


@pytest.mark.parametrize("package", sorted(RULES))
def test_a_package_says_which_modules_are_rules_and_which_are_shells(package: str) -> None:
    there = {p.stem for p in (HOUSE / package).glob("*.py")} - {"__init__"}
    said = listed_modules(ast.get_docstring(tree_of(HOUSE / package / "__init__.py")) or "")
    assert said["Rules"] == RULES[package] & there
    assert said["Shells"] == there - RULES[package]


def listed_modules(docstring: str) -> dict[str, set[str]]:
    """The names listed, four spaces in, below the lines that begin with Rules and with Shells."""
    found: dict[str, set[str]] = {"Rules": set(), "Shells": set()}
    section = ""
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            section = line.split()[0].rstrip(":")
        elif (entry := re.match(r" {4}(\w+)(?= {2}|$)", line)) and section in found:
            found[section].add(entry[1])
    return found


@pytest.mark.parametrize(
    ("generated", "importer"),
    [
        ("daemoneye.bus.proto.frames_pb2", "daemoneye/bus/frames.py"),
        ("daemoneye.lifeline_pb2", "daemoneye/lifeline.py"),
    ],
)
def test_one_module_knows_how_frames_are_written(generated: str, importer: str) -> None:
    importers = {name_of(p) for p in modules() for _, name in imports_of(p) if name == generated}
    assert importers <= {importer}


@every_module()
def test_no_import_hides_in_a_function(path: Path) -> None:
    if name_of(path) in LATE_IMPORTS:
        return
    for function in ast.walk(tree_of(path)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                late = isinstance(node, ast.Import | ast.ImportFrom)
                assert not late, f"{name_of(path)}:{getattr(node, 'lineno', 0)}: a late import"


@every_module()
def test_two_dependencies_are_enough(path: Path) -> None:
    for line, imported in imports_of(path):
        top = imported.partition(".")[0]
        known = top in ALLOWED_THIRD_PARTIES or top == "daemoneye" or is_of_python(top)
        assert known, f"{name_of(path)}:{line}: {top} is no dependency of the core"


def is_of_python(top: str) -> bool:
    """Whether a top-level module comes with Python, on whatever platform."""
    return top in sys.stdlib_module_names


@every_module()
def test_nothing_reachable_is_pickled(path: Path) -> None:
    for line, imported in imports_of(path):
        assert imported not in PICKLERS, f"{name_of(path)}:{line}: {imported} runs what it reads"


@every_module()
def test_no_multiprocessing_primitive_brings_the_resource_tracker(path: Path) -> None:
    trackers = {"Queue", "SimpleQueue", "JoinableQueue", "Lock", "RLock", "Semaphore", "Manager",
                "BoundedSemaphore", "Condition", "Barrier", "Pool", "Value", "Array"}  # fmt: skip
    for line, imported in imports_of(path):
        module, _, name = imported.rpartition(".")
        brings = module.startswith("multiprocessing") and name in trackers
        assert not brings, f"{name_of(path)}:{line}: {imported} outlives the supervisor"


@every_module()
def test_names_are_words_of_ours_and_no_drawers(path: Path) -> None:
    classes = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.ClassDef)]
    for name in [path.stem.title().replace("_", ""), *(each.name for each in classes)]:
        words = set(re.findall(r"[A-Z][a-z]+", name))
        assert not words & DRAWERS, f"{name_of(path)}: {name} says nothing"


@every_module()
def test_every_broad_except_says_why(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        broad = re.match(r"\s*except\s*(\(?\s*(Base)?Exception\b.*)?:", line)
        assert not broad or "#" in line, f"{name_of(path)}:{number}: why is everything caught?"


@every_module()
def test_every_silenced_complaint_has_a_code_and_a_reason(path: Path) -> None:
    with path.open("rb") as file:
        for token in tokenize.tokenize(io.BytesIO(file.read()).readline):
            if token.type == tokenize.COMMENT and re.search(r"type:\s*ignore|noqa", token.string):
                where = f"{name_of(path)}:{token.start[0]}"
                shape = r"#\s*(type:\s*ignore\[[\w, -]+\]|noqa:\s*[A-Z]+\d+)\s*(#|–|—|:)?\s*\S+"
                assert re.match(shape, token.string), f"{where}: which complaint, and why?"


@every_module()
def test_errors_come_from_the_tree(path: Path) -> None:
    vague = {"Exception", "BaseException", "RuntimeError"}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = getattr(raised, "id", "")
            assert name not in vague, f"{name_of(path)}:{node.lineno}: {name} means nothing"


@every_module()
def test_no_loose_dict_crosses_a_border(path: Path) -> None:
    if layer_of(dotted_of(path)) in {"config", "cli"}:  # where JSON and TOML come in and go out
        return
    loose = re.search(r"dict\[str,\s*Any\]", path.read_text(encoding="utf-8"))
    assert not loose, f"{name_of(path)}: a value object has names for these keys"
