"""What a client has had retained, so that it can say so to another life of the broker.  Pure.

A retained value lives in the broker and belongs to whoever published it: a broker that was started
anew has none, and is told them again, under the sequences they had.  So subscribers that have heard
them know that they have.  What is not written yet is not here; it waits with all else that does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemoneye.bus.client.outgoing import Sealed
from daemoneye.bus.limits import Limits

_TOPICS = 4 * Limits().retained_topics
_BYTES = Limits().retained_bytes


class Retaining:
    """The last retained value of each topic, bounded: the one that was said first goes first."""

    __slots__ = (
        "_asked",
        "_bytes",
        "_epoch",
        "_max_bytes",
        "_max_topics",
        "_values",
        "forgotten",
    )

    def __init__(self, max_topics: int = _TOPICS, max_bytes: int = _BYTES) -> None:
        self._max_topics = max_topics
        self._max_bytes = max_bytes
        self._values: dict[str, Sealed] = {}
        self._asked: dict[str, Sealed] = {}  # of those somebody waits for the answer
        self._bytes = 0
        self._epoch = 0
        self.forgotten = 0
        """Values that had no room here, in all: another broker will not be told them."""

    def __len__(self) -> int:
        return len(self._values)

    def keep(self, sealed: Sealed) -> None:
        """This frame, of one retained value, was written.

        One whose answer somebody waits for counts once that is there, inside of `asking`.
        """
        if sealed.asked:
            self._asked[sealed.retains] = sealed
        else:
            self._put(sealed)

    @contextmanager
    def asking(self, topic: str) -> Iterator[None]:
        """The answer to a value on this topic is waited for inside; an error says that it is none.

        What nobody could tell is none either: whoever asked knows that, and may ask again.
        """
        try:
            yield
            sealed = self._asked.get(topic)
            if sealed is not None:
                self._put(sealed)
        finally:
            self._asked.pop(topic, None)

    def _put(self, sealed: Sealed) -> None:
        self.forget(sealed.retains)
        self._values[sealed.retains] = sealed
        self._bytes += sealed.size
        while len(self._values) > self._max_topics or self._bytes > self._max_bytes:
            self.forget(next(iter(self._values)))
            self.forgotten += 1

    def forget(self, topic: str) -> None:
        """Nothing is retained there any more, or may not be."""
        sealed = self._values.pop(topic, None)
        if sealed is not None:
            self._bytes -= sealed.size

    def due(self, epoch: int) -> list[Sealed]:
        """What a broker in this life has to be told before all else that is published."""
        return [] if epoch == self._epoch else list(self._values.values())

    def told(self, epoch: int) -> None:
        """The broker in this life knows them."""
        self._epoch = epoch
