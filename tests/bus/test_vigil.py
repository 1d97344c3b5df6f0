"""Silence: asked after one interval, given up after some; whoever keeps the vigil may be away."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.vigil import ASK_AGAIN_INTERVAL, BrokerVigil, Silence, Vigil, Watched
from daemoneye.errors import BusBroken

MISSED = 3


def silences(vigil: Vigil, watched: Watched, looks: int) -> list[Silence[str]]:
    """What so many looks find, each at its time."""
    return [vigil.look([("a", watched)], vigil.next_at) for _ in range(looks)]


def test_who_is_heard_is_not_asked() -> None:
    vigil, watched = Vigil(5.0, MISSED, 0.0), Watched()
    for _ in range(10):
        watched.heard = True
        assert vigil.look([("a", watched)], vigil.next_at) == Silence()


def test_who_is_silent_is_asked_and_then_given_up() -> None:
    vigil, watched = Vigil(5.0, MISSED, 0.0), Watched()
    asked: Silence[str] = Silence(asked=["a"])
    assert silences(vigil, watched, 4) == [Silence(), asked, asked, Silence(lost=["a"])]


def test_one_word_is_enough_to_begin_anew() -> None:
    vigil, watched = Vigil(5.0, MISSED, 0.0), Watched()
    silences(vigil, watched, 3)
    watched.heard = True
    assert not any(each.lost for each in silences(vigil, watched, 3))


def test_each_is_judged_by_itself() -> None:
    vigil, silent, loud = Vigil(5.0, 2, 0.0), Watched(), Watched()
    for expected in (Silence(), Silence(asked=["silent"]), Silence(lost=["silent"])):
        loud.heard = True
        assert vigil.look([("silent", silent), ("loud", loud)], vigil.next_at) == expected


def test_all_vigils_of_a_machine_look_at_the_same_moments() -> None:
    assert Vigil(5.0, MISSED, 1001.0).next_at == Vigil(5.0, MISSED, 1002.4).next_at == 1005.0


@given(
    now=st.floats(0, 1e7),
    interval=st.floats(0.05, 3600),
)
def test_no_two_looks_are_closer_than_half_an_interval(now: float, interval: float) -> None:
    wait = Vigil(interval, MISSED, now).next_at - now
    assert interval * 0.499 <= wait <= interval * 1.501


@given(
    heard_at=st.floats(100, 200),
    interval=st.floats(0.1, 20),
    missed=st.integers(2, 6),
)
def test_it_takes_the_promised_time_to_be_given_up(
    heard_at: float, interval: float, missed: int
) -> None:
    vigil, watched = Vigil(interval, missed, 0.0), Watched()
    while (now := vigil.next_at) < heard_at:
        watched.heard = True
        vigil.look([("a", watched)], now)
    watched.heard = True
    while not vigil.look([("a", watched)], now := vigil.next_at).lost:
        pass
    assert interval * (missed - 0.01) <= now - heard_at <= interval * (missed + 1.01)


def test_whoever_was_away_asks_again_and_gives_nobody_up() -> None:
    vigil, watched = Vigil(5.0, MISSED, 0.0), Watched()
    silences(vigil, watched, 3)
    for _ in range(5):
        late = vigil.next_at + 120
        assert vigil.look([("a", watched)], late) == Silence(asked=["a"])
        assert vigil.next_at > late
    assert silences(vigil, watched, 1) == [Silence(lost=["a"])]


def test_an_interval_of_nothing_is_no_vigil() -> None:
    assert Vigil(0.0, MISSED, 17.0).next_at == math.inf


def test_new_numbers_hold_from_now_on() -> None:
    vigil = Vigil(5.0, MISSED, 0.0)
    vigil.keep(60.0, MISSED, 61.0)
    assert vigil.next_at == 120.0


def test_a_client_asks_its_broker_and_gives_it_up() -> None:
    vigil = BrokerVigil(5.0, MISSED, 0.0)
    assert [vigil.look(vigil.next_at) for _ in range(3)] == [False, True, True]
    with pytest.raises(BusBroken, match="nothing came from the broker in 15 s"):
        vigil.look(vigil.next_at)


def test_a_broker_that_answers_is_kept() -> None:
    vigil = BrokerVigil(5.0, MISSED, 0.0)
    for _ in range(10):
        vigil.look(vigil.next_at)
        vigil.watched.heard = True
    assert vigil.look(vigil.next_at) is False


def test_a_ping_that_meets_others_writing_is_tried_again_in_a_moment() -> None:
    vigil = BrokerVigil(5.0, MISSED, 0.0)
    vigil.look(5.0)
    assert vigil.look(10.0)
    vigil.asked(False, 10.0)
    assert vigil.next_at == 10.0 + ASK_AGAIN_INTERVAL
    assert vigil.look(vigil.next_at)
    vigil.asked(True, vigil.next_at)
    assert vigil.next_at == 15.0


def test_a_ping_that_had_to_wait_is_not_needed_once_something_came() -> None:
    vigil = BrokerVigil(5.0, MISSED, 0.0)
    vigil.look(5.0)
    vigil.look(10.0)
    vigil.asked(False, 10.0)
    vigil.watched.heard = True
    assert not vigil.look(vigil.next_at)


def test_trying_again_is_no_silent_interval_more() -> None:
    vigil = BrokerVigil(5.0, MISSED, 0.0)
    vigil.look(5.0)
    for now in (10.0, 10.1, 10.2, 10.3):
        assert vigil.look(now)
        vigil.asked(False, now)
