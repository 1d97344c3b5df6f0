"""A large payload on its way into a socket: one descriptor, given once, closed in any case."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye import system
from daemoneye.bus.client import loading as module
from daemoneye.bus.client.counters import Tally
from daemoneye.bus.client.freight import Freight
from daemoneye.bus.client.loading import Loading
from daemoneye.bus.client.outgoing import Course, set_apart
from daemoneye.bus.frames import Carriage, Chunk, Heading, OuterFrame, control_value, parse
from daemoneye.bus.memory import can_pass_memory, contents_of
from daemoneye.framing import FrameCutter
from daemoneye.system import receive_with_descriptors

pytestmark = pytest.mark.skipif(not can_pass_memory(), reason="no sealed memory here")

CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def ends(tidy: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


@contextmanager
def loading(passes: bool = True, freight: Freight | None = None) -> Iterator[Loading]:
    freight = freight or Freight()
    freight.connected(Carriage(passes, 1 << 26, 1 << 18))
    one = Loading(
        set_apart(Course(Heading("events.demo.x"), [1]), CONTENT, 1), freight, 1 << 20, Tally()
    )
    try:
        yield one
    finally:
        one.close()


def heard(theirs: socket.socket) -> tuple[list[OuterFrame], list[bytes]]:
    """The frames that are there, and what is behind the descriptors that came with them."""
    cutter, frames, contents = FrameCutter(1 << 20), [], []
    while True:
        try:
            data, passed, _ = receive_with_descriptors(theirs, 1 << 16)
        except BlockingIOError:
            return frames, contents
        contents += [bytes(each or b"") for each in contents_of(passed, False, 1 << 26)]
        frames += [parse(raw) for raw in cutter.feed(data)]


def test_a_descriptor_goes_with_the_publish_that_owns_it(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    with loading() as one:
        one.give(ours)
    (frame,), (content,) = heard(theirs)
    assert (frame.descriptors, frame.large_bytes) == (1, len(CONTENT))
    assert content == CONTENT


def test_a_descriptor_is_passed_once_however_little_is_taken(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = ends
    send = system.send_with_descriptors
    monkeypatch.setattr(
        module, "send_with_descriptors", lambda sock, data, fds: send(sock, [data[0][:1]], fds)
    )
    with loading() as one:
        one.give(ours)
    (frame,), contents = heard(theirs)
    assert frame.large_bytes == len(CONTENT)
    assert contents == [CONTENT]


def test_a_full_socket_is_told_and_nothing_is_passed_before_there_is_room(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(b"x" * 4096)
    freight = Freight()
    with loading(freight=freight) as one:
        for _ in range(2):
            with pytest.raises(BlockingIOError):
                one.give(ours)
        assert freight.may_pass(1 << 26, confirmed=0)
        while theirs.recv(1 << 16):
            try:
                one.give(ours)
                break
            except BlockingIOError:
                continue
    assert not freight.may_pass(1 << 26, confirmed=0)


def test_chunks_go_on_where_the_kernel_took_no_more(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    cutter, frames = FrameCutter(1 << 20), []
    with loading(passes=False) as one:
        done = False
        while not done:
            try:
                one.give(ours)
                done = True
            except BlockingIOError:
                pass
            frames += [parse(raw) for raw in cutter.feed(theirs.recv(1 << 20))]
    *chunks, publish = frames
    values = [control_value(each) for each in chunks]
    assert b"".join(each.content for each in values if isinstance(each, Chunk)) == CONTENT
    assert publish.parcel == 1


@pytest.mark.parametrize("fails", ["memfd_of", "send_with_descriptors"])
def test_where_no_descriptor_is_to_be_had_it_goes_in_chunks(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    ours, theirs = ends
    monkeypatch.setattr(module, fails, fail)
    with loading() as one:
        with pytest.raises(BlockingIOError):
            one.give(ours)
    frames, contents = heard(theirs)
    assert isinstance(control_value(frames[0]), Chunk)
    assert contents == []


def test_a_broken_connection_closes_the_memory(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    theirs.close()
    before = len(os.listdir("/proc/self/fd"))
    with loading() as one, pytest.raises(OSError, match="Broken pipe"):
        one.give(ours)
    one.close()
    assert len(os.listdir("/proc/self/fd")) == before
