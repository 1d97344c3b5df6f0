"""The socket's way out for threads: all of a frame, or the connection is given up.

Whoever writes waits for room, no longer than its patience and its deadline.  Nothing may follow a
part of a frame, so what ends a write half-way, whatever it is, ends the connection: the reader
finds the socket at its end.
"""

from __future__ import annotations

import math
import socket
import time

from daemoneye.bus.client.answers import no_room
from daemoneye.bus.client.loading import Loading
from daemoneye.errors import DeadlineExceeded
from daemoneye.waiting import WRITABLE, Watch


class Outlet:
    """What a writer gives the kernel, in its turn; `sock` is None where there is no connection."""

    __slots__ = ("patience", "sock")

    def __init__(self, patience: float) -> None:
        self.sock: socket.socket | None = None
        self.patience = patience
        """How long one write may wait for the broker to read anything, in seconds."""

    def has_room(self) -> bool:
        """Whether there is a connection, and the kernel takes something at once."""
        sock = self.sock
        return sock is not None and Watch(sock.fileno(), WRITABLE).wait(0.0)

    def await_room(self, deadline: float) -> None:
        """Raises DeadlineExceeded; nothing was written then, so the connection stays good."""
        sock = self.sock
        if sock is None or deadline == math.inf:
            return
        if not Watch(sock.fileno(), WRITABLE).wait(max(0.0, deadline - time.monotonic())):
            raise no_room()

    def write(self, data: bytes, deadline: float = math.inf) -> bool:
        """Whether the kernel has taken all of it.

        Raises DeadlineExceeded when it was not done in time, which costs the connection.
        """
        sock = self.sock
        if sock is None:  # a signal handler has just ended us
            return False
        try:
            try:
                sent = sock.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data) or self._send_rest(sock, data, sent, deadline):
                return True
            return self._give_up(sock)
        except BaseException as error:  # half of a frame stands there, whatever it was
            return self._end(sock, error)

    def load(self, loading: Loading, deadline: float = math.inf) -> bool:
        """The same for a payload that goes apart from its frame."""
        sock = self.sock
        if sock is None:
            return False
        try:
            return self._load_all(loading, sock, deadline) or self._give_up(sock)
        except BaseException as error:  # half of a frame stands there, whatever it was
            return self._end(sock, error)

    def cut_off(self) -> None:
        """Have the write of our own turn fail, and the reader find the socket at its end."""
        sock = self.sock
        if sock is not None:
            _shut(sock)

    def _send_rest(self, sock: socket.socket, data: bytes, sent: int, deadline: float) -> bool:
        room = Watch(sock.fileno(), WRITABLE)
        rest = memoryview(data)[sent:]
        while rest:
            if not self._gets_room(room, deadline):
                return False
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                continue
        return True

    def _load_all(self, loading: Loading, sock: socket.socket, deadline: float) -> bool:
        room = Watch(sock.fileno(), WRITABLE)
        while True:
            try:
                loading.give(sock)
            except BlockingIOError:
                if not self._gets_room(room, deadline):
                    return False
            else:
                return True

    def _gets_room(self, room: Watch, deadline: float) -> bool:
        """Wait for it; False when the broker has read nothing for too long, for whoever asks."""
        left = max(0.0, deadline - time.monotonic())
        if room.wait(min(left, self.patience)):
            return True
        if left < self.patience:
            raise no_room()
        return False

    def _end(self, sock: socket.socket, error: BaseException) -> bool:
        """Nothing may follow what is there of a frame; that the socket is of no use is no error."""
        self._give_up(sock)
        if isinstance(error, OSError) and not isinstance(error, DeadlineExceeded):
            return False
        raise error

    def _give_up(self, sock: socket.socket) -> bool:
        """Leave the rest to the reader, which finds the socket at its end."""
        self.sock = None
        _shut(sock)
        return False


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
