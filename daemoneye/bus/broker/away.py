"""Sessions whose connection is lost: how long each is waited for, and who may go on with it.  Pure.

A session that is away stays subscribed, and what it is sent waits in its outbox under the bounds of
any other; so nobody else's publish costs more for it.  Who comes back names its number, which
nobody can guess, and has to be the same life of the same identity.

What happens to a session happens here and in `Deliveries.release`, where it is over: whoever has to
know of it (a will, a group) is told there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from daemoneye.bus.access import Declared, Identity
from daemoneye.bus.broker.deliveries import Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.resumption import detach, recover
from daemoneye.bus.broker.servers import ReplyStream
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.streams import DISCONNECTED
from daemoneye.bus.frames import Carriage, Resumption
from daemoneye.bus.handshake import Return


class Away:
    """Who is waited for."""

    __slots__ = ("_deliveries", "_directory")

    def __init__(self, directory: Directory, deliveries: Deliveries) -> None:
        self._directory = directory
        self._deliveries = deliveries

    def park(self, session: Session) -> None:
        """Its connection is lost, not by its wish: wait for another, if there is a reason to."""
        directory = self._directory
        limits, name = directory.limits, session.identity.name
        if not session.number or not (session.subscriptions or session.publishing.messages):
            self._deliveries.release(session, DISCONNECTED)
            return
        self._leave_work(session)
        detach(session.outbox)
        session.standing = Standing.AWAY
        directory.presence.left(session, DISCONNECTED)
        directory.wills.left(session, DISCONNECTED, limits.will_timeout)
        directory.away[session] = directory.clock.now + limits.resume_timeout
        directory.clock.wake_at(directory.away[session])
        of_its_name = [each for each in directory.away if each.identity.name == name]
        self._keep_to(limits.identity_connections, of_its_name)
        self._keep_to(limits.connections, list(directory.away))

    def find(self, wanted: Return, identity: Identity, declared: Declared) -> Session | None:
        """The session that this one may go on with; it may still have a connection."""
        session = self._directory.numbered.get(wanted.session)
        if session is None or (session.identity, session.declared) != (identity, declared):
            return None
        return session

    def resume(self, session: Session, wanted: Return, carriage: Carriage) -> Resumption:
        """There is another connection for a session that is away.

        Nothing is sent of a subscription before its credit is granted anew.  NONE when more is said
        to have come than was written: then it is over.
        """
        outbox, directory = session.outbox, self._directory
        if wanted.received > outbox.sending.most_received:
            self._deliveries.release(session, DISCONNECTED)
            return Resumption.NONE
        del directory.away[session]
        session.standing = Standing.PRESENT
        directory.presence.came(session)
        directory.wills.came(session)
        outbox.holding.carriage = carriage
        for subscription in session.subscriptions.values():
            subscription.balance.close()
        complete = recover(outbox, wanted.received, self._rights_of(session))
        kept = session.subscriptions.keys() & set(wanted.subscriptions)
        for number in list(session.subscriptions.keys() - kept):
            directory.unsubscribe(session, number)
        session.dormant = set(kept)
        self._deliveries.dirty.add(session)
        return Resumption.COMPLETE if complete else Resumption.PARTIAL

    def keep_time(self) -> None:
        """Wait no longer for who is overdue."""
        directory = self._directory
        for session, until in list(directory.away.items()):
            if until > directory.clock.now:
                directory.clock.wake_at(until)
            else:
                self._deliveries.release(session, DISCONNECTED)

    def _keep_to(self, most: int, away: Sequence[Session]) -> None:
        """Of these at most so many are waited for: those that went last."""
        for session in away[: max(0, len(away) - most)]:
            self._deliveries.release(session, DISCONNECTED)

    def _leave_work(self, session: Session) -> None:
        """What others can do meanwhile does not wait: it has no part in groups, and serves nothing.

        Its own calls it has given up.
        """
        self._directory.groups.leave(session)
        session.outbox.discard(ReplyStream.KEY)
        for number, subscription in list(session.subscriptions.items()):
            if subscription.wish.group or subscription.wish.serve:
                self._directory.unsubscribe(session, number)
        self._directory.servers.hang_up(session)

    def _rights_of(self, session: Session) -> Callable[[str], bool]:
        access = self._directory.access

        @cache  # what is sent again is many messages of few topics
        def may_receive(topic: str) -> bool:
            return access.may_receive(session.identity, session.declared, topic).allowed

        return may_receive
