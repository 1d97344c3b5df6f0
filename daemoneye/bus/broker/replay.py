"""Retained values on their way to a new subscription.  Pure.

They wait in the new subscription's own queue, with its credit and under its policy, like all that
comes after them.  What finds no room there is counted as lost and told: it never costs the client
its connection, because it could do nothing but come back and ask for the same again.

Very many go over several turns, in which nothing more of that client is looked at.  The
subscription holds from the beginning, so a value has to go before the next message of its topic:
whoever looks up where a topic leads has what waits of it said first.  That is once for each
publisher and topic after a subscription, so a publish on a known route costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable

from daemoneye.bus.access import Verdict
from daemoneye.bus.broker.deliveries import Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.retained import Kept
from daemoneye.bus.broker.session import Session
from daemoneye.bus.broker.streams import (
    Lane,
    Stream,
    Subscription,
    default_overflow,
    lane_of,
)
from daemoneye.bus.frames import Correlation, Overflow, Replay, Selection

VALUES_IN_A_TURN = 512
"""So many are looked at for one client in one turn."""

REPLAYS_AT_ONCE = 64
"""For so many clients values may wait; for one more they go all in one turn."""


def replay(
    directory: Directory,
    deliveries: Deliveries,
    session: Session,
    subscription: Subscription,
    now_ns: int,
) -> int:
    """Queue what is retained on its topics, or begin to; how many values there were to look at."""
    wish = subscription.wish
    if wish.replay is Replay.NONE or wish.group or wish.serve:
        return 0
    directory.retained.forget_expired(now_ns)
    values = directory.retained.values(subscription.filter)
    replays = directory.replays
    has_place = session not in replays and len(replays) < REPLAYS_AT_ONCE
    if has_place and len(values) > VALUES_IN_A_TURN:
        replays[session] = Replaying(directory, deliveries, session, subscription, values)
        replays[session].go_on()
    else:
        _queue(directory, deliveries, session, subscription, values)
    return len(values)


class Replaying:
    """Values that wait for their turn to go to one new subscription."""

    __slots__ = ("_deliveries", "_directory", "_session", "_waiting", "subscription")

    def __init__(
        self,
        directory: Directory,
        deliveries: Deliveries,
        session: Session,
        subscription: Subscription,
        values: list[Kept],
    ) -> None:
        self._directory = directory
        self._deliveries = deliveries
        self._session = session
        self.subscription = subscription
        self._waiting = {value.topic: value for value in reversed(values)}  # the next is the last

    def go_on(self) -> bool:
        """Queue as many as may be in one turn; whether some are left."""
        waiting = self._waiting
        count = min(len(waiting), VALUES_IN_A_TURN)
        self._say([waiting.popitem()[1] for _ in range(count)])
        return bool(waiting)

    def hurry(self, topic: str) -> None:
        """Queue the value of this topic now, if it waits: something is to be published there."""
        value = self._waiting.pop(topic, None)
        if value is not None:
            self._say([value])

    def _say(self, values: list[Kept]) -> None:
        """Of these, what is still retained."""
        current = self._directory.retained.value
        left = [value for value in values if current(value.topic) is value]
        _queue(self._directory, self._deliveries, self._session, self.subscription, left)


def _queue(
    directory: Directory,
    deliveries: Deliveries,
    session: Session,
    subscription: Subscription,
    values: Iterable[Kept],
) -> None:
    """Queue these values.

    Rights are asked again for each topic, because a filter may reach further than they do.
    """
    wish, identity = subscription.wish, session.identity
    may_receive = directory.access.may_receive
    streams: dict[tuple[Lane, Overflow], Stream] = {}
    lost: dict[Stream, int] = {}
    for value in values:
        topic = value.topic
        if value.target not in ("", identity.name):
            continue
        if wish.selection and not _is_selected(wish.selection, value.correlation):
            continue
        kind = lane_of(topic), default_overflow(topic)
        stream = streams.get(kind)
        if stream is None:
            stream = streams[kind] = session.outbox.stream_for((subscription,), *kind)
        is_full = stream.messages >= stream.max_messages
        # Who may read all of its filter may read what it does not hear of; all else is asked.
        is_known = is_full and subscription.decision.verdict is Verdict.GRANTED
        if not (is_known or may_receive(identity, session.declared, topic).allowed):
            continue
        if is_full:
            lost[stream] = lost.get(stream, 0) + 1
            continue
        origin = (value.publisher, topic)
        deliveries.replay((session, stream), value.data, origin, value.expires_at)
    for stream, messages in lost.items():
        deliveries.lose((session, stream), messages)


def _is_selected(selection: Selection, said: Correlation) -> bool:
    return selection.matches(said.id, said.root, said.stage, frozenset(said.tags))
