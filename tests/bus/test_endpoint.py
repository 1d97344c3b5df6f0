"""The endpoint: what may be at its path, who may come in, and what happens without descriptors."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client
from pathlib import Path
from typing import IO

import pytest

from daemoneye.bus.endpoint import (
    SOCKET_BUFFER_BYTES,
    Endpoint,
    Exhausted,
    Foreign,
    dial,
    dial_nowait,
    listen,
)
from daemoneye.bus.limits import Limits
from daemoneye.errors import AlreadyRunning, BusBroken, ConfigError, NotRunning
from tests.support import wait_for, without

AS_ROOT = os.geteuid() == 0


@contextmanager
def listening(path: Path, backlog: int = 8) -> Iterator[Endpoint]:
    endpoint = Endpoint(path, backlog)
    try:
        yield endpoint
    finally:
        endpoint.close()


def leave_stale(path: Path) -> None:
    """A socket whose listener was killed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()


def test_a_plain_multiprocessing_client_is_understood(tidy: Path) -> None:
    with listening(tidy / "bus") as endpoint, Client(str(tidy / "bus"), "AF_UNIX") as client:
        accepted = endpoint.accept_nowait()
        assert accepted is not None
        sock, peer = accepted
        with sock:
            client.send_bytes(b"hello")
            assert sock.recv(100) == b"\0\0\0\5hello"
            assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())


def test_nobody_at_the_door_is_no_wait(tidy: Path) -> None:
    with listening(tidy / "bus") as endpoint:
        assert endpoint.accept_nowait() is None


def test_both_ends_never_block_and_have_small_buffers(tidy: Path) -> None:
    with listening(tidy / "bus") as endpoint, dial(tidy / "bus", 1.0) as client:
        accepted = endpoint.accept_nowait()
        assert accepted is not None
        with accepted[0] as sock:
            for each in (client, sock):
                size = each.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
                assert not each.getblocking()
                assert not os.get_inheritable(each.fileno())
                assert size <= 2 * SOCKET_BUFFER_BYTES  # Linux counts its own overhead too


def test_closing_removes_the_socket_once(tidy: Path) -> None:
    endpoint = Endpoint(tidy / "bus", 8)
    endpoint.close()
    endpoint.close()
    assert not (tidy / "bus").exists()


def test_closing_leaves_what_another_has_put_there(tidy: Path) -> None:
    first = Endpoint(tidy / "bus", 8)
    (tidy / "bus").unlink()
    with listening(tidy / "bus"):
        first.close()
        dial(tidy / "bus", 1.0).close()


# ---- what may be at the path --------------------------------------------------------------------


def test_b26_a_live_endpoint_is_left_alone(tidy: Path) -> None:
    with listening(tidy / "bus"):
        with pytest.raises(AlreadyRunning, match="somebody listens"):
            Endpoint(tidy / "bus", 8)
        dial(tidy / "bus", 1.0).close()


def test_b26_a_live_endpoint_whose_backlog_is_full_is_left_alone(tidy: Path) -> None:
    with listening(tidy / "bus", backlog=0), dial(tidy / "bus", 1.0):
        with pytest.raises(AlreadyRunning):
            Endpoint(tidy / "bus", 8)


def test_b26_a_stale_socket_of_ours_is_replaced(tidy: Path) -> None:
    leave_stale(tidy / "bus")
    with listening(tidy / "bus"):
        dial(tidy / "bus", 1.0).close()


def make_file(path: Path) -> None:
    path.write_text("precious")


def make_directory(path: Path) -> None:
    path.mkdir()


def make_link_to_a_file(path: Path) -> None:
    path.with_name("elsewhere").write_text("precious")
    path.symlink_to(path.with_name("elsewhere"))


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def make_link(path: Path) -> None:
    leave_stale(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "make",
    [
        make_file,
        make_directory,
        make_link,
        make_link_to_a_file,
        make_dangling_link,
        make_fifo,
    ],
)
def test_b26_what_is_no_socket_is_left_alone(short_dir: Path, make: object) -> None:
    assert callable(make)
    make(short_dir / "bus")
    before = {path: path.lstat() for path in short_dir.iterdir()}
    with pytest.raises(ConfigError, match="is no socket"):
        Endpoint(short_dir / "bus", 8)
    assert {path: path.lstat() for path in short_dir.iterdir()} == before


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a socket away")
def test_b26_a_stale_socket_of_another_user_is_left_alone(short_dir: Path) -> None:
    leave_stale(short_dir / "bus")
    os.chown(short_dir / "bus", 12345, -1)
    with pytest.raises(ConfigError, match="a socket of user 12345"):
        Endpoint(short_dir / "bus", 8)
    assert (short_dir / "bus").exists()


def test_b26_a_directory_open_to_others_is_refused(short_dir: Path) -> None:
    short_dir.chmod(0o755)
    with pytest.raises(ConfigError, match="mode 0755"):
        Endpoint(short_dir / "bus", 8)


def test_b26_a_directory_that_is_not_there_is_refused(short_dir: Path) -> None:
    with pytest.raises(NotRunning):
        Endpoint(short_dir / "none" / "bus", 8)


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a directory away")
def test_b26_a_directory_of_another_user_is_refused(short_dir: Path) -> None:
    leave_stale(short_dir / "bus")
    os.chown(short_dir, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        Endpoint(short_dir / "bus", 8)
    assert (short_dir / "bus").exists()


def test_b26_a_path_of_103_bytes_is_the_longest(tidy: Path) -> None:
    path = tidy / ("b" * (103 - len(os.fsencode(tidy)) - 1))
    assert len(os.fsencode(path)) == 103
    with listening(path):
        dial(path, 1.0).close()
    longer = path.with_name(path.name + "b")
    for attempt in (lambda: Endpoint(longer, 8), lambda: dial(longer, 1.0)):
        with pytest.raises(ConfigError, match="104 bytes"):
            attempt()
    assert not longer.exists()


@pytest.mark.parametrize("length", [108, 4096])
def test_b26_a_path_that_the_system_cannot_take_is_no_traceback(length: int) -> None:
    with pytest.raises(ConfigError, match=f"{length} bytes"):
        dial(Path("/" + "b" * (length - 1)), 1.0)


def test_without_any_kind_of_place_there_is_one_clear_error(short_dir: Path) -> None:
    with without("local_sockets", "named_pipes"):
        for attempt in (
            lambda: listen(short_dir / "bus", Limits()),
            lambda: dial(short_dir / "bus", 1.0),
        ):
            with pytest.raises(ConfigError, match="neither AF_UNIX sockets nor named pipes"):
                attempt()


# ---- dialling -----------------------------------------------------------------------------------


def test_dialling_nobody_says_where(tidy: Path) -> None:
    with pytest.raises(BusBroken, match="nobody listens at"):
        dial(tidy / "bus", 1.0)


def test_dialling_at_once_says_that_a_full_backlog_is_no_answer_yet(tidy: Path) -> None:
    with listening(tidy / "bus", backlog=0), dial(tidy / "bus", 1.0):
        assert dial_nowait(tidy / "bus") is None


def test_dialling_a_full_backlog_ends_in_time(tidy: Path) -> None:
    with listening(tidy / "bus", backlog=0), dial(tidy / "bus", 1.0):
        with pytest.raises(BusBroken, match="did not take us in"):
            dial(tidy / "bus", 0.05)


LISTEN_AS_ANOTHER = """
import os, socket, sys
os.chdir(sys.argv[1]); os.seteuid(12345)
sock = socket.socket(socket.AF_UNIX); sock.bind("bus"); sock.listen()
print("ready", flush=True)
print(sock.accept()[0].recv(10), flush=True)
"""

CONNECT_AS_ANOTHER = """
import os, socket, sys
os.chdir(sys.argv[1]); os.seteuid(12345)
sock = socket.socket(socket.AF_UNIX); sock.connect("bus")
print(sock.recv(10), flush=True)
"""


@contextmanager
def another_user(code: str, directory: Path) -> Iterator[IO[str]]:
    """What a process of another user prints that may write to `directory`."""
    directory.chmod(0o777)
    command = [sys.executable, "-c", code, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
def test_b27_a_listener_of_another_user_gets_no_byte(short_dir: Path) -> None:
    with another_user(LISTEN_AS_ANOTHER, short_dir) as said:
        assert said.readline() == "ready\n"
        with pytest.raises(ConfigError, match="of user 12345"):
            dial(short_dir / "bus", 1.0)
        assert said.readline() == "b''\n"


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
def test_b27_a_client_of_another_user_gets_no_byte(short_dir: Path) -> None:
    with listening(short_dir / "bus") as endpoint:
        (short_dir / "bus").chmod(0o777)
        with another_user(CONNECT_AS_ANOTHER, short_dir) as said:
            with pytest.raises(Foreign, match="user 12345"):
                wait_for(endpoint.accept_nowait, "the stranger to knock")
            assert said.readline() == "b''\n"


# ---- without descriptors ------------------------------------------------------------------------


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_nobody_can_be_dialled(tidy: Path) -> None:
    with listening(tidy / "bus"), no_descriptors_left():
        with pytest.raises(BusBroken, match="open files") as refused:
            dial(tidy / "bus", 1.0)
    assert "ulimit" in refused.value.hint


def test_who_hangs_up_before_it_is_looked_at_costs_nothing(
    tidy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS the kernel does not say any more who it was; here it always does."""

    def gone(sock: socket.socket) -> None:
        raise OSError(errno.ENOTCONN, "Socket is not connected")

    with listening(tidy / "bus") as endpoint, dial(tidy / "bus", 1.0):
        with monkeypatch.context() as patched:
            patched.setattr("daemoneye.bus.endpoint.peer_of", gone)
            assert endpoint.accept_nowait() is None
        with dial(tidy / "bus", 1.0):
            accepted = endpoint.accept_nowait()
            assert accepted is not None
            accepted[0].close()


def test_without_descriptors_who_knocks_is_told_and_accepting_resumes(tidy: Path) -> None:
    with listening(tidy / "bus") as endpoint, dial(tidy / "bus", 1.0) as unlucky:
        with no_descriptors_left(), pytest.raises(Exhausted):
            endpoint.accept_nowait()
        unlucky.setblocking(True)
        assert unlucky.recv(1) == b""
        assert endpoint.accept_nowait() is None
        with dial(tidy / "bus", 1.0):
            accepted = endpoint.accept_nowait()
            assert accepted is not None
            accepted[0].close()
