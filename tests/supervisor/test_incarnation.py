"""Slots and turns: what is remembered of a child, and what is gathered in one call."""

from __future__ import annotations

from daemoneye.supervisor.contract import Announce, Answer, Verb
from daemoneye.supervisor.health import HappeningKind
from daemoneye.supervisor.incarnation import HAPPENINGS_KEPT, Request, Slot, Turn
from tests.supervisor.simulation import child


def test_a_happening_is_told_in_the_supervisors_clock_and_remembered_with_its_child() -> None:
    slot, turn = Slot(child("a"), 0.0), Turn(now=50.0, skipped=7.0)
    turn.announce(slot, HappeningKind.READY, "is ready")
    turn.announce(None, HappeningKind.ALL_READY, "1 of 1 children are ready")
    told = [one.happening for one in turn.instructions if isinstance(one, Announce)]
    assert [(one.at, one.child) for one in told] == [(57.0, "a"), (57.0, "")]
    assert list(slot.history.happenings) == told[:1]


def test_only_the_last_happenings_are_remembered() -> None:
    slot, turn = Slot(child("a"), 0.0), Turn(0.0, 0.0)
    for number in range(100):
        turn.announce(slot, HappeningKind.READY, str(number))
    assert len(slot.history.happenings) == HAPPENINGS_KEPT
    assert slot.history.happenings[-1].text == "99"


def test_an_answer_goes_to_all_who_asked_for_it_once_and_to_nobody_else() -> None:
    slot, turn = Slot(child("a"), 0.0), Turn(0.0, 0.0)
    slot.requests = [
        Request(1, Verb.STOP, None),
        Request(2, Verb.START, None),
        Request(3, Verb.STOP, None),
    ]
    turn.answer(slot, {Verb.STOP}, "has stopped")
    turn.answer(slot, {Verb.STOP}, "has stopped")
    assert turn.instructions == [Answer(1, True, "a has stopped"), Answer(3, True, "a has stopped")]
    assert [one.id for one in slot.requests] == [2]
