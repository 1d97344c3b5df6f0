"""The thread behind a child: reads orders, sends reports, beats.  It never waits for the work.

Pulse     what the work is doing, as beats tell it
Mailbox   orders for the program, kept until somebody listens
Runtime   the thread itself, on the child's end of the lifeline
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from daemoneye import signals, system
from daemoneye.errors import DeadlineExceeded, ProtocolError, SupervisionError, TooLarge
from daemoneye.lifeline import (
    Beat,
    ChildEnd,
    Configure,
    Configured,
    Drain,
    Dump,
    Dumped,
    Order,
    Pause,
    Report,
    Tell,
    Verdict,
    Wish,
)
from daemoneye.waiting import READABLE, WRITABLE, Poller

log = logging.getLogger("daemoneye.child")

ORPHAN_GRACE_SECONDS = 1.5
"""What the work gets to end after the supervisor died: less than the guardian's patience."""

_DUMP_DEPTH = 50
_UNHEARD_LIMIT = 1024
_COUNTERS_LIMIT = 256
_STOP = bytes([signal.SIGTERM])  # what the interpreter itself writes into a wake-up descriptor
_LOOK = b"\0"

ForProgram = Pause | Configure | Tell


class Listener(Protocol):
    """What a program in a child may be asked for; called on the runtime thread, must not block."""

    def paused(self, paused: bool) -> None:
        """Begin no more work, or go on."""

    def configure(self, request: int, settings: str) -> None:
        """New settings, a JSON object; to be answered with `child.configured(request, error)`."""

    def told(self, name: str, body: bytes) -> None:
        """Something from the supervisor's side that only `name` here understands."""


def _call(callback: Callable[[], None]) -> None:
    """Call what a program left with us; what it raises is logged, and its own affair."""
    try:
        callback()
    except Exception:  # it is the user's, and without the thread that calls it there is no child
        log.exception("%r failed", callback)


class Pulse:
    """What the work is doing.  Written by whoever works, read by the runtime thread.

    The thread that began a piece of work is the one that works; that another thread waits for
    something means nothing.  A beat may be a moment old.
    """

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.callbacks: list[Callable[[], None]] = []
        self.bus_connected: Callable[[], bool] | None = None
        self.paused = False
        self._progress = 0
        self._doing = ""
        self._busy_since: float | None = None
        self._worker = 0

    def begin(self, doing: str) -> None:
        """A piece of work is in hand from now on."""
        self._worker = threading.get_ident()
        self._doing = doing
        self._busy_since = time.monotonic()

    def end(self) -> None:
        """It is done, and there is no next one."""
        self._progress += 1
        self._busy_since = None

    def finish(self, doing: str) -> None:
        """It is done, and the next one is in hand."""
        self._progress += 1
        self.begin(doing)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """No work is in hand inside; behind it there is, if there was before."""
        if self._busy_since is None or self._worker != threading.get_ident():
            yield
            return
        self._busy_since = None
        try:
            yield
        finally:
            self._busy_since = time.monotonic()

    def beat(self) -> Beat:
        """The sign of life for this moment."""
        for callback in self.callbacks:
            _call(callback)
        since = self._busy_since
        connected = self.bus_connected
        return Beat(
            progress=self._progress,
            busy_seconds=0.0 if since is None else max(1e-6, time.monotonic() - since),
            doing="" if since is None else self._doing,
            counters=dict(itertools.islice(self.counters.copy().items(), _COUNTERS_LIMIT)),
            paused=self.paused,
            bus_connected=connected is not None and connected(),
            uses_bus=connected is not None,
        )


class Mailbox:
    """Orders for the program; those that come before it listens wait, in order, up to a bound."""

    def __init__(self) -> None:
        self._listener: Listener | None = None
        self._unheard: deque[ForProgram] = deque()
        self._delivering = threading.RLock()

    @property
    def has_listener(self) -> bool:
        """Whether anybody listens."""
        return self._listener is not None

    def listen(self, listener: Listener) -> None:
        """Deliver to `listener` from now on, and first what nobody has heard."""
        with self._delivering:
            self._listener = listener
            while self._unheard:
                _deliver(listener, self._unheard.popleft())

    def put(self, order: ForProgram) -> None:
        """Deliver, or keep.  Past the bound a program that never listens loses the oldest."""
        with self._delivering:
            if self._listener is not None:
                _deliver(self._listener, order)
                return
            if len(self._unheard) == _UNHEARD_LIMIT:
                self._unheard.popleft()
            self._unheard.append(order)


def _deliver(listener: Listener, order: ForProgram) -> None:
    match order:
        case Pause(paused):
            listener.paused(paused)
        case Configure(request, settings):
            listener.configure(request, settings)
        case Tell(name, body):
            listener.told(name, body)


class StopEvent(threading.Event):
    """Set when the child was asked to end; tells those who cannot wait on it."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        """Let those go who wait, and call whoever asked for it."""
        super().set()
        for callback in tuple(self._callbacks):
            _call(callback)

    def call(self, callback: Callable[[], None]) -> None:
        """Call this when it is set, perhaps more than once; at once when it is set already."""
        self._callbacks.append(callback)
        if self.is_set():
            callback()


class _Wishes:
    """Wishes that wait for their verdict."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[threading.Event, list[Verdict]]] = {}

    def begin(self) -> int:
        """A fresh number, for which a verdict may come from now on."""
        number = next(self._numbers)
        self._waiting[number] = (threading.Event(), [])
        return number

    def wait(self, number: int, timeout: float) -> Verdict | None:
        """The verdict; None when it did not come in time."""
        event, verdicts = self._waiting[number]
        event.wait(timeout)
        del self._waiting[number]
        return verdicts[0] if verdicts else None

    def decide(self, verdict: Verdict) -> None:
        """Hand a verdict to whoever waits for it; one nobody waits for any more is dropped."""
        waiting = self._waiting.get(verdict.request)
        if waiting is not None:
            waiting[1].append(verdict)
            waiting[0].set()


class Runtime:
    """The thread on the child's end of the lifeline."""

    def __init__(self, end: ChildEnd, beat_interval: float) -> None:
        self.pulse = Pulse()
        self.mailbox = Mailbox()
        self.stopping = StopEvent()
        self._end = end
        self._beat_interval = beat_interval
        self._wishes = _Wishes()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="daemoneye-runtime", daemon=True)
        self._orphaned = threading.Event()
        self._drained = threading.Event()
        for fd in (self._wake_read, self._wake_write):
            system.set_nonblocking(fd)

    @property
    def is_orphaned(self) -> bool:
        """Whether the supervisor is gone, so that nobody hears what is said."""
        return self._orphaned.is_set()

    @property
    def is_drained(self) -> bool:
        """Whether the supervisor asked to end on the lifeline; what comes next is SIGTERM."""
        return self._drained.is_set()

    def start(self) -> None:
        """Start beating; from now on a SIGTERM is noticed whatever the main thread waits for.

        The kernel may hand it to any thread, of a process that was stopped above all; then the main
        thread sleeps on, and only the interpreter's own wake-up byte tells.
        """
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._thread.start()

    def say(self, report: Report) -> None:
        """Report something, from any thread.  Never blocks.

        While nobody reads, reports are kept up to the lifeline's bound and dropped past it: a
        supervisor that does not read for so long has other worries.
        """
        self._end.send(report)
        if self._end.wants_write:
            self._wake(_LOOK)

    def ask_to_end(self) -> None:
        """Set `stopping` from a signal handler: only a byte is written here."""
        self._wake(_STOP)

    def wish(self, wish: Wish, timeout: float) -> tuple[bool, str]:
        """Say a wish and wait for its verdict; see `Child.wish`."""
        if timeout <= 0:
            self.say(wish)
            return True, ""
        if threading.current_thread() is self._thread:
            raise SupervisionError(
                "the runtime thread would wait for itself", hint="wish from another thread"
            )
        number = self._wishes.begin()
        self.say(Wish(number, wish.verb, wish.child, wish.settings, wish.asked_by))
        verdict = self._wishes.wait(number, timeout)
        if verdict is None:
            raise DeadlineExceeded(f"no verdict on {wish.verb} {wish.child} in {timeout:g} s")
        return verdict.ok, verdict.text

    def flush(self, timeout: float) -> None:
        """Wait, at most `timeout` seconds, until everything said is on its way."""
        deadline = time.monotonic() + timeout
        while not self._end.flush() and time.monotonic() < deadline:
            time.sleep(0.01)

    # -- on the runtime thread --

    def _run(self) -> None:
        signals.block_signals(signal.SIGTERM)  # the main thread's, if it can
        try:
            self._serve()
        except BaseException:  # a bug of ours: without this thread the process is a hang, so end it
            traceback.print_exc()
            os._exit(1)

    def _serve(self) -> None:
        waiting = Poller()
        waiting.watch(self._wake_read, READABLE)
        next_beat_at = 0.0
        while True:
            if (now := time.monotonic()) >= next_beat_at:
                self._beat()
                # whole multiples, so that the supervisor wakes once for the beats of all children
                next_beat_at = (now // self._beat_interval + 1) * self._beat_interval
            writing = WRITABLE if self._end.wants_write else 0
            waiting.watch(self._end.fileno(), READABLE | writing)
            waiting.poll(max(0.0, next_beat_at - now) + 0.001)
            if _STOP in self._woken():
                self.stopping.set()
            self._end.flush()
            try:
                for order in self._end.read():
                    self._obey(order)
            except (EOFError, ProtocolError, TooLarge):
                self._end_as_orphan()

    def _beat(self) -> None:
        beat = self.pulse.beat()
        if (
            not self._end.wants_write
        ):  # old beats behind a supervisor that does not read help nobody
            self._end.send(beat)

    def _obey(self, order: Order) -> None:
        match order:
            case Drain():
                self._drained.set()
                self.stopping.set()
            case Dump(request):
                self.say(Dumped(request, stacks_of_all_threads()))
            case Verdict():
                self._wishes.decide(order)
            case Configure(request) if not self.mailbox.has_listener:
                self.say(Configured(request, "this child takes no new settings while it runs"))
            case Pause(paused):
                self.pulse.paused = paused
                self._hand_over(order)
                self._beat()
            case _:
                self._hand_over(order)

    def _hand_over(self, order: ForProgram) -> None:
        try:
            self.mailbox.put(order)
        except Exception as error:  # the listener is the user's, and this thread is its only line
            log.exception("a listener failed at a %s", type(order).__name__)
            if isinstance(order, Configure):
                self.say(Configured(order.request, f"{type(error).__name__} while it was told"))

    def _end_as_orphan(self) -> None:
        """The supervisor is gone: let the work end, then end the whole group from within."""
        self._orphaned.set()
        self.stopping.set()
        time.sleep(ORPHAN_GRACE_SECONDS)
        if signals.leads_group():
            signals.signal_group(0, signals.SIGKILL)
        os._exit(1)

    def _woken(self) -> bytes:
        try:
            return os.read(self._wake_read, 512)
        except BlockingIOError:
            return b""

    def _wake(self, why: bytes) -> None:
        try:
            os.write(self._wake_write, why)
        except BlockingIOError:
            pass  # it is awake enough


def stacks_of_all_threads() -> str:
    """Where every thread of this process is, innermost calls last.

    From `sys._current_frames()`, in 0.1 ms: a dump by a faulthandler signal would not need the
    interpreter, but crashes processes with deep stacks now and then.
    """
    names = {each.ident: each.name for each in threading.enumerate()}
    return "\n".join(
        f"thread {names.get(ident, 'unknown')} ({ident}):\n{_stack(frame)}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )


def _stack(frame: FrameType) -> str:
    innermost = itertools.islice(traceback.walk_stack(frame), _DUMP_DEPTH)
    return "".join(reversed(traceback.StackSummary.extract(innermost).format()))
