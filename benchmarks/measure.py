"""What is measured, as values: figures of one contest, percentiles, medians over rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its meaning."""

    name: str  # what was measured, in a few words
    value: float
    unit: str  # "µs", "ms", "s", "/s", "%"
    better: str = "less"  # which way is better: "less" or "more"

    def __str__(self) -> str:
        return f"{shown(self.value)} {self.unit}"


def shown(value: float) -> str:
    """A number with three significant digits, and thousands told apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value that `fraction` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def over_rounds(rounds: Sequence[Sequence[Figure]]) -> list[Figure]:
    """The median of each figure over several rounds of one contest."""
    return [
        Figure(each[0].name, median(figure.value for figure in each), each[0].unit, each[0].better)
        for each in zip(*rounds, strict=True)
    ]
