"""What the bus promises to reach, and how far it is: a goal, the figure seen, met or missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.measure import Results, shown

OURS, FLOOR = "daemoneye", "C relay"
ZEROMQ, ZEROMQ_FAST = "ZeroMQ proxy", "ZeroMQ, fastest"
NO_PEERS = (OURS, FLOOR, "Python relay", "naive relay")
"""Whom nobody has to be ahead of: we, and those who know no topics."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise, measured."""

    what: str
    bound: float
    unit: str
    at_least: bool  # or at most
    seen: float | None  # None: what it needs was not measured

    @property
    def met(self) -> bool | None:
        """Whether it is reached."""
        if self.seen is None:
            return None
        return self.seen >= self.bound if self.at_least else self.seen <= self.bound

    @property
    def verdict(self) -> str:
        """Met or missed, and by how much."""
        if self.seen is None:
            return "not measured"
        if not self.bound:
            return "met" if self.met else "MISSED"
        share = self.seen / self.bound
        if self.met:
            return f"met, {shown(share if self.at_least else 1 / share)} × better"
        return f"MISSED, {shown(share)} × the goal"

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        goal = f"{sign} {shown(self.bound)} {self.unit}".rstrip()
        seen = "–" if self.seen is None else f"{shown(self.seen)} {self.unit}".rstrip()
        return f"{self.what:50}{goal:>16}{seen:>16}   {self.verdict}"


def goals(results: Results) -> Iterator[Goal]:
    """Every goal that speaks of the bus, in the order of the design."""

    def ours(name: str) -> float | None:
        return results.value(name, OURS)

    def ratio(name: str, peer: str) -> float | None:
        mine, theirs = ours(name), results.value(name, peer)
        return mine / theirs if mine is not None and theirs else None

    trip = "round trip p50"
    yield Goal("round trip p50, to the C relay", 2, "×", False, ratio(trip, FLOOR))
    yield Goal("round trip p50, to the fastest peer", 1, "×", False, to_the_fastest(results, trip))
    yield Goal("round trip p99", 1000, "µs", False, ours("round trip p99"))
    for name, bound in (("publish 1→1", 2), ("publish_many 1→1", 5), ("publish_many 1→8", 10)):
        for peer in (ZEROMQ, ZEROMQ_FAST):
            yield Goal(f"{name}, to {peer}", bound, "×", True, ratio(name, peer))
    yield Goal("publish_many 1→1", 1e6, "/s", True, ours("publish_many 1→1"))
    yield Goal("publish_many 1→8, by all", 2e6, "/s", True, ours("publish_many 1→8"))
    yield Goal("match among 100,000 p99", 100, "µs", False, ours("match among 100,000 p99"))
    for verb in ("subscribe", "unsubscribe"):
        name = f"{verb} among 100,000 p99"
        yield Goal(f"{name}, at the router", 100, "µs", False, ours(name))
    for right in ("publish", "receive", "subscribe"):
        name = f"may {right}, among 100,000 p99"
        yield Goal(name, 10, "µs", False, ours(name))
    cut = "may subscribe, rules that cut it 50 p99"
    yield Goal(cut, 10, "µs", False, ours(cut))
    yield Goal("broker RSS at most, one stuck", 60, "MB", False, ours("broker RSS most"))
    yield Goal("broker RSS grows", 0.5, "MB/min", False, ours("broker RSS grows"))
    yield Goal("messages unaccounted for", 0, "", False, ours("unaccounted for"))
    for who in ("to another client", "to a slow consumer"):
        yield Goal(f"control in a flood, {who}, p99", 5, "ms", False, ours(f"{who} p99"))
    yield Goal(
        "a standby takes over, p99", 100, "ms", False, ours("kill -9 to the next member p99")
    )
    for how, bound in (("all read", 2), ("unread", 5)):
        name = f"4 MiB 1→4 {how}: descriptor to chunks"
        yield Goal(name, bound, "×", True, ours(name))


def to_the_fastest(results: Results, name: str) -> float | None:
    """Our figure to the best of the real peers, of one that is the better the smaller."""
    mine = results.value(name, OURS)
    row = next((row for row in results.rows() if OURS in row and row[OURS].name == name), {})
    theirs = [each.value for peer, each in row.items() if peer not in NO_PEERS]
    return mine / min(theirs) if mine and theirs else None
