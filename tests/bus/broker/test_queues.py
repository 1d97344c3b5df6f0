"""What waits in a group: in which order it is taken, and that nothing gets lost in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.jobs import Job, Letter
from daemoneye.bus.broker.members import Member
from daemoneye.bus.broker.queues import ByKey, InOrder
from tests.bus.broker.test_choices import crew

KINDS: tuple[type[InOrder] | type[ByKey], ...] = (InOrder, ByKey)


def take(queue: InOrder | ByKey, pick: Callable[[Job], Member | None]) -> tuple[Job, Member] | None:
    """The first that somebody takes, and who."""
    with closing(queue.candidates()) as candidates:
        for each in candidates:
            member = pick(each)
            if member is not None:
                queue.take(each)
                return each, member
    return None


def job(number: int, key: str = "") -> Job:
    return Job(number, b"", Letter("a.b", "p", key), None)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_taken_where_nobody_takes_anything(kind: type[InOrder] | type[ByKey]) -> None:
    queue = kind()
    queue.put(job(1))
    assert take(queue, lambda _: None) is None
    assert [each.number for each in queue] == [1]


def test_what_is_to_be_tried_again_stands_before_the_others_in_its_old_order() -> None:
    (member,) = crew(1)
    queue = InOrder()
    jobs = [job(number) for number in range(4)]
    for each in jobs:
        queue.put(each)
    taken = [found[0] for _ in range(3) if (found := take(queue, lambda _: member))]
    for each in (taken[2], taken[0], taken[1]):
        queue.put_back(each)
    again = [found[0] for _ in jobs if (found := take(queue, lambda _: member))]
    assert again == jobs


def test_who_waits_for_somebody_else_does_not_hold_up_the_others() -> None:
    (member,) = crew(1)
    queue = InOrder()
    again, new = job(1), job(2)
    queue.put_back(again)
    queue.put(new)
    assert take(queue, lambda each: None if each is again else member) == (new, member)
    assert len(queue) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_of_equal_keys_one_is_in_hand_and_order_holds_whatever_is_tried_again(
    steps: list[tuple[str, bool]],
) -> None:
    (member,) = crew(1)
    queue = ByKey()
    for number, (key, _) in enumerate(steps):
        queue.put(job(number, key))
    in_hand: dict[str, Job] = {}
    done: list[Job] = []
    for _, again in steps * 2:
        while (found := take(queue, lambda _: member)) is not None:
            assert found[0].letter.key not in in_hand
            in_hand[found[0].letter.key] = found[0]
        if in_hand:
            each = in_hand.pop(min(in_hand))
            if again:
                queue.put_back(each)
            else:
                queue.done(each)
                done.append(each)
    for key in "abc":
        numbers = [each.number for each in done if each.letter.key == key]
        assert numbers == [n for n, (k, _) in enumerate(steps) if k == key][: len(numbers)]
    assert len(queue) + len(in_hand) + len(done) == len(steps)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_removed_is_not_taken(kind: type[InOrder] | type[ByKey]) -> None:
    member: Member = crew(1)[0]
    queue = kind()
    jobs = [job(1, "k"), job(2, "k")]
    for each in jobs:
        queue.put(each)
    queue.remove(jobs[0])
    assert take(queue, lambda _: member) == (jobs[1], member)
    queue.done(jobs[1])
    assert (len(queue), take(queue, lambda _: member)) == (0, None)


def test_a_key_that_waits_for_a_member_is_looked_at_again_when_that_one_is_relieved() -> None:
    one, two = crew(2)
    queue = ByKey()
    jobs = [job(number, f"k{number}") for number in range(6)]
    for each in jobs:
        queue.put(each)

    def looked_at(owner: Member, most: int = 0) -> list[Job]:
        """All candidates, of which the first `most` are taken and the others wait for that one."""
        found: list[Job] = []
        while True:
            with closing(queue.candidates()) as candidates:
                for each in candidates:
                    found.append(each)
                    if len(found) <= most:
                        queue.take(each)
                        break
                    queue.wait(each, owner)
                else:
                    return found

    assert looked_at(one) == jobs
    assert looked_at(one) == []
    queue.relieve(two)
    assert looked_at(one) == []
    queue.relieve(one)
    assert looked_at(one, 2) == jobs[:3]  # the third has to wait, and so have all behind it
    queue.look_again()
    assert looked_at(two) == jobs[2:]
    queue.remove(jobs[5])
    queue.relieve(one)
    queue.relieve(two)
    assert looked_at(two, 6) == jobs[2:5]
    for each in jobs[:5]:
        queue.done(each)
    assert (len(queue), list(queue), looked_at(two)) == (0, [], [])
