"""docs/design.md is as built: its diagram is the table, and every file it names is there."""

from __future__ import annotations

import re
from pathlib import Path

from daemoneye.supervisor.lifecycle import diagram

ROOT = Path(__file__).parents[1]
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
HOMES = (
    *("", "daemoneye", "daemoneye/bus", "daemoneye/bus/broker", "daemoneye/bus/client"),
    *("daemoneye/supervisor", "daemoneye/collectors", "docs"),
)


def test_the_diagram_is_generated_from_the_table() -> None:
    found = re.search(r"begin -->\n```mermaid\n(.*?)```\n<!-- generated: end", DESIGN, re.DOTALL)
    assert found
    assert found[1] == diagram(), "put what lifecycle.diagram() returns between the marks"


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"[\w./]+\.(?:py|md)\b", DESIGN))
    missing = [name for name in named if not any((ROOT / home / name).exists() for home in HOMES)]
    assert not missing
