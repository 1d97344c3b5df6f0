"""Frames in, deliveries out.  Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemoneye.bus.envelope import Correlation, Payload
from daemoneye.bus.limits import Limits
from daemoneye.bus.session import Session

if TYPE_CHECKING:
    from daemoneye.bus.access import AccessList, Declared, Identity


@dataclass(frozen=True, slots=True)
class HandedUp:
    """A wish for a collector that has no session: the supervisor has to hear it."""

    topic: str
    target: str
    payload: bytes
    content_type: str
    publisher: str
    """The proven identity of who wishes."""
    correlation: Correlation | None


class Router:
    """All sessions of one broker."""

    dirty: set[Session]
    """Sessions that have something to write: the shell takes them out and writes."""
    doomed: dict[Session, str]
    """Sessions the shell has to close, and why; already closed here, what `take` still gives may be written."""
    handed_up: deque[HandedUp]

    def __init__(self, limits: Limits, access: AccessList, epoch: int) -> None: ...

    def open(self, identity: Identity, declared: Declared, now_ns: int) -> Session:
        """A client has proved who it is."""
        raise NotImplementedError

    def close(self, session: Session, cause: str, now_ns: int) -> None:
        """The connection is gone (or has to go); harmless when it is closed already."""

    def end(self, identity: str, incarnation: int, cause: str, now_ns: int) -> None:
        """That incarnation is over: its sessions are closed here and put into `doomed`."""

    def receive(self, session: Session, frames: list[bytes], now_ns: int) -> None:
        """Take the frames of one turn.  Raises RemoteProtocolError: close the session then."""

    def set_rules(self, limits: Limits, access: AccessList, now_ns: int) -> None:
        """Replace access list and limits; live sessions are held against them at once."""

    def say(
        self, topic: str, payload: Payload, now_ns: int, *, content_type: str = "", target: str = ""
    ) -> int:
        """Publish as `supervisor`; returns how many sessions took it."""
        raise NotImplementedError
