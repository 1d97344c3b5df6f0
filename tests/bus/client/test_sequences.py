"""Gaps between connections: what each owner heard last, and how much of it is remembered."""

from __future__ import annotations

import pytest

from daemoneye.bus.client import sequences
from daemoneye.bus.client.sequences import Sequences
from daemoneye.bus.envelope import NO_LOSS, Envelope, Header, Publisher

ME = Publisher("me", "agent", 1, 1)


def run(first: int, last: int, topic: str = "events.demo.tick") -> list[Envelope]:
    header = Header(topic, ME, "", "", None, 0, 0)
    return [Envelope((b"", 0, number, header, NO_LOSS)) for number in range(first, last + 1)]


def listening(*owners: str) -> Sequences[str]:
    made: Sequences[str] = Sequences()
    for each in owners:
        made.begin(each)
    return made


def test_on_one_connection_nothing_is_missed() -> None:
    heard = listening("me")
    assert [heard.missed("me", run(*each)) for each in ((1, 2), (9, 9))] == [0, 0]


def test_what_is_missing_after_a_reconnect_is_counted_once_for_each_owner() -> None:
    heard = listening("me", "you")
    heard.missed("me", run(1, 5))
    heard.missed("you", run(1, 3))
    heard.reconnect()
    assert [heard.missed(owner, run(8, 9)) for owner in ("me", "you")] == [2, 4]
    assert [heard.missed(owner, run(12, 12)) for owner in ("me", "you")] == [0, 0]


def test_what_is_said_again_hides_nothing_that_was_lost_behind_it() -> None:
    heard = listening("me")
    heard.missed("me", run(1, 4))
    heard.reconnect()
    assert heard.missed_before("me", run(6, 6)[0]) == 1
    assert heard.is_past("me", run(6, 6)[0])
    assert heard.missed("me", run(10, 10)) == 3
    assert heard.missed("me", run(12, 12)) == 0


def test_of_who_was_never_heard_a_value_says_nothing() -> None:
    heard = listening("me")
    heard.reconnect()
    assert heard.missed_before("me", run(6, 6)[0]) == 0
    assert heard.missed("me", run(10, 10)) == 0


def test_a_gap_over_several_connections_is_one() -> None:
    heard = listening("me")
    heard.missed("me", run(1, 5))
    heard.reconnect()
    heard.reconnect()
    assert heard.missed("me", run(8, 8)) == 2


def test_what_has_gone_back_is_no_gap() -> None:
    heard = listening("me")
    heard.missed("me", run(1, 5))
    heard.reconnect()
    assert heard.missed("me", run(1, 1)) == 0


def test_who_was_forgotten_leaves_nothing_behind() -> None:
    heard = listening("me")
    heard.missed("me", run(1, 1))
    heard.forget("me")
    assert heard.missed("me", run(2, 2)) == 0
    assert len(heard) == 0


def test_the_memory_is_bounded_over_all_owners_and_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequences, "REMEMBERED_SEQUENCES", 8)
    heard = listening("me", "you")
    for number in range(30):
        heard.reconnect()
        for owner in ("me", "you"):
            heard.missed(owner, run(1, 1, f"events.t{number}"))
    assert len(heard) == 8


def test_what_was_heard_is_told_from_what_is_new() -> None:
    heard = listening("me", "you")
    heard.missed("me", run(3, 5))
    heard.reconnect()
    assert [heard.is_past("me", run(n, n)[0]) for n in (4, 5, 6)] == [True, True, False]
    assert not heard.is_past("me", run(5, 5, "events.demo.other")[0])
    assert not heard.is_past("you", run(5, 5)[0])
    assert not heard.is_past("nobody", run(5, 5)[0])
    assert heard.missed("me", run(8, 8)) == 2


def test_what_is_past_may_have_been_lost_once_after_a_loss_of_its_owner() -> None:
    heard = listening("me", "you")
    for owner in ("me", "you"):
        heard.missed(owner, run(1, 4))
    value = run(3, 3)[0]
    assert not heard.may_have_lost("me", value)
    heard.lost("me")
    heard.lost("nobody")
    assert not heard.may_have_lost("me", run(4, 4)[0])  # the very one that was heard last
    assert not heard.may_have_lost("you", value)
    assert not heard.may_have_lost("me", run(3, 3, "events.demo.other")[0])
    assert [heard.may_have_lost("me", value) for _ in range(2)] == [True, False]
    heard.missed("me", run(5, 5))
    heard.lost("me")
    assert heard.may_have_lost("me", value)
    for owner in ("me", "you"):
        heard.forget(owner)
    assert not heard._losses
