"""Retained values on their way to a new subscription.  Pure.

They wait in the new subscription's own queue, with its credit and under its policy, like all that
comes after them.  What finds no room there is counted as lost and told: it never costs the client
its connection, because it could do nothing but come back and ask for the same again.
"""

from __future__ import annotations

from daemoneye.bus.access import Verdict
from daemoneye.bus.broker.deliveries import Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.session import Session
from daemoneye.bus.broker.streams import (
    Lane,
    Stream,
    Subscription,
    default_overflow,
    lane_of,
)
from daemoneye.bus.frames import Correlation, Overflow, Replay, Selection


def replay(
    directory: Directory,
    deliveries: Deliveries,
    session: Session,
    subscription: Subscription,
    now_ns: int,
) -> int:
    """Queue what is retained on its topics; how many values there were to look at.

    Rights are asked again for each topic, because a filter may reach further than they do.
    """
    wish, identity = subscription.wish, session.identity
    if wish.replay is Replay.NONE or wish.group or wish.serve:
        return 0
    directory.retained.forget_expired(now_ns)
    values = directory.retained.values(subscription.filter)
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
    return len(values)


def _is_selected(selection: Selection, said: Correlation) -> bool:
    return selection.matches(said.id, said.root, said.stage, frozenset(said.tags))
