"""Descriptors whose closing takes as long as their sender likes: nobody waits for it."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye import system
from daemoneye.bus.broker import broker as broker_module
from daemoneye.bus.broker import descriptors
from daemoneye.bus.broker.descriptors import Descriptors
from daemoneye.bus.broker.session import Passed
from daemoneye.bus.endpoint import dial
from daemoneye.bus.frames import Notice, Refusal
from daemoneye.bus.memory import can_pass_memory
from daemoneye.errors import RemoteProtocolError
from daemoneye.system import memfd_of, receive_with_descriptors, send_with_descriptors
from tests.bus.broker.test_passing import LARGE, last_words, passing_session, publish
from tests.bus.brokers import TICK, Running, broker_in_thread, raw_session
from tests.support import scaled, wait_for

pytestmark = pytest.mark.skipif(not can_pass_memory(), reason="no sealed memory here")

LINGER = 60

READING = threading.Event()
"""Set while the broker may read."""


@pytest.fixture(autouse=True)
def _reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(sock: socket.socket, max_bytes: int) -> tuple[bytes, tuple[int, ...], bool]:
        assert READING.wait(scaled(5))
        return receive_with_descriptors(sock, max_bytes)

    monkeypatch.setattr(broker_module, "receive_with_descriptors", receive)
    READING.set()


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch, tidy: Path) -> Iterator[Running]:
    """A broker on a kernel that refuses no descriptors, as before Linux 6.16."""
    with monkeypatch.context() as patch:
        patch.setattr(system, "let_descriptors_come", lambda sock, may: None)
        with broker_in_thread(tidy) as running:
            yield running


def kernel_refuses() -> bool:
    """Whether this kernel can refuse descriptors at their sender."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        system.let_descriptors_come(theirs, False)
        try:
            send_with_descriptors(ours, [b"x"], [0])
        except PermissionError:
            return True
    return False


@contextmanager
def lingering() -> Iterator[int]:
    """A descriptor whose last closing takes a minute, or until this is left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection(listener.getsockname()) as sock:
            peer, _ = listener.accept()
            with peer:
                sock.setblocking(False)
                try:
                    while True:
                        sock.send(bytes(1 << 16))
                except BlockingIOError:
                    pass
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))
                fd = sock.detach()
                try:
                    yield fd
                finally:
                    peer.close()  # with unread bytes: a reset, which ends the lingering
                    os.close(fd)


@contextmanager
def passed(sock: socket.socket, data: bytes) -> Iterator[None]:
    """It is on its way, and nobody else has it."""
    with lingering() as fd:
        READING.clear()  # or the broker could be first, and ours the last
        try:
            send_with_descriptors(sock, [data], [fd])
            spare = os.open(os.devnull, os.O_RDONLY)
            os.dup2(spare, fd)
            os.close(spare)
        finally:
            READING.set()
        yield


def served_meanwhile(broker: Running) -> None:
    """Others are served while one waits to be closed."""
    wait_for(lambda: broker.broker._descriptors.waiting, "the descriptor to be left")
    with broker.client("good") as bus:
        began = time.monotonic()
        assert bus.publish_confirmed(TICK, b"", timeout=scaled(5)).subscribers == 0
        assert time.monotonic() - began < scaled(1)
    assert broker.broker._descriptors.waiting == 1


def all_closed(broker: Running) -> None:
    wait_for(lambda: not broker.broker._descriptors.waiting, "it to be closed")


def test_nobody_waits_while_what_a_client_passed_is_closed(broker: Running) -> None:
    with passing_session(broker) as sock:
        with passed(sock, publish()):
            served_meanwhile(broker)
        all_closed(broker)


def test_nobody_waits_for_what_a_connection_leaves_behind(broker: Running) -> None:
    with passing_session(broker) as sock, passed(sock, publish()[:1]):
        wait_for(lambda: broker.broker._descriptors._foreign, "it to come")
        sock.close()
        served_meanwhile(broker)
    all_closed(broker)


def test_sealed_memory_is_closed_at_once(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(TICK) as events, passing_session(broker) as sock:
        fd = memfd_of(LARGE)
        send_with_descriptors(sock, [publish()], [fd])
        os.close(fd)
        assert events.get(scaled(5)) is not None
    assert broker.broker._descriptors._thread is None


def test_before_a_proof_the_kernel_refuses_descriptors_at_their_sender(broker: Running) -> None:
    if not kernel_refuses():
        pytest.skip("this kernel passes all")
    with dial(broker.path, 1.0) as early, raw_session(broker) as plain:
        for sock in (early, plain):
            with pytest.raises(PermissionError):
                send_with_descriptors(sock, [b"x"], [0])


def test_before_a_proof_a_descriptor_is_a_breach_and_nobody_waits(trusting: Running) -> None:
    with dial(trusting.path, 1.0) as early:
        with passed(early, b"x"):
            served_meanwhile(trusting)
        refusal = last_words(early)
        assert isinstance(refusal, Refusal)
        assert (refusal.reason, refusal.detail) == ("protocol", descriptors.NONE_TAKEN)
    assert trusting.broker.door.counted["protocol"] == 1
    all_closed(trusting)


def test_where_chunks_were_agreed_a_descriptor_is_a_breach(trusting: Running) -> None:
    with raw_session(trusting) as sock:
        with passed(sock, publish()):
            served_meanwhile(trusting)
        notice = last_words(sock)
        assert isinstance(notice, Notice)
        assert notice.detail == descriptors.NONE_TAKEN
    all_closed(trusting)


def test_who_passes_one_more_than_may_wait_is_cut_off(
    broker: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "MOST_FOREIGN", 1)
    with passing_session(broker) as sock, passed(sock, publish()):
        served_meanwhile(broker)
        with passing_session(broker) as other:
            send_with_descriptors(other, [publish()], [0])
            notice = last_words(other)
        assert isinstance(notice, Notice)
        assert "wait to be closed" in notice.detail
        wait_for(lambda: broker.broker._descriptors.waiting == 2, "it to wait too")
    all_closed(broker)


def test_what_has_come_is_told_apart_and_closed_by_the_thread_or_at_once() -> None:
    table = Descriptors()
    ours, theirs = os.pipe()
    memory = memfd_of(b"abc")
    things = table.take_in((ours, memory), some_lost=True)
    assert things == [Passed(ours, 0), Passed(memory, 3), Passed(-1, 0)]
    table.check(things)
    table.close([ours, memory])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(memory)
    with pytest.raises(RemoteProtocolError, match="none is taken"):
        table.refuse([theirs])
    table.stop(scaled(5))
    assert (table.waiting, table.closed) == (0, 2)
    for fd in (ours, theirs):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_without_a_thread_they_wait_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Descriptors()
    (first, second), start = os.pipe(), threading.Thread.start
    with monkeypatch.context() as patch:

        def refuse(thread: object) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RemoteProtocolError):
            table.refuse([first])
        assert table.waiting == 1
    assert threading.Thread.start is start
    with pytest.raises(RemoteProtocolError):
        table.refuse([second])
    table.stop(scaled(5))
    assert table.waiting == 0
