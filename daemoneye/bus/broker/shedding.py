"""Who pays when more waits for all clients together than may.  Pure.

The identity for which most waits pays, and that with everything it has: what was promised to its
`block` streams is no reason to let others pay, who were promised no less.  Within it the greediest
session pays first, and what waits in `block` streams last.  What is being written and the broker's
own frames cannot be dropped: when there is too much of those alone, the greediest has to go.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES
from daemoneye.bus.broker.session import Session
from daemoneye.bus.limits import Limits

OUTBOUND_SHARE = 4
"""Of what may wait for all clients, the share of one identity is one divided by this."""

SPARED_SHARE = 64
"""So much of it is freed beyond what is needed, or everybody's next message would begin anew."""


class Shedding:
    """One time that there is too much, or would be."""

    __slots__ = ("_limit", "_sessions", "condemned", "touched")

    def __init__(self, sessions: Iterable[Session], limit: int) -> None:
        """Of these sessions no more than `limit` bytes may wait."""
        self._sessions = list(sessions)
        self._limit = limit
        self.touched: set[Session] = set()
        """Who has lost something, and is to be told."""
        self.condemned: dict[Session, str] = {}
        """Who has to go, and why."""

    def shed(self) -> None:
        """Have no more waiting than may."""
        excess = sum(map(_waiting_bytes, self._sessions)) - self._limit
        excess -= self.shed_overgrown(excess)
        excess -= self._shed_beyond(0, excess)
        while excess > 0 and (staying := self._staying(self._sessions)):
            greediest = max(staying, key=_waiting_bytes)
            self.condemned[greediest] = f"{_waiting_bytes(greediest)} bytes were not read"
            excess -= _waiting_bytes(greediest)

    def shed_overgrown(self, excess: int) -> int:
        """Take so much, and some more, from who has more than its share; how much it was."""
        return self._shed_beyond(self._limit // OUTBOUND_SHARE, excess)

    def _shed_beyond(self, share: int, excess: int) -> int:
        """The same from who has more than this, the greediest identity first."""
        if excess <= 0:
            return 0
        shed, theirs = 0, dict[str, list[Session]]()
        for session in self._sessions:
            theirs.setdefault(session.identity.name, []).append(session)
        held = [(sum(map(_waiting_bytes, each)), each) for each in theirs.values()]
        for waiting, sessions in sorted(held, key=itemgetter(0), reverse=True):
            goal = min(waiting - share, excess - shed + self._limit // SPARED_SHARE)
            if shed >= excess or goal <= 0:
                break
            for of_block in (False, True):
                found = self._drop(sessions, goal, of_block=of_block)
                shed += found
                goal -= found
        return shed

    def _drop(self, sessions: list[Session], excess: int, *, of_block: bool) -> int:
        """Drop so much of what waits for these, the greediest first; how much it was."""
        dropped, droppable = 0, self._staying(sessions)
        while dropped < excess and droppable:
            greediest = max(droppable, key=_waiting_bytes)
            droppable.remove(greediest)
            before = _waiting_bytes(greediest)
            goal = max(0, before - (excess - dropped))
            cause = greediest.outbox.shed_to(goal, of_block=of_block)
            self.touched.add(greediest)
            if cause:  # all that waits for it goes along
                self.condemned[greediest] = cause
                dropped += before
            else:
                dropped += before - _waiting_bytes(greediest)
        return dropped

    def _staying(self, sessions: list[Session]) -> list[Session]:
        return [session for session in sessions if session not in self.condemned]


def lack_of_share(sessions: Iterable[Session], size: int, limits: Limits) -> str:
    """Why a run of so many bytes is more than may wait for all sessions of one identity, or ""."""
    waiting, share = sum(map(_waiting_bytes, sessions)), limits.outbound_bytes // OUTBOUND_SHARE
    if waiting + size + RUN_OVERHEAD_BYTES <= share:
        return ""
    return f"{waiting} bytes wait for all its connections, and {share} may"


def _waiting_bytes(session: Session) -> int:
    return session.outbox.backlog.bytes
