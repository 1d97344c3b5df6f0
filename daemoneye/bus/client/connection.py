"""One client's connection to the bus, over any number of sockets.

    reader ── bytes ──▶ link ──▶ runs for subscriptions, answers for requests, notices for the log
    writer ◀── publishes, requests, credit

When the socket is lost the keeper comes here for another: at once, then after 100 ms, doubling up
to 5 s, each wait drawn between zero and that (so that a thousand clients do not return together),
for ever.  What is subscribed to is subscribed to again; requests under way end with BusBroken,
because nobody can say what became of them.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from daemoneye.bus.client.dialler import Connected
from daemoneye.bus.client.link import Interest, Link, Options
from daemoneye.bus.client.reader import Inbox, Reader, Sorted
from daemoneye.bus.client.subscriber import Source, Subscription
from daemoneye.bus.client.writer import Writer
from daemoneye.bus.frames import Answer, BadBody, Credit, Goodbye, Notice, Query
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import (
    AccessDenied,
    BackPressure,
    BusBroken,
    BusClosed,
    BusError,
    DaemoneyeError,
    DeadlineExceeded,
    InvalidTopic,
    LocalProtocolError,
    NoResponder,
    TooLarge,
)

log = logging.getLogger("daemoneye.bus")

FIRST_BACKOFF = 0.1
LAST_BACKOFF = 5.0
REQUEST_TIMEOUT = 5.0
"""How long an answer about the bus itself may take, in seconds."""
CLOSE_TIMEOUT = 2.0

_READ_BYTES = 64 << 10
_ERRORS: dict[str, type[BusError]] = {
    each.__name__: each
    for each in (BackPressure, TooLarge, NoResponder, DeadlineExceeded, InvalidTopic)
}


class Connection:
    """What a client and its subscriptions stand on."""

    def __init__(
        self,
        dial: Callable[[], Connected],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`dial` makes one attempt at a proven connection; it raises DaemoneyeError or OSError.

        What waits for events does so inside of `waiting()`.
        """
        self._dial = dial
        self.waiting = waiting
        self.link: Link[Subscription] = Link()
        self.writer = Writer(Limits())
        self.reader = Reader(self._read, self._recover)
        self._pending: dict[int, Inbox[Answer]] = {}
        # Held while a wish becomes known and is told, so that a reconnect tells it exactly once.
        # Entered again by a signal handler that falls into it.
        self._wishing = threading.RLock()
        self._closing = threading.Event()
        self.notices = Notices()

    def start(self, now: bool) -> None:
        """Connect: now, raising what goes wrong, or in the background for as long as it takes."""
        self.reader.start(self._establish() if now else None)

    def close(self) -> None:
        """Write what waits, say goodbye, and end every wait with BusClosed; within 2 s."""
        self._closing.set()
        self.writer.end(Goodbye(), CLOSE_TIMEOUT / 2)
        self.reader.close(BusClosed("this client was closed"))
        self.reader.join(CLOSE_TIMEOUT / 2)

    def abandon(self, source: Source) -> None:
        """After a fork: let go of the socket, which is the parent's, and touch no lock."""
        for interest in self.link.interests.values():
            interest.owner.abandon(source)
        self.reader.abandon()

    # ---- requests -------------------------------------------------------------------------------

    def ask(self, say: Callable[[int, float], None], timeout: float) -> Answer:
        """Say something that carries a request number, and wait for the answer to it.

        `say` has to be done at its second argument, a time on the monotonic clock.  Raises what
        the answer says, DeadlineExceeded without one, BusBroken when the connection is or gets
        lost.
        """
        request = self.link.number()
        inbox: Inbox[Answer] = Inbox()
        self._pending[request] = inbox
        deadline = time.monotonic() + timeout
        try:
            say(request, deadline)
            return self._answer(inbox, timeout, deadline)
        finally:
            self._pending.pop(request, None)

    def query(self, what: str, who: str = "", action: str = "", topic: str = "") -> Answer:
        """Ask the broker what it knows.  Raises as `ask`."""
        return self.ask(
            lambda request, until: self.writer.send(
                Query(what, who, action, topic, request), until
            ),
            REQUEST_TIMEOUT,
        )

    def _answer(self, inbox: Inbox[Answer], timeout: float, deadline: float) -> Answer:
        try:
            answer = self.reader.get(inbox, max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise DeadlineExceeded(
                f"no answer from the broker within {timeout:g} s",
                hint="what was asked for may still have happened",
            ) from None
        if answer.error:
            raise error_of(answer)
        return answer

    # ---- subscriptions --------------------------------------------------------------------------

    def subscribe(
        self, filters: tuple[str, ...], options: Options, timeout: float | None
    ) -> Subscription:
        """Listen to what matches one of these.

        Without a connection it begins when there is one.  Raises InvalidTopic, AccessDenied and
        what else the broker says.
        """
        for each in filters:
            TopicFilter(each)
        subscription = Subscription(self, timeout)
        asked: list[Inbox[Answer]] = []
        try:
            with self._wishing:
                for each in filters:
                    interest = self.link.want(each, options, subscription)
                    subscription.interests.append(interest)
                    asked.append(Inbox())
                    self._pending[interest.number] = asked[-1]
                told = self._tell_broker(subscription.interests)
            if told:
                until = time.monotonic() + REQUEST_TIMEOUT
                answers = [self._answer(each, REQUEST_TIMEOUT, until) for each in asked]
                subscription.narrowed = tuple(cut for each in answers for cut in each.narrowed)
        except (BusBroken, DeadlineExceeded):
            pass  # the wish stands: it is told again with the next connection
        except BaseException:  # what cannot be said, a denial, a Ctrl-C: nobody will have it
            self.end(subscription)
            raise
        finally:
            for interest in subscription.interests:
                self._pending.pop(interest.number, None)
        return subscription

    def _tell_broker(self, interests: list[Interest[Subscription]]) -> bool:
        try:
            for each in interests:
                self.writer.send(each.subscribe(each.number))
        except BusBroken:
            return False
        return True

    def grant(self, credit: Credit) -> None:
        """Tell the broker of it; without a connection the next one begins with the right credit."""
        self.writer.tell(credit)

    def end(self, subscription: Subscription) -> None:
        """Nobody listens to it any more."""
        subscription.inbox.items.clear()
        # Before the broker is told: its answer is what gets a leader of this inbox out of `recv`.
        self.reader.end_inbox(subscription.inbox, BusClosed(f"{subscription!r} was closed"))
        with self._wishing:
            for each in subscription.interests:
                if each.number in self.link.interests:
                    self.writer.tell(self.link.forget(each))

    # ---- for the reader -------------------------------------------------------------------------

    def _read(self, sock: socket.socket) -> Sorted:
        data = sock.recv(_READ_BYTES)
        if not data:
            raise EOFError("the broker hung up")
        received = self.link.receive(data)
        found: list[tuple[Inbox[object], object]] = [
            (owner.inbox, run)  # type: ignore[misc]  # inboxes of different kinds in one list
            for owner, run in received.deliveries
        ]
        if received.only_deliveries:
            return found
        if received.confirmed is not None:
            self.writer.tally.confirmed = received.confirmed
        for answer in received.answers:
            inbox = self._pending.pop(answer.request, None)
            if inbox is not None:
                found.append((inbox, answer))  # type: ignore[arg-type]  # as above
        for interest, words in received.ended:
            self._taken_away(interest, words)
        for notice in received.notices:
            self.notices.take(notice)
        for body in received.unreadable:
            self.notices.take_unreadable(body)
        for reply in received.replies:
            self.writer.tell(reply)
        return found

    def _taken_away(self, interest: Interest[Subscription], words: Answer | Notice) -> None:
        """The broker does not serve it (any more): the subscription ends after what it has."""
        for each in interest.owner.interests:
            if each.number in self.link.interests:
                unsubscribe = self.link.forget(each)
                if each is not interest:
                    self.writer.tell(unsubscribe)
        error = (
            error_of(words)
            if isinstance(words, Answer)
            else AccessDenied(
                f"the subscription to {interest.filter} was ended: {words.detail}", rule=words.rule
            )
        )
        self.reader.end_inbox(interest.owner.inbox, error)

    # ---- for the keeper -------------------------------------------------------------------------

    def _recover(self, cause: BaseException | None) -> socket.socket:
        self.writer.detach()
        self._fail_pending(cause)
        # A Ctrl-C that fell into a read is no news to whoever pressed it.
        if isinstance(cause, Exception) and not self._closing.is_set():
            log.warning("the connection to the broker is lost (%s); connecting again", cause)
        dropped_before = self.writer.dropped
        ceiling = FIRST_BACKOFF
        while True:
            if self._closing.is_set():
                raise BusClosed("this client was closed")
            try:
                sock = self._establish()
                break
            except LocalProtocolError as error:
                # What cannot be said now cannot be said with any later connection either.
                log.error("this client can never connect again: %s", error)
                raise
            except (DaemoneyeError, OSError) as error:
                log.debug("no connection to the broker yet: %s", error)
            self._closing.wait(random.uniform(0, ceiling))
            ceiling = min(2 * ceiling, LAST_BACKOFF)
        if dropped := self.writer.dropped - dropped_before:
            log.warning("%d messages found no room while there was no connection", dropped)
        return sock

    def _establish(self) -> socket.socket:
        connected = self._dial()
        sock = connected.sock
        try:
            # The leader waits inside `recv`; whoever writes says MSG_DONTWAIT.
            sock.setblocking(True)
            with self._wishing:
                wishes = self.link.connected(connected.epoch, connected.max_frame_bytes)
                self.writer.attach(sock, wishes, connected.max_frame_bytes)
        except BaseException:  # whatever it is, the socket is ours to close
            self.writer.detach()
            sock.close()
            raise
        return sock

    def _fail_pending(self, cause: BaseException | None) -> None:
        for request in list(self._pending):
            inbox = self._pending.pop(request, None)
            if inbox is not None:
                self.reader.end_inbox(
                    inbox,
                    BusBroken(
                        f"the connection was lost before the answer came: {cause}",
                        hint="what was asked for may or may not have happened",
                    ),
                )


class Notices:
    """What the broker told unasked, counted, and logged at most once for each topic and code."""

    LOGGED = 256
    """How many different ones are logged; all are counted."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._logged: set[tuple[str, str]] = set()

    def take(self, notice: Notice) -> None:
        """One notice has come."""
        self._count(notice.code)
        if self._is_new(notice.code, notice.topic):
            rule = f" ({notice.rule})" if notice.rule else ""
            level = logging.INFO if notice.code == "going-down" else logging.WARNING
            log.log(level, "broker: %s %s: %s%s", notice.code, notice.topic, notice.detail, rule)

    def take_unreadable(self, body: BadBody) -> None:
        """A delivery could not be understood."""
        self._count("unreadable")
        if self._is_new("unreadable", body.topic):
            log.warning(
                "%d messages of %s on %s are unreadable: %s",
                body.count,
                body.publisher.name,
                body.topic,
                body.reason,
            )

    def _count(self, code: str) -> None:
        self.counts[code] = self.counts.get(code, 0) + 1

    def _is_new(self, code: str, topic: str) -> bool:
        if (code, topic) in self._logged or len(self._logged) >= self.LOGGED:
            return False
        self._logged.add((code, topic))
        return True


def error_of(answer: Answer) -> BusError:
    """The exception that an answer asks for."""
    if answer.error == AccessDenied.__name__:
        return AccessDenied(answer.detail, rule=answer.rule, hint=answer.hint)
    return _ERRORS.get(answer.error, BusError)(answer.detail, hint=answer.hint)
