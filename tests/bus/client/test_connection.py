"""A connection over many sockets: patience with a broker, and wishes that cannot be told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemoneye.bus.client.connection import Connection
from daemoneye.bus.client.dialler import Connected
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.subscriber import Jobs
from daemoneye.bus.client.work import Hold
from daemoneye.bus.client.writer import Writer
from daemoneye.bus.frames import Ping, Settling, Value, encode
from daemoneye.bus.handshake import Return
from daemoneye.bus.vigil import ASK_AGAIN_INTERVAL
from daemoneye.errors import BusBroken, DeadlineExceeded, LocalProtocolError
from daemoneye.framing import FrameCutter
from tests.support import scaled, wait_for


def test_it_tries_at_once_and_then_with_growing_pauses_until_it_is_closed() -> None:
    tries: list[float] = []

    def dial(_: Return) -> Connected:
        tries.append(time.monotonic())
        raise BusBroken("nobody there")

    began = time.monotonic()
    connection = Connection(dial)
    connection.start(now=False)
    wait_for(lambda: len(tries) >= 4, "a few attempts")
    assert tries[0] - began < scaled(0.1)
    assert len(tries) < 40
    before = time.monotonic()
    connection.close()
    assert time.monotonic() - before < scaled(1.0)


def test_an_attempt_at_once_says_what_is_wrong() -> None:
    def dial(_: Return) -> Connected:
        raise BusBroken("nobody there")

    with pytest.raises(BusBroken, match="nobody there"):
        Connection(dial).start(now=True)


def test_a_socket_that_dies_while_it_is_taken_over_is_closed() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    connection = Connection(lambda _: Connected(ours, 1, "agent", 1 << 20))
    connection.writer.publish("events.demo.tick", b"waits", "", "")
    with pytest.raises(BusBroken):
        connection.start(now=True)
    assert ours.fileno() < 0
    assert connection.writer.waiting == 1


def test_a_wish_that_cannot_be_told_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Writer, ask: Callable[[], Sequence[Value]], deadline: float) -> None:
        assert len(ask()) == 2
        raise LocalProtocolError("no words for it")

    connection = Connection(lambda _: pytest.fail("never dialled"))
    monkeypatch.setattr(Writer, "send_all", refuse)
    with pytest.raises(LocalProtocolError):
        connection.subscribe(("events.a", "events.b"), Options(), None)
    assert connection.link.interests == {}


def test_what_can_never_be_said_ends_the_client_instead_of_being_tried_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def dial(_: Return) -> Connected:
        raise LocalProtocolError("no words for it")

    connection = Connection(dial)
    subscription = connection.subscribe(("events.#",), Options(), None)
    connection.start(now=False)
    with pytest.raises(LocalProtocolError, match="no words"):
        subscription.get(scaled(5))
    assert "never connect again: no words" in caplog.text
    connection.close()


def test_what_was_dropped_without_a_connection_is_logged_when_there_is_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = socket.socketpair()
    asked, there = threading.Event(), threading.Event()

    def dial(_: Return) -> Connected:
        asked.set()
        assert there.wait(scaled(5))
        return Connected(ours, 1, "agent", 1 << 20)

    connection = Connection(dial)
    connection.start(now=False)
    assert asked.wait(scaled(5))
    connection.writer.publish_many("events.demo.tick", [b""] * 256 * 5, "", "")
    there.set()
    wait_for(lambda: "256 messages found no room" in caplog.text, "the word of it")
    assert "again" not in caplog.text
    connection.close()
    theirs.close()


def test_a_ping_due_while_others_write_is_said_a_moment_later() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = Connection(lambda _: Connected(ours, 1, "agent", 1 << 20, 5.0, 3))
        connection._establish()
        vigil = connection._vigil
        connection._tend(vigil.next_at)  # something was heard: the Welcome
        due_at = vigil.next_at
        with ThreadPoolExecutor(1) as others, connection.writer._turn.lock:
            again_at = others.submit(connection._tend, due_at).result()
        assert again_at == due_at + ASK_AGAIN_INTERVAL
        assert connection._tend(again_at) > again_at + ASK_AGAIN_INTERVAL
        assert FrameCutter(1 << 20).feed(theirs.recv(1 << 16)) == [encode(Ping())]


def test_what_was_not_said_of_a_job_may_be_said_again() -> None:
    connection = Connection(lambda _: pytest.fail("never dialled"))
    interest = connection.link.want("a", Options(group="g"), Jobs(connection, None))
    hold = Hold(7, 1, connection.link, interest.number)
    with ThreadPoolExecutor(1) as others:
        with connection.writer._turn.lock:
            said = others.submit(connection.settle, hold, Settling.ACK, 0.0, "", 0.05)
            with pytest.raises(DeadlineExceeded, match="nothing was asked"):
                said.result(scaled(5))
    connection.settle(hold, Settling.RETRY, 1.0, "", None)
    with pytest.raises(LocalProtocolError, match="it was given back for another try already"):
        connection.settle(hold, Settling.ACK, 0.0, "", None)
