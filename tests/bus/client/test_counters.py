"""Counters: what is written, what of it nobody confirmed, what was told."""

from __future__ import annotations

from daemoneye.bus.client.counters import Counters, Tally, counters


def test_what_was_written_and_not_confirmed_is_counted_when_the_connection_is_lost() -> None:
    tally = Tally()
    tally.sent, tally.confirmed = 10, 7
    assert counters(tally, {}, 0, 0) == Counters(10, 0, 0, 0, 0, 0)
    tally.close()
    tally.sent = 5
    told = {"denied": 3, "unreadable": 4, "going-down": 9}
    assert counters(tally, told, waiting=1, dropped=2) == Counters(15, 3, 1, 2, 3, 4)


def test_a_broker_that_confirms_too_much_makes_no_debt() -> None:
    tally = Tally()
    tally.sent, tally.confirmed = 1, 2
    tally.close()
    assert tally.unconfirmed == 0


def test_jobs_that_nobody_was_given_have_a_counter() -> None:
    assert counters(Tally(), {"late": 2}, 0, 0, overdue=3) == Counters(
        0, 0, 0, 0, 0, 0, late=2, overdue=3
    )
