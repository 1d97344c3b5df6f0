"""What is given to the kernel: whole, in time, or nothing more after it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from daemoneye.bus.client.counters import Tally
from daemoneye.bus.client.freight import Freight
from daemoneye.bus.client.loading import Loading
from daemoneye.bus.client.outgoing import Apart
from daemoneye.bus.client.outlet import Outlet
from daemoneye.bus.frames import Carriage
from daemoneye.errors import DeadlineExceeded
from tests.support import scaled

LARGE = bytes(1_000_000)

Write = Callable[[Outlet, float], bool]


def write(outlet: Outlet, deadline: float) -> bool:
    return outlet.write(LARGE, deadline)


def load(outlet: Outlet, deadline: float) -> bool:
    freight = Freight()
    freight.connected(Carriage(False, 1 << 20, 1000))
    loading = Loading(Apart(b"publish", LARGE), freight, 1 << 20, Tally())
    try:
        return outlet.load(loading, deadline)
    finally:
        loading.close()


both = pytest.mark.parametrize("way", [write, load])


class Pipe:
    """An outlet, and the other end of its socket."""

    def __init__(self) -> None:
        self.outlet = Outlet(scaled(5))
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.settimeout(scaled(5))
        self.outlet.sock = self.ours

    def fill(self) -> None:
        """Give the kernel all that it takes."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.ours.send(bytes(1000))

    def read_all(self) -> int:
        """How much comes, until the end."""
        found = 0
        while data := self.theirs.recv(1 << 16):
            found += len(data)
        return found

    @property
    def is_over(self) -> bool:
        """Nothing more is written, and the reader finds that."""
        return self.outlet.sock is None and self.ours.recv(1) == b""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.ours.close()
    made.theirs.close()


@both
def test_all_of_it_is_written_as_the_other_end_reads(pipe: Pipe, way: Write) -> None:
    found: list[int] = []
    reading = threading.Thread(target=lambda: found.append(pipe.read_all()))
    reading.start()
    assert way(pipe.outlet, time.monotonic() + scaled(5))
    pipe.ours.shutdown(socket.SHUT_WR)
    reading.join(scaled(5))
    assert found[0] >= len(LARGE)


@both
def test_who_reads_nothing_is_given_up(pipe: Pipe, way: Write) -> None:
    pipe.outlet.patience = 0.05
    assert not way(pipe.outlet, time.monotonic() + scaled(5))
    assert pipe.is_over


@both
def test_who_is_gone_is_given_up(pipe: Pipe, way: Write) -> None:
    pipe.theirs.close()
    assert not way(pipe.outlet, time.monotonic() + scaled(5))
    assert pipe.outlet.sock is None


@both
def test_where_nobody_is_nothing_is_written(way: Write) -> None:
    outlet = Outlet(scaled(5))
    assert not way(outlet, time.monotonic() + scaled(5))
    assert not outlet.has_room()
    outlet.await_room(time.monotonic())
    outlet.cut_off()


@both
def test_what_its_deadline_cuts_off_ends_the_connection(pipe: Pipe, way: Write) -> None:
    with pytest.raises(DeadlineExceeded, match="reads nothing"):
        way(pipe.outlet, time.monotonic() + 0.05)
    assert pipe.is_over


def test_no_room_before_the_first_byte_costs_only_time(pipe: Pipe) -> None:
    assert pipe.outlet.has_room()
    pipe.outlet.await_room(time.monotonic())
    pipe.fill()
    assert not pipe.outlet.has_room()
    with pytest.raises(DeadlineExceeded, match="reads nothing"):
        pipe.outlet.await_room(time.monotonic() + 0.05)
    assert pipe.outlet.sock is pipe.ours


def test_a_write_that_is_cut_off_fails(pipe: Pipe) -> None:
    failed: list[bool] = []
    pipe.fill()
    writing = threading.Thread(target=lambda: failed.append(not pipe.outlet.write(LARGE)))
    writing.start()
    pipe.outlet.cut_off()
    writing.join(scaled(5))
    assert failed == [True]
    assert pipe.is_over
