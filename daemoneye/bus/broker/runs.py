"""Runs, what waits in an outbox, and the queue in which they replace each other.  Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from daemoneye.bus.broker.parcels import Parcel

RUN_OVERHEAD_BYTES = 300
"""What a run takes besides its data: its objects, and its place in a queue (measured: 277)."""


class Run(NamedTuple):
    """Frames joined for equal recipients, each with its header: the unit of all accounts."""

    number: int
    """Rises with every run of the broker, so arrival order is kept across a client's streams."""
    data: bytes
    """What is written."""
    messages: int
    """How many messages its frames claim to hold."""
    expires_at: int
    """Unix time in ns after which it is not delivered; 0: never."""
    origin: tuple[str, str]
    """Publisher and topic of its first frame; of all, for the policy `latest`."""
    parcel: Parcel | None = None
    """The large payload of its one frame, which goes ahead of it."""


make_run: Callable[[tuple[int, bytes, int, int, tuple[str, str], Parcel | None]], Run] = partial(
    tuple.__new__, Run
)
"""A Run of a tuple of its fields, at a third of the price of calling it."""


class LatestRuns:
    """A queue for the policy `latest`: a run can replace the one of its origin.

    It has what streams need of a deque, and each step costs the same however many wait.  Refused:
    a deque, where every publish would look for what it replaces.
    """

    __slots__ = ("_runs",)

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        """Runs that came here from another kind of queue may have an origin in common."""
        every = list(runs)
        newest = {run.origin: run for run in every}
        self._runs: OrderedDict[object, Run] = OrderedDict(
            (run.origin if newest[run.origin] is run else run.number, run) for run in every
        )

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def __getitem__(self, position: int) -> Run:
        """The oldest: only position 0 is asked for."""
        if position or not self._runs:
            raise IndexError(position)
        return next(iter(self._runs.values()))

    def append(self, run: Run) -> None:
        """Queue the newest; what it replaces has been taken out with `replaced`."""
        self._runs[run.origin] = run

    def popleft(self) -> Run:
        """The oldest.  Raises KeyError when nothing waits."""
        return self._runs.popitem(last=False)[1]

    def pop(self) -> Run:
        """The newest.  Raises KeyError when nothing waits."""
        return self._runs.popitem()[1]

    def remove(self, run: Run) -> None:
        """Take this one out, wherever it is.  Raises KeyError when it is not here."""
        del self._runs[run.origin if self._runs.get(run.origin) is run else run.number]

    def replaced(self, origin: tuple[str, str]) -> Run | None:
        """Take out what a new run of this origin replaces."""
        return self._runs.pop(origin, None)
