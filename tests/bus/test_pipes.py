"""Connections over named pipes, with a stand-in for these: frames, ends, who comes and goes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye import named_pipes
from daemoneye.bus import pipes
from daemoneye.bus.endpoint import PIPED_FRAME_BYTES, dial, listen
from daemoneye.bus.limits import Limits
from daemoneye.bus.pipes import PipeEndpoint, ferried, name_of
from daemoneye.errors import AlreadyRunning, BusBroken, ConfigError
from daemoneye.framing import pack
from daemoneye.system import Peer
from tests.bus.fake_pipes import FakeListener, FakePipe, named_pipes_instead_of_sockets
from tests.support import scaled, wait_for

FRAME = 1 << 20


@pytest.fixture
def world(tidy: Path) -> Iterator[Path]:
    """Where endpoints are named pipes."""
    with named_pipes_instead_of_sockets(tidy):
        yield tidy


@pytest.fixture
def endpoint(world: Path) -> Iterator[PipeEndpoint]:
    found = listen(world / "bus", Limits(backlog=2))
    assert isinstance(found, PipeEndpoint)
    yield found
    found.close()


@pytest.fixture
def ferry(tidy: Path) -> Iterator[tuple[socket.socket, FakePipe]]:
    """Our socket, and the pipe at the other side of it."""
    near, far = socket.socketpair()
    ours, theirs = ferried(FakePipe(near), FRAME), FakePipe(far)
    ours.setblocking(True)
    ours.settimeout(scaled(5))
    with ours:
        yield ours, theirs
    theirs.close()


def accepted(endpoint: PipeEndpoint) -> socket.socket:
    found = wait_for(endpoint.accept_nowait, "somebody to come in")
    assert found is not None
    sock = found[0]
    sock.setblocking(True)
    sock.settimeout(scaled(5))
    return sock


def read_all(sock: socket.socket) -> bytes:
    """Everything until the end."""
    found = b""
    while data := sock.recv(1 << 16):
        found += data
    return found


# ---- one connection -----------------------------------------------------------------------------


def test_a_message_is_a_frame_without_its_length(ferry: tuple[socket.socket, FakePipe]) -> None:
    ours, theirs = ferry
    ours.sendall(pack(b"one") + pack(b"two") + pack(b"x" * FRAME))
    assert [theirs.recv_bytes(FRAME) for _ in range(3)] == [b"one", b"two", b"x" * FRAME]
    theirs.send_bytes(b"three")
    assert ours.recv(100) == pack(b"three")


def test_who_hangs_up_has_been_heard(ferry: tuple[socket.socket, FakePipe]) -> None:
    ours, theirs = ferry
    ours.sendall(pack(b"last words"))
    ours.close()
    assert theirs.recv_bytes(FRAME) == b"last words"
    assert theirs.recv_bytes(FRAME) == b""
    theirs.close()


def test_an_empty_message_is_the_end(ferry: tuple[socket.socket, FakePipe]) -> None:
    ours, theirs = ferry
    theirs.send_bytes(b"last words")
    theirs.send_bytes(b"")
    assert read_all(ours) == pack(b"last words")


def test_an_end_without_a_word_is_one(ferry: tuple[socket.socket, FakePipe]) -> None:
    ours, theirs = ferry
    theirs.close()
    assert read_all(ours) == b""


def test_a_message_past_the_bound_ends_it(tidy: Path) -> None:
    near, far = socket.socketpair()
    theirs = FakePipe(far)
    with ferried(FakePipe(near), 100) as ours:
        ours.setblocking(True)
        theirs.send_bytes(b"x" * 100)
        theirs.send_bytes(b"x" * 101)
        assert read_all(ours) == pack(b"x" * 100)
    theirs.close()


def test_rubbish_of_our_own_ends_it(
    ferry: tuple[socket.socket, FakePipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "LINGER_SECONDS", 0.05)
    ours, theirs = ferry
    ours.sendall(b"\xff\xff\xff\xff")
    with pytest.raises((EOFError, OSError)):
        theirs.recv_bytes(FRAME)


def test_a_process_that_ends_waits_until_its_last_words_are_on_their_way(tidy: Path) -> None:
    near, far = socket.socketpair()
    theirs, heard = FakePipe(far), list[bytes]()
    ours = ferried(FakePipe(near), FRAME)
    ours.setblocking(True)

    def read_late() -> None:
        time.sleep(0.1)
        while frame := theirs.recv_bytes(FRAME):
            heard.append(frame)
        theirs.close()

    reading = threading.Thread(target=read_late)
    reading.start()
    for _ in range(4):
        ours.sendall(pack(b"x" * FRAME))
    ours.close()
    pipes.finish_all()
    reading.join(scaled(5))
    assert heard == [b"x" * FRAME] * 4


def test_a_process_that_ends_waits_for_nobody_who_never_reads(
    ferry: tuple[socket.socket, FakePipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "LINGER_SECONDS", 0.1)
    ours, _ = ferry
    ours.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ours.sendall(pack(b"x" * 1000) * 5000)
    began = time.monotonic()
    pipes.finish_all()
    assert 0.1 <= time.monotonic() - began < scaled(2)


def test_a_process_that_ends_does_not_wait_when_nothing_is_left(
    ferry: tuple[socket.socket, FakePipe],
) -> None:
    began = time.monotonic()
    pipes.finish_all()
    assert time.monotonic() - began < scaled(1)


def test_who_lingers_is_hung_up_on(
    ferry: tuple[socket.socket, FakePipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "LINGER_SECONDS", 0.05)
    ours, theirs = ferry
    ours.close()
    assert theirs.recv_bytes(FRAME) == b""
    with pytest.raises((EOFError, OSError)):
        theirs.recv_bytes(FRAME)


def test_who_reads_nothing_does_not_hold_us(tidy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "PATIENCE_SECONDS", 0.2)
    near, far = socket.socketpair()
    with far, ferried(FakePipe(near), FRAME) as ours:
        ours.setblocking(True)
        began = time.monotonic()
        with pytest.raises(OSError, match="Broken pipe"):
            while True:
                ours.sendall(pack(b"x" * FRAME))
        assert time.monotonic() - began < scaled(5)


# ---- coming and going ---------------------------------------------------------------------------


def test_who_comes_is_let_in_with_the_pid_that_the_system_tells(endpoint: PipeEndpoint) -> None:
    assert endpoint.accept_nowait() is None
    with dial(endpoint.path, 5.0) as client:
        found = wait_for(endpoint.accept_nowait, "it to come in")
        assert found is not None
        sock, peer = found
        with sock:
            assert isinstance(peer, Peer)
            assert peer.pid > 0
            assert not sock.getblocking()
            assert not client.getblocking()
            client.sendall(pack(b"hello"))
            sock.setblocking(True)
            assert sock.recv(100) == pack(b"hello")


def test_either_end_is_noticed_at_the_other(endpoint: PipeEndpoint) -> None:
    began = time.monotonic()
    for closes_first in ("client", "broker"):
        client = dial(endpoint.path, 5.0)
        client.setblocking(True)
        client.settimeout(scaled(5))
        sock = accepted(endpoint)
        first, second = (client, sock) if closes_first == "client" else (sock, client)
        first.sendall(pack(b"bye"))
        first.close()
        assert read_all(second) == pack(b"bye")
        second.close()
    assert time.monotonic() - began < scaled(pipes.LINGER_SECONDS)


def test_too_many_who_wait_are_hung_up_on(endpoint: PipeEndpoint) -> None:
    clients = [dial(endpoint.path, 5.0) for _ in range(3)]
    clients[2].setblocking(True)
    clients[2].settimeout(scaled(5))
    assert clients[2].recv(1) == b""
    for each in clients:
        each.close()


def test_a_name_that_is_taken_is_somebody_who_listens(endpoint: PipeEndpoint) -> None:
    with pytest.raises(AlreadyRunning, match="somebody listens"):
        listen(endpoint.path, Limits())


def test_closing_twice_is_closing_once_and_frees_the_name(world: Path) -> None:
    first = listen(world / "bus", Limits())
    first.close()
    first.close()
    listen(world / "bus", Limits()).close()


def test_nobody_under_that_name_is_nobody_who_listens(world: Path) -> None:
    with pytest.raises(BusBroken, match="nobody listens"):
        dial(world / "bus", 1.0)


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (PermissionError(1, "it belongs to user S-1-5-18"), ConfigError, "S-1-5-18"),
        (BlockingIOError(11, "every instance is taken"), BusBroken, "did not take us in"),
        (OSError(5, "input or output"), BusBroken, "nobody listens"),
    ],
)
def test_what_dialling_meets_is_told(
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: OSError,
    expected: type[Exception],
    words: str,
) -> None:
    def connect(name: str) -> FakePipe:
        raise raised

    monkeypatch.setattr(named_pipes, "connect", connect)
    with pytest.raises(expected, match=words):
        dial(world / "bus", 0.02)


class Crowded(FakeListener):
    """One that finds no room for the first who comes."""

    failures = 1

    def accept(self) -> tuple[FakePipe, int] | None:
        found = super().accept()
        if found is not None and self.failures:
            self.failures -= 1
            found[0].close()
            raise OSError(24, "too many open files")
        return found


def test_a_listener_that_finds_no_room_goes_on(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(named_pipes, "listen", lambda name: Crowded(world / f"pipe-{name[-8:]}"))
    endpoint = listen(world / "bus", Limits())
    assert isinstance(endpoint, PipeEndpoint)
    with dial(endpoint.path, 5.0) as unlucky, dial(endpoint.path, 5.0):
        accepted(endpoint).close()
        unlucky.setblocking(True)
        unlucky.settimeout(scaled(5))
        assert unlucky.recv(1) == b""
    endpoint.close()


def test_a_name_is_one_path_s_alone_and_fits() -> None:
    names = {name_of(Path(path)) for path in ("/a/bus", "/b/bus", "/" + "x" * 300)}
    assert len(names) == 3
    assert all(len(name) < 256 and name.startswith("\\\\.\\pipe\\") for name in names)
    assert PIPED_FRAME_BYTES >= Limits().frame_bytes
