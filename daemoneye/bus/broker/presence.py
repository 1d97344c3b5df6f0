"""Who is connected, told as it changes, with how the last connection of an identity ended.  Pure.

What is told is retained, so whoever subscribes later knows too.  An identity that is gone stays
known, the last `GONE_KEPT` of them: what is told of the others is forgotten.
"""

from __future__ import annotations

from daemoneye.bus.access import Identity
from daemoneye.bus.broker.clock import Clock
from daemoneye.bus.broker.session import Session
from daemoneye.bus.proto import events_pb2 as pb

GONE_KEPT = 1024
"""How many identities without a connection are remembered."""


class _Known:
    """What is known of one identity."""

    __slots__ = ("cause", "identity", "sessions")

    def __init__(self, identity: Identity) -> None:
        self.identity = identity  # of the connection that came or went last
        self.sessions: dict[Session, None] = {}
        self.cause = ""  # of leaving, while there is none


class Presence:
    """Who is there."""

    __slots__ = ("_changed", "_clock", "_gone", "_known", "forgotten")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._gone: dict[str, None] = {}  # those without a connection, in the order they left
        self._changed: dict[str, None] = {}
        self.forgotten: list[str] = []
        """Of whom nothing is retained any more: whoever tells the news empties this."""

    def came(self, session: Session) -> None:
        """A connection more; harmless when it is known."""
        name = session.identity.name
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = _Known(session.identity)
        if session not in known.sessions:
            known.identity, known.cause = session.identity, ""
            known.sessions[session] = None
            self._gone.pop(name, None)
            self._change(name)

    def left(self, session: Session, cause: str) -> None:
        """A connection less; harmless when it is known to be gone."""
        name = session.identity.name
        known = self._known.get(name)
        if known is None or session not in known.sessions:
            return
        del known.sessions[session]
        known.identity = session.identity
        if not known.sessions:
            known.cause = cause
            self._gone[name] = None
            self._forget_oldest()
        self._change(name)

    def ended(self, name: str, incarnation: int, cause: str) -> None:
        """That incarnation is over, and this is why: also why it had left a moment before."""
        known = self._known.get(name)
        if known is None or known.sessions or known.identity.incarnation != incarnation:
            return
        if known.cause != cause:
            known.cause = cause
            self._change(name)

    def news(self, now: float) -> list[pb.ClientPresence]:
        """What has changed since the last time; `now` is Unix time in seconds."""
        changed, self._changed = self._changed, {}
        return [self._message(self._known[name], now) for name in changed if name in self._known]

    def _change(self, name: str) -> None:
        self._changed[name] = None
        self._clock.wake_at(self._clock.now)

    def _forget_oldest(self) -> None:
        if len(self._gone) > GONE_KEPT:
            oldest = next(iter(self._gone))
            del self._gone[oldest], self._known[oldest]
            self.forgotten.append(oldest)

    @staticmethod
    def _message(known: _Known, now: float) -> pb.ClientPresence:
        who = known.identity
        return pb.ClientPresence(
            identity=who.name,
            role=who.role,
            pid=who.pid,
            incarnation=who.incarnation,
            connected=bool(known.sessions),
            connections=len(known.sessions),
            cause=known.cause,
            changed_at=now,
        )
