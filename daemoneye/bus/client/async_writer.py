"""The way out for tasks: what `writer` does for threads, without ever blocking.

    publish ── room? ──▶ draft ──▶ outlet ──▶ the kernel
                          └──────▶ outage box, while there is no connection

Everything but waiting for room happens at once, so it needs no lock, and nothing of it can be
cancelled half-way.  The tail of a burst is written by the loop.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence

from daemoneye.bus.client.answers import no_connection
from daemoneye.bus.client.async_outlet import TURN_NS, AsyncOutlet
from daemoneye.bus.client.calling import sealed_call
from daemoneye.bus.client.loading import Loading
from daemoneye.bus.client.outbound import Outbound
from daemoneye.bus.client.outgoing import (
    FLUSH_INTERVAL,
    Apart,
    Course,
    Outgoing,
    Sealed,
    seal,
    set_apart,
)
from daemoneye.bus.client.wishes import Batch
from daemoneye.bus.frames import Carriage, Heading, Value, encode
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.errors import BusError
from daemoneye.framing import pack

_now_ns = time.time_ns


class AsyncWriter(Outbound):
    """What a client has to say, on its way to the socket."""

    __slots__ = ("_loop", "_tail", "outlet")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        super().__init__(limits)
        self._loop = loop
        self._tail: asyncio.TimerHandle | None = None  # runs while a burst waits for company
        self.outlet = AsyncOutlet(loop, limits.write_timeout, self._load, self._gave, self._left)

    # ---- publishing, when there is room ---------------------------------------------------------

    def publish(self, topic: str, payload: bytes, content_type: str, target: str) -> None:
        """Join it to what was published before, or write it at once.

        Raises InvalidTopic, LocalProtocolError and TooLarge.
        """
        draft = self._draft
        course = self._courses.find(topic, content_type, target)
        now = _now_ns()
        if not draft.takes(course, len(payload)):
            self.publish_on(course, payload)
            return
        if not draft.fits(course):
            self._write(draft.seal())
        sealed = draft.add(course, payload, now)
        if sealed is not None:
            self._write(sealed)
        elif self._tail is None:
            self._tail = self._loop.call_later(FLUSH_INTERVAL, self.write_draft)
        if now - self.outlet.turn_at > TURN_NS:
            self.outlet.make_way()

    def course(self, heading: Heading, payload: bytes) -> Course:
        """The way of what shares its frame with no other.  Raises as `publish`."""
        course = self._courses.make(heading)
        self._draft.takes(course, len(payload))
        return course

    def publish_on(self, course: Course, payload: bytes, request: int = 0) -> None:
        """Write this behind what was published before, in a frame of its own or apart from it.

        With a request number, whose answer somebody waits for, it is not kept without a
        connection: that raises BusBroken.
        """
        self.write_draft()
        if request and not self.connected:
            raise no_connection()
        now = _now_ns()
        if self._draft.takes(course, len(payload)):
            self._write(seal(course, [payload], [now], request))
        else:
            self._write(set_apart(course, payload, now, request))
        if now - self.outlet.turn_at > TURN_NS:
            self.outlet.make_way()

    def call(self, heading: Heading, payload: bytes, request: int) -> None:
        """Write a call behind what was published before.

        Raises InvalidTopic, TooLarge, and BusBroken when there is no connection.
        """
        sealed = sealed_call(heading, payload, _now_ns(), request, self._draft.frame_limit)
        self.write_draft()
        if not self.connected:
            raise no_connection()
        self._write(sealed)

    async def publish_many(self, topic: str, batches: Sequence[Batch], target: str) -> None:
        """Publish these in order, waiting for room before each frame.

        Raises as `publish`, before any is published.
        """
        courses = [self._courses.find(topic, each.content_type, target) for each in batches]
        await self._publish_all(courses, batches)

    async def publish_many_with(
        self, headings: Sequence[Heading], batches: Sequence[Batch]
    ) -> None:
        """The same, with all that a heading can say of each batch."""
        await self._publish_all([self._courses.make(each) for each in headings], batches)

    async def _publish_all(self, courses: Sequence[Course], batches: Sequence[Batch]) -> None:
        for course, batch in zip(courses, batches, strict=True):
            self._draft.takes(course, max(map(len, batch.payloads), default=0))
        for course, batch in zip(courses, batches, strict=True):
            now = _now_ns()
            ready: Iterator[Outgoing] = self._draft.ready(course, batch.payloads, now)
            while True:
                if self.outlet.crowded:
                    await self.outlet.room()
                self.write_draft()  # what others have published meanwhile
                if (outgoing := next(ready, None)) is None:
                    break
                self._write(outgoing)
                if _now_ns() - self.outlet.turn_at > TURN_NS:
                    self.outlet.make_way()

    def write_draft(self) -> None:
        """Write what waits for company."""
        if self._tail is not None:
            self._tail.cancel()
            self._tail = None
        if len(self._draft):
            self._write(self._draft.seal())

    # ---- everything else ------------------------------------------------------------------------

    def send(self, value: Value) -> None:
        """Write one of the client's own frames, whose answer somebody waits for.

        Raises BusBroken when there is no connection.
        """
        if not self.connected:
            raise no_connection()
        self.tell(value)

    def tell(self, value: Value) -> None:
        """Write one that nobody waits for; without a connection there is nobody to tell."""
        self._write(Sealed(pack(encode(value)), 0))

    @property
    def connected(self) -> bool:
        """Whether what is said now goes to a broker."""
        return self.outlet.sock is not None

    @property
    def waiting(self) -> int:
        """Messages that are not written yet: they wait for company, room, or a connection."""
        return super().waiting + self.outlet.messages

    # ---- the connection -------------------------------------------------------------------------

    def attach(
        self,
        sock: socket.socket,
        first: Sequence[Value],
        frame_limit: int,
        carriage: Carriage = NO_CARRIAGE,
        epoch: int = 0,
    ) -> None:
        """There is a connection to the broker in this life of it.

        Say `first`, then what that has to retain, then what had to wait.  Raises BusBroken.
        """
        said = self._begin(first, frame_limit, carriage)
        self.outlet.sock = sock
        if said:
            self._write(Sealed(said, 0))
        for sealed in self.retaining.due(epoch, _now_ns()):
            if self.connected:
                self._write(sealed)
        if self.connected:
            self.retaining.told(epoch)
        while self.connected and len(self._box):
            self._write(self._box.take())
        if not self.connected:
            raise no_connection()

    def detach(self) -> None:
        """The connection is of no use any more, and about to be closed."""
        self.outlet.stop()
        self.tally.close()

    async def end(self, last: Value, error: BusError, timeout: float) -> None:
        """Write what waits and then `last`, as far as that goes in time; nothing after it.

        Whoever waits for room, or wants to write from now on, gets `error`.
        """
        self.outlet.end(error)
        try:
            self.write_draft()
            self.tell(last)
            await self.outlet.drained(self._loop.time() + timeout)
        finally:
            self.outlet.stop()

    def leave(self, timeout: float) -> None:
        """Write what waits, as far as that goes in time, without the loop: the process ends."""
        if self._loop.is_running():  # in another thread, which is the only one to write
            done = threading.Event()
            self._loop.call_soon_threadsafe(self.write_draft)
            self._loop.call_soon_threadsafe(done.set)
            done.wait(timeout)
            return
        if self._tail is not None:
            self._tail.cancel()
            self._tail = None
        last = [self._draft.seal()] if len(self._draft) else []
        self.outlet.leave(last, timeout)

    # ---- inside ---------------------------------------------------------------------------------

    def _write(self, outgoing: Outgoing) -> None:
        if not self.connected:
            if outgoing.messages:
                self._box.put(outgoing)
        elif not (type(outgoing) is Apart and self._refuses(outgoing)):
            self.outlet.write(outgoing)

    def _load(self, apart: Apart) -> Loading:
        return Loading(apart, self._freight, self._draft.frame_limit, self.tally)

    def _gave(self, outgoing: Outgoing) -> None:
        self.tally.sent += outgoing.messages
        if type(outgoing) is Sealed and outgoing.retains:
            self.retaining.keep(outgoing, _now_ns())

    def _left(self, frames: list[Outgoing]) -> None:
        """A frame that was cut off in the middle goes again as a whole, before what came later."""
        for outgoing in reversed(frames):
            if outgoing.messages:
                self._box.put_back(outgoing)
