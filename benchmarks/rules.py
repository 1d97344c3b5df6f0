"""What decisions of the bus cost among many subscriptions: finding who wants a topic, subscribing,
asking for a right.

No process and no socket.  Matching and rights are the rules as they are, without the caches the
router puts before them; subscribing is the whole way through the router, from the frame that came
in to the answer that may be written.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle
from time import perf_counter_ns

from benchmarks.measure import Figure, Pace, percentile
from benchmarks.routing import TABLE, drain
from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.router import Router
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import encode
from daemoneye.bus.kinds import Subscribe, Unsubscribe, Value
from daemoneye.bus.limits import Limits
from daemoneye.bus.subscriptions import SubscriptionTree
from daemoneye.bus.topics import TopicFilter, check_topic

SIZES = (100, 1_000, 10_000, 100_000)
EACH_SESSION = 250  # subscriptions; 256 are allowed
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


def at(what: str, size: int, took: list[float]) -> list[Figure]:
    """Median and 99th percentile of what took so long."""
    return [
        Figure(f"{what} {size:,} p50", percentile(took, 0.5), "µs", "less", TABLE),
        Figure(f"{what} {size:,} p99", percentile(took, 0.99), "µs", "less", TABLE),
    ]


def matching(pace: Pace) -> list[Figure]:
    """Find all that want a topic, at four sizes."""
    return [figure for size in SIZES for figure in matching_among(size, pace.calls)]


def matching_among(size: int, calls: int) -> list[Figure]:
    """Find all that want a topic among so many filters."""
    tree: SubscriptionTree[int] = SubscriptionTree()
    for number, text in enumerate(filters(size)):
        tree.add(TopicFilter(text), number)
    levels = cycle([check_topic(topic) for topic in topics(size)])
    return at("match among", size, times_us(lambda: tree.match(next(levels)), calls))


def subscribing(pace: Pace) -> list[Figure]:
    """Begin and end a subscription at the router, at four sizes."""
    return [figure for size in SIZES for figure in subscribing_among(size, pace.calls)]


def subscribing_among(size: int, calls: int) -> list[Figure]:
    """One client comes and goes where so many subscriptions are; each answer is drained untimed."""
    router = crowded(size)
    guest = router.open(Identity("guest", "agent"), Declared(), 0)
    added, removed = [], []
    for number in range(1, calls + 1):
        subscribe = Subscribe(number, f"events.guest{number}.+", request=number)
        added.append(asked_us(router, guest, subscribe))
        removed.append(asked_us(router, guest, Unsubscribe(number, request=number)))
    return at("subscribe among", size, added) + at("unsubscribe among", size, removed)


def asked_us(router: Router, session: Session, wish: Value) -> float:
    """How long the router takes for it, in µs."""
    frames = [encode(wish)]
    start = perf_counter_ns()
    router.receive(session, frames, start)
    took = (perf_counter_ns() - start) / 1000
    drain(session, start)
    router.dirty.clear()
    return took


def crowded(size: int) -> Router:
    """A router with so many subscriptions."""
    router = Router(Limits(), AccessList(), epoch=1)
    texts = filters(size)
    for first in range(0, size, EACH_SESSION):
        session = router.open(Identity(f"crowd{first}", "agent"), Declared(), 0)
        for number, text in enumerate(texts[first : first + EACH_SESSION], 1):
            router.receive(session, [encode(Subscribe(number, text))], 0)
    assert router.directory.subscriptions == size
    return router


def access(pace: Pace) -> list[Figure]:
    """Ask for rights about so many topics and filters, a hundred rules beside the built-in ones."""
    rules = [AccessRule(f"guest{i}", "read-only", f"events.unit{i}.#") for i in range(50)]
    rules += [AccessRule("*", "read-only", f"events.secret{i}.#", deny=True) for i in range(50)]
    rights = AccessList(rules)
    reader = Identity("watcher", "observer")
    cut = TopicFilter("events.+.lifecycle")
    narrowed = times_us(lambda: rights.may_subscribe(reader, Declared(), cut), pace.calls)
    figures = [figure for size in SIZES for figure in access_among(rights, size, pace.calls)]
    return [*figures, *at("may subscribe, rules that cut it", 50, narrowed)]


def access_among(rights: AccessList, size: int, calls: int) -> list[Figure]:
    """The three questions, each time about another one of so many topics or filters."""
    identity, declared = Identity("procmond", "collector", "process"), Declared()
    reader = Identity("watcher", "observer")
    asked = cycle(topics(size))
    wanted = cycle([TopicFilter(text) for text in filters(size) if "events.unit" in text])
    publish = times_us(lambda: rights.may_publish(identity, declared, next(asked)), calls)
    receive = times_us(lambda: rights.may_receive(reader, declared, next(asked)), calls)
    subscribe = times_us(lambda: rights.may_subscribe(reader, declared, next(wanted)), calls)
    return [
        *at("may publish, among", size, publish),
        *at("may receive, among", size, receive),
        *at("may subscribe, among", size, subscribe),
    ]


BENCHMARKS = (matching, subscribing, access)
