"""Answers: everybody learns about itself, agents about all."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker import answers
from daemoneye.bus.broker.answers import ROW_BYTES, refusal
from daemoneye.bus.frames import (
    Answer,
    ClientRow,
    Query,
    Selection,
    SubscriptionRow,
    TopicRow,
    encode,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import AccessDenied, BusError
from tests.bus.support import NOW, Bus, Client


def ask(client: Client, what: str, who: str = "", action: str = "", topic: str = "") -> Answer:
    client.say(Query(what, who, action, topic, request=7))
    (answer,) = (each for each in client.read() if isinstance(each, Answer))
    assert answer.request == 7
    return answer


def test_an_agent_sees_all_clients_with_their_counts() -> None:
    bus = Bus()
    operator, procmond = bus.client("operator"), bus.procmond()
    operator.subscribe("events.#")
    procmond.publish("events.process.tree", b"x")
    operator.read()
    procmond.publish("events.process.tree", b"x")
    rows = {row.identity: row for row in ask(operator, "clients").clients}
    assert (rows["procmond"].published, rows["procmond"].subscriptions) == (2, 0)
    assert (rows["operator"].delivered, rows["operator"].queued) == (1, 1)
    assert (rows["procmond"].role, rows["procmond"].pid) == ("collector", 4242)
    assert rows["procmond"].connected_at == NOW


@pytest.mark.parametrize("what", ["clients", "subscriptions"])
def test_others_see_themselves_only(what: str) -> None:
    bus = Bus()
    operator, watching = bus.client("operator"), bus.client("watching", "observer")
    operator.subscribe("events.#")
    watching.subscribe("events.#")
    answer = ask(watching, what)
    assert {row.identity for row in answer.clients + answer.subscriptions} == {"watching"}


def test_subscriptions_are_listed_with_what_became_of_them() -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.subscribe("events.#", 3)
    (row,) = ask(operator, "subscriptions").subscriptions
    assert (row.identity, row.subscription, row.filter) == ("operator", 3, "events.#")
    assert row.overflow == "default"


@pytest.mark.parametrize(("rows", "said"), [(3, ""), (2, "only the first 2 are listed")])
def test_a_list_at_the_limit_is_whole_and_one_past_it_says_so(rows: int, said: str) -> None:
    bus = Bus(listed_rows=rows)
    clients = [bus.client(name) for name in "abc"]
    answer = ask(clients[0], "clients")
    assert (len(answer.clients), answer.detail) == (rows, said)


def test_others_get_a_quarter_of_the_rows() -> None:
    bus = Bus(listed_rows=8)
    watching = bus.client("watching", "observer")
    for number in (1, 2, 3):
        watching.subscribe(f"events.n{number}", number)
    answer = ask(watching, "subscriptions")
    assert [row.subscription for row in answer.subscriptions] == [1, 2]
    assert answer.detail == "only the first 2 are listed"


@pytest.mark.parametrize("what", ["clients", "subscriptions"])
def test_a_list_fills_half_a_frame_at_most_and_says_so(what: str) -> None:
    bus = Bus(frame_bytes=2048)
    names = [f"{letter}{'x' * 60}" for letter in "abcdefghij"]
    for name in names:
        bus.client(name).subscribe(f"events.{'y' * 60}.{'z' * 60}")
    answer = ask(bus.client("operator"), what)
    rows = answer.clients + answer.subscriptions
    assert [row.identity for row in rows] == names[: len(rows)]
    assert 2 < len(rows) < len(names)
    assert len(encode(answer)) <= 1024
    assert answer.detail == f"only the first {len(rows)} are listed"


def test_a_row_takes_no_more_than_is_reckoned() -> None:
    most = (1 << 64) - 1
    row = ClientRow("n", "r", (1 << 32) - 1, most, most, most, most, most, most, (1 << 32) - 1)
    other = SubscriptionRow("n", (1 << 32) - 1, "f", "o", most, most, most)
    topic = TopicRow("t", (1 << 32) - 1, (1 << 32) - 1, True)
    for answer in (
        Answer(0, clients=(row,)),
        Answer(0, subscriptions=(other,)),
        Answer(0, topics=(topic,)),
    ):
        assert len(encode(answer)) - len(encode(Answer(0))) <= ROW_BYTES + 3


def used(answer: Answer) -> dict[str, tuple[int, int]]:
    return {row.topic: (row.publishers, row.subscribers) for row in answer.topics}


def test_topics_in_use_are_those_published_on_and_subscribed_to_by_name() -> None:
    bus = Bus()
    operator, procmond, other = bus.client("operator"), bus.procmond(), bus.client("other")
    operator.subscribe("events.process.#", 1)
    operator.subscribe("events.process.+", 2, selection=Selection("case"))
    other.subscribe("events.demo.wanted")
    procmond.publish("events.process.tree", b"x")
    procmond.publish("events.network.batch", b"denied")
    other.publish("events.process.tree", b"x")
    other.publish("events.demo.unheard", b"x")
    assert used(ask(operator, "topics")) == {
        "events.demo.unheard": (1, 0),
        "events.demo.wanted": (0, 1),
        "events.process.tree": (2, 1),
    }
    assert set(used(ask(operator, "topics", topic="events.process.#"))) == {"events.process.tree"}
    assert ask(operator, "topics", topic="events.*").error == "InvalidTopic"


def test_who_shares_the_work_of_a_topic_hears_it_too() -> None:
    bus = Bus()
    operator, worker = bus.client("operator"), bus.client("worker")
    worker.subscribe("events.demo.#", 1, group="workers")
    operator.publish("events.demo.job", b"x")
    assert used(ask(operator, "topics")) == {"events.demo.job": (1, 1)}


def test_who_may_not_publish_there_any_more_is_not_counted() -> None:
    bus = Bus()
    operator, procmond = bus.client("operator"), bus.procmond()
    procmond.publish("events.process.tree", b"x")
    rule = AccessRule("procmond", "write-only", "events.process.tree", deny=True)
    bus.router.set_rules(Limits(), AccessList([rule]))
    assert used(ask(operator, "topics")) == {"events.process.tree": (0, 0)}


def test_others_are_told_of_the_topics_that_they_may_read() -> None:
    bus = Bus(AccessRule("watching", "read-only", "events.secret.#", deny=True))
    agent, watching = bus.client("agent"), bus.client("watching", "observer")
    for topic in ("events.a", "events.secret.a", "control.collector.task.process"):
        agent.publish(topic, b"x")
    assert used(ask(watching, "topics")) == {"events.a": (1, 0)}


def test_topics_that_cannot_be_read_cost_a_bounded_look_too() -> None:
    bus = Bus(listed_rows=2)
    agent, watching = bus.client("agent"), bus.client("watching", "observer")
    for number in range(10):
        agent.publish(f"control.admin.n{number}", b"x")
    agent.publish("events.a", b"x")
    answer = ask(watching, "topics")
    assert answer.topics == ()
    assert answer.detail == "only the first 8 topics were looked at: name a narrower filter"
    assert used(ask(watching, "topics", topic="events.#")) == {"events.a": (1, 0)}
    assert ask(agent, "topics").detail == "only the first 2 are listed"


def test_topics_that_very_many_hear_are_listed_as_far_as_there_is_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = Bus()
    operator = bus.client("operator")
    for number in range(1, 11):
        operator.subscribe("events.#", number)
    for name in "abcd":
        operator.publish(f"events.{name}", b"x")
    monkeypatch.setattr(answers, "_MATCHES", 21)
    answer = ask(operator, "topics")
    assert [row.topic for row in answer.topics] == ["events.a", "events.b", "events.c"]
    assert answer.detail == "only the first 3 topics were looked at: name a narrower filter"


def test_an_access_question_is_answered_with_the_rule() -> None:
    rule = AccessRule("procmond", "write-only", "events.process.tree", deny=True)
    bus = Bus(rule)
    operator, _ = bus.client("operator"), bus.procmond()
    denied = ask(operator, "access", "procmond", "publish", "events.process.tree")
    assert denied.detail.startswith("refused")
    assert str(rule) in denied.rule
    allowed = ask(operator, "access", "procmond", "publish", "events.process.batch")
    assert allowed.detail.startswith("granted")


def test_a_narrowed_subscription_is_told_with_what_is_cut() -> None:
    bus = Bus(AccessRule("operator", "read-only", "events.secret.#", deny=True))
    answer = ask(bus.client("operator"), "access", "", "subscribe", "events.#")
    assert answer.detail.startswith("narrowed")
    assert answer.narrowed == ("events.secret.#",)


def test_a_role_may_be_asked_about_though_nobody_has_it() -> None:
    answer = ask(Bus().client("operator"), "access", "role:observer", "publish", "events.a")
    assert answer.detail.startswith("refused")


def test_a_named_client_may_be_asked_about_before_it_comes() -> None:
    bus = Bus()
    declared = Declared(publishes=(TopicFilter("events.demo.#"),))
    bus.router.directory.expected = {"writer": (Identity("writer", "observer"), declared)}
    operator = bus.client("operator")
    assert ask(operator, "access", "writer", "publish", "events.demo.x").detail.startswith(
        "granted"
    )
    assert ask(operator, "access", "writer", "publish", "events.a").detail.startswith("refused")
    unknown = ask(operator, "access", "writr", "publish", "events.a")
    assert "role:observer" in unknown.hint


def test_others_may_not_ask_about_others() -> None:
    bus = Bus()
    watching = bus.client("watching", "observer")
    answer = ask(watching, "access", "operator", "publish", "events.a")
    assert answer.error == "AccessDenied"
    assert answer.rule
    assert ask(watching, "access", "", "publish", "events.a").error == ""


@pytest.mark.parametrize(
    ("who", "action", "topic", "error"),
    [
        ("nobody", "publish", "events.a", "BusError"),
        ("", "shout", "events.a", "LocalProtocolError"),
        ("", "publish", "events.#", "InvalidTopic"),
        ("", "subscribe", "events.*", "InvalidTopic"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(
    who: str, action: str, topic: str, error: str
) -> None:
    answer = ask(Bus().client("operator"), "access", who, action, topic)
    assert answer.error == error
    assert answer.detail


def test_a_refusal_carries_all_that_the_error_says() -> None:
    answer = refusal(3, AccessDenied("no", rule="r", hint="h"))
    assert answer == Answer(3, "AccessDenied", "no", "h", "r")
    assert refusal(3, BusError()) == Answer(3, "BusError")


@pytest.mark.parametrize("who", ["a\x1b[2J", "a\n" * 99, "\u0430gent"])
@pytest.mark.parametrize("role", ["agent", "observer"])
def test_what_was_asked_is_said_again_escaped_and_short(role: str, who: str) -> None:
    asker = Bus().client("asker", role)
    for answer in (ask(asker, "access", who, "publish", "a"), ask(asker, "access", "", who, "a")):
        assert answer.error
        assert answer.detail.isascii()
        assert answer.detail.isprintable()
        assert len(answer.detail) < 200
