"""What `dialler` does, in a task: nothing here keeps the event loop waiting."""

from __future__ import annotations

import asyncio
import os
import socket

from daemoneye.bus.client.async_waiting import readable
from daemoneye.bus.client.destination import Destination
from daemoneye.bus.client.dialler import (
    ATTEMPT_TIMEOUT,
    Connected,
    concluded,
    receive,
    say,
    too_late,
)
from daemoneye.bus.endpoint import DIAL_PAUSE, dial_nowait, not_taken_in
from daemoneye.bus.frames import Carriage, Hello, Proof, Value
from daemoneye.bus.handshake import NO_RETURN, NONCE_BYTES, Introduction, Return
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.framing import FrameCutter


async def introduce(
    destination: Destination,
    timeout: float = ATTEMPT_TIMEOUT,
    carriage: Carriage = NO_CARRIAGE,
    wanted: Return = NO_RETURN,
) -> Connected:
    """Connect, and prove who we are, within `timeout` seconds.

    `carriage` is what we can do with large payloads, `wanted` the session to go on with.
    Raises as `dialler.introduce`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    path, claim = destination.path, destination.claim()
    while (sock := dial_nowait(path)) is None:
        if loop.time() >= deadline:
            raise not_taken_in(path, timeout)
        await asyncio.sleep(DIAL_PAUSE)
    try:
        introduction = Introduction(claim, os.urandom(NONCE_BYTES), carriage, wanted)
        answer: Value = introduction.hello()
        while isinstance(answer, Hello | Proof):
            say(sock, answer)
            answer = introduction.receive(await _read(loop, sock, deadline))
        return concluded(sock, path, claim, introduction.epoch, answer, wanted)
    except BaseException:  # whatever it is, a cancellation too, the socket is ours to close
        sock.close()
        raise


async def _read(loop: asyncio.AbstractEventLoop, sock: socket.socket, deadline: float) -> Value:
    cutter = FrameCutter(Limits().early_frame_bytes)
    while True:
        if not await readable(loop, sock, deadline):
            raise too_late()
        if (value := receive(sock, cutter)) is not None:
            return value
