"""What a client has had retained, and what it owes to another life of the broker."""

from __future__ import annotations

import pytest

from daemoneye.bus.client.outgoing import Sealed
from daemoneye.bus.client.retaining import Retaining
from daemoneye.bus.frames import Heading, envelopes, packed_publish, read_outer
from daemoneye.errors import AccessDenied
from daemoneye.framing import HEADER_BYTES

NOW = 2_000_000_000


def said(topic: str, data: bytes = b"x", request: int = 0, expires_at: int = 0) -> Sealed:
    heading = Heading(topic, expires_at=expires_at, retain=True)
    raw = packed_publish(heading, [data], [1], 1, request)
    return Sealed(raw, 1, request != 0, topic, request)


def values(mine: Retaining, epoch: int = 99) -> list[bytes]:
    """What another life of the broker would be told."""
    found = []
    for each in mine.due(epoch, NOW):
        frame = read_outer(each.data[HEADER_BYTES:])
        assert frame.said_again
        assert len(each.data) == HEADER_BYTES + int.from_bytes(each.data[:HEADER_BYTES], "big")
        events = envelopes(frame)
        assert isinstance(events, list)
        found += [bytes(event.payload) for event in events]
    return found


def test_what_has_expired_is_not_said_again() -> None:
    mine = Retaining()
    mine.keep(said("a", b"expired", expires_at=NOW), 10)
    mine.keep(said("b", b"not yet", expires_at=NOW + 1), 10)
    assert values(mine) == [b"not yet"]
    assert list(mine.topics) == ["b"]


def test_what_was_said_again_is_so_only_once() -> None:
    mine = Retaining()
    mine.keep(said("a", b"1"), 10)
    (again,) = mine.due(2, NOW)
    mine.keep(again, 11)
    assert mine.due(3, NOW) == [again]


def test_the_last_value_of_each_topic_is_due_once_to_each_life_of_the_broker() -> None:
    mine = Retaining()
    assert mine.due(1, NOW) == []
    mine.told(1)
    mine.keep(said("a", b"1"), 10)
    mine.keep(said("b", b"2"), 10)
    mine.keep(said("a", b"3"), 10)
    assert mine.due(1, NOW) == []
    assert values(mine, 2) == [b"2", b"3"]
    assert len(mine.due(2, NOW)) == 2  # until it was told
    mine.told(2)
    assert mine.due(2, NOW) == []
    mine.forget("a")
    mine.forget("none")
    assert values(mine, 3) == [b"2"]


def test_what_was_refused_is_not_said_again_and_what_was_before_it_is() -> None:
    mine = Retaining()
    mine.keep(said("a", b"good"), 10)
    with pytest.raises(AccessDenied), mine.asking() as under:
        mine.keep(said("a", b"denied", under(5)), 10)
        raise AccessDenied("no", rule="")
    assert values(mine) == [b"good"]
    with mine.asking() as under:
        mine.keep(said("a", b"refused", under(6)), 10)
        mine.keep(said("a", b"better", under(7)), 10)
        assert values(mine) == [b"good"]
    assert values(mine) == [b"better"]


def test_who_asks_on_one_topic_at_once_has_each_an_answer_of_its_own() -> None:
    mine = Retaining()
    accepted, refused = mine.asking(), mine.asking()
    first, second = accepted.__enter__(), refused.__enter__()
    mine.keep(said("a", b"accepted", first(5)), 10)
    mine.keep(said("a", b"refused", second(6)), 10)
    accepted.__exit__(None, None, None)
    assert refused.__exit__(AccessDenied, AccessDenied("no", rule=""), None) is False
    assert values(mine) == [b"accepted"]


def test_the_value_that_was_written_last_counts_whenever_its_answer_comes() -> None:
    mine = Retaining()
    one, other = mine.asking(), mine.asking()
    first, second = one.__enter__(), other.__enter__()
    mine.keep(said("a", b"first", first(5)), 10)
    mine.keep(said("a", b"second", second(6)), 10)
    other.__exit__(None, None, None)
    one.__exit__(None, None, None)
    assert values(mine) == [b"second"]


def test_what_is_written_when_nobody_waits_any_more_leaves_nothing_behind() -> None:
    mine = Retaining()
    with pytest.raises(TimeoutError), mine.asking() as under:
        under(5)
        raise TimeoutError
    mine.keep(said("a", b"late", 5), 10)
    assert values(mine) == []
    assert not mine._asked


@pytest.mark.parametrize("bounds", [(2, 1000), (100, 2 * said("a", b"xx").size)])
def test_it_is_bounded_and_counts_what_it_forgets(bounds: tuple[int, int]) -> None:
    mine = Retaining(*bounds)
    for topic in "abc":
        mine.keep(said(topic, b"xx"), 10)
    assert [each.retains for each in mine.due(1, NOW)] == ["b", "c"]
    assert (len(mine), mine.forgotten) == (2, 1)


def test_what_another_has_put_in_its_place_is_not_ours_to_say_again() -> None:
    mine = Retaining()
    mine.heard("a", 5)  # before ours
    mine.keep(said("a", b"ours"), 10)
    mine.keep(said("b", b"kept"), 10)
    mine.heard("a", 9)  # ours, as it comes back
    assert values(mine) == [b"ours", b"kept"]
    mine.heard("a", 11)
    mine.heard("c", 11)
    assert values(mine) == [b"kept"]
    mine.keep(said("a", b"ours again"), 12)
    assert values(mine) == [b"kept", b"ours again"]
    assert not mine._heard
