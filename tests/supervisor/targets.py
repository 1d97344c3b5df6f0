"""Small supervised functions for the tests of children; importing it must cost nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from daemoneye.errors import LocalProtocolError
from daemoneye.supervisor.child import Child


class Listening:
    """A listener that tells back what it was told."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def paused(self, paused: bool) -> None:
        self._child.tell("paused", str(paused).encode())

    def configure(self, request: int, settings: str) -> None:
        self._child.configured(request, "" if "good" in json.loads(settings) else "no good")

    def told(self, name: str, body: bytes) -> None:
        self._child.tell(name, body[::-1])


def serve(child: Child) -> None:
    """Get ready, and wait to be stopped."""
    child.ready()
    child.stopping.wait()


def serve_and_listen(child: Child) -> None:
    """The same, with a listener that comes late."""
    child.stopping.wait(0.1)
    child.listen(Listening(child))
    serve(child)


def break_down() -> None:
    """A callback that fails."""
    raise ZeroDivisionError


def be_careless(child: Child) -> None:
    """Leave callbacks that raise, say what cannot be said, and tell what came of it."""
    child.before_beat(break_down)
    child.when_stopping(break_down)
    child.listen(Careless())
    careless: list[Callable[[], object]] = [
        lambda: child.count("x", 2**63),
        lambda: child.count("x", "one"),  # type: ignore[arg-type]  # what a program may pass
        lambda: child.count("\udc80", 1),
        lambda: child.beat(7),  # type: ignore[arg-type]  # the same
        lambda: child.degraded(None),  # type: ignore[arg-type]  # the same
        lambda: child.extend("long"),  # type: ignore[arg-type]  # the same
    ]
    for call in careless:
        try:
            call()
        except LocalProtocolError as error:
            child.tell("refused", str(error).encode())
    child.count("x", 2**63 - 1)
    serve(child)


class Careless:
    """A listener that raises whatever it is told."""

    def paused(self, paused: bool) -> None:
        raise KeyError(paused)

    def configure(self, request: int, settings: str) -> None:
        raise KeyError(settings)

    def told(self, name: str, body: bytes) -> None:
        raise KeyError(name)


def describe(child: Child, *args: object, **kwargs: object) -> None:
    """Tell what this child was given."""
    given = {
        "name": child.name,
        "args": args,
        "kwargs": kwargs,
        "settings": dict(child.settings),
        "pid": os.getpid(),
        "ignored": [
            each.name
            for each in (signal.SIGINT, signal.SIGUSR2)
            if signal.getsignal(each) is signal.SIG_IGN
        ],
        "blocked": [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    }
    child.tell("given", json.dumps(given).encode())
    serve(child)


def fail(child: Child, message: str = "broken") -> NoReturn:
    """Raise, as user code does."""
    raise ValueError(message)


def log(child: Child, message: str) -> None:
    """Logs a message, then an exception with it."""
    child.log.info("%s", message)
    try:
        fail(child, message)
    except ValueError:
        child.log.exception("caught")


def leave(child: Child, code: int) -> None:
    """End with this exit code."""
    child.ready()
    sys.exit(code)


def ready_then_fail(child: Child, after: float) -> None:
    """Serve for a while, then raise."""
    child.ready()
    child.stopping.wait(after)
    fail(child)


def work_in_hand(child: Child) -> None:
    """Begin a piece of work that takes very long."""
    child.ready()
    with child.working("a long job"):
        time.sleep(600)


def beat_twice_and_wait(child: Child) -> None:
    """Do two pieces of work, then wait for more."""
    child.ready()
    child.count("items", 7)
    child.beat("one")
    child.beat("two")
    child.stopping.wait()


def wish_for(child: Child, verb: str, whom: str) -> None:
    """Tell what the supervisor says to a wish."""
    ok, text = child.wish(verb, whom)
    child.tell("verdict", f"{ok} {text}".encode())
    serve(child)


def deadlock(child: Child) -> None:
    """Wait for a lock that nobody opens, with work in hand."""
    child.ready()
    lock = threading.Lock()
    with child.working("a deadlock"), lock:
        lock.acquire()


def stop_slowly(child: Child, seconds: float) -> None:
    """Take a while to end."""
    serve(child)
    time.sleep(seconds)


def never_ready(child: Child) -> None:
    """Forget to say ready."""
    child.stopping.wait()


def not_stoppable(child: Child) -> None:
    """Ignore drain and SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child.ready()
    time.sleep(600)


def beat_and_wait_on_the_bus(child: Child) -> None:
    """Say that work is done, then wait for events that do not come."""
    events = child.bus.subscribe("events.#")
    child.ready()
    child.beat("nothing much")
    while not child.stopping.is_set():
        events.get(timeout=0.1)


def use_bus(child: Child) -> None:
    """Be on the bus, and wait."""
    child.bus.publish("events.demo.tick", b"1")
    serve(child)


def leave_somebody_behind(child: Child, variables: dict[str, str] | None) -> None:
    """Start a process that leaves the group, with this environment, or ours; note who it is."""
    left = subprocess.Popen(["sleep", "600"], start_new_session=True, env=variables)
    Path(child.passport.run_dir, "left").write_text(str(left.pid))
    serve(child)
    os._exit(0)  # and not a word to it


def pid_left_behind(run_dir: Path) -> int:
    """Who it was, once the child is ready."""
    return int((run_dir / "left").read_text())
