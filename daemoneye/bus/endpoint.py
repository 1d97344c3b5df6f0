"""The endpoint: `multiprocessing.connection` on AF_UNIX or AF_PIPE, made safe at both ends.

What is used of `multiprocessing.connection` is its framing and its listener, so any process can
speak to us with plain `Client`, `send_bytes` and `recv_bytes(maxlength)`.  What is not used: its
authkey exchange (it runs inside `accept`, where a silent client stops everybody, and it can be
relayed), `send` and `recv` (pickle runs code), `recv_bytes()` without a bound (it allocates what a
header promises), and `Client` on our own side (it cannot give up while the backlog is full).

Who is at the other end is asked of the kernel before a byte is sent, by both sides: nothing is
written to, or believed of, another user's process.

Where there is no AF_UNIX the endpoint is a named pipe, see `pipes`; what follows is of sockets.

A path that is taken is probed.  Only a socket that nobody listens on any more, and that is ours,
is removed; whatever else is there stays and is named in the error.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from multiprocessing.connection import Listener
from pathlib import Path

from daemoneye import system
from daemoneye.bus.limits import MAX_STAMP_BYTES, Limits
from daemoneye.bus.pipes import PipeEndpoint, dial_pipe_nowait
from daemoneye.errors import AlreadyRunning, BusBroken, ConfigError
from daemoneye.rundir import check_private
from daemoneye.system import SOCKET_PATH_LIMIT_BYTES, Peer, is_foreign, peer_of

SOCKET_BUFFER_BYTES = 64 << 10
"""Larger ones buy no speed and hide a queue in the kernel, where a stop waits behind events."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
DIAL_PAUSE = 0.005
"""Seconds between two attempts while the backlog is full: AF_UNIX does not make us wait for it."""


PIPED_FRAME_BYTES = 64 << 20
"""What one message of a named pipe may have on its way to a client; the exact bound is its own."""


class Exhausted(OSError):
    """There was no descriptor for a connection, so it was dropped: pause accepting."""


class Foreign(PermissionError):
    """The other end belongs to another user; nothing was sent to it."""


class Endpoint:
    """The broker's listening socket and the place it is bound to."""

    __slots__ = ("_bound", "_listener", "_spare", "path", "sock")

    def __init__(self, path: Path, backlog: int) -> None:
        """Listen at `path`.

        Raises ConfigError when the place cannot be used and AlreadyRunning when somebody listens.
        """
        self.path = path
        _clear(path)
        # The one place that looks inside a Listener: it has no public way to accept without
        # waiting.  Its own clean-up removes whatever is at the path by then, ours looks first.
        self._listener = Listener(str(path), "AF_UNIX", backlog)
        inner = self._listener._listener  # type: ignore[attr-defined]  # as said above
        inner._unlink.cancel()
        self.sock: socket.socket = inner._socket
        self.sock.setblocking(False)
        system.let_descriptors_come(self.sock, False)  # until somebody is proven
        self._bound = path.lstat()
        self._spare = _spare_descriptor()

    def fileno(self) -> int:
        """For polling: readable when somebody wants in."""
        return self.sock.fileno()

    def accept_nowait(self) -> tuple[socket.socket, Peer] | None:
        """The next connection, without blocking mode, and who made it; None when there is none.

        Raises Foreign when another user made it and Exhausted when there was no descriptor for it:
        either way that connection is over, nothing was sent on it and the next call has the next.
        """
        try:
            sock, _ = self.sock.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return None
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._turn_one_away()
                raise Exhausted(error.errno, error.strerror) from error
            raise
        try:
            peer = peer_of(sock)
            if is_foreign(peer):
                raise Foreign(errno.EPERM, f"process {peer.pid} of user {peer.uid} wanted in")
            _prepare(sock)
        except Foreign:
            sock.close()
            raise
        except OSError:  # it hung up before it was looked at, which some platforms tell here
            sock.close()
            return None
        return sock, peer

    def close(self) -> None:
        """Stop listening and remove the socket, if the one at the path is still ours."""
        if self.sock.fileno() >= 0:
            try:
                if os.path.samestat(self.path.lstat(), self._bound):
                    self.path.unlink()
            except FileNotFoundError:
                pass
        self._listener.close()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _turn_one_away(self) -> None:
        """Give up the spare descriptor to end one waiting connection: it would hang otherwise."""
        if self._spare >= 0:
            os.close(self._spare)
        try:
            self.sock.accept()[0].close()
        except OSError:
            pass
        self._spare = _spare_descriptor()


def listen(path: Path, limits: Limits) -> Endpoint | PipeEndpoint:
    """Listen at `path`, in the way this platform has.

    Raises ConfigError when the place cannot be used and AlreadyRunning when somebody listens.
    """
    if _needs_pipes(path):
        return PipeEndpoint(path, limits.backlog, limits.frame_bytes + MAX_STAMP_BYTES)
    return Endpoint(path, limits.backlog)


def dial(path: Path, timeout: float) -> socket.socket:
    """A connection to whoever listens at `path`, without blocking mode, peer checked.

    Raises BusBroken when nobody listens there or did not take us in within `timeout` seconds, and
    when there is no descriptor for it; ConfigError when the place belongs to another user or cannot
    be one on this platform.
    """
    deadline = time.monotonic() + timeout
    while (sock := dial_nowait(path)) is None:
        if time.monotonic() >= deadline:
            raise not_taken_in(path, timeout)
        time.sleep(DIAL_PAUSE)
    return sock


def dial_nowait(path: Path) -> socket.socket | None:
    """The same at once; None when too many want in just now: try again after DIAL_PAUSE."""
    if _needs_pipes(path):
        return dial_pipe_nowait(path, PIPED_FRAME_BYTES)
    _check_length(path)
    try:
        sock = system.local_socket()
    except OSError as error:
        raise BusBroken(
            f"a connection to {path} cannot be made: {error.strerror}",
            hint="if files are too many: close some, or raise the limit (ulimit -n)",
        ) from error
    try:
        sock.setblocking(False)
        problem = sock.connect_ex(str(path))
        if problem in (errno.EAGAIN, errno.EINTR):
            sock.close()
            return None
        if problem in (errno.EACCES, errno.EPERM):
            raise ConfigError(
                f"user {system.user_id()} may not connect to {path}: {os.strerror(problem)}",
                hint="it is another user's: use another run directory",
            )
        if problem:
            raise BusBroken(
                f"nobody listens at {path}: {os.strerror(problem)}",
                hint="the broker starts just now, or is stopped: see `daemoneye status`",
            )
        peer = peer_of(sock)
        if is_foreign(peer):
            raise ConfigError(
                f"{path} is served by process {peer.pid} of user {peer.uid}, not by our own",
                hint="somebody else holds this place: use another run directory",
            )
        _prepare(sock)
    except BaseException:  # whatever it is, the socket is ours to close
        sock.close()
        raise
    return sock


def not_taken_in(path: Path, timeout: float) -> BusBroken:
    """Too many wanted in for as long as we could wait."""
    return BusBroken(f"the broker at {path} did not take us in within {timeout:g} s")


def _needs_pipes(path: Path) -> bool:
    """Whether the place is a named pipe.  Raises ConfigError where there is neither kind."""
    if system.FEATURES.local_sockets:
        return False
    if system.FEATURES.named_pipes:
        return True
    raise ConfigError(
        f"{path} can be no endpoint: this Python has neither AF_UNIX sockets nor named pipes",
        hint="use one that was built with them",
    )


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)


def _clear(path: Path) -> None:
    """Make the place free to bind, or say why it is not."""
    _check_length(path)
    check_private(path.parent)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(
            f"{path} is no socket, so it is left alone",
            hint="move it away, or use another run directory",
        )
    if found.st_uid != system.user_id():
        raise ConfigError(
            f"{path} is a socket of user {found.st_uid}, so it is left alone",
            hint="remove it, or use another run directory",
        )
    if _somebody_listens(path):
        raise AlreadyRunning(f"somebody listens at {path} already", pid=0)
    path.unlink()


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_LIMIT_BYTES:
        raise ConfigError(
            f"{path} has {length} bytes; a socket's path may have {SOCKET_PATH_LIMIT_BYTES}",
            hint="use a shorter run directory",
        )


def _somebody_listens(path: Path) -> bool:
    with system.local_socket() as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def _spare_descriptor() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return -1
