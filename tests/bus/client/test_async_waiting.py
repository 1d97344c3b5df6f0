"""Waiting in tasks: in order, until a deadline, and losing nothing when cancelled."""

from __future__ import annotations

import asyncio
import math
import socket

import pytest

from daemoneye.bus.client.async_waiting import (
    Line,
    check_home,
    deadline_of,
    give,
    home,
    readable,
    until,
)
from daemoneye.errors import LocalProtocolError
from tests.bus.client.loops import in_a_loop, settle


@in_a_loop
async def test_who_came_first_is_called_first_and_who_waits_again_before_all() -> None:
    line, order = Line(home()), list[str]()

    async def wait(name: str, *, again: bool = False) -> None:
        assert await line.wait(again=again)
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in ("one", "two"):
            tasks.create_task(wait(name))
            await settle()
        tasks.create_task(wait("again", again=True))
        await settle()
        assert len(line) == 3
        for _ in range(3):
            line.call()
            await settle()
    assert order == ["again", "one", "two"]


@in_a_loop
async def test_a_wait_ends_at_its_deadline_and_is_out_of_the_line() -> None:
    line = Line(home())
    assert not await line.wait(home().time() + 0.01)
    assert not await line.wait(0.0)
    assert len(line) == 0
    line.call()


@in_a_loop
async def test_a_call_is_not_wasted_on_who_was_cancelled() -> None:
    line = Line(home())
    first, second = (asyncio.create_task(line.wait()) for _ in range(2))
    await settle()
    first.cancel()
    line.call()  # before the first has noticed
    await settle()
    line.call()
    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(line) == 0


@in_a_loop
async def test_everybody_may_be_called_at_once() -> None:
    line = Line(home())
    waiting = [asyncio.create_task(line.wait()) for _ in range(3)]
    await settle()
    line.call_all()
    assert await asyncio.gather(*waiting) == [True] * 3


@in_a_loop
async def test_a_future_gives_what_it_is_given_or_what_is_late() -> None:
    given: asyncio.Future[str] = home().create_future()
    home().call_soon(give, given, "it")
    assert await until(given, math.inf, "late") == "it"
    give(given, "too late")
    assert await until(home().create_future(), home().time() + 0.01, "late") == "late"


@in_a_loop
async def test_a_deadline_that_has_passed_still_sees_what_has_come() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not await readable(home(), ours, 0.0)
        theirs.send(b"1")
        assert await readable(home(), ours, 0.0)
        assert not home().remove_reader(ours)


@in_a_loop
async def test_what_is_no_number_is_no_time_and_none_is_for_ever() -> None:
    now = home().time()
    assert deadline_of(home(), None) == deadline_of(home(), math.inf) == math.inf
    assert now <= deadline_of(home(), math.nan) < now + 1
    assert now <= deadline_of(home(), -5.0) < now + 1
    assert deadline_of(home(), 1e12) > 1e12


class Deaf(asyncio.SelectorEventLoop):
    """A loop that waits for no sockets, as that of Windows."""

    add_reader = asyncio.AbstractEventLoop.add_reader


def test_a_loop_that_cannot_wait_for_sockets_is_refused_with_a_hint() -> None:
    async def here() -> None:
        with pytest.raises(LocalProtocolError, match=r"asyncio\.SelectorEventLoop"):
            home()

    with asyncio.Runner(loop_factory=Deaf) as runner:
        runner.run(here())


def test_a_client_belongs_to_one_loop() -> None:
    async def here() -> asyncio.AbstractEventLoop:
        check_home(home())
        return home()

    loop = asyncio.run(here())

    async def elsewhere() -> None:
        with pytest.raises(LocalProtocolError, match="another event loop"):
            check_home(loop)

    asyncio.run(elsewhere())
    with pytest.raises(LocalProtocolError, match="another event loop"):
        check_home(loop)
    with pytest.raises(LocalProtocolError, match="no event loop"):
        home()
