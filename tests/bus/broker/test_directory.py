"""The directory: who is there, who wants what, and when a route is stale."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.outbox import MAX_STREAMS
from daemoneye.bus.broker.routes import Route
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import Subscribe
from daemoneye.bus.limits import Limits
from daemoneye.errors import InvalidTopic

NOW = 1


def directory(*rules: AccessRule) -> Directory:
    return Directory(Limits(), AccessList(rules))


def enter(there: Directory, name: str, incarnation: int = 1) -> Session:
    return there.enter(Identity(name, "agent", incarnation=incarnation), Declared(), NOW)


def route_of(there: Directory, publisher: Session, topic: str) -> Route:
    route = Route()
    there.find(route, publisher, topic)
    return route


def test_sessions_are_found_by_name_while_they_last() -> None:
    there = directory()
    one, other = enter(there, "a"), enter(there, "a", incarnation=2)
    assert there.named("a") == (one, other)
    there.leave(one)
    assert there.named("a") == (other,)
    there.leave(other)
    assert (there.named("a"), len(there), list(there)) == ((), 0, [])
    assert other not in there


def test_leaving_takes_all_subscriptions_along() -> None:
    there = directory()
    session = enter(there, "a")
    there.subscribe(session, Subscribe(1, "events.#"))
    there.subscribe(session, Subscribe(2, "control.#"))
    assert there.subscriptions == 2
    there.leave(session)
    assert there.subscriptions == 0


def test_a_wish_is_completed_with_defaults_and_kept_in_bounds() -> None:
    limits = Limits()
    there = directory()
    session = enter(there, "a")
    default = there.subscribe(session, Subscribe(1, "events.#")).wish
    assert (default.max_messages, default.max_bytes) == (1024, 8 << 20)
    assert (default.credit_messages, default.credit_bytes) == (1024, 8 << 20)
    tiny = there.subscribe(session, Subscribe(2, "events.#", max_bytes=1)).wish
    huge = there.subscribe(session, Subscribe(3, "events.#", max_bytes=1 << 40)).wish
    assert tiny.max_bytes == 2 * limits.turn_bytes
    assert huge.max_bytes == limits.client_bytes
    many, more = (1 << 16, (1 << 16) + 1)
    asked = [Subscribe(4, "events.#", max_messages=many), Subscribe(5, "#", max_messages=more)]
    assert [there.subscribe(session, each).wish.max_messages for each in asked] == [many, many]


def test_equal_recipients_are_one_object_whatever_the_topic() -> None:
    there = directory()
    publisher, reader = enter(there, "p"), enter(there, "r")
    there.subscribe(reader, Subscribe(1, "events.#"))
    one, other = (route_of(there, publisher, topic) for topic in ("events.a", "events.b"))
    assert one.recipients is other.recipients
    assert [session for session, _ in one.recipients] == [reader]


@pytest.mark.parametrize(("messages", "run_messages"), [(1024, 256), (4, 1), (2, 1)])
def test_a_run_is_a_quarter_of_the_smallest_outbox(messages: int, run_messages: int) -> None:
    there = directory()
    publisher, reader, other = (enter(there, name) for name in "pro")
    there.subscribe(reader, Subscribe(1, "events.#", max_messages=messages))
    there.subscribe(other, Subscribe(1, "events.#"))
    assert route_of(there, publisher, "events.a").run_messages == run_messages


def test_what_replaces_its_like_travels_frame_by_frame() -> None:
    there = directory()
    publisher, reader = enter(there, "p"), enter(there, "r")
    there.subscribe(reader, Subscribe(1, "control.health.#"))
    assert route_of(there, publisher, "control.health.status").run_messages == 1


def test_every_change_of_rights_or_subscriptions_makes_routes_stale() -> None:
    there = directory()
    session = enter(there, "a")
    seen = [there.generation]
    there.subscribe(session, Subscribe(1, "events.#"))
    seen.append(there.generation)
    there.unsubscribe(session, 1)
    seen.append(there.generation)
    there.replace_rules(Limits(), AccessList())
    seen.append(there.generation)
    assert len(set(seen)) == len(seen)


def test_a_topic_that_is_none_is_told() -> None:
    there = directory()
    with pytest.raises(InvalidTopic):
        route_of(there, enter(there, "a"), "Events")


def test_who_may_not_publish_reaches_nobody() -> None:
    rule = AccessRule("p", "write-only", "events.#", deny=True)
    there = directory(rule)
    publisher, reader = enter(there, "p"), enter(there, "r")
    there.subscribe(reader, Subscribe(1, "events.#"))
    route = route_of(there, publisher, "events.a")
    assert route.recipients == ()
    assert route.decision is not None
    assert str(rule) in route.decision.rule


def overlapping(there: Directory, reader: Session, levels: int = 11, **options: int) -> list[str]:
    """Subscribe so that every topic is matched by another set; the topics."""
    for number in range(levels):
        text = ".".join(["b" if position == number else "+" for position in range(levels)])
        there.subscribe(reader, Subscribe(number + 1, text, **options))  # type: ignore[arg-type]  # fields by name
    return [
        ".".join("b" if number >> position & 1 else "a" for position in range(levels))
        for number in range(1, 1 << levels)
    ]


def test_many_overlapping_filters_do_not_gather_streams_without_bound() -> None:
    there = directory()
    publisher, reader = enter(there, "p"), enter(there, "r")
    topics = overlapping(there, reader)
    before = there.generation
    for topic in topics:
        route_of(there, publisher, topic)
    assert len(reader.outbox.streams) <= MAX_STREAMS
    assert there.generation == before + 1
    assert not there.overgrown


def test_who_does_not_empty_its_streams_is_overgrown_and_gets_no_more_of_them() -> None:
    there = directory()
    publisher, reader = enter(there, "p"), enter(there, "r")
    topics = overlapping(there, reader)
    before = there.generation
    for number, topic in enumerate(topics):
        ((session, stream),) = route_of(there, publisher, topic).recipients or ((reader, None),)
        if stream is not None:
            session.outbox.offer(stream, Run(number, b"x", 1, 0, ("p", topic)), there.limits)
    assert list(there.overgrown) == [reader]
    assert (len(reader.outbox.streams), there.generation) == (MAX_STREAMS, before)
    there.leave(reader)
    assert not there.overgrown


def test_what_is_for_calls_hears_no_publishes() -> None:
    there = directory()
    session = enter(there, "a")
    there.subscribe(session, Subscribe(1, "control.demo.echo", serve=True))
    assert there.subscriptions == 1
    assert not route_of(there, session, "control.demo.echo").recipients
