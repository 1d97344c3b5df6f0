"""What a client may say besides publishing, and what it hears in return.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from daemoneye.bus.broker.answers import answer
from daemoneye.bus.broker.calls import Calls
from daemoneye.bus.broker.deliveries import GOODBYE, Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.dispatch import Dispatch
from daemoneye.bus.broker.replay import replay
from daemoneye.bus.broker.reports import ALL_LOSSES
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import (
    Answer,
    Cancel,
    Choice,
    Clear,
    Credit,
    Goodbye,
    Ping,
    Pong,
    Query,
    Release,
    Reply,
    Settle,
    Subscribe,
    Unsubscribe,
    Value,
    Will,
)
from daemoneye.bus.limits import MAX_WILL_BYTES, too_large_a_will
from daemoneye.bus.topics import check_topic
from daemoneye.errors import AccessDenied, BusError

KEPT_FOR_ONE = 64
"""So many entries of what may not have come that are looked at are as much work as a frame."""


class Requests:
    """Subscribing, credit, replies, questions, signs of life, goodbye."""

    __slots__ = ("_calls", "_deliveries", "_directory", "_dispatch", "_now_ns", "extra_work")

    def __init__(
        self, directory: Directory, deliveries: Deliveries, dispatch: Dispatch, calls: Calls
    ) -> None:
        self._directory = directory
        self._calls = calls
        self._deliveries = deliveries
        self._dispatch = dispatch
        self._now_ns = 0
        self.extra_work = 0
        """What the last one cost beyond what its frame does, as the agenda counts."""

    def obey(self, session: Session, value: Value, now_ns: int) -> None:
        """Do what a client says; `now_ns` is Unix time."""
        self._now_ns, self.extra_work = now_ns, 0
        _OBEYED[type(value)](self, session, value)

    def _subscribe(self, session: Session, wish: Subscribe) -> None:
        try:
            renewed = self._directory.renew(session, wish)
            subscription = renewed or self._directory.subscribe(session, wish)
        except BusError as error:
            self._deliveries.refuse(session, wish.request, error, "subscribe", wish.filter)
            return
        decision = subscription.decision
        narrowed = tuple(each.text for each in decision.cut)
        membership = self._directory.groups.membership(session, wish.subscription)
        timeout, choice = 0.0, Choice.DEFAULT
        if membership is not None:  # whoever names no choice has that of the group
            timeout, choice = self._directory.limits.acknowledge_timeout, membership[0].choice
        self._deliveries.tell(
            session,
            Answer(
                wish.request,
                rule=decision.rule,
                narrowed=narrowed,
                acknowledge_timeout=timeout,
                choice=choice,
            ),
        )
        if subscription.filter.intersects(ALL_LOSSES):
            self._directory.reports.watch_losses(self._directory)
        if renewed is None:  # else it goes on, and has heard what is retained
            self.extra_work = replay(
                self._directory, self._deliveries, session, subscription, self._now_ns
            )

    def _unsubscribe(self, session: Session, wish: Unsubscribe) -> None:
        try:
            self._directory.unsubscribe(session, wish.subscription)
        except BusError as error:
            self._deliveries.refuse(session, wish.request, error)
        else:
            self._deliveries.tell(session, Answer(wish.request))

    def _credit(self, session: Session, credit: Credit) -> None:
        looked_at = session.outbox.sending.unreceived.received(credit.received)
        self.extra_work = looked_at // KEPT_FOR_ONE
        subscription = session.subscriptions.get(credit.subscription)
        if subscription is not None:
            subscription.balance.grant(credit)
            session.outbox.credited()
            self._deliveries.dirty.add(session)
            self._dispatch.credited(session, credit.subscription)

    def _settle(self, session: Session, said: Settle) -> None:
        self.extra_work = len(said.deliveries)
        self._dispatch.settle(session, said)

    def _release(self, session: Session, release: Release) -> None:
        for number in release.parcels:
            session.outbox.holding.release(number)
        session.outbox.credited()
        self._deliveries.dirty.add(session)

    def _check_publisher(self, session: Session, topic: str, what: str) -> None:
        """Raises InvalidTopic, and AccessDenied for who may not publish there."""
        check_topic(topic)
        who = session.identity
        decision = self._directory.access.may_publish(who, session.declared, topic)
        if not decision.allowed:
            raise AccessDenied(
                f"{who.name} may not {what} {topic}, because it may not publish there",
                rule=decision.rule,
                hint=decision.hint,
            )

    def _will(self, session: Session, will: Will) -> None:
        """Keep what is to be said when this client ends without a word."""
        try:
            if will.topic:
                self._check_publisher(session, will.topic, "set a will on")
                size = len(will.payload) + len(will.content_type.encode())
                if size > MAX_WILL_BYTES:
                    raise too_large_a_will(will.topic, size)
        except BusError as error:
            self._deliveries.refuse(session, will.request, error, "publish", will.topic)
            return
        if will.topic:
            self._directory.wills.set(session, will)
        else:
            self._directory.wills.clear(session)
        if will.request:
            self._deliveries.tell(session, Answer(will.request))

    def _clear(self, session: Session, clear: Clear) -> None:
        """Forget a retained value, for who may say another there."""
        try:
            self._check_publisher(session, clear.topic, "clear")
        except BusError as error:
            self._deliveries.refuse(session, clear.request, error, "publish", clear.topic)
        else:
            self._directory.retained.forget(clear.topic)
            self._deliveries.tell(session, Answer(clear.request))

    def _reply(self, session: Session, reply: Reply) -> None:
        self._calls.reply(session, reply)

    def _cancel(self, session: Session, cancel: Cancel) -> None:
        self._calls.cancel(session, cancel)

    def _query(self, session: Session, query: Query) -> None:
        self._directory.retained.forget_expired(self._now_ns)
        try:
            said = answer(self._directory, session, query)
        except BusError as error:
            self._deliveries.refuse(session, query.request, error)
        else:
            self._deliveries.tell(session, said)

    def _ping(self, session: Session, ping: Ping) -> None:
        self._deliveries.confirm(session)
        self._deliveries.tell(session, Pong(ping.request))

    def _pong(self, session: Session, pong: Pong) -> None:
        """That it came is all it says, and the shell has seen that."""

    def _goodbye(self, session: Session, goodbye: Goodbye) -> None:
        self._deliveries.condemn(session, GOODBYE)


_OBEYED: dict[type[Value], Callable[[Requests, Session, Any], None]] = {
    Subscribe: Requests._subscribe,
    Unsubscribe: Requests._unsubscribe,
    Credit: Requests._credit,
    Settle: Requests._settle,
    Release: Requests._release,
    Reply: Requests._reply,
    Cancel: Requests._cancel,
    Query: Requests._query,
    Clear: Requests._clear,
    Will: Requests._will,
    Ping: Requests._ping,
    Pong: Requests._pong,
    Goodbye: Requests._goodbye,
}
