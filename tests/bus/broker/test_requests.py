"""What a client may say besides publishing: subscribing, credit, signs of life, goodbye."""

from __future__ import annotations

import pytest

from daemoneye.bus.broker.deliveries import GOODBYE
from daemoneye.bus.broker.requests import _OBEYED
from daemoneye.bus.codecs import CODECS, SAID_BY_CLIENTS
from daemoneye.bus.frames import (
    Answer,
    Chunk,
    Confirm,
    Credit,
    Goodbye,
    Hello,
    Ping,
    Pong,
    StreamMark,
    Subscribe,
    Unsubscribe,
)
from daemoneye.errors import RemoteProtocolError
from tests.bus.support import Bus

LIFECYCLE = "events.process.lifecycle"


def test_a_client_may_not_say_what_only_the_broker_or_a_handshake_says() -> None:
    operator = Bus().client("operator")
    for value in (Answer(1), Hello(1, "x", 1, b"n"), StreamMark((1,)), Confirm(3)):
        with pytest.raises(RemoteProtocolError, match="does not say"):
            operator.say(value)


def test_all_that_a_client_may_say_is_obeyed() -> None:
    # Chunks belong to publishes, and are taken like them.
    assert {CODECS[each].kind for each in (*_OBEYED, Chunk)} == SAID_BY_CLIENTS


def test_what_is_refused_and_nobody_asked_about_is_told_in_a_notice() -> None:
    watching = Bus().client("watching", "observer")
    watching.say(Subscribe(1, "control.admin.#"), Unsubscribe(7))
    denied, senseless = watching.notices()
    assert (denied.code, denied.topic, bool(denied.rule)) == ("denied", "control.admin.#", True)
    assert senseless.code == "refused"
    assert senseless.detail == "LocalProtocolError: there is no subscription 7"


def test_a_refused_subscription_says_what_may_be_read() -> None:
    answer = Bus().client("watching", "observer").subscribe("control.admin.#")
    assert answer.error == "AccessDenied"
    assert answer.rule
    assert "events.#" in answer.hint


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (Subscribe(0, "events.#", request=1), "LocalProtocolError"),
        (Subscribe(1, "events.*", request=1), "InvalidTopic"),
        (Subscribe(1, "events.#", group="G", request=1), "LocalProtocolError"),
        (Unsubscribe(5, request=1), "LocalProtocolError"),
    ],
)
def test_a_wish_that_cannot_be_met_is_answered(wish: Subscribe | Unsubscribe, error: str) -> None:
    operator = Bus().client("operator")
    operator.say(wish)
    (answer,) = operator.read()
    assert isinstance(answer, Answer)
    assert answer.error == error
    assert not operator.session.subscriptions


def test_a_number_is_good_for_one_subscription_at_a_time() -> None:
    operator = Bus().client("operator")
    assert operator.subscribe("events.#").error == ""
    assert operator.subscribe("control.#").error == "LocalProtocolError"
    operator.say(Unsubscribe(1))
    operator.read()
    assert operator.subscribe("control.#").error == ""


def test_the_last_subscription_allowed_is_taken_and_the_next_refused() -> None:
    operator = Bus(subscriptions=3).client("operator")
    answers = [operator.subscribe(f"events.n{number}", number) for number in range(1, 5)]
    assert [each.error for each in answers] == ["", "", "", "BusError"]


def test_nothing_comes_after_unsubscribing() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    procmond.publish(LIFECYCLE, b"waiting")
    agent.say(Unsubscribe(1))
    procmond.publish(LIFECYCLE, b"later")
    assert agent.events() == []


def test_goodbye_ends_a_session_without_a_word() -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.say(Goodbye())
    assert bus.router.doomed == {operator.session: GOODBYE}
    assert operator.read() == []


def test_a_ping_tells_it_at_once_and_is_answered() -> None:
    procmond = Bus().procmond()
    procmond.publish(LIFECYCLE, b"x")
    procmond.say(Ping(4), Pong(9))
    assert procmond.read() == [Confirm(1), Pong(4)]
    procmond.say(Ping(5))
    assert procmond.read() == [Pong(5)]


def test_credit_wakes_what_waited_for_it() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", credit_messages=1)
    procmond.publish(LIFECYCLE, b"a")
    procmond.publish(LIFECYCLE, b"b")
    assert agent.events() == [b"a"]
    bus.router.dirty.clear()
    agent.say(Credit(1, 2, 1 << 20), Credit(77, 1, 1))
    assert agent.session in bus.router.dirty
    assert agent.events() == [b"b"]
