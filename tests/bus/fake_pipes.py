"""A stand-in for the named pipes of Windows: messages over AF_UNIX sockets, under names.

It has what `daemoneye.named_pipes` promises of them and nothing else, so that all that stands on
them can be run here.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from daemoneye import named_pipes, system
from tests.support import without


class FakePipe:
    """One end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._sock = sock
        self._connection: Connection[bytes, bytes] = Connection(os.dup(sock.fileno()))
        self._lock = threading.Lock()
        self._inside = 0
        self._closed = False

    def send_bytes(self, data: bytes, /) -> None:
        with self._using() as connection:
            connection.send_bytes(data)

    def recv_bytes(self, max_bytes: int, /) -> bytes:
        with self._using() as connection:
            return connection.recv_bytes(max_bytes)

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._sock.shutdown(socket.SHUT_RDWR)
                self._let_go()

    @contextmanager
    def _using(self) -> Iterator[Connection[bytes, bytes]]:
        """The descriptor lives until nobody is inside: its number may not be another's before."""
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "handle is closed")
            self._inside += 1
        try:
            yield self._connection
        finally:
            with self._lock:
                self._inside -= 1
                self._let_go()

    def _let_go(self) -> None:
        if self._closed and not self._inside:
            self._connection.close()
            self._sock.close()


class FakeListener:
    """A name that is taken."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._sock = socket.socket(socket.AF_UNIX)
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(place)) == 0:
                self._sock.close()
                raise PermissionError(errno.EACCES, "somebody has it")
        place.unlink(missing_ok=True)  # a pipe is gone with its process
        self._sock.bind(str(place))
        self._sock.listen()

    def accept(self) -> tuple[FakePipe, int] | None:
        try:
            sock, _ = self._sock.accept()
        except OSError:
            self._sock.close()
            return None
        (pid, _, _) = struct.unpack(
            "iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        )
        return FakePipe(sock), pid

    def close(self) -> None:
        """Free the name; who accepts closes the socket."""
        self._place.unlink(missing_ok=True)
        self._sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def named_pipes_instead_of_sockets(directory: Path) -> Iterator[None]:
    """A world in which an endpoint is a named pipe; names are kept in `directory`."""

    def place_of(name: str) -> Path:
        assert name.startswith("\\\\.\\pipe\\daemoneye-")
        return directory / f"pipe-{name[-8:]}"

    def connect(name: str) -> FakePipe:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(place_of(name)))
        except OSError as error:
            sock.close()
            raise FileNotFoundError(errno.ENOENT, "nobody has that name") from error
        return FakePipe(sock)

    whole = system.FEATURES
    system.FEATURES = replace(whole, local_sockets=False, named_pipes=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(named_pipes, "listen", lambda name: FakeListener(place_of(name)))
            patch.setattr(named_pipes, "connect", connect)
            yield
    finally:
        system.FEATURES = whole
        for each in directory.glob("pipe-*"):  # of those that were killed
            each.unlink()


@contextmanager
def living_without(features: Collection[str], directory: Path) -> Iterator[None]:
    """This process in a world that lacks these; without sockets, it has the stand-in instead."""
    with ExitStack() as world:
        world.enter_context(without(*(each for each in features if each != "local_sockets")))
        if "local_sockets" in features:
            world.enter_context(named_pipes_instead_of_sockets(directory))
        yield
