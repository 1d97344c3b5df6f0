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
BASE = {
    "errors", "foreign", "framing", "units", "strict_json", "system", "waiting", "named_pipes",
    "signals", "rundir", "lifeline", "lifeline_pb2",
}  # fmt: skip

ALWAYS_RULES = {
    "bus": {
        "topics", "hierarchy", "subscriptions", "access", "limits", "frames", "handshake",
    },
    "bus/broker": {"session", "router", "outbox", "streams", "directory"},
    "bus/client": {"link", "outgoing", "dialogue", "answers", "wishes", "backoff"},
    "collectors": {"collector", "schedule"},
    "collectors/procmond": {"comparison"},
    "collectors/perfmond": {"sample", "thresholds"},
    "config": {"problems", "tree", "kinds", "schema"},
    "supervisor": {"spec", "contract", "lifecycle", "restarts", "supervision", "health"},
}  # fmt: skip
"""What each package decides in; its docstring may call more of its modules rules, never fewer."""

PURE_BASE = {"errors", "foreign", "framing", "strict_json", "units"}

IMPURE = {
    "asyncio", "ctypes", "fcntl", "glob", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "psutil", "queue", "random", "resource", "secrets", "select", "selectors",
    "shutil", "signal", "socket", "socketserver", "subprocess", "sys", "tempfile", "threading",
    "time", "urllib",
}  # fmt: skip
"""What a rule may not import: the world, and the clock."""

IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today"}

WORLDLY_RULES = {
    ("daemoneye/collectors/collector.py", "logging"): "`self.log` is for the user's own words",
}
"""What a rule imports of the world after all, and why."""

ALLOWED_THIRD_PARTIES = {"google", "psutil"}

LATE_IMPORTS: dict[str, str] = {
    "daemoneye/__init__.py": "the face is lazy: a name costs its imports when it is used",
    "daemoneye/supervisor/child.py": "a child without a bus does not pay for one",
    "daemoneye/__main__.py": "spawned children run the entry point again and need none of the cli",
}

DRAWERS = {"Manager", "Handler", "Helper", "Util", "Utils", "Data", "Info", "Processor"}

PLATFORM_LOOKERS = {
    "daemoneye/system.py": "it is the border",
    "daemoneye/waiting.py": "it is a part of the border",
    "daemoneye/named_pipes.py": "it is a part of the border",
    "daemoneye/signals.py": "it is a part of the border",
    "daemoneye/cli/version.py": "it prints the platform's name",
    "daemoneye/collectors/perfmond/readings.py": "it describes the host",
    "daemoneye/supervisor/guardian.py": "it imports nothing of ours, see there",
    "daemoneye/supervisor/launcher.py": "what it builds on has another name on Windows",
    "daemoneye/supervisor/process.py": "descriptors of others are counted on POSIX alone",
    "daemoneye/supervisor/scope.py": "the kernel's switch is Linux's",
}
"""Who looks at the platform's name, and why; everybody else asks `system`."""

PICKLERS = {"pickle", "marshal", "shelve", "dill"}

PICKLES = {
    "daemoneye/supervisor/launcher.py": "spawn arguments, which we write and our own child reads",
    "daemoneye/supervisor/child.py": "the same, on the child's side",
}
"""Who pickles after all: nothing that a socket reaches."""


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


def marks_of(package: str) -> dict[str, str]:
    """The mark of each module that a package's docstring lists: `·` a rule, `!` a shell.

    It stands on the module's line (`name.py  ·  …`), or the module is in the section of its kind.
    """
    docstring = ast.get_docstring(tree_of(HOUSE / package / "__init__.py"), clean=False) or ""
    found: dict[str, str] = {}
    section = ""
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            section = {"Rules": "·", "Shells": "!"}.get(line.split()[0].rstrip(":,"), "")
        elif entry := re.match(r" {4}(\w+)(?:\.py\s+([·!]))?(?: {2}|$)", line):
            found[entry[1]] = entry[2] or section
    return found


@cache
def rule_paths() -> tuple[Path, ...]:
    """Every module that has to be pure."""
    found = [HOUSE / f"{name}.py" for name in sorted(PURE_BASE)]
    for package in ALWAYS_RULES:
        marked = {name for name, mark in marks_of(package).items() if mark == "·"}
        found += [HOUSE / package / f"{name}.py" for name in sorted(marked)]
    return tuple(path for path in found if path.exists())


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


@pytest.mark.parametrize(("side", "other"), [("broker", "client"), ("client", "broker")])
def test_the_two_sides_of_the_bus_do_not_know_each_other(side: str, other: str) -> None:
    for path in (HOUSE / "bus").rglob("*.py"):
        if path.parent.name == side or path.parent.name == "bus":
            for line, imported in imports_of(path):
                strange = imported.startswith(f"daemoneye.bus.{other}.")
                assert not strange, f"{name_of(path)}:{line}: may not import {imported}"


@every_module()
def test_every_module_has_a_layer(path: Path) -> None:
    alone = {"daemoneye", "daemoneye.__main__"}
    assert layer_of(dotted_of(path)) or dotted_of(path) in alone, f"{name_of(path)} has no layer"


@pytest.mark.parametrize("path", rule_paths(), ids=name_of)
def test_a_rule_imports_nothing_of_the_world(path: Path) -> None:
    for line, imported in imports_of(path):
        top = imported.partition(".")[0]
        pure = top not in IMPURE or (name_of(path), top) in WORLDLY_RULES
        assert pure, f"{name_of(path)}:{line}: a rule may not import {imported}"


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


@pytest.mark.parametrize("package", ALWAYS_RULES)
def test_a_package_says_of_each_module_whether_it_is_a_rule_or_a_shell(package: str) -> None:
    there = {path.stem for path in (HOUSE / package).glob("*.py")} - {"__init__"}
    marks = marks_of(package)
    assert {name for name, mark in marks.items() if mark} == there
    assert {name for name, mark in marks.items() if mark == "·"} >= ALWAYS_RULES[package]


@pytest.mark.parametrize(
    ("generated", "importers"),
    [
        ("daemoneye.bus.proto.frames_pb2", {"frames.py", "publishes.py", "codecs.py", "orders.py"}),
        ("daemoneye.lifeline_pb2", {"lifeline.py"}),
    ],
)
def test_only_the_writers_of_frames_know_their_messages(
    generated: str, importers: set[str]
) -> None:
    found = {path.name for path in modules() for _, name in imports_of(path) if name == generated}
    assert found == importers


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
def test_only_the_border_looks_at_the_platform(path: Path) -> None:
    if name_of(path) in PLATFORM_LOOKERS:
        return
    for line, imported in imports_of(path):
        looks = imported in {"platform", "sys.platform", "os.name"}
        assert not looks, f"{name_of(path)}:{line}: ask daemoneye.system instead of {imported}"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            looked_at = f"{node.value.id}.{node.attr}"
            where = f"{name_of(path)}:{node.lineno}"
            asks = looked_at not in {"sys.platform", "os.name", "platform.system"}
            assert asks, f"{where}: ask daemoneye.system instead of {looked_at}"


def test_nobody_of_the_bus_has_a_reason_to_look_at_the_platform() -> None:
    assert not [name for name in PLATFORM_LOOKERS if name.startswith("daemoneye/bus/")]


@every_module()
def test_nothing_reachable_is_pickled(path: Path) -> None:
    for line, imported in imports_of(path):
        safe = imported not in PICKLERS or name_of(path) in PICKLES
        assert safe, f"{name_of(path)}:{line}: {imported} runs what it reads"


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
    for node in ast.walk(tree_of(path)):
        loose = any(
            re.search(r"[dD]ict\[str, Any\]", ast.unparse(each)) for each in borders_of(node)
        )
        assert not loose, f"{name_of(path)}:{getattr(node, 'lineno', 0)}: name these keys"


def borders_of(node: ast.AST) -> list[ast.expr]:
    """The types at a border: of a function's arguments and result, of a class's fields."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        return [each for each in (*(a.annotation for a in given), node.returns) if each]
    if isinstance(node, ast.ClassDef):
        return [each.annotation for each in node.body if isinstance(each, ast.AnnAssign)]
    return []
