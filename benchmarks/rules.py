"""What decisions of the bus cost: finding who wants a topic, subscribing, asking for a right.

No process and no socket: the rules run as they are, without the caches the router puts before them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle
from time import perf_counter_ns

from benchmarks.measure import Figure, percentile
from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.subscriptions import SubscriptionTree
from daemoneye.bus.topics import TopicFilter, check_topic

SIZES = (100, 1_000, 10_000, 100_000)
LOOKUPS = 5_000
SEED = 7


def times_us(work: Callable[[], object], count: int) -> list[float]:
    """How long each of `count` calls takes, in µs."""
    took = []
    for _ in range(count):
        start = perf_counter_ns()
        work()
        took.append((perf_counter_ns() - start) / 1000)
    return took


def filters(count: int) -> list[str]:
    """Filters of mixed shapes, of which a topic matches ten at most."""
    groups = max(1, count // 8)
    shapes = (
        "events.unit{}.lifecycle",
        "events.unit{}.metadata",
        "events.unit{}.+",
        "events.unit{}.#",
        "events.+.of{}",
        "control.task.unit{}",
        "control.+.unit{}.done",
        "control.task.unit{}.#",
    )
    return [shapes[i % len(shapes)].format(i // len(shapes) % groups) for i in range(count)]


def topics(count: int) -> list[str]:
    """A thousand topics that those filters are about, in no order."""
    groups = max(1, count // 8)
    dice = random.Random(SEED)
    return [f"events.unit{dice.randrange(groups)}.lifecycle" for _ in range(1000)]


def matching() -> list[Figure]:
    """Find all that want a topic, at four sizes."""
    return [figure for size in SIZES for figure in matching_among(size)]


def matching_among(size: int) -> list[Figure]:
    """Find all that want a topic among so many filters."""
    tree: SubscriptionTree[int] = SubscriptionTree()
    for number, text in enumerate(filters(size)):
        tree.add(TopicFilter(text), number)
    levels = cycle([check_topic(topic) for topic in topics(size)])
    return at("match among", size, times_us(lambda: tree.match(next(levels)), LOOKUPS))


def at(what: str, size: int, took: list[float]) -> list[Figure]:
    """Median and 99th percentile of what took so long."""
    return [
        Figure(f"{what} {size:,} p50", percentile(took, 0.5), "µs"),
        Figure(f"{what} {size:,} p99", percentile(took, 0.99), "µs"),
    ]


def subscribing() -> list[Figure]:
    """Add and remove one filter in a tree of 100 000."""
    tree: SubscriptionTree[int] = SubscriptionTree()
    for number, text in enumerate(filters(SIZES[-1])):
        tree.add(TopicFilter(text), number)
    texts = [f"events.guest{number}.+" for number in range(LOOKUPS)]
    come, go = iter(texts), iter(texts)
    added = times_us(lambda: tree.add(TopicFilter(next(come)), 0), LOOKUPS)
    removed = times_us(lambda: tree.remove(TopicFilter(next(go)), 0), LOOKUPS)
    return at("subscribe among", SIZES[-1], added) + at("unsubscribe among", SIZES[-1], removed)


def access() -> list[Figure]:
    """Ask for a right, with a hundred rules beside the built-in ones."""
    rules = [AccessRule(f"guest{i}", "read-only", f"events.unit{i}.#") for i in range(50)]
    rules += [AccessRule("*", "read-only", f"events.secret{i}.#", deny=True) for i in range(50)]
    rights = AccessList(rules)
    identity, declared = Identity("procmond", "collector", "process"), Declared()
    topics_asked = cycle(["events.process.batch", "events.network.batch"])
    filter_asked = TopicFilter("control.collector.+")
    publish = times_us(lambda: rights.may_publish(identity, declared, next(topics_asked)), LOOKUPS)
    subscribe = times_us(lambda: rights.may_subscribe(identity, declared, filter_asked), LOOKUPS)
    return at("may publish, rules", len(rules), publish) + at(
        "may subscribe, rules", len(rules), subscribe
    )


BENCHMARKS = (matching, subscribing, access)
