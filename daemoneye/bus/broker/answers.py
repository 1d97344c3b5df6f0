"""What the broker answers to a client's questions, as far as the asker may know.  Pure.

An agent sees all clients and topics and may ask about anybody's rights.  Everybody else sees and
asks about its own identity and the topics that it may read, and gets a quarter of the rows at most:
while one list is made, all others wait.
A list fills half a frame at most, so that whoever asks can read it whatever others have said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from daemoneye.bus.access import Decision, Declared, Identity
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.frames import (
    Answer,
    ClientRow,
    Query,
    RetainedRow,
    SubscriptionRow,
    TopicRow,
)
from daemoneye.bus.roles import AGENT, ROLES
from daemoneye.bus.topics import TopicFilter, escaped
from daemoneye.errors import AccessDenied, BusError, DaemoneyeError, LocalProtocolError

Row = TypeVar("Row")

ROW_BYTES = 112
"""What a row takes in a frame at most, beyond its words."""

_LOOKED_AT = 4
"""How many topics are looked at for each that may be listed: what cannot be read costs too."""

_MATCHES = 1 << 18
"""How many subscriptions are found for all topics of one answer: some 15 ms of work."""

OWN_ONLY = "only role:agent sees and asks about others (built in)"


def refusal(request: int, error: DaemoneyeError) -> Answer:
    """The answer to a request that could not be met."""
    return Answer(
        request=request,
        error=type(error).__name__,
        detail=str(error.args[0]) if error.args else "",
        hint=error.hint,
        rule=error.rule if isinstance(error, AccessDenied) else "",
    )


def answer(directory: Directory, asker: Session, query: Query) -> Answer:
    """What `asker` may know.

    Raises AccessDenied, InvalidTopic, or BusError when there is nobody of that name.
    """
    return _ANSWERS[query.what](directory, asker, query)


def _clients(directory: Directory, asker: Session, query: Query) -> Answer:
    found = _client_rows(directory, asker)
    rows, more = _first_rows(directory, asker, found, lambda row: row.identity + row.role)
    return Answer(query.request, clients=tuple(rows), detail=more)


def _subscriptions(directory: Directory, asker: Session, query: Query) -> Answer:
    found = _subscription_rows(directory, asker)
    rows, more = _first_rows(
        directory, asker, found, lambda row: row.identity + row.filter + row.overflow + row.group
    )
    return Answer(query.request, subscriptions=tuple(rows), detail=more)


def _first_rows(
    directory: Directory, asker: Session, rows: Iterable[Row], words_of: Callable[[Row], str]
) -> tuple[list[Row], str]:
    """As many as this asker may have and a frame has room for; and what to say of the rest."""
    most, room = directory.limits.listed_rows, directory.limits.frame_bytes // 2
    if asker.identity.role != AGENT:
        most = max(1, most // 4)
    first: list[Row] = []
    for row in rows:
        room -= ROW_BYTES + len(words_of(row).encode())
        if len(first) == most or room < 0:
            return first, f"only the first {len(first)} are listed"
        first.append(row)
    return first, ""


def _visible(directory: Directory, asker: Session) -> Iterable[Session]:
    return directory if asker.identity.role == AGENT else directory.named(asker.identity.name)


def _client_rows(directory: Directory, asker: Session) -> Iterator[ClientRow]:
    for session in _visible(directory, asker):
        who, tally = session.identity, session.outbox.tally()
        yield ClientRow(
            identity=who.name,
            role=who.role,
            pid=who.pid,
            incarnation=who.incarnation,
            connected_at=session.connected_at,
            published=session.publishing.messages,
            delivered=tally.delivered,
            lost=tally.lost.total(),
            queued=tally.queued,
            subscriptions=len(session.subscriptions),
            away=session.standing is Standing.AWAY,
        )


def _subscription_rows(directory: Directory, asker: Session) -> Iterator[SubscriptionRow]:
    for session in _visible(directory, asker):
        tallies = session.tallies()
        for number, subscription in session.subscriptions.items():
            tally = tallies[number]
            membership = directory.groups.membership(session, number)
            yield SubscriptionRow(
                identity=session.identity.name,
                subscription=number,
                filter=subscription.filter.text,
                overflow=subscription.wish.overflow,
                delivered=tally.delivered,
                lost=tally.lost.total(),
                queued=tally.queued,
                group=subscription.wish.group,
                in_flight=len(membership[1].in_flight) if membership is not None else 0,
            )


def _topics(directory: Directory, asker: Session, query: Query) -> Answer:
    used = _used(directory, TopicFilter(query.topic) if query.topic else None)
    following = iter(sorted(used)[: _LOOKED_AT * directory.limits.listed_rows])
    found = _topic_rows(directory, asker, used, following)
    rows, more = _first_rows(directory, asker, found, lambda row: row.topic)
    most = min(len(used), _LOOKED_AT * directory.limits.listed_rows)
    looked_at = most - sum(1 for _ in following)
    if not more and looked_at < len(used):
        more = f"only the first {looked_at} topics were looked at: name a narrower filter"
    return Answer(query.request, topics=tuple(rows), detail=more)


def _used(directory: Directory, wanted: TopicFilter | None) -> dict[str, list[Session]]:
    """Topics that somebody has published on, with who has, or has subscribed to by name.

    And those with a retained value, whoever has left it.
    """
    used: dict[str, list[Session]] = {}
    for session in directory:
        for topic, route in session.publishing.routes.items():
            if route.sequence:
                used.setdefault(topic, []).append(session)
        for subscription in session.subscriptions.values():
            if not subscription.filter.has_wildcards:
                used.setdefault(subscription.filter.text, [])
    for value in directory.retained.values():
        used.setdefault(value.topic, [])
    if wanted is None:
        return used
    return {topic: who for topic, who in used.items() if wanted.matches(topic)}


def _topic_rows(
    directory: Directory,
    asker: Session,
    used: Mapping[str, list[Session]],
    following: Iterable[str],
) -> Iterator[TopicRow]:
    """Of as many of the topics that follow as there is time for."""
    access, who, left = directory.access, asker.identity, _MATCHES
    for topic in following:
        if who.role != AGENT and not access.may_receive(who, asker.declared, topic).allowed:
            continue
        subscribers, matches = directory.hearing(topic)
        yield TopicRow(
            topic=topic,
            publishers=sum(
                access.may_publish(each.identity, each.declared, topic).allowed
                for each in used[topic]
            ),
            subscribers=subscribers,
            retained=topic in directory.retained,
        )
        left -= matches
        if left <= 0:
            return


def _retained(directory: Directory, asker: Session, query: Query) -> Answer:
    """Of values on topics that the asker may read, and that are for it."""
    wanted = TopicFilter(query.topic) if query.topic else None
    found = _retained_rows(directory, asker, wanted)
    rows, more = _first_rows(
        directory, asker, found, lambda row: row.topic + row.publisher + row.content_type
    )
    return Answer(query.request, retained=tuple(rows), detail=more)


def _retained_rows(
    directory: Directory, asker: Session, wanted: TopicFilter | None
) -> Iterator[RetainedRow]:
    who = asker.identity
    for value in directory.retained.values(wanted):
        if value.target not in ("", who.name) and who.role != AGENT:
            continue
        if not directory.access.may_receive(who, asker.declared, value.topic).allowed:
            continue
        yield RetainedRow(
            topic=value.topic,
            publisher=value.publisher,
            sequence=value.sequence,
            received_at=value.received_at,
            expires_at=value.expires_at,
            size=value.size,
            content_type=value.content_type,
        )


def _access(directory: Directory, asker: Session, query: Query) -> Answer:
    who = query.who or asker.identity.name
    if who != asker.identity.name and asker.identity.role != AGENT:
        raise AccessDenied(
            f"{asker.identity.name} may not ask about {escaped(who)}",
            rule=OWN_ONLY,
            hint="ask about yourself, or ask as the operator",
        )
    decision = _decision(directory, who, query)
    narrowed = tuple(each.text for each in decision.cut)
    return Answer(
        query.request,
        detail=str(decision),
        rule=decision.rule,
        narrowed=narrowed,
        hint=decision.hint,
    )


def _decision(directory: Directory, who: str, query: Query) -> Decision:
    identity, declared = _known(directory, who)
    if query.action == "publish":
        return directory.access.may_publish(identity, declared, query.topic)
    if query.action == "subscribe":
        return directory.access.may_subscribe(identity, declared, TopicFilter(query.topic))
    raise LocalProtocolError(
        f"there is no action {escaped(query.action)}", hint="one of publish, subscribe"
    )


def _known(directory: Directory, who: str) -> tuple[Identity, Declared]:
    """Who is connected or may come as a named client, with what it declares, or a bare `role:NAME`.

    Raises BusError for anybody else.
    """
    prefix, _, name = who.rpartition(":")
    if prefix == "role" and name in ROLES:
        return Identity(name, name), Declared()
    for session in directory.named(name):
        return session.identity, session.declared
    if name in directory.expected:
        return directory.expected[name]
    roles = ", ".join(f"role:{each}" for each in ROLES)
    raise BusError(
        f"nobody called {escaped(name)} is connected",
        hint=f"`daemoneye bus clients` lists who is; or ask about a role: {roles}",
    )


_ANSWERS: dict[str, Callable[[Directory, Session, Query], Answer]] = {
    "clients": _clients,
    "subscriptions": _subscriptions,
    "access": _access,
    "topics": _topics,
    "retained": _retained,
}
