"""A connection of tasks over many sockets: patience with a broker, wishes, and an end in time."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from daemoneye.bus.client.async_connection import AsyncConnection
from daemoneye.bus.client.async_subscriber import AsyncJobs
from daemoneye.bus.client.async_waiting import home
from daemoneye.bus.client.dialler import Connected
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.wishes import batches
from daemoneye.bus.client.work import Hold
from daemoneye.bus.frames import Settling
from daemoneye.bus.handshake import Return
from daemoneye.errors import (
    BusBroken,
    BusClosed,
    DeadlineExceeded,
    LocalProtocolError,
)
from tests.bus.client.loops import in_a_loop, settle, until_true
from tests.support import scaled

TICK = "events.demo.tick"


class Peer:
    """Takes connections as a broker does; what it says is the test's business."""

    def __init__(self, heartbeat_interval: float = 0.0) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.ends: list[socket.socket] = []

    async def dial(self, _: Return) -> Connected:
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        self.ends.append(theirs)
        return Connected(ours, 1, "agent", 1 << 20, self.heartbeat_interval, 2)

    def close(self) -> None:
        for each in self.ends:
            each.close()


async def nobody(_: Return) -> Connected:
    raise BusBroken("nobody there")


@in_a_loop
async def test_it_tries_at_once_and_then_with_growing_pauses_until_it_is_closed() -> None:
    tries: list[float] = []

    async def dial(_: Return) -> Connected:
        tries.append(home().time())
        return await nobody(_)

    began = home().time()
    connection = AsyncConnection(dial)
    connection.connect_later()
    await until_true(lambda: len(tries) >= 4, "a few attempts")
    assert tries[0] - began < scaled(0.1)
    assert len(tries) < 40
    await connection.close()
    done = len(tries)
    await asyncio.sleep(0.3)
    assert len(tries) == done


@in_a_loop
async def test_an_attempt_at_once_says_what_is_wrong() -> None:
    with pytest.raises(BusBroken, match="nobody there"):
        await AsyncConnection(nobody).connect()


@in_a_loop
async def test_a_socket_that_dies_while_it_is_taken_over_is_closed() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.close()

    async def dial(_: Return) -> Connected:
        return Connected(ours, 1, "agent", 1 << 20)

    connection = AsyncConnection(dial)
    connection.writer.publish(TICK, b"waits", "", "")
    connection.writer.write_draft()
    with pytest.raises(BusBroken):
        await connection.connect()
    assert ours.fileno() < 0
    assert connection.writer.waiting == 1


@in_a_loop
async def test_what_can_never_be_said_ends_the_client_instead_of_being_tried_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def dial(_: Return) -> Connected:
        raise LocalProtocolError("no words for it")

    connection = AsyncConnection(dial)
    subscription = await connection.subscribe(("events.#",), Options(), None)
    connection.connect_later()
    with pytest.raises(LocalProtocolError, match="no words"):
        await subscription.get(scaled(5))
    with pytest.raises(LocalProtocolError, match="no words"):
        await connection.subscribe(("events.#",), Options(), None)
    assert "never connect again: no words" in caplog.text
    await connection.close()


@in_a_loop
async def test_what_was_dropped_without_a_connection_is_logged_when_there_is_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer, there = Peer(), asyncio.Event()

    async def dial(_: Return) -> Connected:
        await there.wait()
        return await peer.dial(_)

    connection = AsyncConnection(dial)
    connection.connect_later()
    await settle()
    await connection.writer.publish_many(TICK, batches([b""] * 256 * 5), "")
    there.set()
    await until_true(lambda: "256 messages found no room" in caplog.text, "the word of it")
    assert "again" not in caplog.text
    await connection.close()
    peer.close()


@in_a_loop
async def test_what_cannot_be_understood_costs_the_connection_and_not_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer = Peer()
    connection = AsyncConnection(peer.dial)
    await connection.connect()
    peer.ends[0].send(b"\xff\xff\xff\xff")
    await until_true(lambda: len(peer.ends) == 2, "another connection")
    assert connection.writer.connected
    assert "is lost (a frame header promises -1 bytes)" in caplog.text
    await until_true(lambda: "connected to the broker again" in caplog.text, "that it is back")
    await connection.close()
    peer.close()


@in_a_loop
async def test_a_bug_in_sorting_costs_the_connection_and_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer()
    connection = AsyncConnection(peer.dial)
    await connection.connect()
    with caplog.at_level(logging.ERROR, "asyncio"), monkeypatch.context() as bug:
        bug.setattr(type(connection.link), "receive", None)
        peer.ends[0].send(b"any")
        await until_true(lambda: len(peer.ends) == 2, "another connection")
    assert "'NoneType' object is not callable" in caplog.text
    await connection.close()
    peer.close()


@in_a_loop
async def test_a_broker_that_is_silent_is_asked_and_then_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer = Peer(heartbeat_interval=0.05)
    connection = AsyncConnection(peer.dial)
    await connection.connect()
    await until_true(lambda: len(peer.ends) == 2, "another connection")
    assert peer.ends[0].recv(100)
    assert "nothing came from the broker in 0.1 s" in caplog.text
    await connection.close()
    peer.close()


@in_a_loop
async def test_a_question_ends_at_its_deadline_and_leaves_nothing_behind() -> None:
    peer = Peer()
    connection = AsyncConnection(peer.dial)
    await connection.connect()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.01 s"):
        await connection.ask(lambda number: None, 0.01)
    asking = asyncio.create_task(connection.ask(lambda number: None, 5.0))
    await settle()
    asking.cancel()
    await settle()
    assert asking.cancelled()
    assert connection.dialogue.pending == {}
    await connection.close()
    peer.close()


@in_a_loop
async def test_a_subscription_that_is_cancelled_before_its_answer_is_not_kept() -> None:
    peer = Peer()
    connection = AsyncConnection(peer.dial)
    await connection.connect()
    subscribing = asyncio.create_task(connection.subscribe(("a", "b"), Options(), None))
    await settle()
    assert len(connection.link.interests) == 2
    subscribing.cancel()
    await settle()
    assert subscribing.cancelled()
    assert connection.link.interests == {}
    assert connection.dialogue.pending == {}
    await connection.close()
    peer.close()


@in_a_loop
async def test_closing_in_the_midst_of_dialling_ends_that() -> None:
    dialling = asyncio.Event()

    async def dial(_: Return) -> Connected:
        dialling.set()
        await asyncio.sleep(60)
        return await nobody(_)

    connection = AsyncConnection(dial)
    connection.connect_later()
    await dialling.wait()
    subscription = await connection.subscribe(("events.#",), Options(), None)
    waiting = asyncio.create_task(subscription.get())
    await settle()
    await connection.close()
    with pytest.raises(BusClosed):
        await waiting


@in_a_loop
async def test_closing_that_is_cancelled_has_closed() -> None:
    peer = Peer()
    connection = AsyncConnection(peer.dial)
    await connection.connect()
    connection.writer.publish(TICK, bytes(1_000_000), "", "")
    connection.writer.write_draft()
    closing = asyncio.create_task(connection.close())
    await settle()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not connection.writer.connected
    while peer.ends[0].recv(1 << 16):
        pass  # and then the end
    peer.close()


def test_it_is_made_in_a_loop() -> None:
    with pytest.raises(LocalProtocolError, match="no event loop"):
        AsyncConnection(nobody)


@in_a_loop
async def test_what_was_not_said_of_a_job_may_be_said_again() -> None:
    connection = AsyncConnection(nobody)
    interest = connection.link.want("a", Options(group="g"), AsyncJobs(connection, None))
    hold = Hold(7, 1, connection.link, interest.number)
    connection.writer.outlet.crowded = True
    saying = asyncio.create_task(connection.settle(hold, Settling.ACK, 0.0, "", 5.0))
    await asyncio.sleep(0)
    saying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saying
    await connection.settle(hold, Settling.RETRY, 1.0, "", None)
    with pytest.raises(LocalProtocolError, match="it was given back for another try already"):
        await connection.settle(hold, Settling.ACK, 0.0, "", None)
