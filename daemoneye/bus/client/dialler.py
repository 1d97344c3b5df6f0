"""From an address and a key to a connection that both sides believe in.

Blocking, with one deadline for all of it: this is done by a thread that has nothing else to do,
the caller of `connect` or the keeper.  The steps are those of `handshake.Introduction`.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from daemoneye.bus.client.link import ANEW, Resumed
from daemoneye.bus.endpoint import dial
from daemoneye.bus.frames import (
    Carriage,
    Hello,
    Proof,
    Refusal,
    Value,
    Welcome,
    control_value,
    encode,
    parse,
)
from daemoneye.bus.handshake import (
    BAD_PROOF,
    BUSY,
    NO_RETURN,
    NONCE_BYTES,
    UNKNOWN_IDENTITY,
    WRONG_PROCESS,
    WRONG_VERSION,
    Claim,
    Introduction,
    Return,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.errors import BusBroken, Refused
from daemoneye.foreign import brief
from daemoneye.framing import FrameCutter, pack
from daemoneye.rundir import OPERATOR
from daemoneye.waiting import Watch

ATTEMPT_TIMEOUT = 3.0
"""For one attempt to connect, in seconds: one more than the broker gives the handshake."""

_HINTS = {
    UNKNOWN_IDENTITY: "a child may come before the broker knows of it; others need a key it knows",
    BAD_PROOF: "the instance was probably restarted, which makes a new {key}",
    BUSY: "try again, or close some; connections, identity_connections and agent_connections "
    "of [bus] are the settings",
    WRONG_PROCESS: "a child's key is good in that process only: give others a client of their own",
    WRONG_VERSION: "use the same version of daemoneye on both sides",
}


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that is proven on both sides."""

    sock: socket.socket
    """Without blocking mode; nothing beyond the Welcome has been read from it."""
    epoch: int
    """Which life of the broker this is."""
    role: str
    """What we may act as."""
    max_frame_bytes: int
    """The largest frame the broker takes."""
    heartbeat_interval: float = 0.0
    """After how many seconds without a word from the broker it is pinged; 0: never."""
    missed_heartbeats: int = 2
    """After how many of those the connection is given up."""
    carriage: Carriage = NO_CARRIAGE
    """How large payloads travel on it."""
    resumed: Resumed = ANEW
    """The session on it."""


def introduce(
    path: Path,
    claim: Claim,
    timeout: float,
    carriage: Carriage = NO_CARRIAGE,
    wanted: Return = NO_RETURN,
) -> Connected:
    """Connect to the broker at `path` and prove to be `claim`, within `timeout` seconds.

    `carriage` is what we can do with large payloads, `wanted` the session to go on with.

    Raises Refused when the broker says no, other BusBroken when it is not there or does not answer,
    RemoteProtocolError when what answers is no broker of ours, ConfigError when the place belongs
    to another user.
    """
    deadline = time.monotonic() + timeout
    sock = dial(path, timeout)
    try:
        introduction = Introduction(claim, os.urandom(NONCE_BYTES), carriage, wanted)
        answer: Value = introduction.hello()
        while isinstance(answer, Hello | Proof):
            say(sock, answer)
            answer = introduction.receive(_read(sock, deadline))
        return concluded(sock, path, claim, introduction.epoch, answer, wanted)
    except BaseException:  # whatever it is, the socket is ours to close
        sock.close()
        raise


def concluded(
    sock: socket.socket,
    path: Path,
    claim: Claim,
    epoch: int,
    answer: Value,
    wanted: Return = NO_RETURN,
) -> Connected:
    """What the last word of a handshake makes of it.  Raises Refused."""
    if isinstance(answer, Refusal):
        key = "operator.key" if claim.identity == OPERATOR else f"keys/{claim.identity}.key"
        raise Refused(
            f"the broker at {path} refused {claim.identity!r}: {brief(answer.detail)}",
            reason=answer.reason,
            hint=_HINTS.get(answer.reason, "").format(key=key),
        )
    assert isinstance(answer, Welcome)
    return Connected(
        sock,
        epoch,
        answer.role,
        answer.max_frame_bytes,
        answer.heartbeat_interval,
        answer.missed_heartbeats,
        answer.carriage,
        Resumed(answer.session, answer.resumption, answer.taken, wanted.subscriptions),
    )


def say(sock: socket.socket, value: Value) -> None:
    """Say it: a few hundred bytes into an empty buffer, so nobody waits."""
    try:
        sock.sendall(pack(encode(value)))
    except OSError:
        pass  # it hung up; reading tells its last words, or that there are none


def receive(sock: socket.socket, cutter: FrameCutter) -> Value | None:
    """What the broker says, without reading a byte behind it; None when it is not whole yet.

    Raises BusBroken and RemoteProtocolError.
    """
    try:
        data = sock.recv(cutter.missing_bytes)
    except BlockingIOError:
        return None
    except OSError as error:
        raise BusBroken(f"the broker hung up during the handshake: {error.strerror}") from error
    if not data:
        raise BusBroken("the broker hung up during the handshake")
    frames = cutter.feed(data)
    return control_value(parse(frames[0])) if frames else None


def too_late() -> BusBroken:
    """Nothing came in time."""
    return BusBroken("the broker did not answer in time", hint="it may be stopped or busy")


def _read(sock: socket.socket, deadline: float) -> Value:
    something = Watch(sock.fileno())
    cutter = FrameCutter(Limits().early_frame_bytes)
    while True:
        if not something.wait(max(0.0, deadline - time.monotonic())):
            raise too_late()
        if (value := receive(sock, cutter)) is not None:
            return value
