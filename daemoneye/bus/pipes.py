"""The endpoint where there are no AF_UNIX sockets: a named pipe, seen as sockets by everybody else.

    broker's loop ── socket ── ferry ══ named pipe ══ ferry ── socket ── client
                                threads               threads

A named pipe keeps messages apart by itself, so one message is one frame, without a length before
it, as `send_bytes` and `recv_bytes(maxlength)` have it there.  It cannot be waited for together
with sockets: so each connection is carried over to a pair of sockets, and broker and clients stay
as they are.  It costs a copy and a wake-up at each end.

That the name is ours alone, and whoever comes our own user, is the work of `named_pipes`.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import socket
import threading
import time
from collections import deque
from pathlib import Path
from weakref import WeakSet

from daemoneye import named_pipes
from daemoneye.errors import AlreadyRunning, BusBroken, ConfigError
from daemoneye.framing import FrameCutter, pack
from daemoneye.named_pipes import Listener, Pipe
from daemoneye.system import UNKNOWN_UID, Peer, socket_pair
from daemoneye.waiting import Watch

log = logging.getLogger("daemoneye.bus")

LINGER_SECONDS = 2.0
"""How long a side that has said everything waits for the other to have heard it."""

PATIENCE_SECONDS = 10.0
"""How long one message may take that nobody reads."""

RETRY_SECONDS = 0.2
"""How long nobody is let in after there was no room."""

_READ_BYTES = 64 << 10
_LOOK_SECONDS = 0.01


def name_of(path: Path) -> str:
    """The name of the pipe that stands for a path: the same for every process of this machine."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    return rf"\\.\pipe\daemoneye-{digest[:32]}"


class Ferry:
    """Carries the frames of one connection between a pipe and a socket, until either ends.

    Closing a pipe may throw away what was not read, so who has said everything says an empty
    message, and hangs up when the other has: at once, or after LINGER_SECONDS.
    """

    __slots__ = (
        *("_heard_all", "_limit", "_over", "_pipe", "_sending_since", "_sock"),
        "__weakref__",
    )

    def __init__(self, pipe: Pipe, sock: socket.socket, max_frame_bytes: int) -> None:
        """From now on both are the ferry's.  `sock` is one of a pair, in blocking mode."""
        self._pipe = pipe
        self._sock = sock
        self._limit = max_frame_bytes
        self._heard_all = threading.Event()
        self._over = threading.Event()
        self._sending_since: float | None = None
        _AFLOAT.add(self)
        for run in (self._bring_in, self._take_out, self._guard):
            threading.Thread(target=run, name="bus-ferry", daemon=True).start()

    def finish(self, deadline: float) -> None:
        """Wait until all that our side has said is on its way, until the deadline at most."""
        quiet_looks = 0
        while quiet_looks < 2 and not self._over.is_set() and time.monotonic() < deadline:
            quiet_looks = 0 if self._is_busy() else quiet_looks + 1
            time.sleep(_LOOK_SECONDS)

    def _is_busy(self) -> bool:
        fd = self._sock.fileno()
        return self._sending_since is not None or (fd >= 0 and Watch(fd).wait(0))

    def _bring_in(self) -> None:
        """Pipe to socket, until the other side has said everything."""
        try:
            while frame := self._pipe.recv_bytes(self._limit):
                self._sock.sendall(pack(frame))
        except Exception as error:  # a pipe that is closed meanwhile raises what it stumbles over
            log.debug("nothing more comes out of a pipe: %r", error)
        _shut(self._sock, socket.SHUT_WR)
        self._heard_all.set()

    def _take_out(self) -> None:
        """Socket to pipe, until our side hangs up; then the end of both."""
        cutter = FrameCutter(self._limit)
        try:
            while data := self._sock.recv(_READ_BYTES):
                for frame in cutter.feed(data):
                    self._send(frame)
            self._send(b"")
        except Exception as error:  # as above
            log.debug("nothing more goes into a pipe: %r", error)
        _shut(self._sock, socket.SHUT_RD)
        self._heard_all.wait(LINGER_SECONDS)
        self._pipe.close()
        _shut(self._sock, socket.SHUT_RDWR)
        self._heard_all.wait(LINGER_SECONDS)  # so that nobody is inside what is closed
        self._sock.close()
        self._over.set()

    def _send(self, frame: bytes) -> None:
        self._sending_since = time.monotonic()
        self._pipe.send_bytes(frame)
        self._sending_since = None

    def _guard(self) -> None:
        """Free who is stuck in a pipe that nobody reads: behind it our own side may be gone."""
        while not self._over.wait(PATIENCE_SECONDS / 2):
            began = self._sending_since
            if began is not None and time.monotonic() - began >= PATIENCE_SECONDS:
                self._pipe.close()
                return


_AFLOAT: WeakSet[Ferry] = WeakSet()


@atexit.register
def finish_all() -> None:
    """A process that ends has said what it has said: the kernel would carry it, threads do not."""
    deadline = time.monotonic() + LINGER_SECONDS
    for each in list(_AFLOAT):
        each.finish(deadline)


class PipeEndpoint:
    """The broker's named pipe, with the face of `Endpoint`."""

    __slots__ = ("_backlog", "_come", "_limit", "_listener", "_thread", "_wake", "_woken", "path")

    def __init__(self, path: Path, backlog: int, max_frame_bytes: int) -> None:
        """Listen under the name that stands for `path`.

        Raises AlreadyRunning when somebody does, ConfigError when there can be no such pipe.
        """
        self.path = path
        self._backlog = backlog
        self._limit = max_frame_bytes
        self._come: deque[tuple[socket.socket, Peer]] = deque()
        try:
            self._listener: Listener = named_pipes.listen(name_of(path))
        except PermissionError as error:
            raise AlreadyRunning(f"somebody listens at {path} already", pid=0) from error
        except OSError as error:
            raise ConfigError(f"there can be no pipe for {path}: {error.strerror}") from error
        self._woken, self._wake = socket_pair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._thread = threading.Thread(target=self._accept, name="bus-pipe", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """For polling: readable when somebody wants in."""
        return self._woken.fileno()

    def accept_nowait(self) -> tuple[socket.socket, Peer] | None:
        """The next connection, without blocking mode, and who made it; None when there is none."""
        try:
            self._woken.recv(1)  # one for each that has come
        except (BlockingIOError, InterruptedError):
            return None
        return self._come.popleft()

    def close(self) -> None:
        """Stop listening; harmless when it has ended."""
        if self._woken.fileno() < 0:
            return
        self._listener.close()
        self._thread.join(LINGER_SECONDS)
        while self._come:
            self._come.popleft()[0].close()
        self._woken.close()
        self._wake.close()

    def _accept(self) -> None:
        """On a thread of its own: waiting for a pipe is nothing that the loop could do."""
        while True:
            try:
                found = self._listener.accept()
                if found is None:
                    return
                self._take_in(*found)
            except OSError as error:
                log.warning("cannot accept: %s; pausing", error)
                time.sleep(RETRY_SECONDS)

    def _take_in(self, pipe: Pipe, pid: int) -> None:
        if len(self._come) >= self._backlog:
            pipe.close()
            return
        try:
            ours = ferried(pipe, self._limit)
        except OSError:
            pipe.close()
            raise
        self._come.append((ours, Peer(pid, UNKNOWN_UID)))
        self._wake.send(b"!")


def ferried(pipe: Pipe, max_frame_bytes: int) -> socket.socket:
    """A socket, without blocking mode, that speaks for a pipe.  Raises OSError."""
    ours, theirs = socket_pair()
    ours.setblocking(False)
    Ferry(pipe, theirs, max_frame_bytes)
    return ours


def dial_pipe_nowait(path: Path, max_frame_bytes: int) -> socket.socket | None:
    """A connection to whoever listens for `path`; None when too many want in just now.

    Raises BusBroken when nobody listens, ConfigError when it is another user.
    """
    try:
        pipe = named_pipes.connect(name_of(path))
    except BlockingIOError:
        return None
    except PermissionError as error:
        raise ConfigError(
            f"the pipe of {path} is not our own user's: {error.strerror}",
            hint="somebody else holds this place: use another run directory",
        ) from error
    except OSError as error:
        raise BusBroken(
            f"nobody listens at {path}: {error.strerror}",
            hint="the broker starts just now, or is stopped: see `daemoneye status`",
        ) from error
    try:
        return ferried(pipe, max_frame_bytes)
    except OSError as error:
        pipe.close()
        raise BusBroken(f"a connection to {path} cannot be made: {error.strerror}") from error


def _shut(sock: socket.socket, how: int) -> None:
    try:
        sock.shutdown(how)
    except OSError:
        pass
