"""What a client has had retained, and what it owes to another life of the broker."""

from __future__ import annotations

import pytest

from daemoneye.bus.client.outgoing import Sealed
from daemoneye.bus.client.retaining import Retaining
from daemoneye.errors import AccessDenied


def said(topic: str, data: bytes = b"x", *, asked: bool = False) -> Sealed:
    return Sealed(data, 1, asked, topic)


def test_the_last_value_of_each_topic_is_due_once_to_each_life_of_the_broker() -> None:
    mine = Retaining()
    assert mine.due(1) == []
    mine.told(1)
    mine.keep(said("a", b"1"))
    mine.keep(said("b", b"2"))
    mine.keep(said("a", b"3"))
    assert mine.due(1) == []
    assert mine.due(2) == [said("b", b"2"), said("a", b"3")]
    assert len(mine.due(2)) == 2  # until it was told
    mine.told(2)
    assert mine.due(2) == []
    mine.forget("a")
    mine.forget("none")
    assert mine.due(3) == [said("b", b"2")]


def test_what_was_refused_is_not_said_again_and_what_was_before_it_is() -> None:
    mine = Retaining()
    mine.keep(said("a", b"good"))
    with pytest.raises(AccessDenied), mine.asking("a"):
        mine.keep(said("a", b"denied", asked=True))
        raise AccessDenied("no", rule="")
    assert [each.data for each in mine.due(9)] == [b"good"]
    with mine.asking("a"):
        mine.keep(said("a", b"better", asked=True))
        assert [each.data for each in mine.due(9)] == [b"good"]
    assert [each.data for each in mine.due(9)] == [b"better"]


@pytest.mark.parametrize("bounds", [(2, 100), (100, 4)])
def test_it_is_bounded_and_counts_what_it_forgets(bounds: tuple[int, int]) -> None:
    mine = Retaining(*bounds)
    for topic in "abc":
        mine.keep(said(topic, b"xx"))
    assert [each.retains for each in mine.due(1)] == ["b", "c"]
    assert (len(mine), mine.forgotten) == (2, 1)
