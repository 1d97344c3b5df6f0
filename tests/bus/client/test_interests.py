"""What a client wants to hear: bounds that can be said, and credit that is given back by halves."""

from __future__ import annotations

import pytest

from daemoneye.bus.client.interests import Interest, Options
from daemoneye.bus.frames import Credit
from daemoneye.errors import LocalProtocolError


@pytest.mark.parametrize(
    "options", [{"max_messages": -1}, {"max_messages": 1 << 32}, {"max_bytes": 1 << 64}]
)
def test_bounds_that_the_protocol_cannot_say_are_no_options(options: dict[str, int]) -> None:
    with pytest.raises(LocalProtocolError, match=next(iter(options))):
        Options(**options)  # type: ignore[arg-type]  # fields by name


def test_credit_is_given_back_by_halves() -> None:
    interest = Interest(1, "events.#", Options(max_messages=10), "me")
    interest.subscribe(1)
    interest.arrived(10, 1000)
    assert [interest.taken(1, 100) for _ in range(4)] == [None] * 4
    assert interest.taken(1, 100) == Credit(1, 15, (8 << 20) + 500)
    assert [interest.taken(1, 100) for _ in range(4)] == [None] * 4
    assert interest.taken(1, 100) == Credit(1, 20, (8 << 20) + 1000)


def test_large_messages_give_back_by_bytes() -> None:
    interest = Interest(1, "events.#", Options(max_bytes=1000), "me")
    interest.subscribe(1)
    assert interest.taken(1, 499) is None
    assert interest.taken(1, 1) == Credit(1, 1026, 1500)


def test_a_window_asked_larger_than_the_default_stays_the_default() -> None:
    assert Interest(1, "a", Options(max_messages=10**6), "me").window == (1024, 8 << 20)


def test_what_lies_here_counts_against_a_new_session() -> None:
    interest = Interest(1, "events.#", Options(max_messages=10), "me")
    interest.subscribe(1)
    interest.arrived(8, 800)
    interest.taken(2, 200)
    again = interest.subscribe(1)
    assert (again.credit_messages, again.credit_bytes) == (4, (8 << 20) - 600)
    interest.arrived(4, 400)
    assert interest.taken(6, 600) == Credit(1, 10, 8 << 20)


def test_an_overdrawn_window_begins_with_one_until_it_has_room() -> None:
    interest = Interest(1, "events.#", Options(max_messages=10, max_bytes=1000), "me")
    interest.arrived(40, 4000)
    again = interest.subscribe(1)
    assert (again.credit_messages, again.credit_bytes) == (1, 1)
    assert interest.taken(20, 2000) == Credit(1, 1, 1)
    assert interest.taken(20, 2000) == Credit(1, 10, 1000)


def test_a_member_of_a_group_has_one_message_at_once_unless_it_says_so() -> None:
    assert Interest(1, "a", Options(group="g"), "me").window == (1, 8 << 20)
    assert Interest(1, "a", Options(group="g"), "me").subscribe(1).max_messages == 1
    assert Interest(1, "a", Options(group="g", max_messages=64), "me").window == (64, 8 << 20)
