"""A subscription as tasks have it: what `subscriber` is for threads.

Taking an event never waits, and waiting takes none: a task that is cancelled while it waits has
lost nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from operator import length_hint
from typing import Protocol, cast

from daemoneye.bus.client.async_waiting import Line, deadline_of
from daemoneye.bus.client.ending import AsyncEnding
from daemoneye.bus.client.gone import Gone
from daemoneye.bus.client.interests import Interest
from daemoneye.bus.client.jobs import AsyncJob, in_time
from daemoneye.bus.client.link import Delivery
from daemoneye.bus.client.work import Hold
from daemoneye.bus.frames import Choice, Credit, Envelope, Release, Settling
from daemoneye.errors import BusClosed, BusError

Run = Delivery["AsyncSubscription"]


class AsyncSource(Protocol):
    """Where runs come from, and where credit and an ending go to: the client's connection."""

    def here(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to.  Raises LocalProtocolError when another one runs this."""

    def grant(self, credit: Credit | Release) -> None:
        """Tell the broker; without a connection there is nobody to tell, which is fine."""

    def end(self, subscription: AsyncSubscription) -> None:
        """Nobody listens any more."""

    def pass_over(self, job: AsyncJob) -> None:
        """It waited here until it was another member's; nobody is given it."""

    async def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """Say what became of a job; wait for the broker's word so many seconds, or not at all."""


class AsyncSubscription(AsyncEnding):
    """Events that match one of some filters, in the order they were published.

    Iterating waits for the next event and ends after the `timeout` given to `subscribe` passes
    without one, or when the subscription or its client is closed; it raises AccessDenied when the
    right to read is taken away, and BusClosed in a process that was forked.  Several tasks may
    iterate: each event goes to one of them.
    """

    __slots__ = (
        "_current",
        "_error",
        "_line",
        "_run",
        "_runs",
        "_timeout",
        "interests",
        "narrowed",
        "source",
    )

    def __init__(self, source: AsyncSource, timeout: float | None) -> None:
        """Made by `AsyncBusClient.subscribe`."""
        self.source = source
        self._timeout = timeout
        self.interests: list[Interest[AsyncSubscription]] = []
        self.narrowed: tuple[str, ...] = ()
        """Filters that an access rule cuts out of what was asked for."""
        self._runs: deque[Run] = deque()
        self._run: Run | None = None  # the one being gone through, by all tasks together
        self._current: Iterator[Envelope] = iter(())
        self._line = Line(source.here())
        self._error: BusError | None = None  # why nothing more will come

    @property
    def filters(self) -> tuple[str, ...]:
        """What was subscribed to."""
        return tuple(each.filter for each in self.interests)

    async def __aiter__(self) -> AsyncIterator[Envelope]:
        while True:
            for event in self._current:
                yield event
            try:
                following = await self.get(self._timeout)
            except BusClosed:
                if isinstance(self.source, Gone):  # in a forked process, where nothing ever was
                    raise
                return
            if following is None:
                return
            yield following

    async def get(self, timeout: float | None = None) -> Envelope | None:
        """The next event; None when there is none within `timeout` seconds (None: for ever).

        Raises BusClosed after `close`, AccessDenied when the right to read was taken away.
        """
        loop = self.source.here()
        if (event := self._take()) is not None:
            return event
        deadline = deadline_of(loop, timeout)
        again = False
        try:
            while True:
                if self._error is not None:
                    raise self._error.with_traceback(None)
                if not await self._line.wait(deadline, again=again):
                    return None
                again = True
                if (event := self._take()) is not None:
                    return event
        finally:
            if self._error is not None or self._runs or length_hint(self._current):
                self._line.call()  # there is more, for whoever waits behind us

    async def close(self) -> None:
        """Tell the broker that nobody listens any more; harmless when done before."""
        self.source.here()
        self.source.end(self)

    # ---- for the connection ---------------------------------------------------------------------

    def deliver(self, run: Run) -> None:
        """A run has come."""
        self._runs.append(run)
        self._line.call()

    def finish(self, error: BusError) -> None:
        """Nothing more will come: after what is here, `error` is raised."""
        self._error = self._error or error
        self._line.call_all()

    def discard(self) -> None:
        """Let go of what has come: nobody will go through it any more."""
        if self._run is not None and self._run.held is not None:
            self._runs.appendleft(self._run)
            self._run, self._current = None, iter(())  # or its memory would stay with us
        for run in self._runs:
            for release in run.dropped():
                self.source.grant(release)
        self._runs.clear()

    def abandon(self, source: AsyncSource) -> None:
        """After a fork: what is here is the parent's, what is asked for is asked of `source`."""
        self.source = source
        self._run, self._current = None, iter(())
        self._runs.clear()

    def __repr__(self) -> str:
        return f"<AsyncSubscription {' '.join(self.filters)}>"

    def _take(self) -> Envelope | None:
        """The next event that is here; a run that has been gone through is given back."""
        while (event := next(self._current, None)) is None:
            run, self._run = self._run, None
            for credit in run.consumed() if run else ():
                self.source.grant(credit)
            if not self._runs:
                return None
            self._run = self._runs.popleft()
            self._current = iter(self._wanted(self._run))
        return event

    def _wanted(self, run: Run) -> list[Envelope]:
        """What its user is given of a run."""
        return run.events


class AsyncJobs(AsyncSubscription):
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

    def __aiter__(self) -> AsyncIterator[AsyncJob]:
        return cast("AsyncIterator[AsyncJob]", super().__aiter__())

    async def get(self, timeout: float | None = None) -> AsyncJob | None:
        """The next job, as `AsyncSubscription.get`."""
        return cast("AsyncJob | None", await super().get(timeout))

    def _wanted(self, run: Run) -> list[Envelope]:
        jobs = cast("list[AsyncJob]", run.events)
        return [*in_time(jobs, time.monotonic(), self.source.pass_over)]

    async def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """Say what became of one of them: `AsyncJob` has the words for it."""
        await self.source.settle(hold, what, seconds, reason, timeout)
