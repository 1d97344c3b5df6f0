"""Wishes handed up, in words of the lifeline: from protobuf, from JSON, from rubbish."""

from __future__ import annotations

import pytest

from daemoneye.bus import hierarchy
from daemoneye.bus.broker.child_wish import ChildWish, child_wish
from daemoneye.bus.broker.wishes import HandedUp
from daemoneye.bus.proto.events_pb2 import CollectorConfig, CollectorWish
from daemoneye.errors import RemoteProtocolError

LIFECYCLE, CONFIG = hierarchy.COLLECTOR_LIFECYCLE, hierarchy.COLLECTOR_CONFIG
JSON = "application/json"


def handed_up(topic: str, payload: bytes, content_type: str = "") -> HandedUp:
    return HandedUp(topic, "procmond", payload, content_type, "operator", None)


@pytest.mark.parametrize(
    ("message", "verb", "settings"),
    [
        (handed_up(LIFECYCLE, CollectorWish(verb="stop").SerializeToString()), "stop", None),
        (handed_up(LIFECYCLE, b'{"verb": "start"}', JSON), "start", None),
        (
            handed_up(CONFIG, CollectorConfig(settings='{"a": 1}').SerializeToString()),
            "configure",
            {"a": 1},
        ),
        (handed_up(CONFIG, b'{"settings": {"a": 1}}', JSON), "configure", {"a": 1}),
    ],
)
def test_a_wish_is_read(message: HandedUp, verb: str, settings: object) -> None:
    found = child_wish(message)
    assert (found.verb, found.settings) == (verb, settings)
    assert (found.child, found.asked_by) == ("procmond", "operator")
    assert isinstance(found, ChildWish)


@pytest.mark.parametrize(
    "message",
    [
        handed_up(LIFECYCLE, b"\xff"),
        handed_up(LIFECYCLE, b"{", JSON),
        handed_up(LIFECYCLE, b"{}", JSON),
        handed_up(LIFECYCLE, b"[]", JSON),
        handed_up(CONFIG, b"\xff"),
        handed_up(CONFIG, b""),
        handed_up(CONFIG, b'{"settings": [1]}', JSON),
    ],
)
def test_what_is_no_wish_is_told_with_its_author(message: HandedUp) -> None:
    with pytest.raises(RemoteProtocolError, match="operator"):
        child_wish(message)
