"""What is measured, as values: figures, percentiles, medians over rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its meaning."""

    name: str  # what was measured, in a few words
    value: float
    unit: str  # "µs", "ms", "s", "/s", "MB/s", "MB", "%"
    better: str = "less"  # which way is better: "less" or "more"
    table: str = ""  # the table it stands in

    def __str__(self) -> str:
        return f"{shown(self.value)} {self.unit}"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things go on: the whole, or quick for a look whether all still works."""

    rounds: int = 3  # of everything that is interleaved
    flood_seconds: float = 0.7  # of publishing 256 bytes
    size_seconds: float = 0.35  # of publishing one size of payload
    control_seconds: float = 1.2  # of control messages during a flood
    round_trips: int = 5000  # at most
    round_trip_seconds: float = 1.0  # at most
    sustained_seconds: float = 20.0
    calls: int = 5000  # of a rule
    starts: int = 7  # of a whole instance
    deaths: int = 15  # of a child
    kills: int = 50  # of a member of a group
    sustained_rate: float = 0.0  # messages a second; 0: as fast as it goes

    @classmethod
    def quick(cls) -> Pace:
        """Enough to see that it runs, too little to believe."""
        return cls(1, 0.15, 0.05, 0.4, 300, 0.3, 3.0, 500, 2, 2, 3)


class Results:
    """Figures of all rounds, for each of those that compete; in the order they came."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, list[Figure]]] = {}

    def add(self, peer: str, figures: Iterable[Figure]) -> None:
        """What was measured in one round."""
        for figure in figures:
            self._seen.setdefault(figure.name, {}).setdefault(peer, []).append(figure)

    def rows(self, table: str | None = None) -> list[dict[str, Figure]]:
        """By peer, the median of each figure over its rounds; of one table, or of all."""
        rows = [
            {peer: over_rounds(figures) for peer, figures in row.items()}
            for row in self._seen.values()
        ]
        return [row for row in rows if table is None or one_of(row).table == table]

    def value(self, name: str, peer: str) -> float | None:
        """A figure of that peer, if it has one."""
        figures = self._seen.get(name, {}).get(peer)
        return over_rounds(figures).value if figures else None


def one_of(row: Mapping[str, Figure]) -> Figure:
    """Any figure of a row: name, unit and table are those of all."""
    return next(iter(row.values()))


def over_rounds(figures: Sequence[Figure]) -> Figure:
    """The median of one figure over several rounds."""
    first = figures[0]
    value = median(figure.value for figure in figures)
    return Figure(first.name, value, first.unit, first.better, first.table)


def shown(value: float) -> str:
    """A number with three significant digits, and thousands told apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def shown_bytes(size: int) -> str:
    """A size as people say it."""
    for factor, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= factor:
            return f"{size // factor} {unit}"
    return f"{size} B"


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value that `fraction` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]
