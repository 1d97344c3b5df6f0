"""The account itself: what it counts, and that it finds what it is for."""

from __future__ import annotations

from tests.crash.account import LAST, Account, Labour, hearing_of, record


def test_what_is_told_covers_what_is_missing() -> None:
    hearing = hearing_of([record("7", 1, {}), record("7", 5, {"overflow": 3})])
    assert (hearing.published, hearing.heard, hearing.missing) == (5, 2, 3)
    assert hearing.silent == hearing.overtold == 0


def test_what_nobody_told_is_silent() -> None:
    hearing = hearing_of([record("7", 1, {}), record("7", 5, {"overflow": 1})])
    assert hearing.silent == 2
    assert Account([hearing], {"7": 5}).problems()


def test_lives_of_publishers_are_counted_apart() -> None:
    hearing = hearing_of([record("7", 1, {}), record("8", 1, {}), record("7", 2, {})])
    assert (hearing.published, hearing.silent) == (3, 0)


def test_what_comes_twice_or_early_is_disorder() -> None:
    hearing = hearing_of([record("7", 2, {}), record("7", 2, {}), record("7", 1, {})])
    assert len(hearing.disorder) == 2
    assert Account([hearing], {"7": 2}).problems()


def test_a_line_that_a_death_cut_off_is_left_out() -> None:
    hearing = hearing_of([record("7", 1, {}), "7 2"])
    assert hearing.heard == 1


def test_what_was_never_published_cannot_be_heard() -> None:
    hearing = hearing_of([record("7", 9, {})])
    assert Account([hearing], {"7": 8}).problems() == ["9 of 7 was heard and never published"]


def test_the_end_of_a_publisher_that_ended_in_order_is_heard_or_told() -> None:
    lines = [record("7", 1, {}), record("8", 1, {"overflow": 1}), f"{LAST}\n"]
    assert hearing_of(lines).ended
    assert not Account([hearing_of(lines)], {"7": 3, "8": 1}).problems()
    assert not Account([hearing_of(lines)], {"7": 2, "8": 1}, frozenset({"7", "8"})).problems()
    assert Account([hearing_of(lines)], {"7": 3, "8": 1}, frozenset({"7", "8"})).problems()


def test_what_is_said_to_be_handled_has_to_be_done() -> None:
    labour = Labour()
    labour.order("7", ["1\n", "2\n"])
    labour.work(["7 1\n", "7 1\n", "7 3\n"])
    assert labour.undone == {("7", 2)}
    assert labour.again == 1
    assert Account([], {}, frozenset(), labour).problems()
