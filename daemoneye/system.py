"""The border to the operating system: what differs between platforms, in one place.

    HAS_PEER_CREDENTIALS   the kernel tells who is at the other end of an AF_UNIX socket
    HAS_PEER_PID           … and which process that is
    HAS_PIDFD              a process can be held by a descriptor, so its id is not reused under us
    HAS_FILE_LOCKS         a file can be locked until its holder dies
    HAS_MEMFD              memory can be sealed against change and held by a descriptor
    HAS_DESCRIPTOR_PASSING descriptors travel over AF_UNIX sockets, and arrive close-on-exec

Callers ask for an answer and get "unknown" where the platform has none; they never ask which
platform it is.  Light on purpose: imported by commands that have to answer in milliseconds.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

if sys.platform != "win32":
    import fcntl

Buffer: TypeAlias = "bytes | bytearray | memoryview"

HAS_PEER_CREDENTIALS = sys.platform in ("linux", "darwin")
HAS_PEER_PID = HAS_PEER_CREDENTIALS
HAS_PIDFD = sys.platform == "linux" and hasattr(os, "pidfd_open")
HAS_FILE_LOCKS = sys.platform != "win32"
HAS_MEMFD = sys.platform == "linux" and hasattr(os, "memfd_create")
HAS_DESCRIPTOR_PASSING = sys.platform == "linux"

UNKNOWN_UID = -1
"""What `peer_of` says when the platform cannot tell; equal to nobody's user id."""

SOCKET_PATH_LIMIT_BYTES = 103
"""The longest path of an AF_UNIX socket that works everywhere (macOS: 104 with the final NUL)."""

_UCRED = struct.Struct("iII")  # Linux unix(7): pid, uid, gid
_XUCRED = struct.Struct("IIh2x16I")  # Darwin sys/ucred.h: version, uid, number of groups, groups
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2  # Darwin sys/un.h


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
    if sys.platform == "linux":
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(raw)
    elif sys.platform == "darwin":
        raw = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
        pid, uid = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID), _XUCRED.unpack(raw)[1]
    else:
        pid, uid = 0, UNKNOWN_UID
    return Peer(pid, uid)


def user_id() -> int:
    """The effective user id of this process; UNKNOWN_UID where users have no numbers."""
    if sys.platform == "win32":
        return UNKNOWN_UID
    return os.geteuid()


def is_foreign(peer: Peer) -> bool:
    """Whether the peer is known to be another user than we are."""
    return peer.uid not in (UNKNOWN_UID, user_id())


def set_cloexec(fd: int) -> None:
    """Keep a descriptor from surviving an exec in a child."""
    os.set_inheritable(fd, False)


def pidfd_open(pid: int) -> int | None:
    """A descriptor for a process, readable once it has ended; None where there are none.

    Raises ProcessLookupError when no process has this id.
    """
    if sys.platform == "linux" and HAS_PIDFD:
        try:
            return os.pidfd_open(pid)
        except ProcessLookupError:
            raise
        except OSError:
            return None  # an old kernel, or a sandbox that forbids the call
    return None


def lock_nowait(fd: int) -> bool:
    """Take an exclusive lock that ends with this open file; False when somebody else has it.

    Where files cannot be locked every attempt succeeds; the endpoint's probe is the guard there.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


# ---- sealed memory, and descriptors on a socket -------------------------------------------------

RECEIVED_DESCRIPTORS = 4
"""How many descriptors one read has room for; the kernel closes what is more."""

_DESCRIPTOR = struct.Struct("i")


def memfd_of(content: Buffer) -> int:
    """Anonymous memory with a copy of this content, which nobody can change any more.

    Returns its descriptor, close-on-exec.  Raises OSError where there is no such memory, or no
    room or descriptor for it; nothing is left then.
    """
    if sys.platform != "linux" or not HAS_MEMFD:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    fd = os.memfd_create("daemoneye", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(content).cast("B")
        while rest:
            rest = rest[os.write(fd, rest) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _seals())
    except BaseException:  # whatever it is, the descriptor is ours to close
        os.close(fd)
        raise
    return fd


def sealed_bytes(fd: int) -> int | None:
    """The size of sealed memory; None when it could still change, or is something else.

    Only what is sealed may be mapped: under the mapping of a file that somebody shortens, a read
    ends the process (SIGBUS).
    """
    if sys.platform != "linux":
        return None
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        return None  # no memory: files and sockets have no seals
    return os.fstat(fd).st_size if seals & _seals() == _seals() else None


def _seals() -> int:
    if sys.platform != "linux":
        return 0
    return fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def send_with_descriptors(
    sock: socket.socket, buffers: Sequence[Buffer], descriptors: Sequence[int]
) -> int:
    """Send what the kernel takes of these buffers; how much that was.

    With the first byte taken the descriptors are on their way, all of them and for good: what is
    left is sent without.  Raises OSError, and then nothing was sent.
    """
    said = b"".join(map(_DESCRIPTOR.pack, descriptors))
    passing = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, said)] if said else []
    return sock.sendmsg(buffers, passing, socket.MSG_DONTWAIT)


def receive_with_descriptors(
    sock: socket.socket, max_bytes: int
) -> tuple[bytes, tuple[int, ...], bool]:
    """Read at most so much, with the descriptors that come along: a plain `recv` loses them.

    Returns the bytes, none at the end of the stream; descriptors, for the caller to close, which
    may belong to a byte in the middle; and whether some were lost, for want of room or of a free
    descriptor here.  Costs 0.3 µs more than `recv`.  Raises OSError.
    """
    data, passed, flags, _ = sock.recvmsg(max_bytes, _PASSED_ROOM, _PASSED_FLAGS)
    found: tuple[int, ...] = ()
    for level, kind, said in passed:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            whole = len(said) - len(said) % _DESCRIPTOR.size
            found += tuple(fd for (fd,) in _DESCRIPTOR.iter_unpack(said[:whole]))
    return data, found, bool(flags & socket.MSG_CTRUNC)


_PASSED_ROOM = 0 if sys.platform == "win32" else socket.CMSG_SPACE(4 * RECEIVED_DESCRIPTORS)
_PASSED_FLAGS = socket.MSG_CMSG_CLOEXEC if sys.platform == "linux" else 0


# ---- waiting ------------------------------------------------------------------------------------

READABLE = select.POLLIN
WRITABLE = select.POLLOUT


class Poller:
    """Waits for many descriptors at once: epoll where there is one, else poll.

    Cost of a wait with epoll: that of the descriptors that are ready, not of all.
    """

    __slots__ = ("_poll", "_unit", "_watched")

    def __init__(self) -> None:
        if sys.platform == "linux":
            self._poll: select.epoll | select.poll = select.epoll()
            self._unit = 1.0
        else:
            self._poll = select.poll()
            self._unit = 1000.0
        self._watched: set[int] = set()

    def watch(self, fd: int, what: int) -> None:
        """From now on wait for `what` (READABLE, WRITABLE) of this descriptor, and for its end."""
        if fd in self._watched:
            self._poll.modify(fd, what)
        else:
            self._poll.register(fd, what)
            self._watched.add(fd)

    def forget(self, fd: int) -> None:
        """No more of it; before it is closed, because its number may be another's afterwards."""
        if fd in self._watched:
            self._watched.discard(fd)
            self._poll.unregister(fd)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Descriptors and what is up with them; empty after `timeout` seconds."""
        return self._poll.poll(None if timeout is None else timeout * self._unit)

    def close(self) -> None:
        """Let go of the kernel's table."""
        if sys.platform == "linux" and isinstance(self._poll, select.epoll):
            self._poll.close()
