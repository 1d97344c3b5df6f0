"""Run the benchmarks: `python -m benchmarks [NAME …] [--rounds N] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import bus, life, routing, rules
from benchmarks.measure import Figure, shown

ALONE = {each.__name__: each for each in (*rules.BENCHMARKS, *routing.BENCHMARKS, *life.BENCHMARKS)}
NAMES = ("bus", *ALONE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named, or everything; print tables, and write JSON when asked to."""
    options = parsed(arguments)
    chosen = options.names or NAMES
    results: dict[str, list[Figure]] = {}
    if "bus" in chosen:
        results |= bus.compete(options.rounds)
        print_contest(results)
    for name in (name for name in ALONE if name in chosen):
        results[name] = ALONE[name]()
        print_figures(results[name])
    if options.json:
        Path(options.json).write_text(json.dumps(report(results), indent=2) + "\n")
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds of the bus")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(
            f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        )
    return options


def print_contest(results: dict[str, list[Figure]]) -> None:
    """A line for each figure, a column for each peer, and how we stand to each of the others."""
    names = list(results)
    width = max(len(name) for name in names) + 2
    print(f"{machine_line()}\n\n{'':26}" + "".join(f"{name:>{width}}" for name in names))
    for row in zip(*results.values(), strict=True):
        cells = "".join(f"{shown(figure.value):>{width}}" for figure in row)
        print(f"{row[0].name:20}{row[0].unit:>6}{cells}")
    print()
    us = results[bus.OURS]
    for name in (name for name in names if name != bus.OURS):
        ratios = [
            f"{mine.name} × {shown(mine.value / theirs.value)}"
            for mine, theirs in zip(us, results[name], strict=True)
            if theirs.value and mine.unit != "%"
        ]
        print(f"{bus.OURS} / {name}: {', '.join(ratios)}")
    for name, reason in bus.skipped().items():
        print(f"skipped {name}: {reason}")
    print()


def print_figures(figures: Sequence[Figure]) -> None:
    """A line for each figure."""
    for figure in figures:
        print(f"{figure.name:36}{shown(figure.value):>12} {figure.unit}")
    print()


def machine_line() -> str:
    """What the figures were measured on, without naming it."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def report(results: dict[str, list[Figure]]) -> dict[str, object]:
    """The figures for programs."""
    return {
        "schema_version": 1,
        "machine": machine_line(),
        "figures": {name: [asdict(each) for each in figures] for name, figures in results.items()},
        "skipped": bus.skipped(),
    }


if __name__ == "__main__":
    sys.exit(main())
