"""What a member may say of what it has in hand, and what it is told when it may not."""

from __future__ import annotations

from math import inf, nan

import pytest

from daemoneye.bus.client.work import MAX_REASON, Hold, Word
from daemoneye.bus.frames import Settle, Settling, encode
from daemoneye.errors import BusBroken, BusClosed, BusError, DeadlineExceeded, LocalProtocolError


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
    assert said == Settle(Settling.RETRY, (7,), 2.0)
    asked = Word(held(Place()), Settling.RETRY, 2, "").say(101.0, 5)
    assert asked == Settle(Settling.RETRY, (7,), 2.0, request=5)
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


@pytest.mark.parametrize("seconds", [-1.0, inf, nan, 10**400, "soon", None])
def test_bad_input_seconds_are_a_number(seconds: float) -> None:
    hold = held(Place())
    with pytest.raises(LocalProtocolError, match="is no number of seconds"):
        hold.settle(Settling.RETRY, 101.0, seconds)
    hold.settle(Settling.RETRY, 101.0, 1.0)


def test_bad_input_a_reason_that_is_no_text_is_told_as_far_as_it_is() -> None:
    said = held(Place()).settle(Settling.REJECT, 101.0, reason="no \udcff")
    assert said.reason == "no \\udcff"
    said = held(Place()).settle(Settling.REJECT, 101.0, reason="\udcff" * MAX_REASON)
    assert len(said.reason) == MAX_REASON
    assert encode(said)


@pytest.mark.parametrize("what", [Settling.ACK, Settling.RETRY, Settling.REJECT])
def test_what_the_broker_does_not_take_was_not_said(what: Settling) -> None:
    hold = held(Place())
    word = Word(hold, what, 1000.0, "")
    with pytest.raises(LocalProtocolError, match="refused"), word.answered():
        word.say(101.0, 5)
        raise LocalProtocolError("refused")
    hold.settle(Settling.ACK, 101.0)


def test_time_that_the_broker_does_not_give_is_not_ours() -> None:
    hold = held(Place())
    hold.settle(Settling.EXTEND, 110.0, 40.0)
    word = Word(hold, Settling.EXTEND, 3600.0, "")
    with pytest.raises(LocalProtocolError, match="refused"), word.answered():
        word.say(120.0, 5)
        raise LocalProtocolError("refused")
    assert hold.is_ours(149.9)
    assert not hold.is_ours(150.0)


def test_what_was_said_since_stays_said() -> None:
    hold = held(Place())
    word = Word(hold, Settling.EXTEND, 3600.0, "")
    with pytest.raises(LocalProtocolError, match="refused"), word.answered():
        word.say(101.0, 5)
        hold.settle(Settling.ACK, 102.0)
        raise LocalProtocolError("refused")
    with pytest.raises(LocalProtocolError, match="it was acknowledged already"):
        hold.settle(Settling.ACK, 103.0)


@pytest.mark.parametrize("error", [BusBroken, DeadlineExceeded, BusClosed])
def test_what_nobody_answers_may_have_been_heard(error: type[BusError]) -> None:
    hold = held(Place())
    word = Word(hold, Settling.ACK, 0.0, "")
    with pytest.raises(error), word.answered():
        raise error("nothing was said")
    with pytest.raises(error), word.answered():
        word.say(101.0, 5)
        raise error("no answer")
    with pytest.raises(LocalProtocolError, match="it was acknowledged already"):
        hold.settle(Settling.ACK, 103.0)


def test_it_is_ours_for_its_time_on_its_connection() -> None:
    place = Place()
    hold = held(place)
    assert hold.is_ours(129.9)
    assert not hold.is_ours(130.0)
    hold.settle(Settling.EXTEND, 120.0, 60)
    assert hold.is_ours(130.0)
    place.connection = 2
    assert not hold.is_ours(130.0)
