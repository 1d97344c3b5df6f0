"""What the broker says in its own name: to whom, how much of it, and under which numbers."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker import announcements
from daemoneye.bus.frames import Envelope, Settling
from daemoneye.bus.hierarchy import dead_letter_topic
from daemoneye.bus.proto import events_pb2
from tests.bus.support import NOW, Bus, Client

SECRET = "control.admin.keys"


def letters(client: Client) -> list[events_pb2.DeadLetter]:
    return [
        each.unpack(events_pb2.DeadLetter) for each in client.read() if isinstance(each, Envelope)
    ]


def rejected(bus: Bus, payload: bytes, content_type: str = "") -> None:
    """A job on SECRET that its member cannot handle."""
    boss, member = bus.client("boss"), bus.client("member")
    assert not member.subscribe(SECRET, group="g").error
    boss.publish(SECRET, payload, content_type=content_type)
    member.settle(Settling.REJECT, *member.jobs(), reason="no")
    bus.pass_time(0.1)


def test_b8_a_dead_letter_brings_its_payload_to_who_may_read_its_topic() -> None:
    bus = Bus(AccessRule("spy", "read-only", "$bus.dead.#"))
    operator, spy = bus.client("operator"), bus.client("spy", "observer")
    assert spy.subscribe(SECRET).error == "AccessDenied"
    for each in (operator, spy):
        assert not each.subscribe("$bus.dead.#").error
    rejected(bus, b"secret", content_type="t")
    (full,), (bare,) = letters(operator), letters(spy)
    assert (full.payload, full.content_type, full.cause) == (b"secret", "t", "no")
    assert (bare.payload, bare.payload_bytes, bare.topic) == (b"", 6, SECRET)
    # What may quote the payload stays with it.
    assert (bare.reason, bare.content_type) == ("rejected", "")
    assert bare.cause == f"it is told to who may read {SECRET}"


@pytest.mark.parametrize("content_type", ["t", "t" * 16_000])
def test_a_dead_letter_fits_into_a_frame_whatever_it_is_of(content_type: str) -> None:
    bus = Bus(frame_bytes=40_000)
    operator = bus.client("operator")
    assert not operator.subscribe("$bus.dead.#").error
    rejected(bus, bytes(19_000), content_type=content_type)
    (letter,) = letters(operator)
    assert letter.payload_bytes == 19_000
    assert len(letter.payload) == (19_000 if content_type == "t" else 0)


def test_what_is_larger_than_a_frame_is_said_to_nobody_and_counted() -> None:
    bus = Bus(frame_bytes=4096)
    operator = bus.client("operator")
    assert not operator.subscribe("$bus.stats").error
    bus.router.announce("$bus.stats", bytes(5000), NOW)
    assert operator.events() == []
    assert bus.router.statistics().refused == {"oversize": 1}
    bus.router.announce("$bus.stats", bytes(50), NOW)
    assert operator.events() == [bytes(50)]


def test_numbers_rise_on_each_topic_also_when_very_many_were_made_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(announcements, "NUMBERED_TOPICS", 3)
    bus = Bus()
    operator = bus.client("operator")
    assert not operator.subscribe("$bus.dead.#").error
    heard: dict[str, list[int]] = {}
    for name in "aaabcdeafbgca":
        bus.router.announce(dead_letter_topic(name), b"x", NOW)
        (event,) = (each for each in operator.read() if isinstance(each, Envelope))
        heard.setdefault(event.topic, []).append(event.sequence)
    for numbers in heard.values():
        assert numbers == sorted(set(numbers))
    assert heard[dead_letter_topic("a")][:3] == [1, 2, 3]


def test_what_nobody_hears_has_no_number_and_is_not_counted() -> None:
    bus = Bus()
    bus.router.announce("$bus.stats", b"x", NOW)
    assert bus.router.statistics().published == 0
