"""A large payload and its publish on their way into a socket, piece by piece, without waiting.

For both clients: one waits for room between two calls, the other lets its loop do so.
"""

from __future__ import annotations

import errno
import os
import socket

from daemoneye.bus.client.counters import Tally
from daemoneye.bus.client.freight import Freight, in_chunks, owning
from daemoneye.bus.client.outgoing import Apart
from daemoneye.system import memfd_of, send_with_descriptors


class Loading:
    """One of them; whoever made it closes it, whatever becomes of it."""

    __slots__ = (
        "_apart",
        "_descriptor",
        "_frame_limit",
        "_freight",
        "_pieces",
        "_rest",
        "_tally",
    )

    def __init__(self, apart: Apart, freight: Freight, frame_limit: int, tally: Tally) -> None:
        """`tally` is that of the connection it goes to."""
        self._apart = apart
        self._freight = freight
        self._frame_limit = frame_limit
        self._tally = tally
        self._descriptor: int | None = None
        self._rest = memoryview(b"")  # of the piece that is being given
        if freight.may_pass(len(apart.content), tally.confirmed):
            try:
                self._descriptor = memfd_of(apart.content)
            except OSError:  # no memory, no free descriptor, or a sandbox that forbids it
                pass
        if self._descriptor is not None:
            self._pieces = iter([owning(apart)])
        else:
            self._cut()

    def give(self, sock: socket.socket) -> None:
        """Give the kernel all that is left.

        Raises BlockingIOError when it takes no more for now, and OSError when the connection is of
        no use.
        """
        while True:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._rest = memoryview(piece)
            if self._descriptor is None:
                self._rest = self._rest[sock.send(self._rest) :]
            else:
                self._pass_on(sock, self._descriptor)

    def close(self) -> None:
        """Let go of the memory; harmless when done before."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _pass_on(self, sock: socket.socket, descriptor: int) -> None:
        """With the first byte of the publish; from then on it is on its way."""
        try:
            self._rest = self._rest[send_with_descriptors(sock, [self._rest], [descriptor]) :]
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            self._cut()  # more descriptors of this user are on their way than the kernel allows
        else:
            self._freight.passed(len(self._apart.content), self._tally.sent + 1)
        self.close()

    def _cut(self) -> None:
        self._pieces = in_chunks(self._apart, self._freight.number(), self._frame_limit)
        self._rest = memoryview(b"")
