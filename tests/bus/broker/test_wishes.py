"""Wishes for collectors: the connected hear them, for the others the supervisor does."""

from __future__ import annotations

import pytest

from daemoneye.bus.broker.wishes import WISH_TOPICS, HandedUp
from daemoneye.bus.frames import Answer, Correlation
from tests.bus.support import Bus, Client

LIFECYCLE, CONFIG = WISH_TOPICS


def receipt(client: Client) -> Answer:
    answer = client.read()[-1]
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize("topic", WISH_TOPICS)
def test_a_wish_for_one_who_is_not_connected_is_handed_up(topic: str) -> None:
    bus = Bus()
    operator = bus.client("operator")
    operator.publish(
        topic,
        b"start",
        target="netmond",
        content_type="text/plain",
        correlation=Correlation("c"),
        request=1,
    )
    assert list(bus.router.handed_up) == [
        HandedUp(topic, "netmond", b"start", "text/plain", "operator", Correlation("c"))
    ]
    assert receipt(operator).subscribers == 1


def test_a_wish_for_one_who_is_connected_goes_there() -> None:
    bus = Bus()
    operator, procmond = bus.client("operator"), bus.procmond()
    procmond.subscribe(LIFECYCLE)
    operator.publish(LIFECYCLE, b"pause", target="procmond")
    assert procmond.events() == [b"pause"]
    assert not bus.router.handed_up


def test_a_wish_for_all_is_not_handed_up() -> None:
    bus = Bus()
    bus.client("operator").publish(LIFECYCLE, b"pause")
    assert not bus.router.handed_up


def test_who_may_not_wish_is_not_heard() -> None:
    bus = Bus()
    procmond = bus.procmond()
    procmond.publish(LIFECYCLE, b"stop", target="netmond", request=1)
    assert receipt(procmond).error == "AccessDenied"
    assert not bus.router.handed_up


def test_wishes_wait_up_to_a_bound_and_the_next_is_refused() -> None:
    bus = Bus(wishes=2)
    operator = bus.client("operator")
    errors = []
    for _ in range(3):
        operator.publish(CONFIG, b"x", target="netmond", request=1)
        errors.append(receipt(operator).error)
    assert errors == ["", "", "BackPressure"]
    assert len(bus.router.handed_up) == 2


def test_a_wish_that_cannot_be_read_is_refused() -> None:
    bus = Bus()
    operator = bus.client("operator")
    raw = operator.frame(CONFIG, b"x", target="netmond", request=1) + b"\x18\x02"
    operator.router.receive(operator.session, [raw], 1)
    assert receipt(operator).error == "LocalProtocolError"
