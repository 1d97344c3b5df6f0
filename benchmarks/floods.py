"""A flood: some publish as fast as it goes, some count what arrives; and what that costs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.measure import Figure
from benchmarks.peers import Peer, Relay
from benchmarks.processes import Worker, cpu_seconds

UNBOUNDED = 1 << 40


@dataclass(frozen=True, slots=True)
class Flood:
    """What is published, by whom, for whom."""

    name: str  # of its figures
    table: str
    role: str  # "publish" or "publish_many"
    seconds: float  # so long it is published
    publishers: int = 1
    subscribers: int = 1
    size: int = 256  # of a payload in bytes
    most: int = UNBOUNDED  # messages of each publisher


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; messages, seconds of CPU."""

    sent: int  # by all publishers
    received: int  # by all subscribers
    expected: int  # what would have been received without losses
    seconds: float  # from the first publish to the last end
    publisher_cpu: float  # of all publishers
    relay_cpu: float
    subscriber_cpu: float  # of all subscribers

    @property
    def rate(self) -> float:
        """Messages received in a second, by all."""
        return self.received / self.seconds

    @property
    def lost(self) -> float:
        """Percent of what should have arrived."""
        return max(0.0, 100 * (1 - self.received / max(1, self.expected)))


def flood(peer: Peer, relay: Relay, what: Flood) -> Outcome:
    """Publish, and count what arrives until every subscriber has heard the end of everybody."""
    sizes = f"{what.publishers} {what.size}"
    with ExitStack() as stack:
        subscribers = [
            stack.enter_context(Worker(peer.client(f"subscribe {sizes}", relay.address)))
            for _ in range(what.subscribers)
        ]
        publishers = [
            stack.enter_context(
                Worker(
                    peer.client(
                        f"{what.role} {what.seconds} {what.size} {what.most} {number}",
                        relay.address,
                    )
                )
            )
            for number in range(what.publishers)
        ]
        for worker in (*subscribers, *publishers):
            worker.wait_ready()
        before = spent(publishers), cpu_seconds(relay.pid), spent(subscribers)
        for worker in (*subscribers, *publishers):
            worker.go()
        starts, sents = zip(*(each.numbers() for each in publishers), strict=True)
        ends, counts = zip(*(each.numbers() for each in subscribers), strict=True)
        after = spent(publishers), cpu_seconds(relay.pid), spent(subscribers)
    cpu = [late - early for early, late in zip(before, after, strict=True)]
    seconds = (max(ends) - min(starts)) / 1e9
    return Outcome(sum(sents), sum(counts), sum(sents) * what.subscribers, seconds, *cpu)


def spent(workers: list[Worker]) -> float:
    """CPU seconds of all of them."""
    return sum(cpu_seconds(each.pid) for each in workers)


def figures_of(what: Flood, came: Outcome) -> list[Figure]:
    """Throughput, losses, and CPU for each message at each of the three places."""
    figures = [
        Figure(what.name, came.rate, "/s", "more", what.table),
        Figure(f"{what.name} lost", came.lost, "%", "less", what.table),
    ]
    if came.sent and came.received:
        figures += [
            Figure(
                f"{what.name}: {where}",
                1e6 * cpu / messages,
                "µs CPU",
                "less",
                f"CPU: {what.table}",
            )
            for where, cpu, messages in (
                ("publisher", came.publisher_cpu, came.sent),
                ("relay", came.relay_cpu, came.sent),
                ("subscriber", came.subscriber_cpu, came.received),
            )
        ]
    return figures
