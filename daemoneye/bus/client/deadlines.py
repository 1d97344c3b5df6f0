"""When the time is up that a caller gives, for threads and for tasks.  Pure."""

from __future__ import annotations

from daemoneye.errors import LocalProtocolError


def after(timeout: float, now: float) -> float:
    """When so many seconds are over, on the clock of `now`.

    Raises LocalProtocolError for what is no number of seconds.
    """
    try:
        return now + timeout
    except (TypeError, OverflowError):  # no number, or an int larger than every float
        raise no_time(timeout) from None


def patience(timeout: float | None) -> float | None:
    """The same seconds, for later: None waits for ever.  Raises LocalProtocolError as `after`."""
    if timeout is not None:
        after(timeout, 0.0)
    return timeout


def no_time(timeout: object) -> LocalProtocolError:
    """A timeout that is none."""
    return LocalProtocolError(
        f"a timeout is a number of seconds, and not {type(timeout).__name__}: {timeout!r:.100}",
        hint="for example timeout=2.5",
    )
