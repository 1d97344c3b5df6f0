"""Dialling: against what answers wrongly, partly, or not at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.frames import Challenge, Goodbye, Refusal, Value, Welcome, encode
from daemoneye.bus.handshake import Claim
from daemoneye.errors import BusBroken, BusError, Refused, RemoteProtocolError
from daemoneye.framing import pack
from tests.bus.brokers import broker_in_thread

CLAIM = Claim("operator", 1, bytes(32))


def says(*values: Value | bytes) -> Callable[[socket.socket], None]:
    """A peer that hears something, then says this, then hangs up."""
    data = b"".join(v if isinstance(v, bytes) else pack(encode(v)) for v in values)

    def serve(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(data)

    return serve


@contextmanager
def answering(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Somebody at `path` who treats one caller like that."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def run() -> None:
            sock, _ = listener.accept()
            with sock:
                serve(sock)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join(10)
            path.unlink()


def test_a_welcome_brings_the_epoch_the_role_and_the_limits(tidy: Path) -> None:
    with broker_in_thread(tidy) as broker:
        key = broker.admit("operator")
        connected = introduce(broker.path, Claim("operator", 1, key), 5.0)
        connected.sock.close()
        assert connected.epoch == broker.broker.door.terms.epoch
        assert (connected.role, connected.max_frame_bytes) == ("agent", 1 << 20)


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (says(), BusBroken),
        (says(b"\0\0"), BusBroken),
        (says(b"\0\0\0\x09abc"), BusBroken),
        (says(Challenge(bytes(32), 1)), BusBroken),
        (says(b"\xff\xff\xff\xff"), RemoteProtocolError),
        (says(b"\x7f\xff\xff\xff"), BusError),
        (says(pack(b"\xff")), RemoteProtocolError),
        (says(Goodbye()), RemoteProtocolError),
        (
            says(Challenge(bytes(32), 1), Welcome(bytes(32), "agent", 1, 1.0, 3)),
            RemoteProtocolError,
        ),
        (says(Refusal("busy", "full")), Refused),
    ],
)
def test_every_wrong_answer_is_an_error_of_ours(
    tidy: Path, serve: Callable[[socket.socket], None], error: type[Exception]
) -> None:
    with answering(tidy / "bus", serve), pytest.raises(error):
        introduce(tidy / "bus", CLAIM, 5.0)


def test_a_broker_that_says_nothing_is_given_up_in_time(tidy: Path) -> None:
    with answering(tidy / "bus", lambda sock: time.sleep(0.3)):
        began = time.monotonic()
        with pytest.raises(BusBroken, match="did not answer in time"):
            introduce(tidy / "bus", CLAIM, 0.1)
        assert time.monotonic() - began < 0.3


def test_a_refusal_keeps_its_reason_and_gives_a_hint(tidy: Path) -> None:
    for claim, key in ((CLAIM, "operator.key"), (Claim("dash", 1, bytes(32)), "keys/dash.key")):
        with answering(tidy / "bus", says(Refusal("bad-proof", "not the key"))):
            with pytest.raises(Refused, match="not the key") as caught:
                introduce(tidy / "bus", claim, 5.0)
        assert caught.value.reason == "bad-proof"
        assert f"a new {key}" in caught.value.hint


def test_what_a_stranger_says_does_not_speak_to_the_terminal(tidy: Path) -> None:
    refusal = Refusal("no\x1b", "\x1b[2Jit is\nall well" + "!" * 2000)
    with answering(tidy / "bus", says(refusal)), pytest.raises(Refused) as caught:
        introduce(tidy / "bus", CLAIM, 5.0)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
