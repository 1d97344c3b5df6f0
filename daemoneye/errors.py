"""Every exception daemoneye raises on purpose, in one tree.

    DaemoneyeError                something a caller may want to handle; carries `.hint`
    ├── ConfigError               a plan, a file or an argument cannot be used; lists every problem
    ├── NotRunning                there is no running instance where we looked
    ├── AlreadyRunning            the run directory is held by a live supervisor
    ├── MissingExtra              an optional dependency is not installed
    ├── BusError
    │   ├── InvalidTopic          (also ValueError) a topic or filter breaks the grammar
    │   ├── AccessDenied          the broker proved who you are, and a rule says no
    │   ├── BackPressure          a receiver with the policy `block` had no room in time
    │   ├── TooLarge              a payload or a frame is past its limit
    │   ├── NoResponder           nobody serves the topic of a call, or handles that of a publish
    │   ├── Rejected              whoever was to handle a message said no, or nobody could
    │   ├── DeadlineExceeded      (also TimeoutError) an answer did not come in time
    │   ├── ProtocolError         the other side, or we, broke the wire protocol
    │   │   ├── LocalProtocolError    you asked for something the protocol cannot say
    │   │   └── RemoteProtocolError   the peer sent something it must not send
    │   ├── BusClosed             you closed this client; using it again is a bug of the caller
    │   └── BusBroken             the connection was taken away: broker gone, cut off
    │       └── Refused           … or never came to be: the broker did not let us in
    ├── SupervisionError
    │   ├── InvalidTransition     a bug: a child's state machine was asked for an impossible step
    │   ├── UnknownChild          no child of that name in the plan
    │   └── GaveUp                an essential child failed for good
    └── CollectorError            raise it in a collection: "log this and go on"

An expected condition is handled by the nearest caller.  Anything else is a bug: it travels up,
the process dies, and the supervisor restarts it.
"""

from __future__ import annotations

from collections.abc import Sequence


class DaemoneyeError(Exception):
    """What went wrong, and in `.hint` what to do about it (or an empty string)."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class ConfigError(DaemoneyeError):
    """A configuration cannot be used; `.problems` has every complaint, in reading order."""

    def __init__(self, message: str, *, problems: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class NotRunning(DaemoneyeError):
    """There is no running instance at the place that was looked at."""


class AlreadyRunning(DaemoneyeError):
    """Another supervisor holds the run directory; `.pid` is its process id (0 if unknown)."""

    def __init__(self, message: str, *, pid: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class MissingExtra(DaemoneyeError):
    """A feature needs an optional dependency that is not installed."""


class BusError(DaemoneyeError):
    """Anything the bus refuses or cannot do."""


class InvalidTopic(BusError, ValueError):
    """A topic or filter breaks the grammar; the message names the level, the hint what is meant."""


class AccessDenied(BusError):
    """The access list says no.  `.rule` is the text of the rule that decided."""

    def __init__(self, message: str, *, rule: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class BackPressure(BusError):
    """A confirmed publish found a receiver without room; nothing was sent to anybody."""


class TooLarge(BusError):
    """A payload or frame is larger than its limit; nothing was sent."""


class NoResponder(BusError):
    """Nobody serves the topic of a call, or is there to handle a publish: told at once."""


class Rejected(BusError):
    """Whoever was to handle a message said no, or it was tried too often; it was delivered."""


class DeadlineExceeded(BusError, TimeoutError):
    """An answer did not come in time.  What was asked for may still have happened."""


class ProtocolError(BusError):
    """The wire protocol was broken."""


class LocalProtocolError(ProtocolError):
    """This side asked for something the protocol cannot express; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something it must not send; its connection is closed."""


class BusClosed(BusError):
    """This client was closed by its owner.  You do not get it when the broker went away."""


class BusBroken(BusError):
    """The connection was taken away, or never came to be.  You do not get it after `close()`."""


class Refused(BusBroken):
    """The broker did not let us in.  `.reason` is its word for why, as in `docs/wire.md`."""

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class SupervisionError(DaemoneyeError):
    """Anything the supervisor refuses or cannot do."""


class InvalidTransition(SupervisionError):
    """A child was asked for a step its state does not have: a bug in the rules."""


class UnknownChild(SupervisionError):
    """No child of that name is in the plan."""


class GaveUp(SupervisionError):
    """An essential child failed for good, so the run ends."""


class CollectorError(DaemoneyeError):
    """Raised by a collection on purpose: it is logged and counted, and the collector goes on."""
