"""The child's side of supervision: what `child` in a worker is, and the thread behind it.

    main thread     boot ─▶ your target(child, …)             works, says ready and beats
    runtime thread  orders ◀─ lifeline ─▶ reports and beats   daemon; never waits for the work

The runtime thread tells the supervisor each second that the process lives, and what the work is
doing: progress is about work that was begun.  Waiting for work is healthy, however long, and
waiting on `child.stopping` counts as waiting.

When the lifeline ends, the supervisor is dead: the work is asked to stop, and ORPHAN_GRACE_SECONDS
later the whole process group is killed from within.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import count
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from daemoneye import signals
from daemoneye.errors import DaemoneyeError, LocalProtocolError, SupervisionError, TooLarge
from daemoneye.lifeline import (
    ChildEnd,
    Condition,
    Configured,
    Extend,
    Failure,
    Passport,
    Ready,
    Tell,
    Wish,
)
from daemoneye.supervisor.runtime import Listener, Runtime

if TYPE_CHECKING:
    from daemoneye.bus.client.bus_client import BusClient

_LAST_WORDS_SECONDS = 1.0
_NAME_CHARACTERS = 200


class Work:
    """A target with its arguments, pickled apart: what fails or hangs in it does so in `boot`."""

    __slots__ = ("_packed",)

    def __init__(
        self,
        target: Callable[..., object] | str,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> None:
        self._packed: object = (target, args, dict(kwargs or {}))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled while a process is being spawned, so connections may be among the arguments."""
        return _work_from, (bytes(reduction.ForkingPickler.dumps(self._packed)),)

    def unpacked(self) -> tuple[Callable[..., object], tuple[object, ...], dict[str, object]]:
        """The callable and its arguments; raises whatever importing and unpickling them raises."""
        # These bytes came through the private pipe of our own birth, never from a socket.
        packed: Any = self._packed
        target, args, kwargs = pickle.loads(packed) if isinstance(packed, bytes) else packed
        return (_resolve(target) if isinstance(target, str) else target), args, kwargs


def _work_from(packed: bytes) -> Work:
    work = Work("")
    work._packed = packed
    return work


def _resolve(target: str) -> Callable[..., object]:
    module, _, path = target.partition(":")
    found: Any = reduce(getattr, path.split("."), importlib.import_module(module))
    if not callable(found):
        raise SupervisionError(f"{target} is no function", hint="name one as module:function")
    return found  # type: ignore[no-any-return]  # it was looked up by name


@dataclass(frozen=True, slots=True)
class Boot:
    """Everything a child is born with; it comes through the spawn arguments."""

    passport: Passport
    """Who it is."""
    lifeline: Connection
    """Its end of the private pipe."""
    work: Work
    """What it runs."""
    settings: Mapping[str, object]
    """The settings in force when it was started."""
    beat_interval: float
    """Seconds between two signs of life."""


class Stopping:
    """Whether the child has been asked to end.  Waiting on it counts as waiting for work."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def is_set(self) -> bool:
        """Whether it was asked."""
        return self._runtime.stopping.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is asked, at most `timeout` seconds; True when it was."""
        with self._runtime.pulse.waiting():
            return self._runtime.stopping.wait(timeout)


class Child:
    """What a supervised function gets as its first argument: its line to the supervisor."""

    def __init__(self, boot: Boot, runtime: Runtime) -> None:
        self.passport = boot.passport
        """Who this child is."""
        self.settings: Mapping[str, object] = dict(boot.settings)
        """The settings in force."""
        self.stopping = Stopping(runtime)
        """Set when this child is to end; look at it, or wait on it, between pieces of work."""
        self.log = logging.getLogger(boot.passport.name)
        """A logger of this child's name."""
        self._runtime = runtime
        self._bus: BusClient | None = None
        # Several threads may want it first, and it is to be one session.
        self._making = threading.Lock()

    @property
    def name(self) -> str:
        """This child's name, and its identity on the bus."""
        return self.passport.name

    @property
    def bus(self) -> BusClient:
        """This child's client of the bus, connected on first use with the rights of its spec."""
        with self._making:
            if self._bus is None:
                # Imported here because a child without a bus should not pay for one.
                from daemoneye.bus.client.bus_client import BusClient

                pulse = self._runtime.pulse
                self._bus = BusClient.for_child(self.passport, pulse.waiting)
                pulse.bus_connected = lambda: bool(self._bus and self._bus.connected)
            return self._bus

    @property
    def paused(self) -> bool:
        """Whether this child was asked to begin no more work for now."""
        return self._runtime.pulse.paused

    def ready(self) -> None:
        """Say that this child can serve: what depends on it may start."""
        self._runtime.say(Ready())

    def beat(self, doing: str = "") -> None:
        """Say that a piece of work is done and the next one begins; `doing` names it.

        From the first call on the supervisor watches that calls keep coming while there is work:
        `stopping.wait` and `waiting` are how this child says that there is none.
        """
        self._runtime.pulse.finish(_checked(doing))

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Inside, one piece of work is in hand, and has to end within the hard limit."""
        self._runtime.pulse.begin(_checked(doing))
        try:
            yield
        finally:
            self._runtime.pulse.end()

    def waiting(self) -> AbstractContextManager[None]:
        """A context in which this child waits for work, however long that takes."""
        return self._runtime.pulse.waiting()

    def extend(self, seconds: float) -> None:
        """Ask for so many more seconds, from now, to get ready."""
        self._runtime.say(Extend(seconds))

    def degraded(self, reason: str) -> None:
        """Say that this child works, but not well, and why."""
        self._runtime.say(Condition(reason))

    def well(self) -> None:
        """Take a `degraded` back."""
        self._runtime.say(Condition(""))

    def wish(
        self,
        verb: str,
        child: str,
        settings: Mapping[str, object] | None = None,
        asked_by: str = "",
        timeout: float = 5.0,
    ) -> tuple[bool, str]:
        """Ask the supervisor for something, and wait for its verdict: done or not, and why.

        With `timeout=0` no verdict is wanted.  Raises DeadlineExceeded when none came in time.
        """
        text = "" if settings is None else json.dumps(dict(settings))
        try:
            return self._runtime.wish(Wish(0, verb, child, text, asked_by or self.name), timeout)
        except TooLarge as error:
            return False, str(error)

    def listen(self, listener: Listener) -> None:
        """Give orders about pause, settings and your own matters to `listener` from now on.

        It is called on the runtime thread (and in here, for orders that came before), and must not
        block.
        """
        self._runtime.mailbox.listen(listener)

    def on_tell(self, callback: Callable[[str, bytes], None]) -> None:
        """Listen to your own matters alone; see `listen`."""
        self.listen(_TellsOnly(self, callback))

    def when_stopping(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when this child is asked to end: `stopping` for who cannot wait.

        It is called on the runtime thread, perhaps more than once (and in here, when it was asked
        before), and must not block.
        """
        self._runtime.stopping.call(callback)

    def configured(self, request: int, error: str = "") -> None:
        """Answer a listener's `configure`: empty when the settings are in force, else why not."""
        self._runtime.say(Configured(request, error))

    def tell(self, name: str, body: bytes) -> None:
        """Tell the supervisor's side something that only `name` there understands."""
        self._runtime.say(Tell(name, body))

    def count(self, name: str, value: int) -> None:
        """Set a counter that travels with the beats, for `status`.

        Raises LocalProtocolError for a name that is no text of 1 to 200 characters, and for a value
        that is no whole number of 64 bits.
        """
        _check_counter(name, value)
        self._runtime.pulse.counters[name] = value

    def before_beat(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the runtime thread before each beat; it must not block."""
        self._runtime.pulse.callbacks.append(callback)

    def close(self, *, clean: bool = True) -> None:
        """Say goodbye on the bus, if this child was on it; unless `clean`, its will is said."""
        if self._bus is None:
            return
        if clean:
            self._bus.close()
            return
        try:
            self._bus.flush()
        except DaemoneyeError:  # it is closed already
            pass


def _check_counter(name: object, value: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_CHARACTERS or not _sayable(name):
        raise LocalProtocolError(
            f"{ascii(name)[:80]} is no name of a counter", hint="use a short text"
        )
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise LocalProtocolError(
            f"counter {name!r} cannot be {ascii(value)[:80]}",
            hint="count in whole numbers of 64 bits",
        )


def _checked(doing: object) -> str:
    """What a beat can carry: text, whose length the other end bounds."""
    if not isinstance(doing, str):
        raise LocalProtocolError(
            f"work is named by a text, not by {ascii(doing)[:80]}", hint="use str(…)"
        )
    return doing


def _sayable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _TellsOnly:
    """A listener for programs that are told things and have no settings."""

    def __init__(self, child: Child, callback: Callable[[str, bytes], None]) -> None:
        self._child = child
        self.told = callback

    def paused(self, paused: bool) -> None:
        """The beats say it; `child.paused` too."""

    def configure(self, request: int, settings: str) -> None:
        """It has none."""
        self._child.configured(request, "this child takes no new settings while it runs")


class _Lines(logging.Formatter):
    """A record as lines that each begin with the time and the child's name, written in one piece.

    A message is one line.  What is in it came from anywhere, so nothing in it can pass for a line
    of somebody else, or speak to the terminal it ends up on.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        lines = [record.getMessage()]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        if record.stack_info:
            lines += record.stack_info.splitlines()
        clock = self.formatTime(record, "%H:%M:%S")
        return "\n".join(f"{clock}  {self._name}: {_harmless(line)}" for line in lines)


def _harmless(text: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def boot(given: Boot) -> None:
    """Run a child's target, as the first thing of ours in a new process.

    Whatever the target raises is reported with its traceback and ends the process with code 1.
    """
    runtime = Runtime(ChildEnd(given.lifeline), given.beat_interval)
    screen = logging.StreamHandler()
    screen.setFormatter(_Lines(given.passport.name))
    logging.basicConfig(level=logging.INFO, handlers=[screen])
    _take_signals(runtime)
    runtime.start()
    child = Child(given, runtime)
    clean = False
    try:
        target, args, kwargs = given.work.unpacked()
        target(child, *args, **kwargs)
        clean = True
    except SystemExit as ending:
        clean = not ending.code
        raise
    except Exception as error:  # a child may fail in any way; its supervisor is told, and decides
        _say_last_words(runtime, error)
        sys.exit(1)
    finally:
        child.close(clean=clean)
        runtime.flush(_LAST_WORDS_SECONDS)


def _say_last_words(runtime: Runtime, error: Exception) -> None:
    kind = type(error)
    text = "".join(traceback.format_exception(error))
    if runtime.is_orphaned:
        sys.stderr.write(text)
    runtime.say(Failure(f"{kind.__module__}.{kind.__qualname__}", _message_of(error), text))


def _message_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # its class is the user's, and what it raises here would hide what it raised
        return "its message cannot be shown"


def _take_signals(runtime: Runtime) -> None:
    """Handlers first, then let through what was blocked since birth.

    SIGTERM asks like a drain does, by a byte to the runtime thread: setting an event from a handler
    can deadlock with the thread it interrupted.  A second one, or one behind a drain, ends.
    """
    calls = count()

    def asked_to_end(number: int, frame: object) -> None:
        if next(calls) or runtime.is_drained:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        runtime.ask_to_end()

    signal.signal(signal.SIGTERM, asked_to_end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signals.SIGUSR2, signal.SIG_IGN)
    signals.let_signals_through()
