"""What the living say and are told, over real lifelines, without their processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import selectors
from collections.abc import Iterator
from typing import cast

import pytest

from daemoneye import lifeline as line
from daemoneye.supervisor.contract import (
    Answer,
    BeatHeard,
    ConditionSaid,
    Ended,
    FailureSaid,
    GroupEmptied,
    Observation,
    Spawned,
)
from daemoneye.supervisor.lives import (
    LAST_REPORTS,
    REPORTS_PER_TURN,
    WISHES_LIMIT,
    Decide,
    Lives,
)
from daemoneye.supervisor.process import ChildProcess


class Lifeless:
    """What stands for a process: a lifeline with the test at the child's end."""

    pid = 0
    created_at = 0.0

    def __init__(self) -> None:
        self.code: int | None = None
        here, there = multiprocessing.Pipe()
        self.lifeline = line.SupervisorEnd(here)
        self.child = line.ChildEnd(there)
        self._sentinel, self._end = os.pipe()

    def fileno(self) -> int:
        """Readable once it has ended."""
        return self._sentinel

    def end(self, code: int) -> None:
        """Let it be over."""
        self.code = code
        os.write(self._end, b".")

    def exit_code(self) -> int | None:
        """How it ended."""
        return self.code

    def group_is_empty(self) -> bool:
        """It never had one."""
        return True

    def close(self) -> None:
        """Let go of everything."""
        self.lifeline.close()
        self.child.close()
        os.close(self._sentinel)
        os.close(self._end)


class World:
    """Lives with a selector that the test turns by hand, and one of them."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.wishes: list[tuple[line.Wish, Decide]] = []
        self.lives = Lives(self.selector, lambda name, *wish: self.wishes.append(wish))
        self.a = Lifeless()
        self.lives.born("a", 1, cast(ChildProcess, self.a))

    def turn(self) -> list[Observation]:
        """Serve what is ready, once; what was observed."""
        for key, mask in self.selector.select(0.02):
            key.data(mask)
        self.lives.hear()
        return self.lives.take()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.lives.forget("a", 1)
    world.selector.close()


def test_what_is_too_long_for_a_lifeline_is_not_told_and_that_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            world.lives.say("a", 1, line.Tell("broker", bytes(line.FRAME_LIMIT_BYTES + 1)))
    assert world.lives.untold == 3
    (logged,) = caplog.messages
    assert "a is not told a Tell: " in logged
    world.lives.say("a", 1, line.Drain(1.0))
    assert world.a.child.read() == [line.Drain(1.0)]


def test_what_a_child_does_not_read_is_dropped_past_the_bound_and_counted(world: World) -> None:
    for _ in range(20):
        world.lives.say("a", 1, line.Tell("x", bytes(line.FRAME_LIMIT_BYTES // 2)))
    assert 0 < world.lives.untold < 20


def test_what_a_child_says_is_observed_in_order(world: World) -> None:
    world.a.child.send(line.Condition("no disk"))
    world.a.child.send(line.Beat(progress=1))
    observed = world.turn()
    assert [type(one) for one in observed] == [Spawned, ConditionSaid, BeatHeard]
    assert world.lives.next_deadline() is None


def test_a_flood_of_reports_is_taken_in_by_parts_and_the_rest_waits(world: World) -> None:
    world.turn()
    for number in range(3 * REPORTS_PER_TURN):
        world.a.child.send(line.Condition(str(number)))
    said = []
    for _ in range(3):
        observed = world.turn()
        assert len(observed) == REPORTS_PER_TURN
        said += [one.degraded for one in observed if isinstance(one, ConditionSaid)]
    assert said == [str(number) for number in range(3 * REPORTS_PER_TURN)]
    assert world.lives.next_deadline() is None


def test_while_something_is_unheard_no_more_is_read_and_the_next_turn_is_due(world: World) -> None:
    for _ in range(20_000):
        world.a.child.send(line.Condition("x"))
    world.turn()
    (life,) = world.lives
    unheard = len(life.unheard)
    assert 0 < unheard < 5000
    assert world.lives.next_deadline() == 0.0
    world.turn()
    assert len(life.unheard) == unheard - REPORTS_PER_TURN


def test_last_words_are_heard_however_much_was_said_before_them(world: World) -> None:
    for number in range(500):
        world.a.child.send(line.Condition(str(number)))
    world.a.child.send(line.Failure("E", "m", "t" * 60_000))
    while not world.a.child.flush():
        world.turn()
    world.a.end(1)
    observed: list[Observation] = []
    while not any(isinstance(one, Ended) for one in observed):
        observed = world.turn()
    failure = FailureSaid("a", 1, "E", "m", "t" * 60_000)
    assert observed[-3:] == [failure, Ended("a", 1, 1), GroupEmptied("a", 1)]
    assert len(observed) <= LAST_REPORTS + REPORTS_PER_TURN + 2


def test_a_wish_gets_its_verdict_and_none_when_none_is_wanted(world: World) -> None:
    for request in (7, 0):
        world.a.child.send(line.Wish(request, "stop", "b"))
    world.turn()
    for _, decide in world.wishes:
        decide(Answer(1, True, "b has stopped"))
    assert world.a.child.read() == [line.Verdict(7, True, "b has stopped")]


def test_too_many_wishes_at_once_are_refused_until_others_are_decided(world: World) -> None:
    for request in range(1, WISHES_LIMIT + 2):
        world.a.child.send(line.Wish(request, "stop", "b"))
    world.turn()
    world.turn()
    assert len(world.wishes) == WISHES_LIMIT
    (verdict,) = world.a.child.read()
    text = "too many wishes of a wait for their verdict"
    assert verdict == line.Verdict(WISHES_LIMIT + 1, False, text)
    world.wishes[0][1](Answer(1, True, "b has stopped"))
    world.a.child.send(line.Wish(99, "stop", "b"))
    world.turn()
    assert len(world.wishes) == WISHES_LIMIT + 1
