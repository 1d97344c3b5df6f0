"""What a collector answers on the control topics, also while its main thread is busy."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from daemoneye.bus.envelope import Correlation, Payload, Publisher
from daemoneye.bus.proto.events_pb2 import ChildStatus, CollectorWish, Diagnostics, Heartbeat
from daemoneye.collectors.conversation import Conversation, State
from daemoneye.errors import ConfigError
from tests.collectors.fakes import FakeChild, Published

LIFECYCLE = "control.collector.lifecycle"
CONFIG = "control.collector.config"
DIAGNOSTICS = "control.health.diagnostics"
STATUS = "control.health.status.uptime"


def state() -> State:
    return State(
        doing="sample",
        busy_since=time.monotonic() - 7.0,
        paused=False,
        degraded=False,
        settings={"interval": "5s", "password": "hunter2"},
        capabilities={"kind": "performance"},
        counters={"collections_total": 3},
    )


def check(settings: Mapping[str, object]) -> None:
    if "interval" not in settings:
        raise ConfigError("settings.interval: missing")


def _unexpected(error: Exception) -> None:
    raise AssertionError("the conversation ended by a bug") from error


@pytest.fixture
def child() -> Iterator[FakeChild]:
    child = FakeChild("uptime")
    conversation = Conversation(child, state, check, _unexpected)
    conversation.start()
    yield child
    conversation.close()
    child.bus.close()
    for thread in threading.enumerate():
        if thread.name == "bus-conversation":
            thread.join(5)


def status_of(published: Published) -> ChildStatus:
    assert isinstance(published.payload, ChildStatus)
    return published.payload


def test_it_beats_on_the_bus_with_the_work_in_hand(child: FakeChild) -> None:
    beat = child.bus.wait_for("control.health.heartbeat")[0].payload
    assert isinstance(beat, Heartbeat)
    assert (beat.child, beat.incarnation, beat.progress, beat.doing) == ("uptime", 1, 3, "sample")
    assert 7.0 <= beat.busy_seconds < 60.0


@pytest.mark.parametrize(
    "payload", [{"verb": "pause", "request": 9}, CollectorWish(verb="pause", request=9)]
)
def test_a_wish_goes_to_the_supervisor_and_its_verdict_to_the_asker(
    child: FakeChild, payload: Payload
) -> None:
    child.bus.say(LIFECYCLE, payload)
    answer = child.bus.wait_for(STATUS)[0]
    assert ("wish", "pause", "uptime", None, "operator") in child.said
    assert answer.target == "operator"
    assert (status_of(answer).answer_to, status_of(answer).error) == (9, "")


def test_a_wish_the_supervisor_refuses_is_answered_with_the_reason(child: FakeChild) -> None:
    child.verdict = (False, "it is essential")
    child.bus.say(LIFECYCLE, {"verb": "stop", "request": 9})
    assert status_of(child.bus.wait_for(STATUS)[0]).error == "it is essential"


def test_settings_are_a_wish_too(child: FakeChild) -> None:
    child.bus.say(CONFIG, {"settings": {"interval": "1s"}, "request": 4})
    child.bus.wait_for(STATUS)
    assert ("wish", "configure", "uptime", {"interval": "1s"}, "operator") in child.said


@pytest.mark.parametrize(
    ("settings", "error"), [({"interval": "1s"}, ""), ({}, "settings.interval: missing")]
)
def test_settings_may_be_only_looked_at(
    child: FakeChild, settings: dict[str, object], error: str
) -> None:
    child.bus.say(CONFIG, {"settings": settings, "validate_only": True, "request": 4})
    assert status_of(child.bus.wait_for(STATUS)[0]).error == error
    assert child.said == []


def test_the_stacks_of_all_threads_are_told_to_the_asker(child: FakeChild) -> None:
    child.bus.say(DIAGNOSTICS, {"ask": "threads"}, Correlation(id="q1"))
    answer = child.bus.wait_for(DIAGNOSTICS)[0]
    assert (answer.target, answer.correlation) == ("operator", Correlation(id="q1"))
    assert isinstance(answer.payload, Diagnostics)
    assert "MainThread" in answer.payload.stacks
    assert "bus-conversation" in answer.payload.stacks


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        ("counters", {"collections_total": 3}),
        ("settings", {"interval": "5s", "password": "***"}),
        ("capabilities", {"kind": "performance"}),
    ],
)
def test_a_question_is_answered_with_facts(
    child: FakeChild, ask: str, answer: dict[str, object]
) -> None:
    child.bus.say(DIAGNOSTICS, {"ask": ask})
    told = child.bus.wait_for(DIAGNOSTICS)[0].payload
    assert isinstance(told, Diagnostics)
    assert json.loads(told.answer) == answer


def test_what_nobody_can_read_is_answered_with_the_reason(child: FakeChild) -> None:
    child.bus.say(LIFECYCLE, {"verb": "explode"})
    told = child.bus.wait_for(DIAGNOSTICS)[0].payload
    assert isinstance(told, Diagnostics)
    assert "'explode' is no wish" in told.error
    child.bus.say(DIAGNOSTICS, {"ask": "counters"})
    child.bus.wait_for(DIAGNOSTICS, 2)


def test_a_question_nobody_can_answer_is_refused_with_those_there_are(child: FakeChild) -> None:
    child.bus.say(DIAGNOSTICS, {"ask": "meaning"})
    told = child.bus.wait_for(DIAGNOSTICS)[0].payload
    assert isinstance(told, Diagnostics)
    assert told.error == (
        "'meaning' is no question (there are threads, counters, settings, capabilities)"
    )


def test_a_question_it_listens_to_itself_is_left_to_it() -> None:
    child = FakeChild("uptime")
    conversation = Conversation(
        child, lambda: replace(state(), answers_itself=True), check, _unexpected
    )
    conversation.start()
    child.bus.say(DIAGNOSTICS, {"ask": "meaning"})
    child.bus.say(DIAGNOSTICS, {"ask": "counters"})
    assert len(child.bus.wait_for(DIAGNOSTICS)) == 1
    conversation.close()
    child.bus.close()


def test_an_answer_of_somebody_is_not_answered(child: FakeChild) -> None:
    child.bus.say(DIAGNOSTICS, Diagnostics(answer="{}"))
    child.bus.say(DIAGNOSTICS, {"ask": "counters"})
    child.bus.wait_for(DIAGNOSTICS)
    assert len(child.bus.on(DIAGNOSTICS)) == 1


@pytest.mark.parametrize("role", ["collector", "worker", "observer"])
def test_only_an_agent_may_ask(child: FakeChild, role: str) -> None:
    child.bus.say(DIAGNOSTICS, {"ask": "threads"}, asker=Publisher("spy", role, 43, 1))
    child.bus.say(DIAGNOSTICS, {"ask": "counters"})
    child.bus.wait_for(DIAGNOSTICS)
    assert [each.target for each in child.bus.on(DIAGNOSTICS)] == ["operator"]


@pytest.mark.parametrize(
    "text",
    [b'{"verb":' + b"[" * 20_000 + b"]" * 20_000 + b"}", b'{"verb":"\\ud800"}', b'{"verb":NaN}'],
    ids=["deep", "half a character", "no number"],
)
def test_what_breaks_a_reader_of_json_does_not_end_the_conversation(
    child: FakeChild, text: bytes
) -> None:
    for topic in (LIFECYCLE, CONFIG, DIAGNOSTICS):
        child.bus.say(topic, text)
    child.bus.say(DIAGNOSTICS, {"ask": "counters"})
    told = [each.payload for each in child.bus.wait_for(DIAGNOSTICS, 4)]
    assert all(isinstance(each, Diagnostics) for each in told)
    assert not [each for each in child.said if each[0] == "wish"]
