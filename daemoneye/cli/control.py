"""The client of the supervisor's control endpoint: one question, one answer, in milliseconds.

Frames as everywhere (framing.py), each a JSON object.  Only json and socket: `daemoneye status`
must not pay for the bus.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from daemoneye import errors
from daemoneye.cli.exits import Exit, exit_of
from daemoneye.errors import ConfigError, DaemoneyeError, DeadlineExceeded, NotRunning
from daemoneye.framing import FrameCutter, pack
from daemoneye.rundir import RunDir
from daemoneye.system import is_foreign, local_socket, peer_of

Document: TypeAlias = dict[str, Any]
"""A JSON object as it was sent; the schemas in docs/schemas/ say what is in it."""

ANSWER_LIMIT_BYTES = 1 << 20
QUESTION_TIMEOUT = 5.0
"""For what the supervisor answers out of its memory."""
ORDER_TIMEOUT = 60.0
"""For what it answers when a child has done it: longer than it takes to stop and start one."""

_START = "start it with `daemoneye run`"


@dataclass(frozen=True, slots=True)
class ControlClient:
    """Asks the supervisor of one run directory."""

    run_dir: RunDir
    """Where it is."""
    timeout: float = QUESTION_TIMEOUT
    """Seconds for a whole question."""

    def ask(self, verb: str, **arguments: str) -> Document:
        """The answer to one question.

        Raises NotRunning when nobody is there, DeadlineExceeded when nobody answers, ConfigError
        when somebody else's process listens, and whatever error the supervisor answers with.
        """
        self.run_dir.check()
        question = json.dumps({"verb": verb, **arguments}).encode()
        with local_socket() as connection:
            connection.settimeout(self.timeout)
            try:
                connection.connect(str(self.run_dir.control_path))
                if is_foreign(peer_of(connection)):
                    raise ConfigError(
                        f"another user's process listens in {self.run_dir.path}",
                        hint="nothing was sent; use another --run-dir",
                    )
                connection.sendall(pack(question))
                answer = self._read(connection)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                raise NotRunning(f"no instance runs in {self.run_dir.path}", hint=_START) from error
            except TimeoutError as error:
                raise DeadlineExceeded(
                    f"the supervisor did not answer within {self.timeout:g} s",
                    hint="it may be busy or stopped; try again, or look at its process",
                ) from error
            except ConnectionError as error:
                raise self._went_away() from error
        return _opened(answer)

    def _read(self, connection: socket.socket) -> bytes:
        cutter = FrameCutter(ANSWER_LIMIT_BYTES)
        while received := connection.recv(1 << 16):
            if frames := cutter.feed(received):
                return frames[0]
        raise self._went_away()

    def _went_away(self) -> NotRunning:
        return NotRunning(
            f"the supervisor in {self.run_dir.path} ended before it answered", hint=_START
        )


def _opened(answer: bytes) -> Document:
    document: Document = json.loads(answer)
    if not document.pop("ok", False):
        raise _error_of(document)
    return document


def _error_of(answer: Mapping[str, Any]) -> DaemoneyeError:
    """The error a supervisor answered with: its class, or one that means the same exit code."""
    kind = getattr(errors, str(answer.get("error", "")), DaemoneyeError)
    message, hint = str(answer.get("message", "no reason given")), str(answer.get("hint", ""))
    known = isinstance(kind, type) and issubclass(kind, DaemoneyeError)
    if not known or issubclass(kind, (errors.AlreadyRunning, errors.Refused)):  # they need more
        kind = DaemoneyeError
    error: DaemoneyeError = kind(message, hint=hint)
    code = answer.get("code", exit_of(error))
    if code != exit_of(error) and code in _OF_CODE:
        return _OF_CODE[code](message, hint=hint)
    return error


_OF_CODE: Mapping[int, type[DaemoneyeError]] = {
    Exit.NOT_FOUND: errors.UnknownChild,
    Exit.GAVE_UP: errors.GaveUp,
    Exit.TRY_AGAIN: errors.DeadlineExceeded,
}
