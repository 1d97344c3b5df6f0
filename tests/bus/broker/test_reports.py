"""Denials and losses as the broker tells them: to who listens, once a second for each client."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.broker import reports
from daemoneye.bus.frames import (
    Clear,
    Envelope,
    Heading,
    Subscribe,
    Unsubscribe,
    encode_call,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.proto.events_pb2 import Denial, LossReport
from tests.bus.support import NOW, Bus, Client

DENIED = "$bus.denied"


def watcher(bus: Bus, filter_text: str) -> Client:
    client = bus.client("watching")
    client.subscribe(filter_text)
    return client


def rung(bus: Bus, seconds: float = 0.0) -> None:
    """So much later: the clock is looked at, as the shell does."""
    bus.router.clock.pass_time(seconds)
    if bus.router.clock.rings:
        bus.router.keep_time(NOW)


def denials(client: Client) -> list[tuple[str, str, str, int]]:
    said = [each.unpack(Denial) for each in client.read() if isinstance(each, Envelope)]
    assert all(each.rule for each in said)
    assert {each.observed_at for each in said} <= {NOW / 1e9}
    return [(each.identity, each.action, each.topic, each.count) for each in said]


@pytest.mark.parametrize(
    "topic",
    [
        "control.collector.lifecycle",
        "control.health.status.perfmond",
        "events.network.lifecycle",
        "$bus.clients.procmond",
    ],
)
@pytest.mark.parametrize("retain", [False, True])
def test_b7_what_a_collector_may_not_publish_is_denied_counted_and_shown(
    topic: str, retain: bool
) -> None:
    bus = Bus()
    watching, procmond = watcher(bus, DENIED), bus.procmond()
    heard = bus.client("hearer")
    heard.subscribe(topic)
    procmond.publish(topic, b"forged", retain=retain)
    (notice,) = procmond.notices()
    assert (notice.code, notice.topic, bool(notice.rule)) == ("denied", topic, True)
    rung(bus)
    assert denials(watching) == [("procmond", "publish", topic, 1)]
    assert bus.router.statistics().refused == {"denied": 1}
    assert heard.events() == [] or topic.startswith("$bus")
    assert topic not in bus.router.directory.retained or topic.startswith("$bus")


def test_b5_a_rule_with_a_place_for_a_name_is_good_for_that_name_only() -> None:
    bus = Bus(AccessRule("role:worker", "read-write", "health.{id}.#"))
    watching, worker = watcher(bus, DENIED), bus.client("a", "worker")
    worker.publish("health.a.x", b"mine", request=1)
    worker.publish("health.ab.x", b"not mine")
    rung(bus)
    assert denials(watching) == [("a", "publish", "health.ab.x", 1)]


@pytest.mark.parametrize("request_number", [0, 1])
def test_a_call_that_is_refused_for_want_of_a_right_is_told_like_a_publish(
    request_number: int,
) -> None:
    bus = Bus()
    watching, eye = watcher(bus, DENIED), bus.client("eye", "observer")
    raw = encode_call(Heading("control.admin.a"), b"", NOW, request_number)
    bus.router.receive(eye.session, [raw], NOW)
    rung(bus)
    assert denials(watching) == [("eye", "publish", "control.admin.a", 1)]


def test_of_a_client_one_denial_is_told_in_a_second_with_how_many_there_were() -> None:
    bus = Bus()
    watching, procmond, other = watcher(bus, DENIED), bus.procmond(), bus.client("eye", "observer")
    procmond.publish("control.admin.a", b"")
    rung(bus)
    assert denials(watching) == [("procmond", "publish", "control.admin.a", 1)]
    for level in "bcd":
        procmond.publish(f"control.admin.{level}", b"")
    procmond.say(Subscribe(1, "control.admin.#"), Clear("control.admin.e"))
    other.say(Subscribe(1, "control.admin.#"))
    rung(bus, 0.5)
    assert denials(watching) == [("eye", "subscribe", "control.admin.#", 1)]
    rung(bus, 0.4)
    assert denials(watching) == []
    rung(bus, 0.2)
    assert denials(watching) == [("procmond", "publish", "control.admin.e", 5)]
    rung(bus, 5.0)
    assert denials(watching) == []


def test_a_right_that_is_taken_away_is_told_too() -> None:
    bus = Bus()
    watching, eye = watcher(bus, DENIED), bus.client("eye", "observer")
    eye.subscribe("events.#")
    deny = AccessRule("role:observer", "read-only", "events.#", deny=True)
    bus.router.set_rules(Limits(), AccessList((deny,)))
    rung(bus)
    assert denials(watching) == [("eye", "receive", "events.#", 1)]


def test_denials_that_nobody_hears_are_counted_and_kept_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "CLIENTS", 2)
    bus = Bus()
    for number in range(3):
        bus.client(f"eye-{number}", "observer").publish("control.admin.a", b"")
    assert len(bus.router.directory.reports._denials) == 2
    rung(bus)
    assert bus.router.directory.reports._denials == {}
    watching = watcher(bus, DENIED)
    rung(bus, 5.0)
    assert denials(watching) == []
    assert bus.router.statistics().refused == {"denied": 3}
    bus.router.keep_time(NOW)
    assert bus.router.directory.reports._told_at == {}


def losses(client: Client) -> list[tuple[str, dict[str, int]]]:
    said = [each.unpack(LossReport) for each in client.read() if isinstance(each, Envelope)]
    return [(each.identity, dict(each.lost)) for each in said]


def test_what_a_client_misses_is_told_once_a_second_while_somebody_listens() -> None:
    bus = Bus()
    slow, source = bus.client("slow"), bus.procmond()
    slow.subscribe("events.#", max_messages=4, credit_messages=1)
    for _ in range(10):
        source.publish("events.process.tree", b"before anybody wanted to know")
    watching = watcher(bus, "$bus.loss.#")
    rung(bus, 1.0)
    assert losses(watching) == []
    for _ in range(3):
        source.publish("events.process.tree", b"x")
    rung(bus, 0.5)
    assert losses(watching) == []
    rung(bus, 0.5)
    assert losses(watching) == [("slow", {"overflow": 3})]
    rung(bus, 1.0)
    assert losses(watching) == []
    bus.router.close(slow.session)
    rung(bus, 1.0)
    ((name, lost),) = losses(watching)
    assert (name, set(lost)) == ("slow", {"disconnected"})
    watching.say(Unsubscribe(1))
    rung(bus, 1.0)
    assert bus.router.clock.alarm_at == float("inf")
    assert bus.router.directory.reports._told == {}


def test_who_listens_to_all_the_broker_says_hears_losses_too() -> None:
    bus = Bus()
    watching = watcher(bus, "$bus.#")
    slow, source = bus.client("slow"), bus.procmond()
    slow.subscribe("events.#", max_messages=4, credit_messages=1)
    for _ in range(10):
        source.publish("events.process.tree", b"x")
    rung(bus, 1.0)
    topics = [each.topic for each in watching.read() if isinstance(each, Envelope)]
    assert "$bus.loss.slow" in topics
