"""The border to the operating system: what differs between platforms, in one place.

`_TABLE` says which platform has what, `FEATURES` what this system has.  Callers ask a function for
an answer and get "unknown", None or the slower way where the platform has none; they never ask
which platform it is.  A test takes features away by putting a smaller value at `FEATURES`, which is
looked at whenever something is done and never kept.

Light on purpose: imported by commands that have to answer in milliseconds.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import TypeAlias

if sys.platform != "win32":
    import fcntl

Buffer: TypeAlias = "bytes | bytearray | memoryview"

_UNIX = "linux", "darwin", "freebsd", "others"
_TOLD = "linux", "darwin", "freebsd", "win32"

_TABLE: dict[str, tuple[tuple[str, ...], str]] = {
    # feature              platforms that have it            what this Python has to have for it
    "local_sockets":      (_UNIX,                            "socket.AF_UNIX"),
    "named_pipes":        (("win32",),                       "_winapi.CreateNamedPipe"),
    "peer_user":          (_TOLD,                            "os.getpid"),
    "peer_pid":           (_TOLD,                            "os.getpid"),
    "peer_pidfd":         (("linux",),                       "os.pidfd_open"),
    "pidfd":              (("linux",),                       "os.pidfd_open"),
    "file_locks":         (_UNIX,                            "fcntl.flock"),
    "epoll":              (("linux",),                       "select.epoll"),
    "poll":               (_UNIX,                            "select.poll"),
    "gathered_writes":    (_UNIX,                            "socket.socket.sendmsg"),
    "memfd":              (("linux",),                       "os.memfd_create"),
    "passed_descriptors": (("linux",),                       "socket.MSG_CMSG_CLOEXEC"),
    "process_groups":     (_UNIX,                            "os.killpg"),
    "kernel_switch":      (("linux",),                       "fcntl.F_SETSIG"),
    "subreaper":          (("linux",),                       "os.waitpid"),
    "process_files":      (("linux",),                       "os.sysconf"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Features:
    """What a system offers; where it does not, the module's functions know another way."""

    local_sockets: bool
    """AF_UNIX: an endpoint is a socket in a directory."""
    named_pipes: bool
    """AF_PIPE: without such sockets an endpoint is a name."""
    peer_user: bool
    """The kernel tells whose process is at the other end of either."""
    peer_pid: bool
    """… and which process it is."""
    peer_pidfd: bool
    """… and hands that very process out (Linux 6.5), so that its number cannot mislead."""
    pidfd: bool
    """A process can be held by a descriptor, so its number is not reused under us."""
    file_locks: bool
    """A file can be locked until its holder dies."""
    epoll: bool
    """Waiting for many descriptors costs what is ready, not what is watched."""
    poll: bool
    """Waiting for descriptors of any number; without it `select`, up to 1023 or 512 of them."""
    gathered_writes: bool
    """Several buffers go out in one call without being joined."""
    memfd: bool
    """Memory can be sealed against change and held by a descriptor."""
    passed_descriptors: bool
    """Descriptors travel over AF_UNIX sockets, and arrive close-on-exec."""
    process_groups: bool
    """A process and all it started can be signalled at once; a supervisor needs that."""
    kernel_switch: bool
    """The kernel can be told to kill a group when a pipe ends."""
    subreaper: bool
    """A process can become the parent of whatever below it loses its own."""
    process_files: bool
    """The facts of processes are files below /proc."""

    @classmethod
    def of(cls, platform: str) -> Features:
        """What the table says of a platform, by the name in `sys.platform`."""
        known = ("linux", "darwin", "freebsd", "win32")
        column = next((each for each in known if platform.startswith(each)), "others")
        return cls(**{each.name: column in _TABLE[each.name][0] for each in fields(cls)})


def _features() -> Features:
    """The table's word for this platform, as far as this Python goes along."""
    promised = Features.of(sys.platform)
    return Features(
        **{
            name: getattr(promised, name) and _is_there(needed)
            for name, (_, needed) in _TABLE.items()
        }
    )


def _is_there(name: str) -> bool:
    """Whether this Python has a dotted name: it can be built without."""
    module, *inside = name.split(".")
    try:
        found: object = import_module(module)
    except ImportError:
        return False
    for each in inside:
        found = getattr(found, each, None)
    return found is not None


FEATURES = _features()
"""What this system has."""

# ---- who is at the other end --------------------------------------------------------------------

UNKNOWN_UID = -1
"""What `peer_of` says when the platform cannot tell; equal to nobody's user id."""

SOCKET_PATH_LIMIT_BYTES = 103
"""The longest path of an AF_UNIX socket that works everywhere (macOS: 104 with the final NUL)."""

_UCRED = struct.Struct("iII")  # Linux unix(7): pid, uid, gid
_XUCRED = struct.Struct("IIh2x16I")  # Darwin sys/ucred.h: version, uid, number of groups, groups
# FreeBSD sys/ucred.h: the same, and a union of the pid (since 13; before, a null) and a pointer.
_XUCRED_PID = struct.Struct("IIh2x16I0Pi0P")
# asm-generic/socket.h, since Linux 6.5; before, and on parisc and sparc, no option has that number.
_SO_PEERPIDFD = 77
_PEER_IS_GONE = errno.ESRCH, errno.EINVAL  # before Linux 6.16, of a process that was reaped
_NO_SUCH_OPTION = errno.ENOPROTOOPT, errno.EOPNOTSUPP
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2  # sys/un.h of both


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connected AF_UNIX socket, as the kernel recorded it."""

    pid: int
    """Process that connected or listened; 0 when the platform cannot tell."""
    uid: int
    """Effective user id it had then; UNKNOWN_UID when the platform cannot tell."""


def peer_of(sock: socket.socket) -> Peer:
    """Ask the kernel who connected (on a server's socket) or listened (on a client's).

    Raises OSError when the socket is no connected AF_UNIX socket.
    """
    pid, uid = 0, UNKNOWN_UID
    if sys.platform == "linux":
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(raw)
    elif sys.platform == "darwin":
        raw = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
        pid, uid = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID), _XUCRED.unpack(raw)[1]
    elif sys.platform.startswith("freebsd"):
        raw = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_PID.size)
        _, uid, *_, pid = _XUCRED_PID.unpack(raw)
    return Peer(pid if FEATURES.peer_pid else 0, uid if FEATURES.peer_user else UNKNOWN_UID)


def is_peer_alive(sock: socket.socket) -> bool | None:
    """Whether the process that connected has not ended; None when the platform cannot tell.

    The kernel keeps that very process with the socket, so a new one of the same number is no
    answer: while this says True, the pid of `peer_of` is nobody else's.  Costs some 4 µs, and needs
    a free descriptor for that long.  Raises OSError when the platform could tell, but not just now.
    """
    if sys.platform == "linux" and FEATURES.peer_pidfd:
        try:
            pidfd = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
        except OSError as error:
            if error.errno in _NO_SUCH_OPTION:
                return None
            if error.errno in _PEER_IS_GONE:
                return False
            raise
        try:
            return not _is_readable(pidfd)
        finally:
            os.close(pidfd)
    return None


def user_id() -> int:
    """The effective user id of this process; UNKNOWN_UID where users have no numbers."""
    uid = UNKNOWN_UID
    if sys.platform != "win32":
        uid = os.geteuid()
    return uid


def is_foreign(peer: Peer) -> bool:
    """Whether the peer is known to be another user than we are."""
    return peer.uid not in (UNKNOWN_UID, user_id())


# ---- sockets ------------------------------------------------------------------------------------

if sys.platform != "win32":
    _LOCAL = socket.AF_UNIX
else:
    _LOCAL = socket.AF_UNSPEC  # never used: see `local_sockets`


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two sockets that are connected to each other and to nobody else.

    Where they are made of TCP, another process may have slipped in between.  Raises
    ConnectionError then.
    """
    ours, theirs = socket.socketpair()
    if ours.getpeername() != theirs.getsockname() or theirs.getpeername() != ours.getsockname():
        ours.close()
        theirs.close()
        raise ConnectionAbortedError(errno.ECONNABORTED, "a stranger came between two sockets")
    return ours, theirs


def local_socket() -> socket.socket:
    """A new socket of this machine's own kind, for a path.

    Raises OSError where there are none, which `FEATURES.local_sockets` says beforehand.
    """
    if not FEATURES.local_sockets:
        raise OSError(errno.EAFNOSUPPORT, "this platform has no AF_UNIX sockets")
    return socket.socket(_LOCAL, socket.SOCK_STREAM)


def send_gathered(sock: socket.socket, buffers: Sequence[Buffer]) -> int:
    """Give the kernel as much of these as it takes at once; BlockingIOError for nothing."""
    if sys.platform != "win32" and FEATURES.gathered_writes:
        return sock.sendmsg(buffers)
    return sock.send(b"".join(buffers))


# ---- processes and files ------------------------------------------------------------------------


def set_cloexec(fd: int) -> None:
    """Keep a descriptor from surviving an exec in a child."""
    os.set_inheritable(fd, False)


def pidfd_open(pid: int) -> int | None:
    """A descriptor for a process, readable once it has ended; None where there are none.

    Raises ProcessLookupError when no process has this id.
    """
    if sys.platform == "linux" and FEATURES.pidfd:
        try:
            return os.pidfd_open(pid)
        except ProcessLookupError:
            raise
        except OSError:
            return None  # an old kernel, or a sandbox that forbids the call
    return None


def has_ended(pid: int) -> bool:
    """Whether the process of this number has ended, also when nobody has asked for its status yet.

    False as well when the platform cannot tell, and when there is a new one of the number.
    """
    try:
        pidfd = pidfd_open(pid)
    except ProcessLookupError:
        return True
    if pidfd is None:
        return False
    try:
        return _is_readable(pidfd)
    finally:
        os.close(pidfd)


def _is_readable(pidfd: int) -> bool:
    readable = False
    if sys.platform != "win32":
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        readable = bool(poll.poll(0))
    return readable


NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
"""For `os.open`: refuse a symbolic link, where the platform can."""

NON_BLOCKING: int = getattr(os, "O_NONBLOCK", 0)
"""For `os.open`: do not wait for the other end of a named pipe."""


def set_nonblocking(fd: int) -> None:
    """Let reads and writes of a pipe answer at once."""
    if sys.platform != "win32":
        os.set_blocking(fd, False)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def clock_ticks() -> int:
    """How many a second has, in the files below /proc."""
    return _sysconf("SC_CLK_TCK")


def page_bytes() -> int:
    """The size of a page of memory, in the files below /proc."""
    return _sysconf("SC_PAGE_SIZE")


def open_max() -> int:
    """How many descriptors this process, and its children, may have open; 0: nobody can tell."""
    return max(0, _sysconf("SC_OPEN_MAX"))


def _sysconf(name: str) -> int:
    found = 0
    if sys.platform != "win32":
        found = os.sysconf(name)
    return found


def lock_nowait(fd: int) -> bool:
    """Take an exclusive lock that ends with this open file; False when somebody else has it.

    Where files cannot be locked every attempt succeeds; the endpoint's probe is the guard there.
    """
    if sys.platform != "win32" and FEATURES.file_locks:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


# ---- sealed memory, and descriptors on a socket -------------------------------------------------

RECEIVED_DESCRIPTORS = 4
"""How many descriptors one read has room for; the kernel closes what is more."""

_DESCRIPTOR = struct.Struct("i")
# asm-generic/socket.h, since Linux 6.16; of local sockets no other option has that number.
_SO_PASSRIGHTS = 83

if sys.platform == "linux":
    _PASSED_ROOM = socket.CMSG_SPACE(RECEIVED_DESCRIPTORS * _DESCRIPTOR.size)
    # As plain numbers: what `socket` has are enums, whose `&` is a microsecond of Python.
    _CLOSED_ON_EXEC, _CUT_SHORT = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)
    _SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def memfd_of(content: Buffer) -> int:
    """Anonymous memory with a copy of this content, which nobody can change any more.

    Returns its descriptor, close-on-exec.  Raises OSError where there is no such memory, or no
    room or descriptor for it; nothing is left then.
    """
    if sys.platform == "linux" and FEATURES.memfd:
        fd = os.memfd_create("daemoneye", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            rest = memoryview(content).cast("B")
            while rest:
                rest = rest[os.write(fd, rest) :]
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:  # whatever it is, the descriptor is ours to close
            os.close(fd)
            raise
        return fd
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def sealed_bytes(fd: int) -> int | None:
    """The size of sealed memory; None when it could still change, or is something else.

    Only what is sealed may be mapped: under the mapping of a file that somebody shortens, a read
    ends the process (SIGBUS).  A descriptor that may only be written is something else: seals say
    nothing about how it was opened, and all that may be done with sealed memory is to read it.
    """
    if sys.platform == "linux" and FEATURES.memfd:
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError:
            return None  # no memory: files and sockets have no seals
        if seals & _SEALS != _SEALS or fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
            return None
        return os.fstat(fd).st_size
    return None


def read_at(fd: int, size: int, offset: int) -> bytes:
    """So much from there, wherever the descriptor stands.  Raises OSError."""
    if sys.platform != "win32":
        return os.pread(fd, size, offset)
    else:  # noqa: RET505  # the types of one platform see one half
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def send_with_descriptors(
    sock: socket.socket, buffers: Sequence[Buffer], descriptors: Sequence[int]
) -> int:
    """Send what the kernel takes of these buffers; how much that was.

    With the first byte taken the descriptors are on their way, all of them and for good: what is
    left is sent without.  Raises OSError, and then nothing was sent.
    """
    if sys.platform == "linux" and FEATURES.passed_descriptors:
        said = b"".join(map(_DESCRIPTOR.pack, descriptors))
        passing = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, said)] if said else []
        return sock.sendmsg(buffers, passing, socket.MSG_DONTWAIT)
    if descriptors:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return send_gathered(sock, buffers)


def let_descriptors_come(sock: socket.socket, may: bool) -> None:
    """Whether the kernel takes descriptors for this socket, or refuses them at their sender.

    A socket that is accepted begins as its listener is.  Without effect before Linux 6.16: they
    come all the same, so who reads has to expect them.
    """
    if sys.platform == "linux" and FEATURES.passed_descriptors:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, may)
        except OSError:
            pass  # there is no such option


def receive_with_descriptors(
    sock: socket.socket, max_bytes: int
) -> tuple[bytes, tuple[int, ...], bool]:
    """Read at most so much, with the descriptors that come along: a plain `recv` loses them.

    Returns the bytes, none at the end of the stream; descriptors, for the caller to close, which
    may belong to a byte in the middle; and whether some were lost, for want of room or of a free
    descriptor here.  Costs 0.3 µs more than `recv`.  Raises OSError.
    """
    if sys.platform == "linux" and FEATURES.passed_descriptors:
        data, passed, flags, _ = sock.recvmsg(max_bytes, _PASSED_ROOM, _CLOSED_ON_EXEC)
        if not (passed or flags & _CUT_SHORT):
            return data, (), False
        found: tuple[int, ...] = ()
        for level, kind, said in passed:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                whole = len(said) - len(said) % _DESCRIPTOR.size
                found += tuple(fd for (fd,) in _DESCRIPTOR.iter_unpack(said[:whole]))
        return data, found, bool(flags & _CUT_SHORT)
    return sock.recv(max_bytes), (), False
