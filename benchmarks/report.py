"""Figures for people and for programs: tables, ratios, goals, JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from benchmarks.goals import OURS, goals
from benchmarks.measure import Figure, Results, one_of, shown
from benchmarks.peers import Peer
from benchmarks.rounds import Remarks
from benchmarks.sustained import Endured

SCHEMA_VERSION = 2
NAME_WIDTH = 42
UNIT_WIDTH = 7

FEW = 3  # goals that are named although this run says nothing of them

COMPARED = ("/s", "µs", "ms")
"""Units of which a ratio says something that no other row says."""


def print_results(results: Results, peers: Sequence[Peer]) -> None:
    """A table for each group of figures: a column for each peer, and how we stand to each."""
    for title in dict.fromkeys(one_of(row).table for row in results.rows()):
        rows = results.rows(title)
        names = [each.name for each in peers if any(each.name in row for row in rows)]
        print(f"\n{title}\n")
        print("\n".join(table_lines(rows, names)))
        others = [name for name in names if name != OURS]
        ratios = [ratios_of(row) for row in rows if OURS in row and one_of(row).unit in COMPARED]
        if others and any(ratios):
            print(f"\n{title}: {OURS} / peer\n")
            print("\n".join(table_lines([row for row in ratios if row], others)))


def table_lines(rows: Iterable[dict[str, Figure]], names: Sequence[str]) -> list[str]:
    """A line for each figure."""
    widths = [max(len(name), 11) + 2 for name in names]
    header = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = [f"{'':{NAME_WIDTH + UNIT_WIDTH}}{header}"]
    for row in rows:
        cells = "".join(
            f"{shown(row[name].value) if name in row else '–':>{width}}"
            for name, width in zip(names, widths, strict=True)
        )
        figure = one_of(row)
        lines.append(f"{figure.name:{NAME_WIDTH}}{figure.unit:>{UNIT_WIDTH}}{cells}")
    return lines


def ratios_of(row: dict[str, Figure]) -> dict[str, Figure]:
    """Ours divided by each of the others'."""
    mine = row[OURS]
    return {
        name: Figure(mine.name, mine.value / figure.value, "×", mine.better, mine.table)
        for name, figure in row.items()
        if name != OURS and figure.value
    }


def print_goals(results: Results) -> None:
    """Goal, figure, verdict; and what this run says nothing of."""
    print(f"\n{'goals':50}{'goal':>16}{'seen':>16}\n")
    unseen = []
    for goal in goals(results):
        if goal.seen is None:
            unseen.append(goal.what)
        else:
            print(goal)
    if unseen:
        named = "; ".join(unseen) if len(unseen) <= FEW else f"{len(unseen)} more goals"
        print(f"not measured: {named}")


def print_endured(endured: Endured | None) -> None:
    """Where every message of the sustained run went."""
    for account in endured.accounts if endured else ():
        print(account)


def print_remarks(remarks: Remarks, peers: Sequence[Peer]) -> None:
    """What could not be measured, and on what the rest was."""
    print()
    for line in remarks.lines:
        print(line)
    for each in peers:
        print(f"{each.name}: {f'skipped, {each.missing}' if each.missing else each.version()}")
    print(machine_line())


def machine_line() -> str:
    """What the figures were measured on, without naming it."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def report(
    results: Results, endured: Endured | None, remarks: Remarks, peers: Sequence[Peer], rounds: int
) -> dict[str, object]:
    """Everything for programs."""
    return {
        "schema_version": SCHEMA_VERSION,
        "machine": machine_line(),
        "rounds": rounds,
        "peers": {
            each.name: {"skipped": each.missing} if each.missing else {"version": each.version()}
            for each in peers
        },
        "figures": [
            {
                "table": one_of(row).table,
                "name": one_of(row).name,
                "unit": one_of(row).unit,
                "better": one_of(row).better,
                "values": {peer: figure.value for peer, figure in row.items()},
            }
            for row in results.rows()
        ],
        "goals": [
            asdict(goal) | {"met": goal.met, "verdict": goal.verdict} for goal in goals(results)
        ],
        "sustained": {
            "rss_megabytes": endured.samples if endured else [],
            "accounts": [asdict(each) for each in endured.accounts] if endured else [],
        },
        "remarks": list(remarks.lines),
    }
