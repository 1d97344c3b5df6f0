"""Streams: bounded queues under each policy, credit, and accounts that add up."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import Decision, Verdict
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.streams import (
    Backlog,
    Balance,
    Lane,
    Stream,
    StreamKey,
    Subscription,
    default_overflow,
    lane_of,
)
from daemoneye.bus.frames import Credit, Overflow, StreamMark, Subscribe, decode
from daemoneye.bus.topics import TopicFilter
from daemoneye.framing import HEADER_BYTES

GRANTED = Decision(Verdict.GRANTED, "a rule")


def subscription(
    number: int = 1, overflow: Overflow = Overflow.DEFAULT, messages: int = 3, size: int = 1000
) -> Subscription:
    wish = Subscribe(number, "events.#", overflow, messages, size, 10, 10_000)
    return Subscription(wish, TopicFilter("events.#"), GRANTED)


def stream(*subscriptions: Subscription, default: Overflow = Overflow.DROP_OLDEST) -> Stream:
    every = subscriptions or (subscription(),)
    key = StreamKey(tuple(each.number for each in every), Lane.EVENTS, default)
    return Stream(key, every, Backlog(Backlog()))


def run(number: int, messages: int = 1, size: int = 10, topic: str = "events.a") -> Run:
    return Run(number, b"x" * size, messages, 0, ("procmond", topic))


def waiting(queue: Stream) -> list[int]:
    return [each.number for each in queue.queue]


@pytest.mark.parametrize(
    ("topic", "lane", "policy"),
    [
        ("events.process.lifecycle", Lane.EVENTS, Overflow.DROP_OLDEST),
        ("control.collector.lifecycle", Lane.CONTROL, Overflow.DISCONNECT),
        ("control.health.heartbeat", Lane.CONTROL, Overflow.LATEST),
        ("control.health.status", Lane.CONTROL, Overflow.LATEST),
        ("control.health.status.procmond", Lane.CONTROL, Overflow.LATEST),
        ("control.health.diagnostics", Lane.CONTROL, Overflow.DISCONNECT),
        ("$bus.statistics", Lane.CONTROL, Overflow.DROP_OLDEST),
        ("controlled.x", Lane.EVENTS, Overflow.DROP_OLDEST),
    ],
)
def test_a_topic_says_its_lane_and_what_happens_by_default(
    topic: str, lane: Lane, policy: Overflow
) -> None:
    assert (lane_of(topic), default_overflow(topic)) == (lane, policy)


@pytest.mark.parametrize(
    ("policy", "left", "lost"),
    [
        (Overflow.DROP_OLDEST, [3, 4, 5], 2),
        (Overflow.DROP_NEWEST, [1, 2, 3], 2),
        (Overflow.BLOCK, [1, 2, 3], 2),
        (Overflow.LATEST, [5], 4),
    ],
)
def test_a_full_queue_makes_room_as_its_policy_says(
    policy: Overflow, left: list[int], lost: int
) -> None:
    queue = stream(subscription(overflow=policy))
    assert [queue.offer(run(number)) for number in range(1, 6)] == [""] * 5
    assert waiting(queue) == left
    assert queue.untold == {"overflow": lost}
    assert queue.tally.queued == len(left)


@pytest.mark.parametrize(
    ("waiting_messages", "messages", "size", "loses"),
    [
        (2, 1, 10, False),
        (2, 2, 10, True),
        (3, 1, 10, True),
        (1, 1, 990, False),
        (1, 1, 991, True),
        (0, 99, 2000, False),
    ],
)
def test_what_may_lose_nothing_says_whether_it_has_room_at_the_limit_and_past_it(
    waiting_messages: int, messages: int, size: int, loses: bool
) -> None:
    queue = stream(subscription(overflow=Overflow.BLOCK))
    if waiting_messages:
        queue.offer(run(1, messages=waiting_messages))
    assert queue.would_lose(messages, size) == loses


def test_only_what_may_lose_nothing_has_no_room() -> None:
    for policy in set(Overflow) - {Overflow.BLOCK, Overflow.DEFAULT}:
        queue = stream(subscription(overflow=policy))
        queue.offer(run(1, messages=3))
        assert not queue.would_lose(9, 9000)


def test_latest_keeps_one_for_each_publisher_and_topic() -> None:
    queue = stream(subscription(overflow=Overflow.LATEST))
    for number, topic in enumerate(["events.a", "events.b", "events.a"], 1):
        queue.offer(run(number, topic=topic))
    assert waiting(queue) == [2, 3]


def test_disconnect_says_why_when_it_is_too_late() -> None:
    queue = stream(subscription(overflow=Overflow.DISCONNECT))
    causes = [queue.offer(run(number)) for number in range(1, 5)]
    assert causes[:3] == [""] * 3
    assert "events.#" in causes[3]


@pytest.mark.parametrize(("size", "left"), [(1000, [1]), (1001, [])])
def test_bytes_are_bounded_as_well_at_the_limit_and_past_it(size: int, left: list[int]) -> None:
    queue = stream()
    queue.offer(run(1, size=size))
    assert waiting(queue) == left
    assert queue.untold == ({} if left else {"oversize": 1})


def test_the_newest_stays_even_when_all_room_is_taken_by_what_is_being_written() -> None:
    queue = stream()
    queue.offer(run(1, messages=3))
    begun = queue.begin_oldest()
    queue.offer(run(2, messages=2))
    assert waiting(queue) == [2]
    queue.delivered(begun)
    assert (queue.messages, queue.tally.delivered) == (2, 3)


def test_several_subscriptions_share_a_queue_under_the_strictest_policy_and_widest_bound() -> None:
    lazy = subscription(1, Overflow.LATEST, messages=2)
    strict = subscription(2, Overflow.DISCONNECT, messages=9)
    queue = stream(lazy, strict)
    assert (queue.policy, queue.max_messages) == (Overflow.DISCONNECT, 9)


def test_a_delivery_takes_credit_of_every_subscription() -> None:
    one, other = subscription(1), subscription(2)
    queue = stream(one, other)
    queue.offer(run(1, messages=2))
    queue.begin_oldest()
    assert (one.balance.sent_messages, other.balance.sent_bytes) == (2, 10)
    other.balance.charge(10, 0)
    assert not queue.has_credit


def test_credit_is_cumulative_so_that_repeating_it_does_no_harm() -> None:
    balance = Balance(2, 100)
    balance.charge(2, 50)
    seen = [balance.is_open]
    balance.grant(Credit(1, 3, 150))
    balance.grant(Credit(1, 1, 10))
    assert (balance.granted_messages, balance.granted_bytes) == (3, 150)
    seen.append(balance.is_open)
    balance.charge(0, 100)
    seen.append(balance.is_open)
    assert seen == [False, True, False]


def test_what_is_taken_back_gives_its_credit_back_and_is_lost() -> None:
    both = subscription(1), subscription(2)
    queue = stream(*both)
    queue.offer(run(1, messages=2))
    queue.take_back(queue.begin_oldest(), "denied")
    for each in both:
        assert (each.balance.sent_messages, each.balance.sent_bytes) == (0, 0)
    assert (queue.messages, queue.bytes, queue.backlog.bytes) == (0, 0, 0)
    assert (queue.tally.lost, queue.untold) == ({"denied": 2}, {"denied": 2})


def test_a_mark_tells_losses_once() -> None:
    queue = stream()
    for number in range(5):
        queue.offer(run(number))
    assert decode(queue.mark()[HEADER_BYTES:]) == StreamMark((1,), {"overflow": 2})
    assert decode(queue.mark()[HEADER_BYTES:]) == StreamMark((1,))


def test_an_absorbed_queue_is_merged_in_order_of_arrival() -> None:
    one, other = stream(), stream()
    one.offer(run(1))
    other.offer(run(2))
    one.offer(run(3))
    one.absorb(other)
    assert waiting(one) == [1, 2, 3]
    assert (one.messages, one.bytes, one.tally.offered) == (3, 30, 3)


def test_what_is_withdrawn_counts_as_never_offered() -> None:
    queue = stream()
    queue.offer(run(1))
    queue.withdraw_all()
    assert (queue.tally.offered, queue.backlog.bytes) == (0, 0)


def test_a_backlog_counts_for_its_client_and_for_all_until_it_is_detached() -> None:
    whole = Backlog()
    one, other = Backlog(whole), Backlog(whole)
    one.change(5)
    other.change(7)
    one.detach()
    one.change(-5)
    assert (one.bytes, other.bytes, whole.bytes) == (0, 7, 7)


def test_a_stream_goes_on_with_what_waits_when_its_policy_becomes_another() -> None:
    lazy, strict = subscription(1, Overflow.LATEST), subscription(2, Overflow.DROP_OLDEST)
    queue = stream(lazy, strict)
    for number in (1, 2):
        queue.offer(run(number))
    queue.serve(StreamKey((1,), Lane.EVENTS, Overflow.DROP_OLDEST), [lazy])
    queue.offer(run(3))
    assert (waiting(queue), queue.untold) == ([1, 3], {"overflow": 1})
    queue.serve(StreamKey((2,), Lane.EVENTS, Overflow.DROP_OLDEST), [strict])
    queue.offer(run(4))
    assert waiting(queue) == [1, 3, 4]
    assert queue.tally.queued == queue.messages == 3
