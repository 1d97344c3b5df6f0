"""The connections a broker holds: their sockets, how far each has come, and writing to them.

A connection is a `Client` from the moment it is accepted; it has a session once it is proven.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator

from daemoneye.bus.broker.mishaps import Mishaps
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import Value, encode
from daemoneye.bus.handshake import Reception
from daemoneye.bus.memory import Stored
from daemoneye.bus.vigil import Watched
from daemoneye.framing import FrameCutter, pack
from daemoneye.system import Peer, send_gathered, send_with_descriptors
from daemoneye.waiting import READABLE, WRITABLE, Poller

_HUNG_UP = frozenset({errno.EPIPE, errno.ECONNRESET})
"""The client reads no more, and what it said last may still have to be read: a goodbye."""

WRITES_IN_A_TURN = 8
"""How often so much as one turn takes is written to a client that reads it at once."""


class Client:
    """One connection."""

    __slots__ = (
        "cutter",
        "passes_descriptors",
        "peer",
        "reception",
        "session",
        "sock",
        "stuck_deadline",
        "watched",
    )

    def __init__(self, sock: socket.socket, peer: Peer, reception: Reception, limit: int) -> None:
        self.sock = sock
        self.peer = peer
        self.cutter = FrameCutter(limit)
        self.reception: Reception | None = reception  # until it is proven
        self.session: Session | None = None  # from then on
        self.passes_descriptors = False  # whether they may come along with what it sends
        self.watched = Watched()
        self.stuck_deadline: float | None = None  # while it does not take what we write

    def is_overdue(self, now: float) -> bool:
        """Whether it has taken nothing for too long."""
        return self.stuck_deadline is not None and self.stuck_deadline <= now

    def say_once(self, value: Value) -> bool:
        """A frame of the handshake, or last words: they fit into an empty socket, or are lost."""
        data = pack(encode(value))
        try:
            return self.sock.send(data) == len(data)
        except OSError:
            return False


class Clients:
    """All connections, by descriptor and by session."""

    __slots__ = ("_by_fd", "_by_session", "_left", "_poller", "mishaps", "stuck")

    def __init__(self, poller: Poller, left: Callable[[Client], None]) -> None:
        """`left` is called with each connection that is closed, whoever closed it."""
        self._poller = poller
        self._left = left
        self._by_fd: dict[int, Client] = {}
        self._by_session: dict[Session, Client] = {}
        self.stuck: dict[Client, None] = {}
        """Those that do not take what we write; each has a deadline."""
        self.mishaps = Mishaps()
        """What went wrong with proven ones, by reason and identity."""

    def __len__(self) -> int:
        return len(self._by_fd)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._by_fd.values()))

    @property
    def sessions(self) -> list[Session]:
        """Of all that are proven."""
        return list(self._by_session)

    def at(self, fd: int) -> Client | None:
        """The connection with this descriptor."""
        return self._by_fd.get(fd)

    def of(self, session: Session) -> Client | None:
        """The connection of this session; None when it is closed."""
        return self._by_session.get(session)

    def add(self, client: Client) -> None:
        """Watch a new connection."""
        self._by_fd[client.sock.fileno()] = client
        self._poller.watch(client.sock.fileno(), READABLE)

    def welcome(self, client: Client, session: Session) -> None:
        """It is proven, and this is its session from now on."""
        client.session = session
        client.reception = None
        self._by_session[session] = client

    def close(self, client: Client) -> None:
        """End a connection; harmless when it has ended."""
        fd = client.sock.fileno()
        if fd < 0:
            return
        del self._by_fd[fd]
        self._poller.forget(fd)
        client.sock.close()
        self.stuck.pop(client, None)
        client.stuck_deadline = None
        if client.session is not None:
            del self._by_session[client.session]
        self._left(client)

    # ---- writing --------------------------------------------------------------------------------

    def write(self, client: Client, session: Session, max_bytes: int, patience: float) -> bool:
        """Write what its session has, until nothing may be sent or the kernel takes no more.

        Or until it has had its turn: whether that was it.  Somebody who reads as fast as we write
        would otherwise have a large payload as a whole while all others wait.  A connection that
        does not take anything for `patience` seconds is among the `overdue`.
        """
        sock, outbox, now_ns = client.sock, session.outbox, time.time_ns()
        left = WRITES_IN_A_TURN * max_bytes
        while buffers := outbox.take(max_bytes, now_ns):
            try:
                if outbox.sending.passing is not None and (passing := session.passing) is not None:
                    sent = send_with_descriptors(sock, buffers, [passing])
                elif len(buffers) > 1:
                    sent = send_gathered(sock, buffers)
                else:
                    sent = sock.send(buffers[0])
            except (BlockingIOError, InterruptedError):
                if client.stuck_deadline is None:
                    self._poller.watch(sock.fileno(), READABLE | WRITABLE)
                    self._stick(client, patience)
                return False
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS and outbox.sending.passing is not None:
                    _cut_up(session)
                    continue
                self._fail(client, error)
                return False
            outbox.sending.written(sent)
            if client.stuck_deadline is not None:
                self._stick(client, patience)
            if outbox.is_idle:
                break
            left -= sent
            if left <= 0:
                return True
        if client.stuck_deadline is not None:
            client.stuck_deadline = None
            del self.stuck[client]
            self._poller.watch(sock.fileno(), READABLE)
        return False

    def shift(self, seconds: float) -> None:
        """Nobody could take anything for so long: we wrote nothing."""
        for each in self.stuck:
            each.stuck_deadline = (each.stuck_deadline or 0.0) + seconds

    def next_deadline(self) -> float | None:
        """When the first of those that take nothing is overdue."""
        if not self.stuck:
            return None
        return min(each.stuck_deadline or 0.0 for each in self.stuck)

    def overdue(self, now: float) -> list[tuple[Client, Session]]:
        """Those that have taken nothing for too long, as far as the kernel has told."""
        return [
            (each, each.session)
            for each in self.stuck
            if each.session is not None and each.is_overdue(now)
        ]

    def _fail(self, client: Client, error: OSError) -> None:
        if error.errno not in _HUNG_UP:
            self.close(client)

    def _stick(self, client: Client, patience: float) -> None:
        client.stuck_deadline = time.monotonic() + patience
        self.stuck[client] = None


def _cut_up(session: Session) -> None:
    """More descriptors of our user are on their way than the kernel allows: send chunks instead."""
    parcel = session.outbox.sending.passing
    assert parcel is not None
    if parcel.content is None:
        parcel.content = Stored(parcel.descriptor, parcel.size)
    session.outbox.pass_no_more()
