"""Large payloads that came: claimed once, in use by each owner, told of when the last is done."""

from __future__ import annotations

import pytest

from daemoneye.bus.client.holdings import Holdings
from daemoneye.bus.frames import (
    Chunk,
    Heading,
    OuterFrame,
    Release,
    encode_large,
    parcel_stamp,
    parse,
)
from daemoneye.errors import RemoteProtocolError, TooLarge


def holdings() -> Holdings:
    here = Holdings()
    here.connected(100)
    return here


def publish(descriptors: int, parcel: int = 5, size: int = 3) -> OuterFrame:
    raw = encode_large(Heading("events.demo.x"), size, 1, 1)
    return parse(raw + parcel_stamp(parcel, descriptors))


def test_a_publish_claims_the_memory_that_came_with_it() -> None:
    here = holdings()
    here.arrivals.came([memoryview(b"abc"), None])
    assert bytes(here.claim(publish(1)) or b"") == b"abc"
    assert here.claim(publish(1)) is None
    with pytest.raises(RemoteProtocolError):
        here.claim(publish(1))


@pytest.mark.parametrize("size", [101, (1 << 64) - 1])
def test_a_payload_past_the_limit_is_not_believed(size: int) -> None:
    """Else a subscriber would owe a credit that cannot be said."""
    here = holdings()
    here.arrivals.came([memoryview(b"abc")])
    with pytest.raises(TooLarge, match="past the limit of 100"):
        here.claim(publish(1, size=size))


def test_a_publish_claims_the_chunks_that_came_ahead_of_it() -> None:
    here = holdings()
    here.arrivals.add(Chunk(5, 3, 0, b"abc"))
    assert bytes(here.claim(publish(0)) or b"") == b"abc"


def test_the_broker_is_told_once_when_the_last_owner_is_done() -> None:
    here = holdings()
    held = here.hold(5, 2)
    assert held.done() == []
    assert len(here) == 1
    assert held.done() == [Release((5,))]
    assert held.done() == []
    assert len(here) == 0


def test_what_came_on_an_earlier_connection_is_not_told_on_a_later_one() -> None:
    here = holdings()
    earlier = here.hold(5, 1)
    here.connected(100)
    later = here.hold(5, 1)
    assert earlier.done() == []
    assert later.done() == [Release((5,))]


def test_what_was_left_of_an_earlier_connection_is_not_claimed_on_a_later_one() -> None:
    here = holdings()
    here.arrivals.came([memoryview(b"abc")])
    here.connected(100)
    with pytest.raises(RemoteProtocolError):
        here.claim(publish(1))
