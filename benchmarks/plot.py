"""A picture of how cost grows, and of memory through a sustained run.

Loaded only when a picture is wanted: matplotlib is imported here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.goals import OURS
from benchmarks.growth import SIZES, SUBSCRIBERS
from benchmarks.measure import Results, shown_bytes
from benchmarks.rules import SIZES as SUBSCRIPTIONS
from benchmarks.sustained import Endured

matplotlib.use("Agg")  # no screen is needed
from matplotlib import pyplot

RULES = ("match among", "subscribe among", "unsubscribe among", "may receive, among")
MOST_MEGABYTES = 60  # the goal for the broker's memory
LEAST_BYTES = 16  # where 0 bytes stand on a logarithmic axis

Row = tuple[float, str]
"""Where a figure stands on the axis, and its name."""


def draw(results: Results, endured: Endured | None, path: Path) -> None:
    """Write a PNG."""
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 8))
    by_subscribers, by_subscriptions, by_size, by_time = axes.flat

    by_subscribers.set(title="1→n, 256 B", xlabel="subscribers", ylabel="received by all, /s")
    draw_peers(by_subscribers, results, [(count, f"1→{count}") for count in SUBSCRIBERS])

    by_size.set(title="payload sizes, 1→1", xlabel="bytes", ylabel="received, /s")
    draw_peers(by_size, results, [(max(size, LEAST_BYTES), shown_bytes(size)) for size in SIZES])

    by_subscriptions.set(title="decisions, p99", xlabel="subscriptions", ylabel="µs")
    for rule in RULES:
        rows: list[Row] = [(size, f"{rule} {size:,} p99") for size in SUBSCRIPTIONS]
        draw_line(by_subscriptions, results, OURS, rows, rule.replace(",", ""))

    by_time.set(title="broker RSS, one subscriber stuck", xlabel="s", ylabel="MB")
    by_time.axhline(MOST_MEGABYTES, linestyle="--", color="grey", label="goal")
    by_time.set_ylim(0, 1.1 * MOST_MEGABYTES)
    if endured:
        by_time.plot(*zip(*endured.samples, strict=True), label=OURS)

    for axis in (by_subscribers, by_size, by_subscriptions):
        axis.set(xscale="log", yscale="log")
    for axis in axes.flat:
        axis.grid(visible=True, alpha=0.3)
    for axis, drawn in zip(axes.flat, (*(a.lines for a in axes.flat[:3]), endured), strict=True):
        if not drawn:
            leave_empty(axis)
    for axis in (by_subscriptions, by_time):
        if axis.lines:
            axis.legend(fontsize=7)
    lines = {
        label: line
        for axis in (by_subscribers, by_size)
        for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    if lines:
        figure.legend(lines.values(), lines.keys(), loc="lower center", ncols=5, fontsize=8)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def leave_empty(axis: Any) -> None:
    """Say that a run has nothing to show here."""
    axis.clear()
    axis.set_axis_off()
    axis.text(0.5, 0.5, "not measured in this run", transform=axis.transAxes, ha="center")


def draw_peers(axis: Any, results: Results, rows: Sequence[Row]) -> None:
    """A line for each peer that has any of these figures."""
    for number, peer in enumerate(sorted({peer for row in results.rows() for peer in row})):
        draw_line(axis, results, peer, rows, peer, f"C{number}")


def draw_line(
    axis: Any,
    results: Results,
    peer: str,
    rows: Sequence[Row],
    label: str,
    color: str | None = None,
) -> None:
    """The figures of one peer, those that it has."""
    points = [(at, results.value(name, peer)) for at, name in rows]
    known = [(at, value) for at, value in points if value]
    if known:
        width = 2.5 if peer == OURS else 1.2
        axis.plot(
            *zip(*known, strict=True),
            marker="o",
            markersize=3,
            linewidth=width,
            label=label,
            color=color,
        )
