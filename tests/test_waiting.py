"""Waiting for descriptors is the same with epoll, with poll and with select."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterator

import pytest

from daemoneye.waiting import READABLE, WRITABLE, Poller, Watch
from tests.support import scaled, without

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


WORLDS = pytest.mark.parametrize("lacking", [(), ("epoll",), ("epoll", "poll")], ids=str)


def test_readable_and_writable_are_what_poll_calls_them() -> None:
    assert (READABLE, WRITABLE) == (select.POLLIN, select.POLLOUT)


@WORLDS
def test_a_watch_sees_what_can_be_read_and_the_end(pair: Pair, lacking: tuple[str, ...]) -> None:
    ours, theirs = pair
    with without(*lacking):
        watch = Watch(ours.fileno())
        assert not watch.wait(0)
        assert not watch.wait(0.001)
        theirs.send(b"!")
        assert watch.wait(scaled(5))
        assert watch.wait(float(1 << 40))
        ours.recv(1)
        theirs.close()
        assert watch.wait()


@WORLDS
def test_a_watch_sees_where_there_is_room(pair: Pair, lacking: tuple[str, ...]) -> None:
    ours, theirs = pair
    with without(*lacking):
        room = Watch(ours.fileno(), WRITABLE)
        assert room.wait(0)
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            while ours.send(b"x" * 65536):
                pass
        assert not room.wait(0)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            while theirs.recv(1 << 20):
                pass
        assert room.wait(scaled(5))


@WORLDS
def test_a_watch_of_what_was_closed_before_has_ended(lacking: tuple[str, ...]) -> None:
    with without(*lacking):
        for what in (READABLE, WRITABLE):
            assert Watch(-1, what).wait(0.0)
            assert Watch(-1, what).wait()


@WORLDS
def test_a_watch_of_what_was_closed_ends(lacking: tuple[str, ...]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, without(*lacking):
        watch = Watch(ours.fileno())
        ours.close()
        assert watch.wait(scaled(5))


def test_select_takes_few_descriptors_and_the_others_any_number() -> None:
    for lacking, at_most in (
        ((), sys.maxsize),
        (("epoll",), sys.maxsize),
        (("epoll", "poll"), 500),
    ):
        with without(*lacking):
            poller = Poller()
            assert poller.at_most == at_most
            poller.close()


@WORLDS
def test_a_poller_says_which_descriptor_and_what(pair: Pair, lacking: tuple[str, ...]) -> None:
    ours, theirs = pair
    with without(*lacking):
        poller = Poller()
        try:
            poller.watch(ours.fileno(), READABLE)
            poller.watch(theirs.fileno(), READABLE)
            assert poller.poll(0) == []
            theirs.send(b"!")
            assert poller.poll() == [(ours.fileno(), READABLE)]
            poller.watch(ours.fileno(), READABLE | WRITABLE)
            assert poller.poll() == [(ours.fileno(), READABLE | WRITABLE)]
            poller.forget(ours.fileno())
            poller.forget(ours.fileno())
            assert poller.poll(0.001) == []
            ours.close()
            ((fd, what),) = poller.poll()
            assert fd == theirs.fileno()
            assert what & READABLE
        finally:
            poller.close()
