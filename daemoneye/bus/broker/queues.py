"""What waits in a group for somebody to take it.  Pure.

Two kinds: in order, where whoever can takes the next; and by key, where each key has a line of its
own, of which one at a time is in somebody's hands: so equal keys are handled in their order, also
when a job has to be tried again, and a member without room holds up its own keys alone.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from operator import attrgetter

from daemoneye.bus.broker.jobs import Job
from daemoneye.bus.broker.members import Member

Pick = Callable[[Job], Member | None]
"""Who takes it now; None: nobody has room."""

_number = attrgetter("number")


class InOrder:
    """One line; those to try again stand before it."""

    __slots__ = ("_again", "_new")

    def __init__(self) -> None:
        self._again: list[Job] = []
        self._new: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._again) + len(self._new)

    def __iter__(self) -> Iterator[Job]:
        return iter([*self._again, *self._new])

    def put(self, job: Job) -> None:
        """A new one, behind all others."""
        self._new.append(job)

    def put_back(self, job: Job) -> None:
        """One to try again, where it stood."""
        insort(self._again, job, key=_number)

    restore = put_back
    """One that was taken out by `remove`, where it stood."""

    def take(self, pick: Pick) -> tuple[Job, Member] | None:
        """The first that somebody takes now, and who does; it does not wait any more.

        A new one may be had by anyone, so when the first of them has to wait, all have; one to try
        again may wait for somebody who has not tried it, and does not hold up others.
        """
        for position, job in enumerate(self._again):
            member = pick(job)
            if member is not None:
                del self._again[position]
                return job, member
        if self._new:
            member = pick(self._new[0])
            if member is not None:
                return self._new.popleft(), member
        return None

    def remove(self, job: Job) -> None:
        """It does not wait any more.  Raises ValueError when it is not here."""
        if job in self._again:
            self._again.remove(job)
        else:
            self._new.remove(job)

    def done(self, job: Job) -> None:
        """It is in nobody's hands any more and does not come back."""


class ByKey:
    """A line for each key."""

    __slots__ = ("_count", "_lines", "_ready")

    def __init__(self) -> None:
        self._lines: dict[str, deque[Job]] = {}
        """Of a key of which something waits or is in hand."""
        self._ready: dict[str, None] = {}
        """Keys of which something waits and nothing is in hand; the longest first."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Job]:
        return iter([job for line in self._lines.values() for job in line])

    def put(self, job: Job) -> None:
        """A new one, behind all others of its key."""
        key = job.letter.key
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = deque()
            self._ready[key] = None
        line.append(job)
        self._count += 1

    def put_back(self, job: Job) -> None:
        """One to try again, before all others of its key."""
        key = job.letter.key
        self._lines[key].appendleft(job)
        self._ready[key] = None
        self._count += 1

    def restore(self, job: Job) -> None:
        """One that was taken out by `remove`, before all others of its key."""
        key = job.letter.key
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = deque()
            self._ready[key] = None
        line.appendleft(job)
        self._count += 1

    def take(self, pick: Pick) -> tuple[Job, Member] | None:
        """The first of a key that somebody takes now, and who does; its key is in hand then."""
        for key in self._ready:
            job = self._lines[key][0]
            member = pick(job)
            if member is not None:
                del self._ready[key]
                self._lines[key].popleft()
                self._count -= 1
                return job, member
        return None

    def remove(self, job: Job) -> None:
        """It does not wait any more.  Raises ValueError when it is not here."""
        key = job.letter.key
        line = self._lines[key]
        line.remove(job)
        self._count -= 1
        if key in self._ready and not line:
            del self._ready[key]
            del self._lines[key]

    def done(self, job: Job) -> None:
        """It is in nobody's hands any more: the next of its key may go."""
        key = job.letter.key
        if self._lines[key]:
            self._ready[key] = None
        else:
            del self._lines[key]
