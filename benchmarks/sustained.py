"""Memory through a long run: a flood, two subscribers that take it, and one that is stuck.

The flood is as fast as it goes, so that the good ones lose too; with a rate it is one that they can
carry, and they may not lose anything because somebody else is stuck.

The stuck one has subscribed and never takes an event; it stays connected, so what it does not take
waits at the broker, within its bound.  The broker's RSS is looked at each second.  In the end
everybody's counts have to agree: published = delivered + lost (by reason) + queued, for each.

    python -m benchmarks.sustained publish|good|stuck RUN-DIRECTORY RATE     one of the processes
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from select import select
from statistics import linear_regression
from typing import Any

import psutil

from benchmarks.client import FLOOD
from benchmarks.measure import Figure
from benchmarks.peers.ours import broker_in
from benchmarks.processes import BUDGET, Worker, python, running
from benchmarks.worker import stay, wait_for_go
from daemoneye.bus.client.bus_client import BusClient

TABLE = "a sustained run with a stuck subscriber"
BATCH = [b"x" * 256] * 256
SAMPLE_EVERY = 1.0
QUIET = 0.5  # s without an event until a subscriber believes that all has come
SETTLED = 0.25  # of the run, after which the slope is taken
SHORTEST_FOR_SLOPE = 60.0  # s
SUBSCRIBERS = ("good", "good", "stuck")
PATIENCE_MESSAGES = 1 << 14  # in a good one's outbox: what a busy machine may keep it from taking


@dataclass(frozen=True, slots=True)
class Account:
    """What became of everything that was published for one subscriber."""

    who: str
    published: int  # by the publisher's own count
    delivered: int  # by the broker's count
    received: int | None  # by its own count; None: it counts nothing
    lost: dict[str, int]  # by reason; as it was told, or as the broker counted for who is not told
    broker_lost: int
    queued: int

    @property
    def missing(self) -> int:
        """How many messages nobody can account for: zero, or the law is broken."""
        gaps = [self.published - self.delivered - self.broker_lost - self.queued]
        if self.received is not None:
            gaps.append(self.delivered - self.received)
            gaps.append(self.broker_lost - sum(self.lost.values()))
        return sum(map(abs, gaps))

    def __str__(self) -> str:
        lost = ", ".join(f"{number:,} {reason}" for reason, number in self.lost.items()) or "0"
        verdict = "holds" if not self.missing else f"BROKEN, {self.missing:,} unaccounted for"
        return (
            f"{self.who}: {self.published:,} published = {self.delivered:,} delivered"
            f" + lost ({lost}) + {self.queued:,} queued: {verdict}"
        )


@dataclass(frozen=True, slots=True)
class Endured:
    """What a sustained run has shown."""

    figures: list[Figure]
    samples: list[tuple[float, float]]  # seconds since the flood began, broker RSS in MB
    accounts: list[Account]


def sustained(seconds: float, rate: float = 0.0) -> Endured:
    """Flood for so long, with `rate` messages a second or as fast as it goes.  Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory, ExitStack() as stack:
        broker = stack.enter_context(broker_in(Path(directory)))
        bus = stack.enter_context(BusClient.connect(run_dir=directory))

        def worker(role: str) -> Worker:
            command = python("benchmarks.sustained", role, directory, str(rate))
            return stack.enter_context(running(command, seconds + 2 * BUDGET))

        subscribers = [worker(role) for role in SUBSCRIBERS]
        publisher = worker("publish")
        samples = sampled(broker.pid, seconds, [*subscribers, publisher])
        publisher.go()  # enough
        told = json.loads(publisher.line())
        for each in subscribers:
            each.go()  # nothing more is published
        counts = [
            json.loads(each.line()) if role == "good" else None
            for each, role in zip(subscribers, SUBSCRIBERS, strict=True)
        ]
        broker.go()  # its statistics
        by_reason = Counter(json.loads(broker.line())["lost"])
        rows = {row.pid: row for row in bus.clients()}
    for heard in counts:
        by_reason -= Counter(heard["lost"] if heard else {})
    accounts = []
    for number, (each, role, heard) in enumerate(
        zip(subscribers, SUBSCRIBERS, counts, strict=True), 1
    ):
        row = rows[each.pid]
        accounts.append(
            Account(
                who=f"subscriber {number}, {role}",
                published=told["published"],
                delivered=row.delivered,
                received=heard["received"] if heard else None,
                lost=heard["lost"] if heard else dict(by_reason),
                broker_lost=row.lost,
                queued=row.queued,
            )
        )
    return Endured(figures_of(samples, accounts, told["seconds"]), samples, accounts)


def sampled(pid: int, seconds: float, workers: list[Worker]) -> list[tuple[float, float]]:
    """Start the flood and look at the broker's memory until it has gone on long enough."""
    broker = psutil.Process(pid)

    def look() -> tuple[float, float]:
        return time.monotonic() - start, broker.memory_info().rss / 1e6

    start = time.monotonic()
    samples = [look()]
    for worker in workers:
        worker.go()
    while (now := time.monotonic() - start) < seconds:
        time.sleep(min(SAMPLE_EVERY, seconds - now))
        samples.append(look())
    return samples


def figures_of(
    samples: list[tuple[float, float]], accounts: list[Account], seconds: float
) -> list[Figure]:
    """Memory, its slope, rates and losses."""
    sizes = [size for _, size in samples]
    good = [each for each in accounts if each.received is not None]
    rates = [each.delivered / seconds for each in good]
    lost = [100 * each.broker_lost / each.published for each in good]
    return [
        Figure("broker RSS at the start", sizes[0], "MB", "less", TABLE),
        Figure("broker RSS least", min(sizes), "MB", "less", TABLE),
        Figure("broker RSS most", max(sizes), "MB", "less", TABLE),
        Figure("broker RSS at the end", sizes[-1], "MB", "less", TABLE),
        *slope_of(samples),
        Figure("published", accounts[0].published / seconds, "/s", "more", TABLE),
        Figure("received by each good one", min(rates), "/s", "more", TABLE),
        Figure("lost by the good ones, at most", max(lost), "%", "less", TABLE),
        Figure("unaccounted for", sum(each.missing for each in accounts), "msgs", "less", TABLE),
    ]


def slope_of(samples: list[tuple[float, float]]) -> list[Figure]:
    """How fast memory grows once it has settled; of less than a minute that says nothing."""
    end = samples[-1][0]
    if end < SHORTEST_FOR_SLOPE:
        return []
    late = [each for each in samples if each[0] >= SETTLED * end]
    slope = 60 * linear_regression(*zip(*late, strict=True)).slope
    return [Figure("broker RSS grows", slope, "MB/min", "less", TABLE)]


# ---- the processes ------------------------------------------------------------------------------


def publish(bus: BusClient, rate: float) -> None:
    """Publish until told that it is enough."""
    pause = len(BATCH) / rate if rate else 0.0
    wait_for_go()
    start = due = time.monotonic()
    while not select([sys.stdin], [], [], max(0.0, due - time.monotonic()) if rate else 0)[0]:
        bus.publish_many(FLOOD, BATCH)
        due += pause
    bus.flush()
    seconds = time.monotonic() - start
    print(json.dumps({"published": bus.counters().published, "seconds": seconds}), flush=True)


def good(bus: BusClient, rate: float) -> None:
    """Take everything, and count what was told to be lost."""
    received, lost, over = 0, Counter[str](), False
    bound = PATIENCE_MESSAGES if rate else 0
    with bus.subscribe(FLOOD, timeout=QUIET, max_messages=bound) as events:
        wait_for_go()
        while not over:
            for event in events:
                received += 1
                if event.lost:
                    lost.update(event.lost)
            over = bool(select([sys.stdin], [], [], 0)[0])
    print(json.dumps({"received": received, "lost": dict(lost)}), flush=True)


def stuck(bus: BusClient, rate: float) -> None:
    """Subscribe, and never take an event."""
    with bus.subscribe(FLOOD):
        wait_for_go()
        stay()


ROLES: dict[str, Any] = {each.__name__: each for each in (publish, good, stuck)}


def main() -> None:
    """Connect and play the role."""
    role, directory, rate = sys.argv[1:]
    with BusClient.connect(run_dir=directory) as bus:
        ROLES[role](bus, float(rate))
        stay()


if __name__ == "__main__":
    main()
