"""One client's connection to the bus, over any number of sockets.

    reader ── bytes ──▶ link ──▶ runs for subscriptions, answers for requests, notices for the log
    writer ◀── publishes, requests, credit

When the socket is lost the keeper comes here for another: at once, then with growing pauses
(`backoff`), for ever.  What is subscribed to is subscribed to again; requests under way end with
BusBroken, because nobody can say what became of them.  What is decided here is decided by the
rules beside it: `link` for events, `dialogue` for all else.
"""

from __future__ import annotations

import math
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from daemoneye.bus.client.answers import REQUEST_TIMEOUT, Response, checked, no_answer, no_room
from daemoneye.bus.client.backoff import Backoff
from daemoneye.bus.client.calling import Slot, Standing, no_reply, reply_in
from daemoneye.bus.client.counters import Counters
from daemoneye.bus.client.deadlines import after, patience
from daemoneye.bus.client.dialler import Connected
from daemoneye.bus.client.dialogue import CLOSE_TIMEOUT, WISH_STANDS, Dialogue
from daemoneye.bus.client.insisting import Insisting
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.jobs import Job
from daemoneye.bus.client.link import READ_BYTES, Link
from daemoneye.bus.client.notices import Refusals, back, lost, never_again, never_sent
from daemoneye.bus.client.parting import at_parting
from daemoneye.bus.client.reader import Inbox, Reader, Sorted
from daemoneye.bus.client.remarks import leave, log, remark
from daemoneye.bus.client.subscriber import Jobs, Source, Subscription
from daemoneye.bus.client.work import Hold, Word
from daemoneye.bus.client.writer import Writer
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
    Subscribe,
    Will,
)
from daemoneye.bus.handshake import Return
from daemoneye.bus.limits import Limits
from daemoneye.bus.memory import LARGEST, contents_of
from daemoneye.bus.vigil import BrokerVigil
from daemoneye.errors import (
    BackPressure,
    BusClosed,
    DaemoneyeError,
    DeadlineExceeded,
    LocalProtocolError,
)
from daemoneye.system import receive_with_descriptors


class Connection:
    """What a client and its subscriptions stand on."""

    def __init__(
        self,
        dial: Callable[[Return], Connected],
        waiting: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        """`dial` makes one attempt at a proven connection; it raises DaemoneyeError or OSError.

        What waits for events does so inside of `waiting()`, if that is given.
        """
        self._dial = dial
        self.waiting = waiting
        self.link: Link[Subscription] = Link(_job)
        self.writer = Writer(Limits())
        self.link.watch(self.writer.retaining.topics, self.writer.retaining.heard)
        self.reader = Reader(self._read, self._recover, self._tend)
        self._vigil = BrokerVigil(0.0, 2, 0.0)  # of this connection
        self.dialogue: Dialogue[Subscription, Inbox[Response]] = Dialogue(
            self.link, self.writer.tally
        )
        self._passes_descriptors = False  # on this connection, either way
        # Subscriptions that ended while a leader may have been sorting something for them.
        self._ended: list[Subscription] = []
        # Held while a wish becomes known and is told, so that a reconnect tells it exactly once.
        # Entered again by a signal handler that falls into it.
        self._wishing = threading.RLock()
        self._closing = threading.Event()
        self._stay = at_parting(self, partial(leave, self.writer))

    def start(self, now: bool) -> None:
        """Connect: now, raising what goes wrong, or in the background for as long as it takes."""
        self.reader.start(self._establish() if now else None)

    def close(self) -> None:
        """Write what waits, say goodbye, and end every wait with BusClosed; within 2 s."""
        self._closing.set()
        self._stay()
        self.link.slots.lose(Standing.CLOSED)
        self.writer.end(Goodbye(), CLOSE_TIMEOUT / 2)
        self.reader.close(BusClosed("this client was closed"))
        self.reader.join(CLOSE_TIMEOUT / 2)
        remark(self.dialogue.notices.found_no_room(self.writer.dropped))
        remark(never_sent(self.writer.waiting))

    def counters(self) -> Counters:
        """What has been counted so far."""
        return self.writer.counters(self.dialogue.notices)

    def abandon(self, source: Source) -> None:
        """After a fork: let go of the socket, which is the parent's, and touch no lock."""
        for interest in self.link.interests.values():
            interest.owner.abandon(source)
        self.reader.abandon()

    # ---- requests -------------------------------------------------------------------------------

    def ask(
        self,
        say: Callable[[int, float], None],
        timeout: float,
        late: Callable[[], DeadlineExceeded] | None = None,
    ) -> Answer:
        """Say something that carries a request number, and wait for the answer to it.

        `say` has to be done at its second argument, a time on the monotonic clock.  Raises what
        the answer says, DeadlineExceeded without one, BusBroken when the connection is or gets
        lost; LocalProtocolError in a signal handler that fell into this connection.
        """
        self.reader.check_outside()
        request = self.link.number()
        inbox: Inbox[Response] = Inbox()
        self.dialogue.pending[request] = inbox
        deadline = after(timeout, time.monotonic())
        try:
            say(request, deadline)
            return self._answer(inbox, deadline, late or partial(no_answer, timeout))
        finally:
            self.dialogue.pending.pop(request, None)

    def insist(
        self,
        say: Callable[[int, float], None],
        timeout: float,
        late: Callable[[], DeadlineExceeded],
    ) -> Answer:
        """As `ask`, and again for a second when somebody has no room: then raises BackPressure."""
        insisting = Insisting(timeout, time.monotonic())
        while True:
            try:
                return self.ask(say, max(0.0, insisting.deadline - time.monotonic()), late)
            except BackPressure:
                pause = insisting.pause(time.monotonic())
                if pause is None:
                    raise
            if self._closing.wait(pause):
                raise BusClosed("this client was closed")

    def call(self, heading: Heading, payload: bytes, timeout: float) -> Envelope:
        """Call whoever serves a topic, and wait for the reply; whoever waits no more says so.

        Raises as `BusClient.call`.
        """
        self.reader.check_outside()
        request = self.link.number()
        inbox: Inbox[Response] = Inbox()
        self.dialogue.pending[request] = inbox
        deadline = time.monotonic() + timeout
        try:
            self.writer.call(heading, payload, request, deadline)
            left = max(0.0, deadline - time.monotonic())
            response = self.reader.get(inbox, left if left < math.inf else None)
        except DeadlineExceeded:
            raise
        except TimeoutError:
            raise no_reply(heading.topic, timeout) from None
        finally:
            if self.dialogue.pending.pop(request, None) is not None:
                # When time is up the broker knows by itself: that is worth no wait.
                in_time = time.monotonic() < deadline
                (self.writer.tell if in_time else self.writer.tell_nowait)(Cancel(request))
        return reply_in(response, heading.topic)

    def reply(self, slot: Slot, said: Reply) -> None:
        """Say it to whoever called.  Raises LocalProtocolError and TooLarge."""
        self.writer.tell(self.link.slots.reply(slot, said, self.writer.frame_limit))

    def query(self, what: str, who: str = "", action: str = "", topic: str = "") -> Answer:
        """Ask the broker what it knows.  Raises as `ask`."""
        return self.ask(
            lambda request, until: self.writer.send(
                Query(what, who, action, topic, request), until
            ),
            REQUEST_TIMEOUT,
        )

    def leave_will(self, will: Will) -> None:
        """Have this said when we end without a goodbye, now and on every later connection.

        Without a connection it holds when there is one.  Raises as `ask`; then nothing has changed.
        """
        with self.dialogue.leaving(will, self.writer.tell) as under:
            self.ask(
                lambda request, until: self.writer.send_all(lambda: [under(request)], until),
                REQUEST_TIMEOUT,
            )

    def _answer(
        self, inbox: Inbox[Response], deadline: float, late: Callable[[], DeadlineExceeded]
    ) -> Answer:
        try:
            answer = self.reader.get(inbox, max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise late() from None
        return checked(answer)

    # ---- subscriptions --------------------------------------------------------------------------

    def subscribe(
        self, filters: tuple[str, ...], options: Options, timeout: float | None
    ) -> Subscription:
        """Listen to what matches one of these.

        Without a connection it begins when there is one.  Raises AccessDenied and what else the
        broker says, and DeadlineExceeded when the broker reads nothing, so that it cannot be asked.
        """
        self.reader.check_outside()
        subscription = (Jobs if options.group else Subscription)(self, patience(timeout))
        asked: list[Inbox[Response]] = [Inbox() for _ in filters]
        until = time.monotonic() + REQUEST_TIMEOUT

        def want() -> Sequence[Subscribe]:
            interests, wishes = self.dialogue.want(filters, options, subscription, asked)
            subscription.interests = interests
            return wishes

        try:
            if not self._wishing.acquire(timeout=REQUEST_TIMEOUT):
                raise no_room()
            try:
                self.writer.send_all(want, until)
            finally:
                self._wishing.release()
            late = partial(no_answer, REQUEST_TIMEOUT)
            answers = [self._answer(each, until, late) for each in asked]
            subscription.narrowed = tuple(cut for each in answers for cut in each.narrowed)
        except WISH_STANDS:
            if not subscription.interests:  # it never became a wish
                raise
        except BaseException:  # what cannot be said, a denial, a Ctrl-C: nobody will have it
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

    def pass_over(self, job: Job) -> None:
        """It waited here until it was another member's: count it."""
        remark(self.dialogue.notices.pass_over(job.topic))

    def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """Tell the broker what became of a job; its word is waited for when there is a `timeout`.

        Raises LocalProtocolError when it is not ours any more, and with a `timeout` as `ask`.
        """
        if timeout is None:
            self.writer.tell(hold.settle(what, time.monotonic(), seconds, reason))
            return
        word = Word(hold, what, seconds, reason)

        def say(request: int, until: float) -> None:
            self.writer.send_all(lambda: [word.say(time.monotonic(), request)], until)

        with word.answered():
            self.ask(say, timeout)

    def end(self, subscription: Subscription) -> None:
        """Nobody listens to it any more."""
        subscription.discard()
        # Before the broker is told: its answer is what gets a leader of this inbox out of `recv`.
        self.reader.end_inbox(subscription.inbox, BusClosed(f"{subscription!r} was closed"))
        with self._wishing:
            for each in self.link.forget_owner(subscription):
                self.writer.tell(each)
        self._ended.append(subscription)

    # ---- for the reader -------------------------------------------------------------------------

    def _read(self, sock: socket.socket) -> Sorted:
        if self._passes_descriptors:
            data, passed, some_lost = receive_with_descriptors(sock, READ_BYTES)
            if passed or some_lost:
                self.link.came(contents_of(passed, some_lost, LARGEST))
        else:
            data = sock.recv(READ_BYTES)
        if not data:
            raise EOFError("the broker hung up")
        self._vigil.watched.heard = True
        while self._ended:
            self._ended.pop().discard()
        received = self.link.receive(data)
        found: list[tuple[Inbox[Any], Any]] = [
            (owner.inbox, run) for owner, run in received.deliveries
        ]
        if received.only_deliveries:
            return found
        outcome = self.dialogue.consider(received)
        found += outcome.answers
        for subscription, error in outcome.ended:
            self.reader.end_inbox(subscription.inbox, error)
        for value in outcome.say:
            self.writer.tell(value)
        for each in outcome.remarks:
            remark(each)
        return found

    # ---- for the keeper -------------------------------------------------------------------------

    def _tend(self, now: float) -> float:
        """Look whether the broker is alive when it is time; when it is time again."""
        vigil = self._vigil
        if now >= vigil.next_at:
            due = vigil.look(now)
            vigil.asked(not due or self.writer.tell_nowait(Ping()), now)
        return vigil.next_at

    def _recover(self, cause: BaseException | None) -> socket.socket:
        self.writer.detach()
        for inbox, error in self.dialogue.lost(cause):
            self.reader.end_inbox(inbox, error)
        if cause is not None and not self._closing.is_set():
            remark(lost(cause))
        backoff, refusals = Backoff(), Refusals()
        while True:
            if self._closing.is_set():
                raise BusClosed("this client was closed")
            try:
                sock = self._establish()
                break
            except LocalProtocolError as error:
                # What cannot be said now cannot be said with any later connection either.
                remark(never_again(error))
                raise
            except (DaemoneyeError, OSError) as error:
                log.debug("no connection to the broker yet: %s", error)
                remark(refusals.heard(error))
            self._closing.wait(backoff.wait(random.random()))
        if cause is not None:  # else this is the first one
            remark(back())
        remark(self.dialogue.notices.found_no_room(self.writer.dropped))
        return sock

    def _establish(self) -> socket.socket:
        connected = self._dial(self.link.wanted())
        sock = connected.sock
        try:
            with self._wishing:
                carriage, frame_limit = connected.carriage, connected.max_frame_bytes
                self._passes_descriptors = carriage.descriptors
                wishes = self.dialogue.connected(
                    connected.epoch, frame_limit, LARGEST, connected.resumed
                )
                self.writer.attach(sock, wishes, frame_limit, carriage, connected.epoch)
            self._vigil = BrokerVigil(
                connected.heartbeat_interval, connected.missed_heartbeats, time.monotonic()
            )
        except BaseException:  # whatever it is, the socket is ours to close
            self.writer.detach()
            sock.close()
            raise
        return sock


def _job(event: Envelope, hold: Hold, owner: Subscription) -> Job:
    assert isinstance(owner, Jobs)
    hold.begin(time.monotonic())
    return Job.of(event, hold, owner.settle)
