"""Waiting in tasks of one event loop: by whoever came first, and losing nothing when cancelled.

A waiter is a future that gets True when it is its turn, or False when its time is up.  A task that
is cancelled after it was called, and before it went on, passes the call to the next.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from typing import TypeVar

from daemoneye.bus.client.deadlines import after
from daemoneye.errors import LocalProtocolError

Given = TypeVar("Given")


class Line:
    """Tasks that wait for the same thing, called one by one in the order they came."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, deadline: float = math.inf, *, again: bool = False) -> bool:
        """Whether it was our turn before the deadline, which is a time on the loop's clock.

        Who was called in vain and waits `again` is first.  Whoever was called and leaves something
        for the next has to `call` again.
        """
        called: asyncio.Future[bool] = self._loop.create_future()
        if again:
            self._waiting.appendleft(called)
        else:
            self._waiting.append(called)
        try:
            if deadline == math.inf:  # as mostly: `until` would cost one coroutine more
                return await called
            return await until(called, deadline, False)
        finally:
            if self._waiting and called in self._waiting:  # time is up, or we are cancelled
                self._waiting.remove(called)

    def call(self) -> None:
        """It is the turn of the first, when there is one."""
        while self._waiting:
            called = self._waiting.popleft()
            if not called.done():
                called.set_result(True)
                return

    def call_all(self) -> None:
        """It is the turn of everybody."""
        while self._waiting:
            self.call()


async def until(given: asyncio.Future[Given], deadline: float, late: Given) -> Given:
    """What this future is given, which is `late` at the deadline, a time on the loop's clock.

    A deadline that has passed still lets the loop see once what has come.
    """
    if deadline == math.inf:
        return await given
    timer = given.get_loop().call_at(deadline, give, given, late)
    try:
        return await given
    finally:
        timer.cancel()


def give(future: asyncio.Future[Given], what: Given) -> None:
    """Give it to who waits, unless that is over: time was up, or the task was cancelled."""
    if not future.done():
        future.set_result(what)


async def readable(loop: asyncio.AbstractEventLoop, sock: socket.socket, deadline: float) -> bool:
    """Whether there is something to read before the deadline."""
    called: asyncio.Future[bool] = loop.create_future()
    loop.add_reader(sock, give, called, True)
    try:
        return await until(called, deadline, False)
    finally:
        loop.remove_reader(sock)


def deadline_of(loop: asyncio.AbstractEventLoop, timeout: float | None) -> float:
    """When so many seconds are over; what is no number is no time at all."""
    return math.inf if timeout is None else max(loop.time(), after(timeout, loop.time()))


def home() -> asyncio.AbstractEventLoop:
    """The loop that runs this, to which a client that is made here belongs.

    Raises LocalProtocolError when there is none, or one that cannot wait for sockets: that of
    Windows is of this kind.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise LocalProtocolError(
            "no event loop of asyncio runs here",
            hint="make the client within asyncio.run(); without a loop use BusClient",
        ) from None
    if type(loop).add_reader is asyncio.AbstractEventLoop.add_reader:
        raise LocalProtocolError(
            f"a {type(loop).__name__} cannot say when there is something to read",
            hint="run your program in an asyncio.SelectorEventLoop, or use BusClient",
        )
    return loop


def check_home(loop: asyncio.AbstractEventLoop) -> None:
    """Raises LocalProtocolError when this is not run by the loop that the client belongs to."""
    try:
        if asyncio.get_running_loop() is loop:
            return
    except RuntimeError:
        pass  # no loop runs in this thread
    raise LocalProtocolError(
        "this client belongs to another event loop, the one it was made in",
        hint="give each loop a client of its own; between threads share a BusClient",
    )
