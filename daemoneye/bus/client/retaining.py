"""What a client has had retained, so that it can say so to another life of the broker.  Pure.

A retained value lives in the broker and belongs to whoever published it: a broker that was started
anew has none, and is told them again, under the sequences they had.  So subscribers that have heard
them know that they have.  What is not written yet is not here; it waits with all else that does.

A value that another has put in the place of ours is not ours to say again.  We know of it when we
hear it; else the broker keeps the newer one, when it is told both.  What another has cleared we
cannot know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

from daemoneye.bus.client.outgoing import Sealed
from daemoneye.bus.frames import read_outer, say_again
from daemoneye.bus.limits import Limits
from daemoneye.framing import HEADER_BYTES, pack

_TOPICS = 4 * Limits().retained_topics
_BYTES = Limits().retained_bytes


class _Written(NamedTuple):
    """A retained value, how many were written before it, and when it was, in ns of Unix time."""

    place: int
    sealed: Sealed
    at: int


class Retaining:
    """The last retained value of each topic, bounded: the one that was said first goes first."""

    __slots__ = (
        "_asked",
        "_bytes",
        "_epoch",
        "_heard",
        "_max_bytes",
        "_max_topics",
        "_places",
        "_values",
        "forgotten",
    )

    def __init__(self, max_topics: int = _TOPICS, max_bytes: int = _BYTES) -> None:
        self._max_topics = max_topics
        self._max_bytes = max_bytes
        self._values: dict[str, _Written] = {}
        # By request: whose answer somebody waits for, once they are written.
        self._asked: dict[int, _Written | None] = {}
        self._heard: dict[str, int] = {}  # when what came last on the topics of these was published
        self._places = count(1)
        self._bytes = 0
        self._epoch = 0
        self.forgotten = 0
        """Values that had no room here, in all: another broker will not be told them."""

    def __len__(self) -> int:
        return len(self._values)

    @property
    def topics(self) -> Collection[str]:
        """Of all values, as they are at each time."""
        return self._values.keys()

    def keep(self, sealed: Sealed, now_ns: int) -> None:
        """This frame, of one retained value, was written.

        One whose answer somebody waits for counts once that is there, inside of `asking`.
        """
        written = _Written(next(self._places), sealed, now_ns)
        if not sealed.asked:
            self._put(written)
        elif sealed.request in self._asked:
            self._asked[sealed.request] = written

    @contextmanager
    def asking(self) -> Iterator[Callable[[int], int]]:
        """The answer to a value is waited for inside; an error says that it is none.

        What is given takes the number of each attempt, and returns it.  What nobody could tell is
        no value either: whoever asked knows that, and may ask again.
        """
        mine: list[int] = []

        def under(request: int) -> int:
            mine.append(request)
            self._asked[request] = None
            return request

        try:
            yield under
            written = self._asked[mine[-1]]
            if written is not None:
                self._put(written)
        finally:
            for request in mine:
                del self._asked[request]

    def _put(self, written: _Written) -> None:
        topic = written.sealed.retains
        before = self._values.get(topic)
        if before is not None and before.place > written.place:
            return  # the answer to this came after another value took its place
        self.forget(topic)
        self._values[topic] = written
        self._bytes += written.sealed.size
        while len(self._values) > self._max_topics or self._bytes > self._max_bytes:
            self.forget(next(iter(self._values)))
            self.forgotten += 1

    def forget(self, topic: str) -> None:
        """Nothing is retained there any more, or may not be."""
        written = self._values.pop(topic, None)
        self._heard.pop(topic, None)
        if written is not None:
            self._bytes -= written.sealed.size

    def heard(self, topic: str, time_ns: int) -> None:
        """A value came that was published there at this time: ours, or one that took its place.

        May be called beside all else, by who reads while others write.
        """
        if topic in self._values:
            self._heard[topic] = time_ns

    def due(self, epoch: int, now_ns: int) -> list[Sealed]:
        """What a broker in this life has to be told before all else that is published.

        Each says of itself that it was said before.  Not what has expired by now: that would be
        told as lost to those who had it in time.
        """
        if epoch == self._epoch:
            return []
        found: list[Sealed] = []
        for topic, each in list(self._values.items()):
            raw = each.sealed.data[HEADER_BYTES:]
            expires_at = read_outer(raw).expires_at
            if 0 < expires_at <= now_ns:
                self.forget(topic)
            elif self._heard.get(topic, 0) <= each.at:
                found.append(each.sealed._replace(data=pack(say_again(raw))))
        return found

    def told(self, epoch: int) -> None:
        """The broker in this life knows them."""
        self._epoch = epoch
