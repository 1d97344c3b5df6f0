"""The socket's way out: gives the kernel what it takes, and calls who waits when it has it all.

Writing is never waited for; *who wants to write next* waits.  So a task that is cancelled while it
waits has written nothing, and what lies here is what one of them wrote, beside our own small
frames.  Past the write timeout without room in the kernel, the connection is given up.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from daemoneye.bus.client.answers import no_room
from daemoneye.bus.client.async_waiting import Line
from daemoneye.bus.client.loading import Loading
from daemoneye.bus.client.outgoing import Apart, Outgoing, Sealed
from daemoneye.errors import BusError
from daemoneye.waiting import WRITABLE, Watch

TURN_NS = 1_000_000
"""For how long tasks may write on and on before the loop has a turn."""


class AsyncOutlet:
    """What the kernel has not taken yet, and who waits for that."""

    __slots__ = (
        "_gave",
        "_left",
        "_line",
        "_load",
        "_loading",
        "_loop",
        "_queue",
        "_taken",
        "_timer",
        "crowded",
        "ended",
        "sock",
        "timeout",
        "turn_at",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeout: float,
        load: Callable[[Apart], Loading],
        gave: Callable[[Outgoing], None],
        left: Callable[[list[Outgoing]], None],
    ) -> None:
        """`load` begins with a payload that goes apart from its frame.

        `gave` is told of each publish that the kernel has, `left` of those it never took.
        """
        self.sock: socket.socket | None = None
        """Where it goes; None when there is no connection, or it is of no use any more."""
        self.timeout = timeout
        """How long the kernel may take nothing, in seconds."""
        self.crowded = False
        """Whether who wants to write has to wait for `room` first."""
        self.turn_at = 0
        """When the loop had its last turn that is known of, in ns of Unix time."""
        self.ended: BusError | None = None
        """Why nobody may write any more."""
        self._loop = loop
        self._load = load
        self._gave = gave
        self._left = left
        self._queue: deque[Outgoing] = deque()
        self._taken = 0  # bytes of the first that the kernel has
        self._loading: Loading | None = None  # of the first, when it goes apart
        self._line = Line(loop)
        self._timer: asyncio.TimerHandle | None = None  # runs while the kernel takes nothing

    async def room(self, deadline: float = math.inf) -> None:
        """Wait until one may write, behind all who came before; then write without waiting again.

        Raises DeadlineExceeded at the deadline, a time on the loop's clock, and what `ended` says.
        """
        if not self._queue and not self._line:
            await asyncio.sleep(0)
        called = False
        try:
            while self.ended is None and (self._queue or (self._line and not called)):
                if not await self._line.wait(deadline, again=called):
                    raise no_room()
                called = True
        finally:
            if not self._queue:
                self._line.call()  # who finds that we wrote something, or may write too
        if self.ended is not None:
            raise self.ended
        self.had_turn()

    def make_way(self) -> None:
        """Have who writes next wait for a turn of the loop: for others, and for what comes in.

        To be asked for after a write that is TURN_NS behind `turn_at`.
        """
        if not self.crowded:
            self.crowded = True
            self._loop.call_soon(self.had_turn)

    def had_turn(self) -> None:
        """The loop has had a turn, or has one now."""
        self.turn_at = time.time_ns()
        self.crowded = bool(self._queue or self._line or self.ended)

    def write(self, outgoing: Outgoing) -> None:
        """Give it to the kernel, behind what that has not taken.  Only while there is a socket."""
        assert self.sock is not None
        self._queue.append(outgoing)
        if len(self._queue) == 1 and self._give():
            self.crowded = True
            self._loop.add_writer(self.sock, self._go_on)
            self._timer = self._loop.call_later(self.timeout, self.give_up)

    @property
    def is_stuck(self) -> bool:
        """Whether the kernel has not taken all of it."""
        return bool(self._queue)

    @property
    def messages(self) -> int:
        """Publishes that the kernel has not taken as a whole, in messages."""
        return sum(each.messages for each in list(self._queue))

    async def drained(self, deadline: float) -> None:
        """Wait until the kernel has all of it, or the deadline."""
        while self._queue and await self._line.wait(deadline):
            pass

    def end(self, error: BusError) -> None:
        """Whoever waits for room, and whoever wants to write from now on, gets this."""
        self.ended, self.crowded = error, True
        self._line.call_all()

    def leave(self, last: Sequence[Outgoing], timeout: float) -> None:
        """Give the kernel all of it and these, waiting for that here: no loop runs any more."""
        if self.sock is None:
            self._left(list(last))
            return
        self._queue.extend(last)
        deadline = time.monotonic() + timeout
        room = Watch(self.sock.fileno(), WRITABLE)
        while self._queue and self._give() and room.wait(max(0.0, deadline - time.monotonic())):
            pass
        self.stop()

    def stop(self) -> None:
        """Write nothing more to this socket; what the kernel does not have as a whole is left."""
        if self.sock is not None:
            if not self._loop.is_closed():
                self._loop.remove_writer(self.sock)
            self.sock = None
        self._stop_timer()
        left = list(self._queue)
        self._queue.clear()
        self._taken = 0
        if self._loading is not None:
            self._loading.close()
            self._loading = None
        self._left(left)
        self._line.call()

    def give_up(self) -> None:
        """The connection is of no use: who reads finds the socket at its end, and closes it."""
        sock = self.sock
        self.stop()
        try:
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _give(self) -> bool:
        """Give the kernel as much as it takes; whether something is left."""
        queue, sock = self._queue, self.sock
        assert sock is not None
        try:
            while queue:
                first, taken = queue[0], self._taken
                if type(first) is Apart:
                    self._give_apart(first, sock)
                    continue
                assert type(first) is Sealed
                taken += sock.send(memoryview(first.data)[taken:] if taken else first.data)
                if taken < len(first.data):
                    self._taken = taken
                else:
                    self._taken = 0
                    self._gave(queue.popleft())
        except BlockingIOError:
            return True
        except OSError:
            self.give_up()
        return False

    def _give_apart(self, first: Apart, sock: socket.socket) -> None:
        if self._loading is None:
            self._loading = self._load(first)
        self._loading.give(sock)
        self._loading.close()
        self._loading = None
        self._gave(self._queue.popleft())

    def _go_on(self) -> None:
        """For the loop: the kernel has room again."""
        self._stop_timer()
        if self._give():
            self._timer = self._loop.call_later(self.timeout, self.give_up)
        elif self.sock is not None:
            self._loop.remove_writer(self.sock)
            self._line.call()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
