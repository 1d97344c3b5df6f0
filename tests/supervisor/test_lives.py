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
from daemoneye.supervisor.lives import Lives
from daemoneye.supervisor.process import ChildProcess


class Lifeless:
    """What stands for a process: a lifeline with the test at the child's end, and no end."""

    pid = 0
    created_at = 0.0

    def __init__(self) -> None:
        here, there = multiprocessing.Pipe()
        self.lifeline = line.SupervisorEnd(here)
        self.child = line.ChildEnd(there)
        self._never, self._end = os.pipe()

    def fileno(self) -> int:
        """Never readable."""
        return self._never

    def close(self) -> None:
        """Let go of everything."""
        self.lifeline.close()
        self.child.close()
        os.close(self._never)
        os.close(self._end)


class World:
    """Lives with a selector that the test turns by hand, and one of them."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.lives = Lives(self.selector, lambda *wish: None)
        self.a = Lifeless()
        self.lives.born("a", 1, cast(ChildProcess, self.a))

    def turn(self) -> None:
        """Serve what is ready, once."""
        for key, mask in self.selector.select(0.02):
            key.data(mask)


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
