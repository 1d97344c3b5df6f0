"""The outlet: against a socket pair whose other end reads when the test says so."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from daemoneye.bus.client.async_outlet import AsyncOutlet
from daemoneye.bus.client.async_waiting import home
from daemoneye.bus.client.counters import Tally
from daemoneye.bus.client.freight import Freight
from daemoneye.bus.client.loading import Loading
from daemoneye.bus.client.outgoing import Apart, Outgoing, Sealed
from daemoneye.errors import BusClosed, DeadlineExceeded
from tests.bus.client.loops import in_a_loop, settle, until_true

FULL = Sealed(b"x" * (1 << 20), 3)
"""More than the kernel takes at once."""


@dataclass
class Ends:
    """An outlet, and the other end of its socket."""

    ours: socket.socket
    theirs: socket.socket
    gave: list[Outgoing] = field(default_factory=list)
    left: list[Outgoing] = field(default_factory=list)

    def outlet(self, timeout: float = 60.0) -> AsyncOutlet:
        outlet = AsyncOutlet(home(), timeout, self.load, self.gave.append, self.left.extend)
        outlet.sock = self.ours
        return outlet

    def load(self, apart: Apart) -> Loading:
        return Loading(apart, Freight(), 1 << 20, Tally())

    async def read(self, size: int) -> bytes:
        """So many bytes, as they come."""
        data = b""
        while len(data) < size:
            data += await home().sock_recv(self.theirs, size - len(data))
        return data


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield Ends(ours, theirs)


@in_a_loop
async def test_what_the_kernel_takes_is_given_at_once(ends: Ends) -> None:
    outlet = ends.outlet()
    small = Sealed(b"abc", 1)
    outlet.write(small)
    assert (ends.gave, outlet.is_stuck, outlet.crowded) == ([small], False, False)
    assert ends.theirs.recv(10) == b"abc"


@in_a_loop
async def test_what_it_does_not_take_follows_in_order_as_it_has_room(ends: Ends) -> None:
    outlet = ends.outlet()
    for each in (FULL, Sealed(b"1", 1), Sealed(b"2", 1)):
        outlet.write(each)
    assert outlet.is_stuck
    assert ends.gave == []
    assert await ends.read(len(FULL.data) + 2) == FULL.data + b"12"
    await until_true(lambda: not outlet.is_stuck, "the last to be taken")
    assert [each.messages for each in ends.gave] == [3, 1, 1]
    outlet.stop()
    assert ends.left == []


@in_a_loop
async def test_who_wants_to_write_waits_until_all_is_taken_in_the_order_they_came(
    ends: Ends,
) -> None:
    outlet, order = ends.outlet(), list[int]()
    outlet.write(FULL)

    async def write(number: int) -> None:
        await outlet.room()
        order.append(number)
        outlet.write(FULL)

    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(write(number))
        await settle()
        assert order == []
        await ends.read(6 * len(FULL.data))
    assert order == [0, 1, 2, 3, 4]
    await until_true(lambda: not outlet.is_stuck, "the last to be taken")


@in_a_loop
async def test_who_is_cancelled_in_the_line_holds_up_nobody(ends: Ends) -> None:
    outlet = ends.outlet()
    outlet.write(FULL)
    first, second = (asyncio.create_task(outlet.room()) for _ in range(2))
    await settle()
    first.cancel()
    await ends.read(len(FULL.data))
    await second
    assert first.cancelled()
    assert not outlet.crowded


@in_a_loop
async def test_waiting_for_room_has_a_deadline_and_costs_nothing(ends: Ends) -> None:
    outlet = ends.outlet()
    outlet.write(FULL)
    with pytest.raises(DeadlineExceeded, match="nothing was asked"):
        await outlet.room(home().time() + 0.01)
    assert outlet.sock is ends.ours
    assert await ends.read(len(FULL.data)) == FULL.data
    await outlet.room(home().time() + 5)


@in_a_loop
async def test_a_kernel_that_takes_nothing_for_too_long_costs_the_connection(ends: Ends) -> None:
    outlet = ends.outlet(timeout=0.05)
    outlet.write(FULL)
    waiting = asyncio.create_task(outlet.room())
    await until_true(lambda: outlet.sock is None, "it to be given up")
    await waiting
    assert (ends.gave, ends.left) == ([], [FULL])
    while ends.theirs.recv(1 << 16):
        pass  # and then the end


@in_a_loop
async def test_who_reads_slowly_keeps_the_connection(ends: Ends) -> None:
    outlet = ends.outlet(timeout=0.2)
    outlet.write(FULL)
    for _ in range(8):
        await asyncio.sleep(0.05)
        await ends.read(len(FULL.data) // 8)
    await until_true(lambda: not outlet.is_stuck, "the last to be taken")
    assert outlet.sock is ends.ours


@in_a_loop
async def test_a_socket_that_is_broken_is_given_up_and_what_it_had_is_left(ends: Ends) -> None:
    outlet = ends.outlet()
    outlet.write(FULL)
    ends.theirs.close()
    await until_true(lambda: outlet.sock is None, "it to be given up")
    assert ends.left == [FULL]


@in_a_loop
async def test_who_writes_on_and_on_gives_the_loop_a_turn(ends: Ends) -> None:
    outlet, turns = ends.outlet(), list[int]()
    home().call_soon(turns.append, 1)
    now = home().time()
    while not turns:
        assert home().time() < now + 5
        if outlet.crowded:
            await outlet.room()
        outlet.write(Sealed(b"", 0))
        outlet.make_way()
    await settle()
    assert not outlet.crowded


@in_a_loop
async def test_after_its_end_nobody_writes_and_what_was_written_is_taken_in_time(
    ends: Ends,
) -> None:
    outlet = ends.outlet()
    outlet.write(FULL)
    waiting = asyncio.create_task(outlet.room())
    await settle()
    outlet.end(BusClosed("closed"))
    with pytest.raises(BusClosed):
        await waiting
    with pytest.raises(BusClosed):
        await outlet.room()
    await outlet.drained(home().time() + 0.01)
    assert ends.gave == []
    reading = asyncio.create_task(ends.read(len(FULL.data)))
    await outlet.drained(home().time() + 5)
    assert ends.gave == [FULL]
    assert await reading == FULL.data
    outlet.stop()
