"""Dialling in a task: as wrong answers are told there, so here, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemoneye.bus.client.async_dialler import introduce
from daemoneye.bus.client.destination import Destination
from daemoneye.bus.endpoint import Endpoint
from daemoneye.bus.frames import Challenge, Goodbye, Refusal
from daemoneye.bus.handshake import Claim
from daemoneye.errors import BusBroken, Refused, RemoteProtocolError
from daemoneye.framing import pack
from tests.bus.brokers import broker_in_thread
from tests.bus.client.loops import in_a_loop
from tests.bus.client.test_dialler import CLAIM, answering, says


@contextlib.contextmanager
def silent(path: Path) -> Iterator[None]:
    """Somebody listens there and never answers."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield
    path.unlink()


def destination(path: Path, claim: Claim = CLAIM) -> Destination:
    return Destination(path, lambda: claim)


@in_a_loop
async def test_a_welcome_brings_the_epoch_the_role_and_the_limits(tidy: Path) -> None:
    with broker_in_thread(tidy) as broker:
        key = broker.admit("operator")
        connected = await introduce(destination(broker.path, Claim("operator", 1, key)))
        connected.sock.close()
        assert connected.epoch == broker.broker.door.terms.epoch
        assert (connected.role, connected.max_frame_bytes) == ("agent", 1 << 20)
        assert connected.heartbeat_interval > 0


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (says(), BusBroken),
        (says(b"\0\0"), BusBroken),
        (says(Challenge(bytes(32), 1)), BusBroken),
        (says(b"\xff\xff\xff\xff"), RemoteProtocolError),
        (says(pack(b"\xff")), RemoteProtocolError),
        (says(Goodbye()), RemoteProtocolError),
        (says(Refusal("busy", "full")), Refused),
    ],
)
def test_every_wrong_answer_is_an_error_of_ours(
    tidy: Path, serve: Callable[[socket.socket], None], error: type[Exception]
) -> None:
    with answering(tidy / "bus", serve), pytest.raises(error):
        asyncio.run(introduce(destination(tidy / "bus")))


@in_a_loop
async def test_a_broker_that_says_nothing_is_given_up_in_time(tidy: Path) -> None:
    loop = asyncio.get_running_loop()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    counting = asyncio.create_task(count())
    with silent(tidy / "bus"):
        began = loop.time()
        with pytest.raises(BusBroken, match="did not answer in time"):
            await introduce(destination(tidy / "bus"), 0.1)
        assert 0.1 <= loop.time() - began < 1.0
    counting.cancel()
    assert turns >= 3


@in_a_loop
async def test_a_full_backlog_is_waited_for_in_time(tidy: Path) -> None:
    endpoint = Endpoint(tidy / "bus", 0)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(tidy / "bus"))
        with pytest.raises(BusBroken, match="did not take us in"):
            await introduce(destination(tidy / "bus"), 0.05)
    endpoint.close()


@in_a_loop
async def test_a_cancelled_attempt_leaves_no_socket(tidy: Path) -> None:
    with silent(tidy / "bus"):
        trying = asyncio.create_task(introduce(destination(tidy / "bus")))
        await asyncio.sleep(0.02)
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying
