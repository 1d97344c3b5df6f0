"""Opening: nothing is done before it is waited for, and a block ends what it opened."""

from __future__ import annotations

from typing import Any

import pytest

from daemoneye.bus.client.ending import AsyncEnding
from daemoneye.bus.client.opening import Opening
from tests.bus.client.loops import in_a_loop


class Thing(AsyncEnding):
    """Something with an end."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


async def made() -> Thing:
    return Thing()


@in_a_loop
async def test_it_may_be_awaited_and_closed_by_hand_or_by_a_block() -> None:
    thing = await Opening(made)
    await thing.close()
    async with await Opening(made) as other:
        assert other.closed == 0
    assert (thing.closed, other.closed) == (1, 1)


@in_a_loop
async def test_it_may_be_opened_by_a_block_that_ends_it_whatever_happens() -> None:
    with pytest.raises(KeyError):
        async with Opening(made) as thing:
            raise KeyError
    assert thing.closed == 1


@in_a_loop
async def test_what_cannot_be_opened_is_not_closed() -> None:
    async def fail() -> Thing:
        raise KeyError

    with pytest.raises(KeyError):
        async with Opening(fail):
            pytest.fail("never reached")


def test_nothing_is_begun_that_nobody_waits_for() -> None:
    Opening(lambda: pytest.fail("begun"))


@in_a_loop
async def test_a_forgotten_await_is_what_the_error_speaks_of() -> None:
    opening: Any = Opening(made)
    with pytest.raises(AttributeError, match=r"no publish yet: .* `await` or `async with`"):
        await opening.publish("events.demo.tick", b"")
    with pytest.raises(TypeError, match="`await` or `async with`"):
        async for _ in opening:
            pytest.fail("never reached")
    with pytest.raises(TypeError, match="`await` or `async with`"), opening:
        pytest.fail("never reached")
