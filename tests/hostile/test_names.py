"""Names at a real broker, from a client of ours and from one that does not look at them first."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.frames import (
    Answer,
    Heading,
    Hello,
    Notice,
    Query,
    Refusal,
    Subscribe,
    encode_publish,
)
from daemoneye.bus.handshake import Claim
from daemoneye.errors import BusError, InvalidTopic, LocalProtocolError
from daemoneye.framing import pack
from tests.bus.brokers import Running, broker_in_thread
from tests.hostile.names import BAD_NAMES, BAD_TOPICS, GOOD_NAMES
from tests.hostile.support import QUIET, Caller
from tests.support import scaled


@pytest.fixture
def broker(tidy: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Running]:
    """A broker of whose log not a line may speak to a terminal."""
    caplog.set_level(logging.DEBUG)
    with broker_in_thread(tidy) as running:
        yield running
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert record.getMessage().isascii()
        assert len(record.getMessage()) < 1000


@contextmanager
def nothing_is_heard(broker: Running) -> Iterator[None]:
    """Whatever is said inside, a subscriber to everything hears only what is said afterwards."""
    with broker.client("watcher") as bus, bus.subscribe("#") as events:
        yield
        bus.publish(QUIET, b"the only one")
        event = events.get(scaled(5))
        assert event is not None
        assert (event.topic, event.payload) == (QUIET, b"the only one")


def assert_refused(refused: pytest.ExceptionInfo[BusError]) -> None:
    assert refused.value.hint
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_b2_a_client_of_ours_refuses_bad_names_itself(broker: Running) -> None:
    with nothing_is_heard(broker), broker.client() as bus:
        for name in BAD_TOPICS.values():
            for publish in (bus.publish, bus.publish_confirmed):
                with pytest.raises(InvalidTopic) as refused:
                    publish(name, b"x")
                assert_refused(refused)
            with pytest.raises(InvalidTopic) as refused:
                bus.publish_many(name, [b"x"])
            assert_refused(refused)
        for name in BAD_NAMES.values():
            with pytest.raises(InvalidTopic) as refused:
                bus.subscribe(name)
            assert_refused(refused)
        assert not [each for each in bus.subscriptions() if each.identity == "operator"]


def test_b2_the_broker_refuses_a_question_about_bad_names(broker: Running) -> None:
    with broker.client() as bus:
        for action, names in (("publish", BAD_TOPICS), ("subscribe", BAD_NAMES)):
            for name in names.values():
                with pytest.raises(InvalidTopic) as refused:
                    bus.explain(action, name)
                assert_refused(refused)
        for name in BAD_NAMES.values():
            for ask in ({"action": name, "topic": QUIET}, {"action": "publish", "topic": QUIET}):
                with pytest.raises(BusError) as refused_question:
                    bus.explain(**ask, who=name or "nobody")
                assert str(refused_question.value).isprintable()


def test_b2_the_broker_refuses_bad_names_of_whoever_does_not_look(broker: Running) -> None:
    key = broker.admit("raw")
    with nothing_is_heard(broker), Caller(broker.path) as raw:
        raw.prove(Claim("raw", 1, key))
        for number, name in enumerate(BAD_TOPICS.values(), 1):
            raw.say(pack(encode_publish(Heading(name), [b"x"], [1], number, request=number)))
            answer = raw.hear()
            assert isinstance(answer, Answer)
            assert (answer.request, answer.error) == (number, "InvalidTopic")
            assert answer.hint
            assert answer.detail.isprintable()
            assert answer.detail.isascii()
        for number, name in enumerate(BAD_NAMES.values(), 1):
            raw.say(Subscribe(number, name, request=number))
            answer = raw.hear()
            assert isinstance(answer, Answer)
            assert (answer.request, answer.error) == (number, "InvalidTopic")
            assert answer.detail.isprintable()
        raw.say(Query("subscriptions", request=1))
        answer = raw.hear()
        assert isinstance(answer, Answer)
        assert {each.identity for each in answer.subscriptions} == {"watcher"}


def test_b2_a_publish_that_wants_no_answer_is_refused_by_notice(broker: Running) -> None:
    key = broker.admit("raw")
    with nothing_is_heard(broker), Caller(broker.path) as raw:
        raw.prove(Claim("raw", 1, key))
        for number, name in enumerate(BAD_TOPICS.values(), 1):
            raw.say(pack(encode_publish(Heading(name), [b"x"], [1], number)))
        heard = [raw.hear() for _ in range(len(BAD_TOPICS).bit_length())]
        assert all(isinstance(each, Notice) and each.code == "refused" for each in heard)
        assert broker.broker.statistics().refused == {"invalid-topic": len(BAD_TOPICS)}


@pytest.mark.parametrize("name", GOOD_NAMES.values(), ids=GOOD_NAMES)
def test_b2_the_longest_names_are_heard(broker: Running, name: str) -> None:
    with broker.client() as bus, bus.subscribe(name) as events:
        bus.publish(name, b"x")
        event = events.get(scaled(5))
        assert event is not None
        assert event.topic == name


def test_b2_nobody_comes_in_under_a_bad_name(broker: Running) -> None:
    for name in {**BAD_TOPICS, "of nobody": "nobody"}.values():
        with Caller(broker.path) as raw:
            raw.say(Hello(1, name[:3000], 1, os.urandom(32)))
            (refusal,) = raw.hear_all()
            assert isinstance(refusal, Refusal)
            assert refusal.reason == "unknown-identity"
            assert (refusal.detail.isprintable(), refusal.detail.isascii()) == (True, True)
    assert broker.broker.door.counted["unknown-identity"] == len(BAD_TOPICS) + 1


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\nb", "", "A", "a" * 65], ids=ascii)
def test_b2_a_target_that_nobody_can_be_is_refused(broker: Running, name: str) -> None:
    with nothing_is_heard(broker), broker.client() as bus:
        if name:
            for topic in (QUIET, "control.collector.lifecycle"):
                with pytest.raises((LocalProtocolError, BusError), match="nobody can be called"):
                    bus.publish_confirmed(topic, b"x", target=name)


def test_b2_a_client_under_a_bad_name_says_so_harmlessly(broker: Running) -> None:
    for name in BAD_NAMES.values():
        with pytest.raises(BusError) as refused:
            introduce(broker.path, Claim(name[:3000], 1, bytes(32)), scaled(5))
        assert str(refused.value).isprintable()
        with pytest.raises(BusError):
            BusClient.connect(broker.path, name=name[:3000], key=bytes(32))
