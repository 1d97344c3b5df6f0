"""The control endpoint: how a command line asks the supervisor, also when the bus is down.

An AF_UNIX socket in the run directory, frames as everywhere, each a JSON object.  It lives in the
supervisor's loop and never waits: connections are few, bounded and short-lived, and one that does
not ask, or does not take its answer, is closed at its deadline.

A caller has one question at a time.  What it asks meanwhile waits, and is asked when it has taken
the answer before; who asks on and on without reading is hung up on.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from daemoneye.errors import (
    DaemoneyeError,
    RemoteProtocolError,
    TooLarge,
)
from daemoneye.framing import FrameCutter, pack
from daemoneye.strict_json import read_object
from daemoneye.supervisor.documents import Document
from daemoneye.system import is_foreign, local_socket, peer_of

QUESTION_LIMIT_BYTES = 64 << 10
QUESTIONS_LIMIT = 8
"""Questions of one caller that may wait for the answer to another."""
CALLERS_LIMIT = 32
SPEAK_TIMEOUT = 5.0
"""Seconds a caller has to ask, and to take its answer."""
ORDER_TIMEOUT = 120.0
"""Seconds an order may take until its answer; the rules answer earlier."""

_BACKLOG = 16


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks."""

    verb: str
    """status, health, explain, shutdown, or what may be asked about one child."""
    child: str
    """About whom; empty: the whole."""


class Stage(StrEnum):
    """How far a caller's question has come."""

    ASKS = "asks"
    """None is in hand; it has SPEAK_TIMEOUT for the next one."""
    WAITS = "waits"
    """It has asked, and is answered within ORDER_TIMEOUT."""
    TAKES = "takes"
    """It is answered, and has SPEAK_TIMEOUT to take that."""


@dataclass(eq=False, slots=True)
class Caller:
    """One connection."""

    socket: socket.socket
    """Non-blocking."""
    deadline: float
    """When it is closed, on the monotonic clock."""
    cutter: FrameCutter = field(default_factory=lambda: FrameCutter(QUESTION_LIMIT_BYTES))
    """What it has sent of a question."""
    stage: Stage = Stage.ASKS
    """How far its question has come."""
    outbox: bytes = b""
    """What it has not taken of the one answer."""
    questions: deque[bytes] = field(default_factory=deque)
    """Frames that wait for their turn: QUESTIONS_LIMIT at most."""


Ask = Callable[[Caller, Question], None]


class ControlServer:
    """The listening socket and its callers, registered with the loop's selector."""

    def __init__(self, path: Path, selector: selectors.BaseSelector, ask: Ask) -> None:
        """Listen at `path`, for the holder of the run directory's lock: what is there is stale.

        `ask` is called for each question, and answers with `reply`, now or later.
        """
        self._path = path
        self._selector = selector
        self._ask = ask
        self._callers: set[Caller] = set()
        path.unlink(missing_ok=True)
        self._socket = local_socket()
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        self._socket.listen(_BACKLOG)
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def reply(self, caller: Caller, document: Document) -> None:
        """Answer a question; a caller that has gone away is no error."""
        if caller in self._callers and caller.stage is Stage.WAITS:
            caller.stage = Stage.TAKES
            caller.deadline = time.monotonic() + SPEAK_TIMEOUT
            caller.outbox = pack(json.dumps(document).encode())
            self._write(caller)

    def refuse(self, caller: Caller, error: DaemoneyeError, code: int = 1) -> None:
        """Answer with an error; `code` is the exit code a command line ends with."""
        self.reply(
            caller,
            {
                "ok": False,
                "error": type(error).__name__,
                "message": error.args[0] if error.args else "",
                "hint": error.hint,
                "code": code,
            },
        )

    def next_deadline(self) -> float | None:
        """When `expire` should be called at the latest."""
        return min((caller.deadline for caller in self._callers), default=None)

    def expire(self, now: float) -> None:
        """Close the connections that are past their deadline."""
        for caller in [each for each in self._callers if each.deadline <= now]:
            self._drop(caller)

    def close(self) -> None:
        """Close everything and remove the socket's file."""
        for caller in list(self._callers):
            self._drop(caller)
        self._selector.unregister(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self, mask: int) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return  # it has gone away again, or there are no descriptors: both pass
        connection.setblocking(False)
        if is_foreign(peer_of(connection)):
            connection.close()
            return
        if len(self._callers) >= CALLERS_LIMIT:
            self._drop(min(self._callers, key=lambda each: each.deadline))
        caller = Caller(connection, time.monotonic() + SPEAK_TIMEOUT)
        self._callers.add(caller)
        self._selector.register(
            connection, selectors.EVENT_READ, lambda mask: self._serve(caller, mask)
        )

    def _serve(self, caller: Caller, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._write(caller)
        if mask & selectors.EVENT_READ and caller in self._callers:
            self._read(caller)

    def _read(self, caller: Caller) -> None:
        try:
            received = caller.socket.recv(1 << 16)
            frames = caller.cutter.feed(received)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, RemoteProtocolError, TooLarge):
            received, frames = b"", []
        if not received:
            self._drop(caller)
            return
        caller.questions += frames
        if len(caller.questions) > QUESTIONS_LIMIT:
            self._drop(caller)
        else:
            self._ask_next(caller)

    def _ask_next(self, caller: Caller) -> None:
        """Take up the caller's next question, unless one is in hand."""
        if caller.stage is not Stage.ASKS or not caller.questions:
            return
        caller.stage = Stage.WAITS
        caller.deadline = time.monotonic() + ORDER_TIMEOUT
        try:
            question = _question_in(caller.questions.popleft())
        except RemoteProtocolError as error:
            self.refuse(caller, error, 2)
            return
        self._ask(caller, question)

    def _write(self, caller: Caller) -> None:
        try:
            while caller.outbox:
                caller.outbox = caller.outbox[caller.socket.send(caller.outbox) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(caller)
            return
        # who does not take an answer is not listened to either
        wanted = selectors.EVENT_WRITE if caller.outbox else selectors.EVENT_READ
        key = self._selector.get_key(caller.socket)
        if key.events != wanted:
            self._selector.modify(caller.socket, wanted, key.data)
        if caller.stage is Stage.TAKES and not caller.outbox:
            caller.stage = Stage.ASKS
            self._ask_next(caller)

    def _drop(self, caller: Caller) -> None:
        if caller in self._callers:
            self._callers.remove(caller)
            self._selector.unregister(caller.socket)
            caller.socket.close()


def _question_in(frame: bytes) -> Question:
    asked = read_object(frame, "a question")
    verb, child = asked.get("verb"), asked.get("child", "")
    if not isinstance(verb, str) or not isinstance(child, str):
        raise RemoteProtocolError("`verb` and `child` of a question are text")
    return Question(verb, child)
