"""What the platform tells us: peers, process descriptors, locks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemoneye import system


def test_peer_of_a_pair_is_this_process() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert system.peer_of(ours) == system.Peer(os.getpid(), os.geteuid())


def test_peer_of_a_closed_socket_raises_oserror() -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        system.peer_of(sock)


@pytest.mark.parametrize(
    ("uid", "foreign"),
    [(os.geteuid(), False), (system.UNKNOWN_UID, False), (os.geteuid() + 1, True)],
    ids=["ours", "unknown", "another"],
)
def test_foreign_is_a_known_other_user(uid: int, foreign: bool) -> None:
    assert system.is_foreign(system.Peer(1, uid)) is foreign


def test_xucred_is_laid_out_as_darwin_has_it() -> None:
    assert system._XUCRED.size == 4 + 4 + 4 + 16 * 4


@pytest.mark.skipif(not system.HAS_PIDFD, reason="no process descriptors here")
def test_pidfd_becomes_readable_when_the_process_ends() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    fd = system.pidfd_open(child.pid)
    assert fd is not None
    try:
        assert not os.get_inheritable(fd)
        child.communicate(b"\n", timeout=10)
        with pytest.raises(ProcessLookupError):
            system.pidfd_open(child.pid)
    finally:
        os.close(fd)


def test_cloexec_is_set() -> None:
    read, write = os.pipe()
    try:
        os.set_inheritable(read, True)
        system.set_cloexec(read)
        assert not os.get_inheritable(read)
    finally:
        os.close(read)
        os.close(write)


def test_a_lock_has_one_holder_and_ends_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second:
        assert system.lock_nowait(first.fileno())
        assert not system.lock_nowait(second.fileno())
        first.close()
        assert system.lock_nowait(second.fileno())


def test_importing_it_is_light() -> None:
    heavy = "asyncio", "multiprocessing", "google", "psutil", "threading"
    code = (
        "import sys, daemoneye.system, daemoneye.rundir\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
