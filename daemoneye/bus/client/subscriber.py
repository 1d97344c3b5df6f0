"""A subscription as its user has it: something to iterate over, that ends with its `with` block.

It lives on the client's side only.  Each of its filters is an interest of the link, so that the
broker sends a message that several of them match once; all of them fill one inbox.  What the user
has gone through is paid back to the broker run by run, which is what lets it send more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Protocol, cast

from daemoneye.bus.client.deadlines import after
from daemoneye.bus.client.ending import Ending
from daemoneye.bus.client.gone import Gone
from daemoneye.bus.client.interests import Interest
from daemoneye.bus.client.jobs import Job, in_time
from daemoneye.bus.client.link import Delivery
from daemoneye.bus.client.reader import Inbox, Reader
from daemoneye.bus.client.work import Hold
from daemoneye.bus.frames import Choice, Credit, Envelope, Release, Settling
from daemoneye.errors import BusClosed

Run = Delivery["Subscription"]


class Source(Protocol):
    """Where runs come from, and where credit and an ending go to: the client's connection."""

    reader: Reader
    waiting: Callable[[], AbstractContextManager[None]] | None

    def grant(self, credit: Credit | Release) -> None:
        """Tell the broker; without a connection there is nobody to tell, which is fine."""

    def end(self, subscription: Subscription) -> None:
        """Nobody listens any more."""

    def pass_over(self, job: Job) -> None:
        """It waited here until it was another member's; nobody is given it."""

    def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """Say what became of a job; wait for the broker's word so many seconds, or not at all."""


class Subscription(Ending):
    """Events that match one of some filters, in the order they were published.

    Iterating waits for the next event and ends after the `timeout` given to `subscribe` passes
    without one, or when the subscription or its client is closed; it raises AccessDenied when the
    right to read is taken away, and BusClosed in a process that was forked.  Several threads may
    iterate: each event goes to one of them.
    """

    __slots__ = (
        "_advancing",
        "_current",
        "_run",
        "_timeout",
        "inbox",
        "interests",
        "narrowed",
        "source",
    )

    def __init__(self, source: Source, timeout: float | None) -> None:
        """Made by `BusClient.subscribe`."""
        self.source = source
        self._timeout = timeout
        self.inbox: Inbox[Run] = Inbox()
        self.interests: list[Interest[Subscription]] = []
        self.narrowed: tuple[str, ...] = ()
        """Filters that an access rule cuts out of what was asked for."""
        # The run being gone through; its iterator is shared by all threads, `next` on it is atomic.
        self._run: Run | None = None
        self._current: Iterator[Envelope] = iter(())
        self._advancing = threading.Lock()

    @property
    def filters(self) -> tuple[str, ...]:
        """What was subscribed to."""
        return tuple(each.filter for each in self.interests)

    def __iter__(self) -> Iterator[Envelope]:
        # `chain` goes through a run without running a line of ours for each event.
        return chain.from_iterable(self._runs())

    def _runs(self) -> Iterator[Iterator[Envelope]]:
        while True:
            current = self._current
            yield current
            try:
                if not self._advance(current, self._timeout):
                    return
            except BusClosed:
                if isinstance(self.source, Gone):  # in a forked process, where nothing ever was
                    raise
                return

    def get(self, timeout: float | None = None) -> Envelope | None:
        """The next event; None when there is none within `timeout` seconds (None: for ever).

        Raises BusClosed after `close`, AccessDenied when the right to read was taken away.
        """
        deadline: float | None = None
        while True:
            current = self._current
            if (event := next(current, None)) is not None:
                return event
            if deadline is None and timeout is not None:
                deadline = after(timeout, time.monotonic())
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._advance(current, left):
                return None

    def close(self) -> None:
        """Tell the broker that nobody listens any more; harmless when done before."""
        self.source.end(self)

    def discard(self) -> None:
        """Let go of what has come: nobody will go through it any more."""
        run, self._run = self._run, None
        dropped = [run] if run is not None else []
        if run is not None and run.held is not None:
            self._current = iter(())  # or its memory would stay with us
        while self.inbox.items:
            try:
                dropped.append(self.inbox.items.popleft())
            except IndexError:  # another thread has just taken it
                break
        for run in dropped:
            for release in run.dropped():
                self.source.grant(release)

    def abandon(self, source: Source) -> None:
        """After a fork: what is here is the parent's, what is asked for is asked of `source`.

        A thread of the parent may have been waiting here, with the lock; here it does not exist.
        """
        self.source = source
        self._run, self._current = None, iter(())
        self._advancing = threading.Lock()

    def __repr__(self) -> str:
        return f"<Subscription {' '.join(self.filters)}>"

    def _advance(self, done: Iterator[Envelope], timeout: float | None) -> bool:
        """Get the run after the one that `done` went through; False when none came in time.

        One thread does so, for all that iterate.
        """
        if timeout is None:
            self._advancing.acquire()
        else:  # a lock takes no less and no more; of what is no number, 0 is left
            timeout = max(0.0, min(timeout, threading.TIMEOUT_MAX))
            if not self._advancing.acquire(timeout=timeout):
                return False
        try:
            if self._current is done:
                self._pay()
                self._run = run = self._next_run(timeout)
                self._current = iter(self._wanted(run))
        except TimeoutError:
            return False
        finally:
            self._advancing.release()
        return True

    def _next_run(self, timeout: float | None) -> Run:
        waiting, reader = self.source.waiting, self.source.reader
        if waiting is None:
            return reader.get(self.inbox, timeout)
        with waiting():
            return reader.get(self.inbox, timeout)

    def _wanted(self, run: Run) -> list[Envelope]:
        """What its user is given of a run."""
        return run.events

    def _pay(self) -> None:
        """Give back what the run that has been gone through cost: before waiting for the next."""
        run, self._run = self._run, None
        for credit in run.consumed() if run else ():
            self.source.grant(credit)


class Jobs(Subscription):
    """What a member of a group is given: a subscription whose events are jobs to settle.

    What is here when it ends, settled or not, is not ours any more: the rest goes to others.  What
    was another's before its turn came is not given, but counted in `counters().overdue`.
    """

    __slots__ = ()

    @property
    def choice(self) -> Choice:
        """Who of the group gets the next one: what its first member chose.

        `Choice.DEFAULT` before the broker has told it.
        """
        return self.interests[0].choice if self.interests else Choice.DEFAULT

    def __iter__(self) -> Iterator[Job]:
        return cast("Iterator[Job]", super().__iter__())

    def get(self, timeout: float | None = None) -> Job | None:
        """The next job, as `Subscription.get`."""
        return cast("Job | None", super().get(timeout))

    def _wanted(self, run: Run) -> list[Envelope]:
        jobs = cast("list[Job]", run.events)
        return [*in_time(jobs, time.monotonic(), self.source.pass_over)]

    def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """Say what became of one of them: `Job` has the words for it."""
        self.source.settle(hold, what, seconds, reason, timeout)
