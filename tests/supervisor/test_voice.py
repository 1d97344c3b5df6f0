"""What the broker is told: rules first, everybody who may come, every end, and the health."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from daemoneye import lifeline as line
from daemoneye.bus.orders import Admit, Ended, Order, Rules, Say, decode_order
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import ConfigError
from daemoneye.supervisor.bus_plan import AccessLine, BusPlan, NamedClient
from daemoneye.supervisor.health import HealthReport, Overall
from daemoneye.supervisor.spec import ChildSpec
from daemoneye.supervisor.voice import Voice, credential_of, new_key
from tests.supervisor.test_documents import ABOUT, CLOCK, child, crash

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
SPEC = ChildSpec("a", "m:f", role="collector", kind="process", publishes=("events.x.#",))


class Broker:
    """Whoever hears the voice: which broker was told what."""

    def __init__(self, bus: BusPlan | None = None) -> None:
        self.heard: list[tuple[int, Order]] = []
        self.voice = Voice(bus or BusPlan(), {"operator": KEY, "dashboard": OTHER_KEY}, self._hear)

    def _hear(self, name: str, number: int, order: line.Order) -> None:
        assert isinstance(order, line.Tell)
        assert (name, order.name) == ("broker", "broker")
        self.heard.append((number, decode_order(order.body)))

    def kinds(self, number: int) -> list[type]:
        return [type(order) for heard, order in self.heard if heard == number]


def test_while_there_is_no_broker_nothing_is_said() -> None:
    broker = Broker()
    broker.voice.admit(credential_of(SPEC, 1, KEY))
    broker.voice.ended("a", 1, "exit:0")
    broker.voice.tell_health(HealthReport(Overall.HEALTHY, "", ()), ABOUT, CLOCK)
    assert broker.heard == []


def test_a_broker_first_hears_the_rules_then_the_operator_and_the_living() -> None:
    bus = BusPlan({"frame_bytes": 1000}, (AccessLine("role:worker", "read-only", "events.#"),))
    broker = Broker(bus)
    broker.voice.admit(credential_of(SPEC, 4, new_key(), pid=77))
    broker.voice.broker_born(1)
    rules, operator, living = [order for _, order in broker.heard]
    assert isinstance(rules, Rules)
    assert rules.limits == {"frame_bytes": 1000}
    assert rules.rules[0].who == "role:worker"
    assert isinstance(operator, Admit)
    assert (operator.credential.identity, operator.credential.role) == ("operator", "agent")
    assert (operator.credential.key, operator.credential.incarnation) == (KEY, 0)
    assert isinstance(living, Admit)
    assert (living.credential.incarnation, living.credential.pid) == (4, 77)
    assert living.credential.declared.publishes == (TopicFilter("events.x.#"),)
    assert living.credential.declared.subscribes is None


def test_a_new_broker_hears_of_the_living_and_not_of_the_dead() -> None:
    broker = Broker()
    broker.voice.broker_born(1)
    broker.voice.admit(credential_of(SPEC, 1, KEY))
    broker.voice.ended("a", 1, "signal:9")
    broker.voice.admit(credential_of(SPEC, 2, KEY))
    broker.voice.ended("broker", 1, "signal:9")
    broker.voice.broker_born(2)
    assert broker.kinds(1) == [Rules, Admit, Admit, Ended, Admit]
    assert broker.kinds(2) == [Rules, Admit, Admit]
    last = broker.heard[-1][1]
    assert isinstance(last, Admit)
    assert last.credential.incarnation == 2


def test_an_end_carries_its_cause() -> None:
    broker = Broker()
    broker.voice.broker_born(1)
    broker.voice.admit(credential_of(SPEC, 1, KEY))
    broker.voice.ended("a", 1, "hang(stopped)")
    assert broker.heard[-1][1] == Ended("a", 1, "hang(stopped)")


def test_the_late_end_of_an_old_broker_does_not_silence_the_new_one() -> None:
    broker = Broker()
    broker.voice.broker_born(1)
    broker.voice.broker_born(2)
    broker.voice.ended("broker", 1, "signal:9")
    broker.voice.admit(credential_of(SPEC, 1, KEY))
    assert broker.kinds(2)[-1] is Admit


def test_health_is_said_on_its_topic() -> None:
    broker = Broker()
    broker.voice.broker_born(1)
    report = HealthReport(Overall.FAILED, "a is FATAL", (child(next_attempt_at=1.0),))
    broker.voice.tell_health(report, ABOUT, CLOCK)
    said = broker.heard[-1][1]
    assert isinstance(said, Say)
    assert said.topic == "control.health.status"
    status = pb.HealthStatus.FromString(said.payload)
    assert (status.overall, status.reason) == (pb.HEALTH_UNHEALTHY, "a is FATAL")
    assert status.children[0].next_attempt_at == 1_700_000_001.0
    assert not status.children[0].HasField("rss_bytes")


def test_a_crash_travels_with_its_childs_status() -> None:
    broker = Broker()
    broker.voice.broker_born(1)
    broker.voice.tell_child(child(), crash(), CLOCK)
    said = broker.heard[-1][1]
    assert isinstance(said, Say)
    assert said.topic == "control.health.status.a"
    report = json.loads(pb.ChildStatus.FromString(said.payload).crash_report)
    assert report["cause"] == "signal:9"


@pytest.mark.parametrize(
    ("access", "topics"), [("read-mostly", "events.#"), ("read-only", "events.*")]
)
def test_a_rule_that_means_nothing_is_refused_before_anything_starts(
    access: str, topics: str
) -> None:
    with pytest.raises(ConfigError):
        Broker(BusPlan(access=(AccessLine("role:worker", access, topics),)))


def test_keys_differ_and_do_not_show() -> None:
    assert new_key() != new_key()
    assert len(new_key()) == 32
    assert "key=" not in repr(credential_of(SPEC, 1, KEY))


def test_a_crash_report_that_is_too_long_stays_behind_and_the_status_is_told() -> None:
    broker = Broker()
    broker.voice.broker_born(1)
    broker.voice.tell_child(child(), replace(crash(), stacks="\N{SNAKE}" * 65_000), CLOCK)
    said = broker.heard[-1][1]
    assert isinstance(said, Say)
    status = pb.ChildStatus.FromString(said.payload)
    assert (status.name, status.crash_report) == ("a", "")


def test_a_broker_hears_of_named_clients_with_the_rules() -> None:
    client = NamedClient("dashboard", role="worker", subscribes=("events.#",))
    broker = Broker(BusPlan(clients=(client,)))
    broker.voice.broker_born(1)
    rules = broker.heard[0][1]
    assert isinstance(rules, Rules)
    (credential,) = rules.clients
    assert (credential.identity, credential.role, credential.key) == (
        "dashboard",
        "worker",
        OTHER_KEY,
    )
    assert (credential.incarnation, credential.pid) == (0, 0)
    assert credential.declared.subscribes == (TopicFilter("events.#"),)
    assert credential.declared.publishes is None
