"""What the platform tells us: features, peers, sockets, process descriptors, locks."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import cast

import psutil
import pytest

from daemoneye import system
from tests.support import document, scaled, table_in, tells_of_peers, wait_for, without

Pair = tuple[socket.socket, socket.socket]

needs_peer_pidfd = pytest.mark.skipif(not tells_of_peers(), reason="peers have no descriptors here")


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


# ---- the table ----------------------------------------------------------------------------------


def test_every_feature_has_its_row() -> None:
    assert list(system._TABLE) == [each.name for each in fields(system.Features)]


def test_this_system_has_at_most_what_the_table_promises() -> None:
    promised = asdict(system.Features.of(sys.platform))
    assert not [name for name, here in asdict(system.FEATURES).items() if here > promised[name]]


_LINUX_ALONE = {
    *("peer_pidfd", "pidfd", "epoll", "memfd", "passed_descriptors"),
    *("kernel_switch", "subreaper", "process_files"),
}
_OF_WINDOWS = {"named_pipes", "peer_user", "peer_pid"}


@pytest.mark.parametrize(
    ("platform", "missing"),
    [
        ("linux", {"named_pipes"}),
        ("darwin", _LINUX_ALONE | {"named_pipes"}),
        ("freebsd14", _LINUX_ALONE | {"named_pipes"}),
        ("win32", {each.name for each in fields(system.Features)} - _OF_WINDOWS),
    ],
)
def test_what_a_platform_lacks(platform: str, missing: set[str]) -> None:
    here = asdict(system.Features.of(platform))
    assert {name for name, there in here.items() if not there} == missing


def test_a_platform_that_nobody_tried_has_sockets_and_tells_nothing_of_peers() -> None:
    here = system.Features.of("sunos5")
    assert here.local_sockets
    assert here.poll
    assert not any((here.peer_user, here.peer_pid, here.pidfd, here.epoll))


def test_a_name_that_this_python_lacks_is_not_there() -> None:
    assert system._is_there("socket.socket.send")
    assert not system._is_there("socket.socket.teleport")
    assert not system._is_there("tachyon.open")


def test_the_documented_table_is_this_one() -> None:
    documented = table_in(document("docs/design.md"), "feature")
    columns = "linux", "darwin", "freebsd", "win32"
    assert [row[:-1] for row in documented] == [
        [f"`{name}`", *("yes" if column in platforms else "–" for column in columns)]
        for name, (platforms, _) in system._TABLE.items()
    ]


# ---- who is at the other end --------------------------------------------------------------------


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


def test_xucred_is_laid_out_as_freebsd_has_it() -> None:
    pointer = 8 if sys.maxsize > 2**32 else 4
    aligned = -(-(4 + 4 + 4 + 16 * 4) // pointer) * pointer
    assert system._XUCRED_PID.size == aligned + pointer
    raw = system._XUCRED_PID.pack(0, 1000, 1, *range(16), 4242)
    assert system._XUCRED_PID.unpack(raw)[1] == 1000
    assert system._XUCRED_PID.unpack(raw)[-1] == 4242
    assert raw[aligned : aligned + 4] == (4242).to_bytes(4, sys.byteorder)


def test_a_peer_of_whom_nothing_is_told_is_nobody_and_no_foreigner() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs, without("peer_user", "peer_pid"):
        assert system.peer_of(ours) == system.Peer(0, system.UNKNOWN_UID)
        assert not system.is_foreign(system.peer_of(ours))


@needs_peer_pidfd
def test_a_peer_that_lives_is_alive(pair: Pair) -> None:
    assert system.is_peer_alive(pair[0]) is True


HAND_ON = """
import os, socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
if os.fork():
    os._exit(0)
sock.recv(1)
"""


@needs_peer_pidfd
@pytest.mark.parametrize(("lacking", "alive"), [((), False), (("peer_pidfd",), None)])
def test_who_connected_and_handed_its_connection_on_is_gone(
    short_dir: Path, lacking: tuple[str, ...], alive: bool | None
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_dir / "sock"))
        listener.listen()
        command = [sys.executable, "-c", HAND_ON, str(short_dir / "sock")]
        gone = subprocess.run(command, check=True, timeout=scaled(10))
        assert gone.returncode == 0
        connection, _ = listener.accept()
    with connection, without(*lacking):
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # it is open: somebody has it
            connection.recv(1)
        assert system.is_peer_alive(connection) is alive


@dataclass
class Kernel:
    """A socket of a kernel that answers the question for a peer's descriptor with an error."""

    error: int

    def getsockopt(self, level: int, option: int) -> int:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize(
    ("error", "alive"),
    [
        (errno.ENOPROTOOPT, None),
        (errno.EOPNOTSUPP, None),
        (errno.ESRCH, False),
        (errno.EINVAL, False),
    ],
)
def test_an_old_kernel_does_not_know_and_an_older_answer_is_understood(
    error: int, alive: bool | None
) -> None:
    answer = system.is_peer_alive(cast("socket.socket", Kernel(error)))
    assert answer is (alive if system.FEATURES.peer_pidfd else None)


@needs_peer_pidfd
@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENODATA])
def test_a_peer_that_cannot_be_asked_for_just_now_is_not_taken_for_one_nobody_can(
    error: int,
) -> None:
    with pytest.raises(OSError, match=os.strerror(error)):
        system.is_peer_alive(cast("socket.socket", Kernel(error)))


def test_asking_for_a_peer_leaves_no_descriptor(pair: Pair) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        system.is_peer_alive(pair[0])
    assert len(os.listdir("/proc/self/fd")) == before


# ---- sockets ------------------------------------------------------------------------------------


def test_a_pair_of_sockets_is_of_two_that_know_each_other() -> None:
    ours, theirs = system.socket_pair()
    with ours, theirs:
        ours.send(b"!")
        assert theirs.recv(1) == b"!"


def test_a_stranger_between_two_sockets_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, socket.socket() as ours, socket.socket() as stranger:
        stranger.connect(listener.getsockname())
        ours.connect(listener.getsockname())
        theirs, _ = listener.accept()  # the stranger was faster
        monkeypatch.setattr(socket, "socketpair", lambda: (ours, theirs))
        with pytest.raises(ConnectionAbortedError, match="stranger"):
            system.socket_pair()


def test_without_local_sockets_there_is_no_such_socket() -> None:
    with without("local_sockets"), pytest.raises(OSError, match="no AF_UNIX"):
        system.local_socket()


@pytest.mark.parametrize("lacking", [(), ("gathered_writes",)])
def test_buffers_go_out_in_order(pair: Pair, lacking: tuple[str, ...]) -> None:
    ours, theirs = pair
    with without(*lacking):
        assert system.send_gathered(ours, [b"one ", memoryview(b"two "), b"three"]) == 13
    assert theirs.recv(100) == b"one two three"


# ---- processes and files ------------------------------------------------------------------------


@pytest.mark.skipif(not system.FEATURES.pidfd, reason="no process descriptors here")
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


@pytest.mark.skipif(not system.FEATURES.pidfd, reason="no process descriptors here")
def test_a_process_has_ended_before_and_after_its_status_is_asked_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert not system.has_ended(child.pid)
        child.kill()
        wait_for(lambda: system.has_ended(child.pid), "its end to be known")
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert system.has_ended(child.pid)


def test_where_nobody_can_tell_no_process_has_ended() -> None:
    with without("pidfd"):
        assert not system.has_ended(2**22 + 1)


def test_without_process_descriptors_there_is_none() -> None:
    with without("pidfd"):
        assert system.pidfd_open(os.getpid()) is None


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


def test_without_locks_every_attempt_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second, without("file_locks"):
        assert system.lock_nowait(first.fileno())
        assert system.lock_nowait(second.fileno())


def test_a_pipe_that_never_blocks_says_so() -> None:
    read, write = os.pipe()
    try:
        system.set_nonblocking(read)
        with pytest.raises(BlockingIOError):
            os.read(read, 1)
    finally:
        os.close(read)
        os.close(write)


def test_importing_it_is_light() -> None:
    heavy = "asyncio", "multiprocessing", "google", "psutil", "threading"
    code = (
        "import sys, daemoneye.system, daemoneye.rundir\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- sealed memory ------------------------------------------------------------------------------

needs_memfd = pytest.mark.skipif(not system.FEATURES.memfd, reason="no sealed memory here")
needs_passing = pytest.mark.skipif(
    not system.FEATURES.passed_descriptors, reason="descriptors do not travel here"
)


def test_without_sealed_memory_there_is_none(tmp_path: Path) -> None:
    with without("memfd"):
        with pytest.raises(OSError, match="not implemented"):
            system.memfd_of(b"abc")
        with (tmp_path / "file").open("wb") as file:
            assert system.sealed_bytes(file.fileno()) is None


@needs_memfd
@pytest.mark.parametrize("content", [b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]])
def test_sealed_memory_holds_a_copy_that_cannot_change(
    content: bytes | bytearray | memoryview,
) -> None:
    fd = system.memfd_of(content)
    try:
        assert system.sealed_bytes(fd) == 3
        assert os.pread(fd, 10, 0) == b"abc"
        assert not os.get_inheritable(fd)
        for change in (
            lambda: os.pwrite(fd, b"x", 0),
            lambda: os.ftruncate(fd, 1),
            lambda: os.ftruncate(fd, 9),
        ):
            with pytest.raises(PermissionError):
                change()
    finally:
        os.close(fd)


@needs_memfd
@pytest.mark.parametrize("missing", ["F_SEAL_SEAL", "F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_WRITE"])
def test_memory_that_lacks_one_seal_is_not_sealed(missing: str) -> None:
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, system._SEALS & ~getattr(fcntl, missing))
        assert system.sealed_bytes(fd) is None
    finally:
        os.close(fd)


@needs_memfd
def test_memory_that_may_not_be_read_is_not_what_is_wanted() -> None:
    fd = system.memfd_of(b"abc")
    opened = {how: os.open(f"/proc/self/fd/{fd}", how) for how in (os.O_WRONLY, os.O_RDONLY)}
    try:
        assert system.sealed_bytes(opened[os.O_WRONLY]) is None
        assert system.sealed_bytes(opened[os.O_RDONLY]) == 3
    finally:
        for each in (fd, *opened.values()):
            os.close(each)


def test_files_pipes_and_sockets_are_not_sealed(tmp_path: Path) -> None:
    read, write = os.pipe()
    with open(tmp_path / "plain", "wb") as plain, socket.socket(socket.AF_UNIX) as sock:
        found = [system.sealed_bytes(fd) for fd in (read, write, plain.fileno(), sock.fileno())]
    os.close(read)
    os.close(write)
    assert found == [None] * 4


@needs_memfd
def test_sealed_memory_that_finds_no_room_leaves_no_descriptor() -> None:
    def descriptors() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OSError, match="File too large"):
            system.memfd_of(b"x" * (1 << 17))
    finally:
        signal.signal(signal.SIGXFSZ, ignored)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert descriptors() == before


# ---- descriptors on a socket --------------------------------------------------------------------


def close_all(descriptors: tuple[int, ...]) -> None:
    for fd in descriptors:
        os.close(fd)


@needs_passing
def test_a_read_may_bring_earlier_bytes_with_a_descriptor() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs, open(os.devnull, "rb") as passed:
        ours.send(b"before ")
        assert system.send_with_descriptors(ours, [b"with ", b"it"], [passed.fileno()]) == 7
        ours.send(b" behind")
        data, descriptors, truncated = system.receive_with_descriptors(theirs, 100)
        close_all(descriptors)
        assert (data, len(descriptors), truncated) == (b"before with it", 1, False)
        assert system.receive_with_descriptors(theirs, 100) == (b" behind", (), False)
        ours.shutdown(socket.SHUT_WR)
        assert system.receive_with_descriptors(theirs, 100) == (b"", (), False)


@needs_passing
def test_a_received_descriptor_is_the_same_file_and_close_on_exec() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs, open(os.devnull, "rb") as passed:
        system.send_with_descriptors(ours, [b"x"], [passed.fileno()])
        _, (fd,), _ = system.receive_with_descriptors(theirs, 1)
        try:
            assert not os.get_inheritable(fd)
            assert os.path.sameopenfile(fd, passed.fileno())
        finally:
            os.close(fd)


@needs_passing
def test_a_partial_send_has_sent_the_descriptor() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs, open(os.devnull, "rb") as passed:
        much = b"x" * (4 << 20)
        sent = system.send_with_descriptors(ours, [much], [passed.fileno()])
        assert 0 < sent < len(much)
        with pytest.raises(BlockingIOError):
            system.send_with_descriptors(ours, [b"x"], [passed.fileno()])
        theirs.setblocking(False)
        got, count = 0, 0
        while got < sent:
            data, descriptors, _ = system.receive_with_descriptors(theirs, 1 << 20)
            close_all(descriptors)
            got, count = got + len(data), count + len(descriptors)
        assert count == 1


@needs_passing
def test_more_descriptors_than_there_is_room_for_are_told_and_closed() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs, open(os.devnull, "rb") as passed:
        too_many = [passed.fileno()] * (system.RECEIVED_DESCRIPTORS + 3)
        before = len(os.listdir("/proc/self/fd"))
        system.send_with_descriptors(ours, [b"x"], too_many)
        data, descriptors, truncated = system.receive_with_descriptors(theirs, 1)
        assert len(os.listdir("/proc/self/fd")) == before + len(descriptors)
        close_all(descriptors)
    assert data == b"x"
    assert len(descriptors) >= system.RECEIVED_DESCRIPTORS
    assert truncated


def test_without_passing_bytes_travel_alone(pair: Pair) -> None:
    ours, theirs = pair
    with without("passed_descriptors"):
        assert system.send_with_descriptors(ours, [b"one ", b"two"], ()) == 7
        assert system.receive_with_descriptors(theirs, 100) == (b"one two", (), False)
        with pytest.raises(OSError, match="not implemented"):
            system.send_with_descriptors(ours, [b"three"], (ours.fileno(),))


def test_the_limit_of_descriptors_is_the_one_that_is_enforced() -> None:
    assert system.open_max() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
