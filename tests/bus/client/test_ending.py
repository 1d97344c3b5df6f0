"""A block ends what it has, however it is left."""

from __future__ import annotations

import pytest

from daemoneye.bus.client.ending import AsyncEnding, Ending
from tests.bus.client.loops import in_a_loop


class Thing(Ending):
    """Something with an end."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class AsyncThing(AsyncEnding):
    """The same for tasks."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_a_block_has_what_is_open_and_closes_it() -> None:
    thing = Thing()
    with thing as inside:
        assert inside is thing
        assert thing.closed == 0
    assert thing.closed == 1


def test_an_error_closes_it_too_and_goes_on() -> None:
    thing = Thing()
    with pytest.raises(KeyError), thing:
        raise KeyError
    assert thing.closed == 1


@in_a_loop
async def test_tasks_have_the_same() -> None:
    thing = AsyncThing()
    async with thing as inside:
        assert inside is thing
        assert thing.closed == 0
    with pytest.raises(KeyError):
        async with thing:
            raise KeyError
    assert thing.closed == 2


def test_what_has_no_end_is_not_made() -> None:
    for kind in (Ending, AsyncEnding):
        with pytest.raises(TypeError, match="close"):
            kind()  # type: ignore[abstract]  # what is to be seen
