"""Connections without a proof: few, not for long, and nobody's at the cost of all others."""

from __future__ import annotations

from daemoneye.bus.broker.lobby import Lobby
from daemoneye.bus.limits import Limits


def lobby(**limits: float) -> Lobby[str]:
    return Lobby(Limits.of(limits))


def test_a_deadline_passes_for_each_by_itself() -> None:
    waiting = lobby(authentication_timeout=2.0)
    waiting.enter("a", 1, 10.0)
    waiting.enter("b", 2, 11.0)
    assert waiting.next_deadline() == 12.0
    assert waiting.expire(11.9) == []
    assert waiting.expire(12.0) == ["a"]
    assert waiting.next_deadline() == 13.0
    waiting.leave("b")
    assert waiting.next_deadline() is None


def test_a_process_with_more_than_its_share_loses_its_oldest() -> None:
    waiting = lobby(unauthenticated_per_process=8)
    assert [waiting.enter(f"a{n}", 1, 0.0) for n in range(8)] == [[]] * 8
    assert waiting.enter("b", 2, 0.0) == []
    assert waiting.enter("a8", 1, 0.0) == ["a0"]
    assert len(waiting) == 9


def test_a_process_nobody_knows_has_no_share() -> None:
    waiting = lobby(unauthenticated_per_process=2)
    assert [waiting.enter(f"a{n}", 0, 0.0) for n in range(4)] == [[]] * 4


def test_when_all_places_are_taken_the_greediest_loses_its_oldest() -> None:
    waiting = lobby(unauthenticated_connections=6, unauthenticated_per_process=4)
    for n in range(4):
        waiting.enter(f"a{n}", 1, 0.0)
    waiting.enter("b0", 2, 0.0)
    assert waiting.enter("b1", 2, 0.0) == []
    assert waiting.enter("c0", 3, 0.0) == ["a0"]
    assert waiting.make_room() == "a1"


def test_an_empty_lobby_has_no_room_to_make() -> None:
    assert lobby().make_room() is None
