"""Thresholds with hysteresis: when a figure is worth a word, and when it is over.  Pure.

A threshold is crossed after `patience` samples in a row at or above `enter`, and left at the first
one below `leave`.  The room between the two keeps a figure that trembles around a threshold from
being told again and again; patience keeps a single spike from being told at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Below nine tenths of what made it remarkable it is unremarkable again.
_LEAVE_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule about one figure."""

    rule: str
    """Its name in events, such as "cpu-high"."""
    enter: float
    unit: str
    patience: int = 1
    critical: float = float("inf")
    """From here on it is critical and no longer only a warning."""

    @property
    def leave(self) -> float:
        """Below this it is over."""
        return self.enter * _LEAVE_SHARE


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that was crossed or left just now."""

    threshold: Threshold
    subject: str
    """What it is about: "cpu", a mount point …"""
    entered: bool
    value: float


@dataclass(slots=True)
class _Standing:
    """Where one figure stands towards its threshold."""

    above: int = 0
    """Samples in a row at or above `enter`, until it is crossed."""
    crossed: bool = False


@dataclass(slots=True)
class Watch:
    """Holds figures against their thresholds, sample after sample.

    A figure that is no longer there (a volume was unmounted) leaves what it had crossed.
    """

    thresholds: Mapping[str, Threshold]
    _standings: dict[tuple[str, str], _Standing] = field(default_factory=dict)

    def observe(self, figures: Mapping[tuple[str, str], float]) -> list[Crossing]:
        """Take the figures of one sample, by (rule, subject); return what was crossed or left.

        A figure whose rule is unknown is not watched.
        """
        crossings = [
            crossing
            for (rule, subject), value in figures.items()
            if rule in self.thresholds
            and (crossing := self._hold(self.thresholds[rule], subject, value))
        ]
        for rule, subject in self._standings.keys() - figures.keys():
            if self._standings.pop((rule, subject)).crossed:
                crossings.append(Crossing(self.thresholds[rule], subject, False, 0.0))
        return crossings

    def _hold(self, threshold: Threshold, subject: str, value: float) -> Crossing | None:
        standing = self._standings.setdefault((threshold.rule, subject), _Standing())
        if standing.crossed:
            if value >= threshold.leave:
                return None
            standing.crossed, standing.above = False, 0
            return Crossing(threshold, subject, False, value)
        standing.above = standing.above + 1 if value >= threshold.enter else 0
        if standing.above < threshold.patience:
            return None
        standing.crossed = True
        return Crossing(threshold, subject, True, value)


def replaced(watch: Watch, thresholds: Mapping[str, Threshold]) -> Watch:
    """A watch with other thresholds that remembers what is crossed already."""
    kept = {key: standing for key, standing in watch._standings.items() if key[0] in thresholds}
    return Watch(thresholds, kept)
