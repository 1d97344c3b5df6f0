"""Whoever waits reads: one socket, any number of waiting threads, and no hand-over between them.

    thread that waits ──▶ leader: reads the socket, sorts what it finds into the inboxes
    others that wait  ──▶ followers: asleep, each on a lock of its own
    keeper            ──▶ reads while nobody waits, and gets a new connection when one is lost

A reader thread with a queue would put two wake-ups into every round trip; here the thread that
wants the answer takes it from the kernel itself.

The rule that everything hangs on: *whenever somebody is asleep, somebody leads, or a woken thread
is on its way in, or the keeper has the lead because there is no connection*.  It is kept by one
act: whoever leaves `get`, for whatever reason, wakes a successor when there is no leader.

One case is an exception, for speed.  A leader that will be back in a moment would wake a successor
for nothing on every message.  So while traffic flows the keeper looks every millisecond and vouches
for a leader (`_vouched`); meanwhile nobody passes the lead on, and a leader that read only what was
another's stands back and lets that one lead.  On the first quiet look the old rule is back.

`_monitor` guards all of it.  It is never held over I/O, a wait, or anybody else's code.  A signal
handler may run in between all the same, on top of its own thread: it can wait for nothing that this
thread has to do, so that is refused (`check_outside`).  It may end an inbox, or everything: the
error is noted at once, and who sleeps is woken by whoever lets go of the monitor.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from _thread import LockType, allocate_lock, get_ident
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from daemoneye.bus.client.answers import ended_by
from daemoneye.bus.client.monitor import Monitor
from daemoneye.errors import BusError, LocalProtocolError
from daemoneye.waiting import Watch

Item = TypeVar("Item")

LINGER = 0.05
"""Seconds between two looks of the keeper while others read."""

TICK = 0.001
"""Seconds between two looks of the keeper while it vouches for a leader."""


class Inbox(Generic[Item]):
    """What one thread, or several, may wait for: a subscription's runs, or one answer."""

    __slots__ = ("error", "items", "waiting")

    def __init__(self) -> None:
        self.items: deque[Item] = (
            deque()
        )  # the leader appends; anyone may `popleft`, which is atomic
        self.waiting: dict[LockType, None] = {}  # of the followers asleep on it, oldest first
        self.error: BaseException | None = None  # why nothing more will come


Sorted = Sequence[tuple[Inbox[Any], Any]]
"""What one read brought: inboxes of any kind, each with an item of its kind."""


class Reader:
    """The monitor around one client's connection.

    `read` takes the socket, does one bulk read and returns what it brought; it raises OSError,
    EOFError or a BusError when the connection is of no use any more.  `recover` gets a new
    connection, however long that takes, and raises BusError only when there is never to be one;
    any other error there, or in what the keeper calls, ends the reader too, and its thread with it.
    `tend` looks after a connection whether or not anybody reads; it is called with the time, must
    not wait, returns when to call it again, and raises BusError to give the connection up.
    All are called without the monitor.
    """

    def __init__(
        self,
        read: Callable[[socket.socket], Sorted],
        recover: Callable[[BaseException | None], socket.socket],
        tend: Callable[[float], float] = lambda now: math.inf,
    ) -> None:
        self._read = read
        self._recover = recover
        self._tend = tend
        self._monitor = Monitor()
        self._asleep: dict[LockType, Inbox[Any]] = {}
        self._sock: socket.socket | None = None
        self._state = _State()
        self._watch_of_leader: Watch | None = None
        self._keeper = threading.Thread(target=self._keep, name="bus-keeper", daemon=True)

    # ---- for those who wait ---------------------------------------------------------------------

    def get(self, inbox: Inbox[Item], timeout: float | None = None) -> Item:
        """The next item; waits for it, reading for everybody meanwhile if nobody else does.

        Raises TimeoutError after `timeout` seconds, and what ended the inbox or this reader.
        """
        if inbox.items:
            try:
                return inbox.items.popleft()
            except IndexError:
                pass  # another thread was quicker
        deadline = None if timeout is None else time.monotonic() + timeout
        state = self._state
        self._monitor.acquire()
        stand_back = False
        try:
            while not inbox.items:
                if error := inbox.error or state.ended:
                    raise error
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError
                if state.leader or self._sock is None or stand_back:
                    stand_back = False
                    self._sleep(inbox, left)
                else:
                    self._lead(self._sock, left)
                    stand_back = state.vouched and state.woken > 0
            return inbox.items.popleft()
        finally:
            if self._asleep and not state.vouched:
                self._pass_on()
            self._monitor.release()
            if self._monitor.aside:
                self._monitor.attend()

    def check_outside(self) -> None:
        """Raises LocalProtocolError in a signal handler that fell into this very thread's reading.

        It would wait for itself.  A finaliser that the garbage collector runs there is the same.
        """
        if self._monitor.is_ours or self._state.leader == get_ident():
            raise LocalProtocolError(
                "the broker cannot be asked while the same thread reads what it says",
                hint="in a signal handler publish(), or set a flag and ask outside of it",
            )

    def end_inbox(self, inbox: Inbox[Any], error: BaseException) -> None:
        """Nothing more will come to it: after what is in it, `error` is raised."""
        inbox.error = inbox.error or error
        self._monitor.do(partial(self._wake_all, inbox.waiting))

    # ---- the connection -------------------------------------------------------------------------

    def start(self, sock: socket.socket | None) -> None:
        """Begin with this connection, or by recovering one when there is none yet."""
        self._sock = sock
        self._keeper.start()

    def close(self, error: BusError) -> None:
        """Let everybody who waits, and will ever wait, have `error`; the socket is shut down."""
        self._state.ended = self._state.ended or error
        self._monitor.do(self._end)

    def join(self, timeout: float) -> None:
        """Wait until the keeper is gone, and with it the socket."""
        if self._keeper.is_alive() and self._keeper is not threading.current_thread():
            self._keeper.join(timeout)

    def abandon(self) -> None:
        """In a forked process, where no thread but ours exists: close our copy of the socket."""
        if self._sock is not None:
            self._sock.close()

    # ---- inside; all of these have the monitor --------------------------------------------------

    def _pass_on(self) -> None:
        if not self._state.leader and self._sock is not None and self._asleep:
            self._wake(next(iter(self._asleep)))

    def _wake(self, lock: LockType) -> None:
        # Taken out of both tables here, so it is released exactly once.
        del self._asleep.pop(lock).waiting[lock]
        self._state.woken += 1
        lock.release()

    def _wake_all(self, asleep: dict[LockType, Any]) -> None:
        for lock in list(asleep):
            self._wake(lock)

    def _sleep(self, inbox: Inbox[Any], left: float | None) -> None:
        lock = allocate_lock()
        lock.acquire()
        self._asleep[lock] = inbox
        inbox.waiting[lock] = None
        self._monitor.release()
        try:
            if self._monitor.aside:
                self._monitor.attend()
            lock.acquire(True, -1 if left is None else min(left, threading.TIMEOUT_MAX))
        finally:
            self._monitor.acquire()
            if self._asleep.pop(lock, None) is not None:
                del inbox.waiting[lock]

    def _lead(self, sock: socket.socket, left: float | None) -> None:
        """Read once, waiting at most `left` seconds for something to read, and sort it."""
        state = self._state
        state.leader = get_ident()
        state.woken = 0
        found: Sorted = ()
        broken: BaseException | None = None
        self._monitor.release()
        try:
            if self._monitor.aside:
                self._monitor.attend()
            if self._readable(sock, left):
                try:
                    found = self._read(sock)
                except BlockingIOError:
                    pass  # there was nothing after all
                except (OSError, EOFError, BusError) as error:
                    broken = error
                except BaseException as error:  # a Ctrl-C, or a bug: told above, after this
                    # A Ctrl-C between reading and sorting: what was read is gone, so the
                    # connection is given up and the gap is told like any other.
                    broken = error
                    raise
        finally:
            self._monitor.acquire()
            state.leader = 0
            state.turns += 1
            for inbox, item in found:
                inbox.items.append(item)
                if inbox.waiting:
                    self._wake(next(iter(inbox.waiting)))
            if broken is not None and self._sock is sock:
                self._lose(sock, broken)

    def _readable(self, sock: socket.socket, timeout: float | None) -> bool:
        """Wait for something to read; only the leader does, so one watch serves all.

        Not inside `recv`: there a stream socket wakes whoever waits also when the other end has
        read what we wrote, which is a switch of threads for nothing with each message.
        """
        watch = self._watch_of_leader
        if watch is None or watch.fd != sock.fileno():
            watch = self._watch_of_leader = Watch(sock.fileno())
        return watch.wait(timeout)

    def _lose(self, sock: socket.socket, cause: BaseException) -> None:
        state = self._state
        self._sock = None
        state.lost.append((sock, cause))
        _shut(sock)  # the keeper wakes up by this

    def _end(self) -> None:
        """For whoever has said why."""
        self._wake_all(self._asleep)
        if self._sock is not None:
            _shut(self._sock)

    # ---- the keeper -----------------------------------------------------------------------------

    def _keep(self) -> None:
        try:
            while self._state.ended is None:
                sock = self._sock
                if sock is None:
                    self._reconnect()
                else:
                    self._watch(sock)
        except BaseException as bug:  # nobody else could ever free who waits
            self.close(ended_by(bug))
            raise
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Close what there is of sockets, when no leader is inside of one."""
        state = self._state
        with self._monitor:
            state.vouched = False
            sock, self._sock = self._sock, None
        while state.leader:
            time.sleep(TICK)
        if sock is not None:
            sock.close()
        self._close_lost()

    def _reconnect(self) -> None:
        """Get a new connection.  Nobody leads meanwhile: who waits sleeps until it is there."""
        cause = self._close_lost()
        try:
            sock = self._recover(cause)
        except BusError as error:
            self.close(error)
            return
        with self._monitor:
            self._sock = sock
            if self._state.ended is not None:
                _shut(sock)
            self._pass_on()

    def _close_lost(self) -> BaseException | None:
        """Close what was lost, when no leader is inside it; returns why the last one was."""
        state = self._state
        while state.leader:
            time.sleep(TICK)
        cause: BaseException | None = None
        while state.lost:
            sock, cause = state.lost.pop()
            sock.close()
        return cause

    def _watch(self, sock: socket.socket) -> None:
        """Read when nobody does, until this connection is lost."""
        state = self._state
        idle = Watch(sock.fileno())
        seen = -1
        tend_at = self._look_after(sock)
        while self._sock is sock and state.ended is None:
            # Holds nothing, so it costs at most one wake-up each LINGER.
            found = idle.wait(max(0.0, tend_at - time.monotonic()))
            if time.monotonic() >= tend_at:
                tend_at = self._look_after(sock)
            if not found:
                continue
            with self._monitor:
                alone = not state.leader and state.turns == seen
                if alone and self._sock is sock:
                    self._lead(sock, 0)
                    self._pass_on()
                busy = not alone and state.turns != seen and bool(self._asleep)
                seen = state.turns
                state.vouched = busy
            if busy:
                self._vouch(seen)
            elif not alone and self._sock is sock:
                time.sleep(LINGER)

    def _look_after(self, sock: socket.socket) -> float:
        """Tend to this connection, or give it up; when to do so again."""
        try:
            return self._tend(time.monotonic())
        except BusError as error:
            with self._monitor:
                if self._sock is sock:
                    self._lose(sock, error)
            return math.inf

    def _vouch(self, seen: int) -> None:
        """Stand in for a leader that may be away for a moment, until traffic pauses."""
        state = self._state
        while True:
            time.sleep(TICK)
            with self._monitor:
                if state.turns == seen or self._sock is None or state.ended is not None:
                    state.vouched = False
                    self._pass_on()
                    return
                seen = state.turns


class _State:
    """What the monitor knows besides who sleeps."""

    __slots__ = ("ended", "leader", "lost", "turns", "vouched", "woken")

    def __init__(self) -> None:
        self.leader = 0  # the thread that is reading; 0: none is
        self.vouched = False  # the keeper sees to it that somebody leads again within a TICK
        self.turns = 0  # reads so far
        self.woken = 0  # sleepers woken since the last turn began
        self.ended: BusError | None = None  # why nobody will read again
        self.lost: list[tuple[socket.socket, BaseException]] = []  # for the keeper to close


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)  # whoever is inside recv gets an end of file
    except OSError:
        pass
