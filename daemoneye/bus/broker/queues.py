"""What waits in a group for somebody to take it.  Pure.

Two kinds: in order, where whoever can takes the next; and by key, where each key has a line of its
own, of which one at a time is in somebody's hands: so equal keys are handled in their order, also
when a job has to be tried again, and a member without room holds up its own keys alone.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Generator, Iterator
from operator import attrgetter

from daemoneye.bus.broker.jobs import Job
from daemoneye.bus.broker.members import Member

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

    def candidates(self) -> Generator[Job]:
        """Those that may be taken now, in this order; whoever asks takes one of them, or none.

        A new one may be had by anyone, so when the first of them has to wait, all have; one to try
        again may wait for somebody else, and does not hold up others.
        """
        yield from self._again
        if self._new:
            yield self._new[0]

    def take(self, job: Job) -> None:
        """This candidate does not wait any more."""
        if self._new and self._new[0] is job:
            self._new.popleft()
        else:
            del self._again[bisect_left(self._again, job.number, key=_number)]

    def wait(self, job: Job, member: Member) -> None:
        """This candidate waits for that member."""

    def relieve(self, member: Member) -> None:
        """What waits for that member may be taken."""

    def look_again(self) -> None:
        """What waits may be for others than before."""

    def remove(self, job: Job) -> None:
        """It does not wait any more.  Raises ValueError when it is not here."""
        position = bisect_left(self._again, job.number, key=_number)
        if position < len(self._again) and self._again[position] is job:
            del self._again[position]
        else:
            self._new.remove(job)

    def done(self, job: Job) -> None:
        """It is in nobody's hands any more and does not come back."""


class ByKey:
    """A line for each key.

    A key of which something waits is ready, or in somebody's hands, or waits for a member without
    room; then nobody looks at it until that one has some.
    """

    __slots__ = ("_count", "_lines", "_ready", "_relieved", "_waiting", "_waiting_for")

    def __init__(self) -> None:
        self._lines: dict[str, deque[Job]] = {}
        """Of a key of which something waits or is in hand."""
        self._ready: dict[str, None] = {}
        """Keys of which something waits and nothing is in hand; the longest first."""
        self._waiting: dict[Member, dict[str, None]] = {}
        """The keys that wait for a member."""
        self._waiting_for: dict[str, Member] = {}
        """The same from the other side."""
        self._relieved: dict[Member, None] = {}
        """Members with keys that wait for them, and perhaps with room."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Job]:
        return iter([job for line in self._lines.values() for job in line])

    def put(self, job: Job) -> None:
        """A new one, behind all others of its key."""
        self._line(job.letter.key).append(job)
        self._count += 1

    def put_back(self, job: Job) -> None:
        """One to try again, before all others of its key."""
        key = job.letter.key
        self._lines[key].appendleft(job)
        self._ready[key] = None
        self._count += 1

    def restore(self, job: Job) -> None:
        """One that was taken out by `remove`, before all others of its key."""
        self._line(job.letter.key).appendleft(job)
        self._count += 1

    def candidates(self) -> Generator[Job]:
        """The first of each key that may be taken, in this order; whoever asks takes one, or none.

        What is neither taken nor waits for somebody is a candidate the next time.
        """
        passed: list[str] = []
        try:
            while self._ready:
                key = next(iter(self._ready))
                yield self._lines[key][0]
                if key in self._ready:
                    del self._ready[key]
                    passed.append(key)
            for member in list(self._relieved):
                while keys := self._waiting.get(member):
                    key = next(iter(keys))
                    yield self._lines[key][0]
                    if self._waiting_for.get(key) is member:
                        break
                self._relieved.pop(member, None)
        finally:
            self._ready.update(dict.fromkeys(passed))

    def take(self, job: Job) -> None:
        """This candidate does not wait any more; its key is in hand."""
        key = job.letter.key
        self._lines[key].popleft()
        self._count -= 1
        self._forget(key)

    def wait(self, job: Job, member: Member) -> None:
        """The key of this candidate waits for that member."""
        key = job.letter.key
        if self._waiting_for.get(key) is not member:
            self._forget(key)
            self._waiting_for[key] = member
            self._waiting.setdefault(member, {})[key] = None

    def relieve(self, member: Member) -> None:
        """The keys that wait for that member may be taken."""
        if member in self._waiting:
            self._relieved[member] = None

    def look_again(self) -> None:
        """Keys that wait may be for others than before."""
        self._ready.update(dict.fromkeys(self._waiting_for))
        self._waiting.clear()
        self._waiting_for.clear()
        self._relieved.clear()

    def remove(self, job: Job) -> None:
        """It does not wait any more.  Raises ValueError when it is not here."""
        key = job.letter.key
        line = self._lines[key]
        line.remove(job)
        self._count -= 1
        if not line and self._forget(key):
            del self._lines[key]

    def done(self, job: Job) -> None:
        """It is in nobody's hands any more: the next of its key may go."""
        key = job.letter.key
        if self._lines[key]:
            self._ready[key] = None
        else:
            del self._lines[key]

    def _line(self, key: str) -> deque[Job]:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = deque()
            self._ready[key] = None
        return line

    def _forget(self, key: str) -> bool:
        """It is neither ready nor waits; False: it was not, so it is in somebody's hands."""
        member = self._waiting_for.pop(key, None)
        if member is None:
            return self._ready.pop(key, self) is None
        del self._waiting[member][key]
        if not self._waiting[member]:
            del self._waiting[member]
        return True
