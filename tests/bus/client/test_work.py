"""What a member may say of what it has in hand, and what it is told when it may not."""

from __future__ import annotations

from math import inf, nan

import pytest

from daemoneye.bus.client.work import MAX_REASON, Hold, asking
from daemoneye.bus.frames import Settle, Settling
from daemoneye.errors import LocalProtocolError


class Place:
    """A link with one subscription, 3."""

    def __init__(self) -> None:
        self.connection = 1
        self.subscriptions = {3}

    def wants(self, subscription: int) -> bool:
        return subscription in self.subscriptions


def held(place: Place, seconds: float = 30.0) -> Hold:
    hold = Hold(7, 1, place, 3, seconds)
    hold.begin(100.0)
    return hold


def test_what_is_said_names_the_delivery() -> None:
    assert held(Place()).settle(Settling.ACK, 101.0) == Settle(Settling.ACK, (7,))
    said = held(Place()).settle(Settling.RETRY, 101.0, 2)
    assert asking(said, 5) == Settle(Settling.RETRY, (7,), 2.0, request=5)
    assert held(Place()).settle(Settling.REJECT, 101.0, reason="no").reason == "no"
    long = held(Place()).settle(Settling.REJECT, 101.0, reason="x" * 9999)
    assert len(long.reason) == MAX_REASON


@pytest.mark.parametrize("first", [Settling.ACK, Settling.RETRY, Settling.REJECT])
@pytest.mark.parametrize("second", list(Settling))
def test_it_is_settled_once(first: Settling, second: Settling) -> None:
    hold = held(Place())
    hold.settle(first, 101.0)
    with pytest.raises(LocalProtocolError, match=r"delivery 7 cannot be .*: it was .* already"):
        hold.settle(second, 101.0)


def test_after_its_time_it_is_anothers_and_more_time_can_be_had_before() -> None:
    hold = held(Place())
    assert hold.settle(Settling.EXTEND, 129.9, 60) == Settle(Settling.EXTEND, (7,), 60.0)
    hold.settle(Settling.EXTEND, 189.8, 10)
    with pytest.raises(LocalProtocolError, match="its time is up") as caught:
        hold.settle(Settling.ACK, 199.8)
    assert "extend" in caught.value.hint


def test_without_a_word_of_the_broker_its_time_is_not_known() -> None:
    assert held(Place(), 0.0).settle(Settling.ACK, 1e9).deliveries == (7,)


def test_after_its_subscription_and_after_its_connection_it_is_anothers() -> None:
    place = Place()
    hold = held(place)
    place.connection = 2
    with pytest.raises(LocalProtocolError, match="the connection it came on is lost"):
        hold.settle(Settling.ACK, 101.0)
    place.connection = 1
    place.subscriptions.clear()
    with pytest.raises(LocalProtocolError, match="its subscription is over"):
        hold.settle(Settling.ACK, 101.0)
    place.subscriptions.add(3)
    assert hold.settle(Settling.ACK, 101.0)  # what was refused changed nothing


@pytest.mark.parametrize("seconds", [-1.0, inf, nan])
def test_bad_input_seconds_are_a_number(seconds: float) -> None:
    with pytest.raises(LocalProtocolError, match="is no number of seconds"):
        held(Place()).settle(Settling.EXTEND, 101.0, seconds)


def test_it_is_ours_for_its_time_on_its_connection() -> None:
    place = Place()
    hold = held(place)
    assert hold.is_ours(129.9)
    assert not hold.is_ours(130.0)
    hold.settle(Settling.EXTEND, 120.0, 60)
    assert hold.is_ours(130.0)
    place.connection = 2
    assert not hold.is_ours(130.0)
