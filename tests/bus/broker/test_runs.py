"""The queue in which runs replace each other: one for each origin, at the same price for all."""

from __future__ import annotations

from time import perf_counter

import pytest

from daemoneye.bus.broker.runs import LatestRuns, Run


def run(number: int, topic: str = "a") -> Run:
    return Run(number, b"x", 1, 0, ("procmond", topic))


def numbers(queue: LatestRuns) -> list[int]:
    return [each.number for each in queue]


def test_a_run_takes_the_place_at_the_end_of_the_one_it_replaces() -> None:
    queue = LatestRuns()
    replaced = []
    for number, topic in enumerate("abca", 1):
        replaced.append(queue.replaced(("procmond", topic)))
        queue.append(run(number, topic))
    assert replaced == [None, None, None, run(1)]
    assert numbers(queue) == [2, 3, 4]
    assert queue[0].number == 2


def test_it_gives_the_oldest_and_the_newest_until_it_is_empty() -> None:
    queue = LatestRuns([run(1, "a"), run(2, "b"), run(3, "c")])
    assert [queue.popleft().number, queue.pop().number, len(queue)] == [1, 3, 1]
    assert queue.popleft().number == 2
    assert not queue
    with pytest.raises(IndexError):
        queue[0]
    with pytest.raises(KeyError):
        queue.popleft()


def test_what_comes_from_another_queue_keeps_its_order_and_only_the_newest_is_replaced() -> None:
    queue = LatestRuns([run(1), run(2), run(3, "b"), run(4)])
    assert numbers(queue) == [1, 2, 3, 4]
    assert queue.replaced(("procmond", "a")) == run(4)
    assert numbers(queue) == [1, 2, 3]


def test_a_step_costs_the_same_however_many_wait() -> None:
    origins = [f"t{number}" for number in range(20_000)]
    queue = LatestRuns(run(number, topic) for number, topic in enumerate(origins))
    began = perf_counter()
    for number, topic in enumerate(reversed(origins)):
        assert queue.replaced(("procmond", topic))
        queue.append(run(number, topic))
        assert queue[0]
    assert perf_counter() - began < 5.0  # by a walk it would take minutes
