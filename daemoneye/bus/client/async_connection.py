"""One client's connection to the bus in one event loop: what `connection` is for threads.

    loop ── bytes ──▶ link ──▶ runs for subscriptions, answers for requests, remarks for the log
    writer ◀── publishes, requests, credit

The loop calls when there is something to read, and one read is sorted at once, so there is nobody
to hand over to.  A lost connection is recovered by a task, the keeper.  What is decided here is
decided by the same rules as there.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from daemoneye.bus.client.answers import (
    REQUEST_TIMEOUT,
    Response,
    checked,
    ended_by,
    no_answer,
)
from daemoneye.bus.client.async_subscriber import AsyncJobs, AsyncSource, AsyncSubscription
from daemoneye.bus.client.async_waiting import check_home, deadline_of, give, home, until
from daemoneye.bus.client.async_writer import AsyncWriter
from daemoneye.bus.client.backoff import Backoff
from daemoneye.bus.client.calling import Slot, Standing, no_reply, reply_in
from daemoneye.bus.client.counters import Counters
from daemoneye.bus.client.deadlines import patience
from daemoneye.bus.client.dialler import Connected
from daemoneye.bus.client.dialogue import CLOSE_TIMEOUT, WISH_STANDS, Dialogue
from daemoneye.bus.client.insisting import Insisting
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.jobs import AsyncJob
from daemoneye.bus.client.link import READ_BYTES, Link
from daemoneye.bus.client.notices import Refusals, back, lost, never_again, never_sent
from daemoneye.bus.client.parting import at_parting
from daemoneye.bus.client.remarks import leave, log, remark
from daemoneye.bus.client.work import Hold, Word
from daemoneye.bus.frames import (
    Answer,
    Cancel,
    Credit,
    Envelope,
    Goodbye,
    Heading,
    Ping,
    Query,
    Release,
    Reply,
    Settling,
    Will,
)
from daemoneye.bus.handshake import Return
from daemoneye.bus.limits import Limits
from daemoneye.bus.memory import LARGEST, contents_of
from daemoneye.bus.vigil import BrokerVigil
from daemoneye.errors import (
    BackPressure,
    BusClosed,
    BusError,
    DaemoneyeError,
    DeadlineExceeded,
    LocalProtocolError,
)
from daemoneye.system import receive_with_descriptors

Awaited = asyncio.Future[Response | BusError]
"""What somebody waits for: an answer, or why there will be none."""


class AsyncConnection:
    """What a client and its subscriptions stand on."""

    def __init__(self, dial: Callable[[Return], Awaitable[Connected]]) -> None:
        """`dial` makes one attempt at a proven connection; it raises DaemoneyeError or OSError."""
        self._dial = dial
        self._loop = home()
        self.link: Link[AsyncSubscription] = Link(_job)
        self.writer = AsyncWriter(self._loop, Limits())
        self.link.watch(self.writer.retaining.topics, self.writer.retaining.heard)
        self.dialogue: Dialogue[AsyncSubscription, Awaited] = Dialogue(self.link, self.writer.tally)
        self._sock: socket.socket | None = None
        self._passes_descriptors = False  # on this connection, either way
        self._vigil = BrokerVigil(0.0, 2, 0.0)  # of this connection
        self._looking: asyncio.TimerHandle | None = None  # until the vigil's next look
        self._keeper: asyncio.Task[None] | None = None
        self._ended: BusError | None = None
        self._stay = at_parting(self, partial(leave, self.writer))

    def here(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to.  Raises LocalProtocolError when another one runs this."""
        check_home(self._loop)
        return self._loop

    async def connect(self) -> None:
        """Make one attempt at a connection.  Raises what goes wrong."""
        await self._establish()

    def connect_later(self) -> None:
        """Go on trying in the background until there is a connection."""
        self._keeper = self._loop.create_task(self._recover(None))

    async def close(self) -> None:
        """Write what waits, say goodbye, and end every wait with BusClosed; within 2 s."""
        error = BusClosed("this client was closed")
        self._ended = error
        self._stay()
        self.link.slots.lose(Standing.CLOSED)
        try:
            if self._keeper is not None:
                self._keeper.cancel()
                await asyncio.wait([self._keeper], timeout=CLOSE_TIMEOUT / 2)
            await self.writer.end(Goodbye(), error, CLOSE_TIMEOUT / 2)
        finally:
            self._end(error)
            self._drop_socket()
            remark(self.dialogue.notices.found_no_room(self.writer.dropped))
            remark(never_sent(self.writer.waiting))

    def counters(self) -> Counters:
        """What has been counted so far."""
        return self.writer.counters(self.dialogue.notices)

    def abandon(self, source: AsyncSource) -> None:
        """After a fork: let go of the socket, which is the parent's, and touch no loop.

        The kernel's table of what the loop waits for is shared with the parent.
        """
        for interest in self.link.interests.values():
            interest.owner.abandon(source)
        if self._sock is not None:
            self._sock.close()

    # ---- requests -------------------------------------------------------------------------------

    async def ask(
        self,
        say: Callable[[int], None],
        timeout: float,
        late: Callable[[], DeadlineExceeded] | None = None,
    ) -> Answer:
        """Say something that carries a request number, and wait for the answer to it.

        Raises what the answer says, DeadlineExceeded without one or when nothing could be said,
        BusBroken when the connection is or gets lost.
        """
        deadline = deadline_of(self._loop, timeout)
        if self.writer.outlet.crowded:
            await self.writer.outlet.room(deadline)
        request = self.link.number()
        reply: Awaited = self._loop.create_future()
        self.dialogue.pending[request] = reply
        try:
            say(request)
            return await _answer(reply, deadline, late() if late else no_answer(timeout))
        finally:
            self.dialogue.pending.pop(request, None)

    async def insist(
        self,
        say: Callable[[int], None],
        timeout: float,
        late: Callable[[], DeadlineExceeded],
    ) -> Answer:
        """As `ask`, and again for a second when somebody has no room: then raises BackPressure."""
        insisting = Insisting(timeout, self._loop.time())
        while True:
            try:
                return await self.ask(say, max(0.0, insisting.deadline - self._loop.time()), late)
            except BackPressure:
                pause = insisting.pause(self._loop.time())
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def call(self, heading: Heading, payload: bytes, timeout: float) -> Envelope:
        """Call whoever serves a topic, and wait for the reply; whoever waits no more says so.

        Raises as `AsyncBusClient.call`.
        """
        deadline = deadline_of(self._loop, timeout)
        if self.writer.outlet.crowded:
            await self.writer.outlet.room(deadline)
        request = self.link.number()
        awaited: Awaited = self._loop.create_future()
        self.dialogue.pending[request] = awaited
        try:
            self.writer.call(heading, payload, request)
            response = await until(awaited, deadline, no_reply(heading.topic, timeout))
        finally:
            if self.dialogue.pending.pop(request, None) is not None:
                self.writer.tell(Cancel(request))
        if isinstance(response, BusError):
            raise response
        return reply_in(response, heading.topic)

    async def reply(self, slot: Slot, said: Reply) -> None:
        """Say it to whoever called.  Raises LocalProtocolError and TooLarge."""
        self.here()
        if slot.standing is Standing.OPEN and self.writer.outlet.crowded:
            await self.writer.outlet.room()
        self.writer.tell(self.link.slots.reply(slot, said, self.writer.frame_limit))

    async def query(self, what: str, who: str = "", action: str = "", topic: str = "") -> Answer:
        """Ask the broker what it knows.  Raises as `ask`."""
        return await self.ask(
            lambda request: self.writer.send(Query(what, who, action, topic, request)),
            REQUEST_TIMEOUT,
        )

    async def leave_will(self, will: Will) -> None:
        """Have this said when we end without a goodbye, now and on every later connection.

        Without a connection it holds when there is one.  Raises as `ask`; then nothing has changed.
        """
        with self.dialogue.leaving(will, self.writer.tell) as under:
            await self.ask(lambda request: self.writer.send(under(request)), REQUEST_TIMEOUT)

    # ---- subscriptions --------------------------------------------------------------------------

    async def subscribe(
        self, filters: tuple[str, ...], options: Options, timeout: float | None
    ) -> AsyncSubscription:
        """Listen to what matches one of these.

        Without a connection it begins when there is one.  Raises AccessDenied and what else the
        broker says, and DeadlineExceeded when the broker reads nothing, so that it cannot be asked.
        """
        if self._ended is not None:
            raise self._ended
        subscription = (AsyncJobs if options.group else AsyncSubscription)(self, patience(timeout))
        replies: list[Awaited] = [self._loop.create_future() for _ in filters]
        deadline = deadline_of(self._loop, REQUEST_TIMEOUT)
        if self.writer.outlet.crowded:
            await self.writer.outlet.room(deadline)
        try:
            interests, wishes = self.dialogue.want(filters, options, subscription, replies)
            subscription.interests = interests
            for each in wishes:
                self.writer.send(each)
            late = no_answer(REQUEST_TIMEOUT)
            answers = [await _answer(each, deadline, late) for each in replies]
            subscription.narrowed = tuple(cut for each in answers for cut in each.narrowed)
        except WISH_STANDS:
            pass
        except BaseException:  # what cannot be said, a denial, a cancellation: nobody will have it
            self.end(subscription)
            raise
        finally:
            for interest in subscription.interests:
                self.dialogue.pending.pop(interest.number, None)
        return subscription

    def grant(self, credit: Credit | Release) -> None:
        """Tell the broker of it; without a connection the next one begins with the right credit."""
        if type(credit) is Credit:
            credit = replace(credit, received=self.link.received)
        self.writer.tell(credit)

    def pass_over(self, job: AsyncJob) -> None:
        """It waited here until it was another member's: count it."""
        remark(self.dialogue.notices.pass_over(job.topic))

    async def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """Tell the broker what became of a job; its word is waited for when there is a `timeout`.

        Raises LocalProtocolError when it is not ours any more, and with a `timeout` as `ask`.
        """
        self.here()
        if timeout is None:
            self.writer.tell(hold.settle(what, time.monotonic(), seconds, reason))
            return
        word = Word(hold, what, seconds, reason)
        with word.answered():
            await self.ask(
                lambda request: self.writer.send(word.say(time.monotonic(), request)), timeout
            )

    def end(self, subscription: AsyncSubscription) -> None:
        """Nobody listens to it any more."""
        subscription.discard()
        subscription.finish(BusClosed(f"{subscription!r} was closed"))
        for each in self.link.forget_owner(subscription):
            self.writer.tell(each)

    # ---- called by the loop ---------------------------------------------------------------------

    def _read(self) -> None:
        """There is something to read."""
        sock = self._sock
        assert sock is not None
        try:
            data = self._receive(sock)
            if not data:
                raise EOFError("the broker hung up")
            self._vigil.watched.heard = True
            self.writer.outlet.had_turn()
            received = self.link.receive(data)
            for subscription, run in received.deliveries:
                subscription.deliver(run)
            if received.only_deliveries:
                return
            outcome = self.dialogue.consider(received)
            for reply, answer in outcome.answers:
                give(reply, answer)
            for subscription, error in outcome.ended:
                subscription.finish(error)
            for value in outcome.say:
                self.writer.tell(value)
            for each in outcome.remarks:
                remark(each)
        except BlockingIOError:
            pass  # somebody else has read it, or it was a false alarm
        except (OSError, EOFError, BusError) as broken:
            self._lose(broken)
        except BaseException as error:  # a Ctrl-C, or a bug: what was read is perhaps not sorted
            self._lose(error)
            raise

    def _receive(self, sock: socket.socket) -> bytes:
        if not self._passes_descriptors:
            return sock.recv(READ_BYTES)
        data, passed, some_lost = receive_with_descriptors(sock, READ_BYTES)
        if passed or some_lost:
            self.link.came(contents_of(passed, some_lost, LARGEST))
        return data

    def _look(self) -> None:
        """It is time to look whether the broker is alive."""
        try:
            now = time.monotonic()
            due, may_write = self._vigil.look(now), not self.writer.outlet.is_stuck
            if due and may_write:
                self.writer.tell(Ping())
            self._vigil.asked(may_write or not due, now)
        except BusError as error:
            self._lose(error)
        else:
            self._look_later()

    def _look_later(self) -> None:
        if self._vigil.next_at < math.inf:
            left = self._vigil.next_at - time.monotonic()
            self._looking = self._loop.call_later(left, self._look)

    # ---- the keeper -----------------------------------------------------------------------------

    def _lose(self, cause: BaseException) -> None:
        """This connection is over; get another."""
        self._drop_socket()
        for reply, error in self.dialogue.lost(cause):
            give(reply, error)
        if self._ended is None:
            remark(lost(cause))
            self._keeper = self._loop.create_task(self._recover(cause))

    async def _recover(self, cause: BaseException | None) -> None:
        try:
            await self._try_on()
            if cause is not None and self._sock is not None:  # else it is the first one, or over
                remark(back())
        except BaseException as bug:  # nobody else could ever free who waits
            self._drop_socket()
            self._end(self._ended or ended_by(bug))
            if not isinstance(bug, Exception):
                raise
            # As an error of the task it would be seen only when that is forgotten.
            told = "the bus client cannot connect again"
            self._loop.call_exception_handler({"message": told, "exception": bug})

    async def _try_on(self) -> None:
        backoff, refusals = Backoff(), Refusals()
        while True:
            try:
                await self._establish()
                break
            except LocalProtocolError as error:
                # What cannot be said now cannot be said with any later connection either.
                remark(never_again(error))
                self._end(error)
                return
            except (DaemoneyeError, OSError) as error:
                log.debug("no connection to the broker yet: %s", error)
                remark(refusals.heard(error))
            await asyncio.sleep(backoff.wait(random.random()))
        remark(self.dialogue.notices.found_no_room(self.writer.dropped))

    async def _establish(self) -> None:
        connected = await self._dial(self.link.wanted())
        self._sock = connected.sock
        try:
            carriage, frame_limit = connected.carriage, connected.max_frame_bytes
            self._passes_descriptors = carriage.descriptors
            wishes = self.dialogue.connected(
                connected.epoch, frame_limit, LARGEST, connected.resumed
            )
            self.writer.attach(connected.sock, wishes, frame_limit, carriage, connected.epoch)
        except BaseException:  # whatever it is, the socket is ours to close
            self._drop_socket()
            raise
        self._loop.add_reader(connected.sock, self._read)
        self._vigil = BrokerVigil(
            connected.heartbeat_interval, connected.missed_heartbeats, time.monotonic()
        )
        self._look_later()

    def _drop_socket(self) -> None:
        sock, self._sock = self._sock, None
        if self._looking is not None:
            self._looking.cancel()
        if sock is not None:
            self._loop.remove_reader(sock)
            self.writer.detach()
            sock.close()

    def _end(self, error: BusError) -> None:
        """Nobody waits any more, and nobody will."""
        self._ended = self._ended or error
        for interest in list(self.link.interests.values()):
            interest.owner.finish(error)
        for reply in self.dialogue.pending.values():
            give(reply, error)


async def _answer(reply: Awaited, deadline: float, late: DeadlineExceeded) -> Answer:
    answer = await until(reply, deadline, late)
    if isinstance(answer, BusError):
        raise answer
    return checked(answer)


def _job(event: Envelope, hold: Hold, owner: AsyncSubscription) -> AsyncJob:
    assert isinstance(owner, AsyncJobs)
    hold.begin(time.monotonic())
    return AsyncJob.of(event, hold, owner.settle)
