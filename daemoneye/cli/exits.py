"""The exit codes, and which error means which.  Pure."""

from __future__ import annotations

from enum import IntEnum

from daemoneye import errors


class Exit(IntEnum):
    """How a command ended; the codes are a promise to scripts."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_RUNNING = 3
    UNHEALTHY = 4
    NOT_FOUND = 5
    UNAVAILABLE = 69
    GAVE_UP = 70
    TRY_AGAIN = 75
    NOT_PERMITTED = 77
    BAD_CONFIGURATION = 78
    INTERRUPTED = 130
    TERMINATED = 143


_MEANINGS: tuple[tuple[type[BaseException], Exit], ...] = (
    (errors.ConfigError, Exit.BAD_CONFIGURATION),
    (errors.NotRunning, Exit.NOT_RUNNING),
    (errors.AlreadyRunning, Exit.TRY_AGAIN),
    (errors.UnknownChild, Exit.NOT_FOUND),
    (errors.NoResponder, Exit.NOT_FOUND),
    (errors.GaveUp, Exit.GAVE_UP),
    (errors.InvalidTopic, Exit.USAGE),
    (errors.LocalProtocolError, Exit.USAGE),
    (errors.AccessDenied, Exit.NOT_PERMITTED),
    (errors.DeadlineExceeded, Exit.TRY_AGAIN),
    (errors.BackPressure, Exit.TRY_AGAIN),
    (errors.TooLarge, Exit.FAILURE),
    (errors.Rejected, Exit.FAILURE),
    (errors.BusError, Exit.UNAVAILABLE),
    (PermissionError, Exit.NOT_PERMITTED),
    (KeyboardInterrupt, Exit.INTERRUPTED),
)
"""The first row that fits decides; what fits none is a plain failure."""


_OF_ANOTHER = {"bad-proof", "wrong-process"}
"""Why a broker refuses whoever has no right to the name; other reasons may be over in a moment."""


def exit_of(error: BaseException) -> Exit:
    """The exit code an error means."""
    if isinstance(error, errors.Refused) and error.reason in _OF_ANOTHER:
        return Exit.NOT_PERMITTED
    return next((code for kind, code in _MEANINGS if isinstance(error, kind)), Exit.FAILURE)
