"""Conversations on the bus: following one, and hearing it alone, for both kinds of client."""

from __future__ import annotations

from typing import Any

import pytest

from daemoneye import Correlation
from daemoneye.errors import LocalProtocolError
from tests.bus.brokers import Running
from tests.support import scaled

TICK = "events.demo.tick"


def test_a_conversation_is_followed_and_heard_alone(broker: Running) -> None:
    with (
        broker.client() as bus,
        bus.subscribe("events.#", correlation_id="case-7") as conversation,
        bus.subscribe("events.#", stage="checked", tags={"host": "a"}) as checked,
    ):
        bus.publish(TICK, b"others")
        bus.publish(TICK, b"asked", correlation=Correlation("case-7", tags=(("host", "a"),)))
        asked = conversation.get(scaled(5))
        assert asked is not None
        assert asked.correlation is not None
        bus.publish(TICK, b"checked", correlation=asked.correlation.follow("checked"))
        bus.publish(TICK, b"below", correlation=asked.correlation.follow(id="its own"))
        bus.publish_confirmed(TICK, b"end", correlation=Correlation(root="case-7"))
        found = [asked, *(conversation.get(scaled(5)) for _ in range(3))]
        assert [each.payload for each in found if each] == [b"asked", b"checked", b"below", b"end"]
        only = checked.get(scaled(5))
        assert only is not None
        assert only.payload == b"checked"
        assert only.correlation == Correlation(
            "case-7", "case-7", "case-7", "checked", (("host", "a"),)
        )
        assert checked.get(0) is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"correlation_id": 7},
        {"stage": b"x"},
        {"tags": {"k": 1}},
        {"tags": {1: "k"}},
        {"correlation_id": "x" * 1025},
    ],
)
def test_what_cannot_be_selected_is_refused_at_the_caller(
    broker: Running, wanted: dict[str, Any]
) -> None:
    with broker.client() as bus:
        with pytest.raises(LocalProtocolError, match="select"):
            bus.subscribe("events.#", **wanted)
        assert bus.subscriptions() == ()
