"""Jobs: messages of a group, as a member handles them.

    with bus.subscribe("control.demo.jobs", group="workers") as jobs:
        for job in jobs:
            job.ack()

A `Job` is for threads, an `AsyncJob` for tasks; they are envelopes that can be settled.  What may
be said when is decided in `work`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Self, TypeAlias, TypeVar

from daemoneye.bus.client.work import Hold
from daemoneye.bus.envelope import Content, Envelope
from daemoneye.bus.frames import Settling

Tell: TypeAlias = "Callable[[Hold, Settling, float, str, float | None], object]"
"""Says to the broker what became of a hold: with so many seconds, for this reason, and waits for
its word for so long, or not at all."""

AsyncTell: TypeAlias = "Callable[[Hold, Settling, float, str, float | None], Awaitable[None]]"


class Settled(Envelope):
    """An envelope with a hold and a way to say something of it behind its own five fields."""

    __slots__ = ()

    hold: Hold = property(itemgetter(5), doc="This delivery, as the broker knows it.")  # type: ignore[assignment]  # as in Envelope

    @classmethod
    def of(cls, event: Envelope, hold: Hold, tell: object) -> Self:
        """This event as a job, settled by what `tell` says to the broker."""
        return cls((*event, hold, tell))  # type: ignore[arg-type]  # behind what an Envelope has

    @property
    def delivery_count(self) -> int:
        """The how-manieth time it is tried; 1 the first time."""
        return self.hold.count

    def carrying(self, content: Content) -> Self:
        """The same job with this payload, which came apart from it."""
        return type(self)((content, *self[1:]))

    def after(self, lost: Mapping[str, int]) -> Self:
        """The same job, telling what was missed before it."""
        return type(self)((*self[:4], lost, *self[5:]))

    def __repr__(self) -> str:
        what = f"{type(self).__name__} {self.topic} #{self.sequence}"
        return f"<{what} from {self.publisher.name}, try {self.delivery_count}>"


class Job(Settled):
    """One message of a group, for this member to handle.

    Everything that settles it returns at once, or with a `timeout` waits so many seconds for the
    broker's word.  Raises LocalProtocolError when it is not this member's any more (settled before,
    past its time, its subscription or connection over): then it is handled by another; with a
    `timeout` also DeadlineExceeded and BusBroken.  Without, a word that came too late is logged and
    counted in `counters().late`.
    """

    __slots__ = ()

    def ack(self, *, timeout: float | None = None) -> None:
        """It is handled.  Raises as the class says."""
        self._say(Settling.ACK, 0.0, "", timeout)

    def retry(self, delay: float = 0.0, *, timeout: float | None = None) -> None:
        """Somebody has to try again, not before `delay` seconds.  Raises as the class says."""
        self._say(Settling.RETRY, delay, "", timeout)

    def reject(self, reason: str = "", *, timeout: float | None = None) -> None:
        """Nobody can handle it: it becomes a dead letter.  Raises as the class says."""
        self._say(Settling.REJECT, 0.0, reason, timeout)

    def extend(self, seconds: float, *, timeout: float | None = None) -> None:
        """It takes so many seconds from now.  Raises as the class says."""
        self._say(Settling.EXTEND, seconds, "", timeout)

    def _say(self, what: Settling, seconds: float, reason: str, timeout: float | None) -> None:
        tell: Tell = self[6]  # type: ignore[misc]  # behind what an Envelope has
        tell(self.hold, what, seconds, reason, timeout)


class AsyncJob(Settled):
    """One message of a group, for this member to handle: what `Job` is, for tasks."""

    __slots__ = ()

    async def ack(self, *, timeout: float | None = None) -> None:
        """It is handled.  Raises as `Job`."""
        await self._say(Settling.ACK, 0.0, "", timeout)

    async def retry(self, delay: float = 0.0, *, timeout: float | None = None) -> None:
        """Somebody has to try again, not before `delay` seconds.  Raises as `Job`."""
        await self._say(Settling.RETRY, delay, "", timeout)

    async def reject(self, reason: str = "", *, timeout: float | None = None) -> None:
        """Nobody can handle it: it becomes a dead letter.  Raises as `Job`."""
        await self._say(Settling.REJECT, 0.0, reason, timeout)

    async def extend(self, seconds: float, *, timeout: float | None = None) -> None:
        """It takes so many seconds from now.  Raises as `Job`."""
        await self._say(Settling.EXTEND, seconds, "", timeout)

    async def _say(
        self, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        tell: AsyncTell = self[6]  # type: ignore[misc]  # behind what an Envelope has
        await tell(self.hold, what, seconds, reason, timeout)


AnyJob = TypeVar("AnyJob", bound=Settled)


def in_time(
    jobs: Sequence[AnyJob], now: float, pass_over: Callable[[AnyJob], object]
) -> Iterator[AnyJob]:
    """Those of them that can still be settled; the others are told to `pass_over`.

    They were here while their member was at another, and are another's by now: whoever worked on
    them would do so for nothing.
    """
    for job in jobs:
        if job.hold.is_ours(now):
            yield job
        else:
            pass_over(job)
