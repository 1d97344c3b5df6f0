"""Turns: one thread at a time, and what it wants in the midst of its own."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from daemoneye.bus.client.turn import MOST_ASIDE, Turn
from daemoneye.errors import DeadlineExceeded, LocalProtocolError
from tests.support import scaled


def test_what_is_put_aside_is_done_in_order_before_the_turn_ends() -> None:
    turn, done = Turn(), list[str]()
    with turn.taken() as ours:
        assert ours
        with turn.taken() as again:
            assert not again
            for each in "ab":
                turn.put_aside(partial(done.append, each))
        assert done == []
    assert done == ["a", "b"]
    assert not turn.busy


def test_what_is_put_aside_may_put_aside() -> None:
    turn, done = Turn(), list[str]()
    with turn.taken():
        turn.put_aside(lambda: turn.put_aside(partial(done.append, "later")))
    assert done == ["later"]


def test_there_is_an_end_to_what_may_be_put_aside() -> None:
    turn, done = Turn(), list[int]()
    with turn.taken():
        took = [turn.put_aside(partial(done.append, number)) for number in range(MOST_ASIDE + 2)]
    assert took.count(False) == 2
    assert done == list(range(MOST_ASIDE))


def test_who_waits_for_an_answer_is_refused_in_a_turn_of_its_own_thread() -> None:
    turn = Turn()
    with turn.taken(), pytest.raises(LocalProtocolError, match="set a flag"), turn.alone():
        pass
    with turn.alone():
        assert turn.busy


def test_another_thread_waits_for_its_turn() -> None:
    turn, done = Turn(), list[str]()

    def other() -> None:
        with turn.taken() as ours:
            done.append(f"other {ours}")

    with turn.taken():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.05)
        done.append("first")
    thread.join()
    assert done == ["first", "other True"]


def test_an_error_ends_the_turn() -> None:
    turn = Turn()
    with pytest.raises(KeyError), turn.taken():
        raise KeyError
    with turn.taken() as ours:
        assert ours


def test_who_waits_for_an_answer_waits_for_its_turn_until_a_deadline() -> None:
    turn, entered, left = Turn(), threading.Event(), threading.Event()

    def other() -> None:
        with turn.taken():
            entered.set()
            left.wait(scaled(5))

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait(scaled(5))
    with pytest.raises(DeadlineExceeded), turn.alone(time.monotonic() + 0.05):
        pass
    left.set()
    with turn.alone(time.monotonic() + 1e12):
        assert turn.busy
    thread.join()


def test_who_does_not_wait_has_a_turn_only_if_nobody_else_has() -> None:
    turn, found = Turn(), list[bool]()

    def other() -> None:
        with turn.taken_nowait() as ours:
            found.append(ours)

    for taken in (True, False):
        thread = threading.Thread(target=other)
        if taken:
            with turn.taken(), turn.taken_nowait() as again:
                assert not again
                thread.start()
                thread.join(scaled(5))
        else:
            thread.start()
            thread.join(scaled(5))
    assert found == [False, True]
    assert not turn.busy
