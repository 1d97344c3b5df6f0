"""Who is connected, who wants what, and who may: what a route is made of.  Pure.

`generation` rises whenever rights or subscriptions change; a route that was found under another
one is stale.  That costs one comparison for each frame, and a change costs nothing until
somebody publishes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from daemoneye.bus.access import AccessList, Decision, Declared, Identity, Verdict
from daemoneye.bus.broker.groups import Groups
from daemoneye.bus.broker.outbox import MAX_STREAMS
from daemoneye.bus.broker.presence import Presence
from daemoneye.bus.broker.reports import Reports
from daemoneye.bus.broker.retained import Retained
from daemoneye.bus.broker.routes import Pairs, Recipients, Route
from daemoneye.bus.broker.selections import check_selection, selective, wanting
from daemoneye.bus.broker.servers import Servers, check_serving
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.streams import (
    Backlog,
    Balance,
    Stream,
    Subscription,
    default_overflow,
    lane_of,
)
from daemoneye.bus.broker.unreceived import Keeping
from daemoneye.bus.broker.wills import Wills
from daemoneye.bus.frames import Carriage, OuterFrame, Overflow, Subscribe
from daemoneye.bus.limits import Limits
from daemoneye.bus.subscriptions import SubscriptionTree
from daemoneye.bus.topics import TopicFilter, check_topic
from daemoneye.errors import AccessDenied, BusError, LocalProtocolError

if TYPE_CHECKING:
    from daemoneye.bus.broker.replay import Replaying  # it knows what is kept here

_NONE = Carriage()

KEPT_OF_OUTBOUND = 4
"""What was written and may not have come is, of all sessions, at most `outbound_bytes` by this."""

SHARED_RECIPIENTS = 4096
"""How many different sets of recipients are kept for sharing; it is only for speed."""

MATCHED_FOR_ONE = 64
"""So many subscriptions that match a topic cost as much, when it is looked up, as one frame."""

REACHED_FOR_ONE = 4
"""The same of sessions that those are of: each is asked whether it may read the topic."""


class Directory:
    """The sessions of one broker and what they are subscribed to."""

    __slots__ = (
        "_by_name",
        "_shared",
        "_tree",
        "access",
        "away",
        "backlog",
        "clock",
        "expected",
        "generation",
        "groups",
        "keeping",
        "limits",
        "numbered",
        "overgrown",
        "presence",
        "replays",
        "reports",
        "retained",
        "servers",
        "wills",
    )

    def __init__(self, limits: Limits, access: AccessList) -> None:
        self.limits = limits
        self.access = access
        self.backlog = Backlog()
        self.backlog.parcels.limits = limits
        """What waits for all clients together."""
        self.clock = self.backlog.parcels.clock
        """By which the broker's own deadlines are measured."""
        self.groups = Groups(self.backlog.parcels)
        """Subscriptions that share their messages with others."""
        self.servers = Servers()
        """Subscriptions that are for calls."""
        self.expected: Mapping[str, tuple[Identity, Declared]] = {}
        """The named clients of the plan, connected or not, with what they declare."""
        self.generation = 0
        self.keeping = Keeping()
        """How much of what was written each session keeps."""
        self.numbered: dict[int, Session] = {}
        """Sessions that can go on over another connection, by number."""
        self.away: dict[Session, float] = {}
        """Those whose connection is lost, in this order, and until when they are waited for."""
        self.overgrown: dict[Session, None] = {}
        """Sessions with too many streams to find another for: whoever asks cuts them off."""
        self.presence = Presence(self.clock)
        """Who is connected, to be told."""
        self.wills = Wills(self.clock)
        """What clients want said when they end without a word."""
        self.reports = Reports(self.clock)
        """What is denied and lost, to be told."""
        self.retained = Retained()
        """The last values of topics, for who subscribes later."""
        self.replays: dict[Session, Replaying] = {}
        """Those that are on their way to a new subscription, over several turns."""
        self._by_name: dict[str, dict[Session, None]] = {}
        self._tree: SubscriptionTree[tuple[Session, Subscription]] = SubscriptionTree()
        self._shared: dict[Recipients, Recipients] = {}

    # ---- sessions -----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Session]:
        for sessions in self._by_name.values():
            yield from sessions

    def __len__(self) -> int:
        return sum(len(sessions) for sessions in self._by_name.values())

    def __contains__(self, session: Session) -> bool:
        return session in self.named(session.identity.name)

    def named(self, name: str) -> tuple[Session, ...]:
        """All sessions of an identity."""
        return tuple(self._by_name.get(name, ()))

    def enter(
        self,
        identity: Identity,
        declared: Declared,
        now_ns: int,
        carriage: Carriage = _NONE,
        number: int = 0,
    ) -> Session:
        """A new session; `carriage` is what it takes of large payloads, and how.

        It can go on over another connection that knows its `number`, when it has one.
        """
        session = Session(identity, declared, self.backlog, now_ns)
        session.outbox.holding.carriage = carriage
        for sibling in self.named(identity.name):
            if sibling.identity.incarnation == identity.incarnation:
                session.outbox.holding.owner = sibling.outbox.holding.owner
                break
        session.outbox.sending.unreceived.keep_to(self.keeping)
        self._by_name.setdefault(identity.name, {})[session] = None
        if number:
            session.number = number
            self.numbered[number] = session
        self._share_out()
        self.presence.came(session)
        self.wills.came(session)
        return session

    def leave(self, session: Session) -> None:
        """The session is over: its subscriptions end, and what waited for it is lost.

        What it had in hand of groups goes to their other members.
        """
        self.groups.leave(session)
        self.servers.leave(session)
        for subscription in session.subscriptions.values():
            if not (subscription.wish.group or subscription.wish.serve):
                self._tree.remove(subscription.filter, (session, subscription))
        if session.subscriptions:
            self.change()
        session.subscriptions.clear()
        session.outbox.close()
        self.overgrown.pop(session, None)
        self.replays.pop(session, None)
        of_its_name = self._by_name[session.identity.name]
        del of_its_name[session]
        if not of_its_name:
            del self._by_name[session.identity.name]
        session.standing = Standing.OVER
        self.numbered.pop(session.number, None)
        self.away.pop(session, None)

    # ---- subscriptions ------------------------------------------------------------------------

    @property
    def subscriptions(self) -> int:
        """How many there are in all."""
        return len(self._tree) + self.groups.members + len(self.servers)

    def subscribe(self, session: Session, wish: Subscribe) -> Subscription:
        """Begin a subscription.

        Raises AccessDenied, InvalidTopic, LocalProtocolError (what was asked for makes no sense or
        is not offered), or BusError (too many).
        """
        self._check_wish(session, wish)
        topic_filter = TopicFilter(wish.filter)
        decision = self.access.may_subscribe(session.identity, session.declared, topic_filter)
        if not decision.allowed:
            raise AccessDenied(
                f"{session.identity.name} may not subscribe to {topic_filter}",
                rule=decision.rule,
                hint=decision.hint,
            )
        subscription = Subscription(self._completed(wish), topic_filter, decision, wish)
        session.subscriptions[wish.subscription] = subscription
        if wish.group:
            self.groups.join(session, subscription)
        elif wish.serve:
            self.servers.join(session, subscription)
        else:
            self._tree.add(topic_filter, (session, subscription))
        self.change()
        return subscription

    def renew(self, session: Session, wish: Subscribe) -> Subscription | None:
        """Go on with a subscription that a lost connection had; None when it had none like this.

        What it was granted begins anew.
        """
        subscription = session.subscriptions.get(wish.subscription)
        if subscription is None or wish.subscription not in session.dormant:
            return None
        asked = subscription.asked
        if asked != replace(
            wish,
            credit_messages=asked.credit_messages,
            credit_bytes=asked.credit_bytes,
            request=asked.request,
        ):
            return None
        wanted = self._completed(wish)
        session.dormant.discard(wish.subscription)
        subscription.balance = Balance(wanted.credit_messages, wanted.credit_bytes)
        session.outbox.credited()
        return subscription

    def unsubscribe(self, session: Session, number: int) -> Subscription:
        """End a subscription.  Raises LocalProtocolError when there is none of that number."""
        subscription = session.subscriptions.get(number)
        if subscription is None:
            raise LocalProtocolError(f"there is no subscription {number}")
        self._remove(session, subscription)
        return subscription

    def _remove(
        self, session: Session, subscription: Subscription, *, denied: bool = False
    ) -> None:
        del session.subscriptions[subscription.number]
        session.dormant.discard(subscription.number)
        replaying = self.replays.get(session)
        if replaying is not None and replaying.subscription is subscription:
            del self.replays[session]
        if subscription.wish.group:
            self.groups.part(session, subscription)
        elif subscription.wish.serve:
            why = "it may no longer read that" if denied else "it has stopped serving"
            self.servers.part(subscription, why)
        else:
            self._tree.remove(subscription.filter, (session, subscription))
        session.outbox.release(subscription, denied=denied)
        self.change()

    def _check_wish(self, session: Session, wish: Subscribe) -> None:
        if wish.subscription == 0:
            raise LocalProtocolError("a subscription needs a number above zero")
        if wish.subscription in session.subscriptions:
            raise LocalProtocolError(f"there is a subscription {wish.subscription} already")
        check_serving(wish)
        check_selection(wish)
        if wish.group:
            self.groups.check(wish, session.identity.name)
        if len(session.subscriptions) >= self.limits.subscriptions:
            raise BusError(
                f"{session.identity.name} has {self.limits.subscriptions} subscriptions already",
                hint="end some, or use wildcards; `subscriptions` of [bus] is the setting",
            )

    def _completed(self, wish: Subscribe) -> Subscribe:
        """The wish with the defaults filled in and the bounds kept.

        An outbox has room for two turns of a publisher, so that only a single frame can be too
        large for it; and one client's outbox is never larger than what may wait for a client.
        """
        limits = self.limits
        asked = wish.max_bytes or limits.subscription_bytes
        return replace(
            wish,
            max_messages=min(
                wish.max_messages or limits.subscription_messages,
                limits.subscription_messages_at_most,
            ),
            max_bytes=min(max(asked, 2 * limits.turn_bytes), limits.client_bytes),
            credit_messages=wish.credit_messages or limits.subscription_messages,
            credit_bytes=wish.credit_bytes or limits.subscription_bytes,
            overflow=Overflow.DROP_NEWEST if wish.serve else wish.overflow,
        )

    def is_wanted(self, topics: TopicFilter) -> bool:
        """Whether anybody is subscribed to any of these topics."""
        near = self._tree.near(topics)
        return any(subscription.filter.intersects(topics) for _, subscription in near)

    # ---- rights -------------------------------------------------------------------------------

    def replace_rules(
        self, limits: Limits, access: AccessList
    ) -> list[tuple[Session, Subscription, Decision]]:
        """New rules hold at once; returns the subscriptions that ended, and the decisions why.

        What waits for a subscription that may now read less is dropped and counted as `denied`,
        and so is what is to be written of it and not begun: a queue does not know topics, and
        nothing may arrive that is no longer allowed.
        """
        self.limits = self.backlog.parcels.limits = limits
        self.access = access
        self._share_out()
        self.change()
        for group in self.groups:
            group.reconsider()
            self.groups.due[group] = None
            for member in group.members.values():
                group.relieve(member)
        ended: list[tuple[Session, Subscription, Decision]] = []
        for session in self:
            for subscription in list(session.subscriptions.values()):
                decision = access.may_subscribe(
                    session.identity, session.declared, subscription.filter
                )
                before, subscription.decision = subscription.decision, decision
                if not decision.allowed:
                    self._remove(session, subscription, denied=True)
                    ended.append((session, subscription, decision))
                elif decision.verdict is Verdict.NARROWED and decision.cut != before.cut:
                    session.outbox.purge(subscription)
        return ended

    def _share_out(self) -> None:
        """What is kept of all sessions is bounded, too: with very many, each keeps less."""
        limits, keeping = self.limits, self.keeping
        most = limits.outbound_bytes // KEPT_OF_OUTBOUND // max(1, len(self))
        before = keeping.max_messages, keeping.max_bytes
        keeping.set(limits.resume_messages, min(limits.resume_bytes, most))
        if keeping.max_messages != before[0]:
            for session in self:
                session.outbox.sending.unreceived.keep_to(keeping)
        elif keeping.max_bytes < before[1]:
            for session in self:
                unreceived = session.outbox.sending.unreceived
                if unreceived.bytes > keeping.max_bytes:
                    unreceived.trim()

    def change(self) -> None:
        """Rights or subscriptions are no longer what routes were found with."""
        self.generation += 1
        self._shared.clear()

    # ---- routes -------------------------------------------------------------------------------

    def find(self, route: Route, session: Session, topic: str) -> int:
        """Find out where this publisher's topic leads; what that cost, as the agenda counts.

        Raises InvalidTopic.
        """
        levels = check_topic(topic)
        self._hurry(topic)
        decision = self.access.may_publish(session.identity, session.declared, topic)
        route.decision = None if decision.allowed else decision
        matching = self._tree.match(levels) if decision.allowed else []
        route.selective = selective(matching)
        route.groups = self.groups.match(levels) if decision.allowed else ()
        route.plain = decision.allowed and not route.selective and not route.groups
        by_session = _by_session(matching)
        found = self._streams(topic, by_session)
        bounds = [stream.max_messages for _, stream in found]
        route.run_messages = max(1, min(bounds, default=1) // 4)
        if any(stream.policy is Overflow.LATEST for _, stream in found):
            # Such a stream replaces runs, so each of them is one frame and of one topic.
            route.run_messages = 1
        route.recipients = self._shared.setdefault(found, found)
        route.generation = self.generation
        return len(matching) // MATCHED_FOR_ONE + len(by_session) // REACHED_FOR_ONE

    def listeners(self, topic: str) -> Recipients:
        """Who wants what is said there and may have it, whoever says it.  Raises InvalidTopic."""
        levels = check_topic(topic)
        self._hurry(topic)
        return self._streams(topic, _by_session(self._tree.match(levels)))

    def _hurry(self, topic: str) -> None:
        """What is retained there goes before whatever is published next."""
        for each in self.replays.values():
            each.hurry(topic)

    def hearing(self, topic: str) -> tuple[int, int]:
        """How many sessions hear what is said there, some of it at least, or share the work.

        And how many subscriptions had to be looked at for that.
        """
        levels = check_topic(topic)
        found = [session for session, _ in self._tree.match(levels)]
        for group in self.groups.match(levels):
            found += [member.session for member in group.members.values()]
        heard = dict.fromkeys(found)
        allowed = sum(
            self.access.may_receive(each.identity, each.declared, topic).allowed for each in heard
        )
        return allowed, len(found)

    def selected(self, route: Route, frame: OuterFrame) -> tuple[Recipients, int]:
        """Who gets this publish: whom its route leads to, and who wants what it belongs to.

        And how many had to be asked for that.
        """
        chosen = wanting(route.selective, frame)
        if not chosen.pairs:
            return route.recipients, chosen.looked_at
        by_session = {session: list(stream.subscriptions) for session, stream in route.recipients}
        for session, subscription in chosen.pairs:
            by_session.setdefault(session, []).append(subscription)
        return self._streams(frame.topic, by_session), chosen.looked_at

    def _streams(self, topic: str, by_session: dict[Session, list[Subscription]]) -> Recipients:
        self._make_room(by_session)
        lane, default = lane_of(topic), default_overflow(topic)
        recipients: list[tuple[Session, Stream]] = []
        for session, subscriptions in by_session.items():
            if session in self.overgrown:
                continue
            if not self.access.may_receive(session.identity, session.declared, topic).allowed:
                continue
            ordered = tuple(sorted(subscriptions, key=lambda each: each.number))
            recipients.append((session, session.outbox.stream_for(ordered, lane, default)))
        return tuple(recipients)

    def _make_room(self, sessions: dict[Session, list[Subscription]]) -> None:
        """Keep sessions with many overlapping filters from gathering streams without bound.

        Half of them have to go at once, or else every topic would make all routes stale.
        """
        if len(self._shared) >= SHARED_RECIPIENTS:
            self._shared.clear()
        for session in sessions:
            if len(session.outbox.streams) >= MAX_STREAMS and session not in self.overgrown:
                if session.outbox.prune():
                    self.change()
                if len(session.outbox.streams) > MAX_STREAMS // 2:
                    self.overgrown[session] = None


def _by_session(matching: Pairs) -> dict[Session, list[Subscription]]:
    """Those that hear all that is published there, by whose they are."""
    by_session: dict[Session, list[Subscription]] = {}
    for session, subscription in matching:
        if not subscription.selects:
            by_session.setdefault(session, []).append(subscription)
    return by_session
