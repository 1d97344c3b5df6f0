"""What comes ahead of its frame: descriptors in order, parcels in chunks, and what cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.arrivals import OPEN_PARCELS, UNCLAIMED, Arrivals
from daemoneye.bus.frames import Chunk
from daemoneye.errors import RemoteProtocolError, TooLarge


def arrivals(max_bytes: int = 100) -> Arrivals[str]:
    return Arrivals(max_bytes)


# ---- descriptors --------------------------------------------------------------------------------


def test_each_frame_takes_the_next_descriptor() -> None:
    here = arrivals()
    here.came(["a", "b"])
    assert [here.claim(), here.claim()] == ["a", "b"]


def test_a_descriptor_that_did_not_come_is_told() -> None:
    with pytest.raises(RemoteProtocolError, match="did not come"):
        arrivals().claim()


def test_descriptors_that_no_frame_owns_are_told_and_not_forgotten() -> None:
    here = arrivals()
    names = [str(number) for number in range(UNCLAIMED + 1)]
    here.came(names[:-1])
    with pytest.raises(RemoteProtocolError, match="no frame owns"):
        here.came(names[-1:])
    assert here.left_over() == names
    assert here.left_over() == []


# ---- chunks -------------------------------------------------------------------------------------


@given(st.data())
def test_parcels_come_whole_however_their_chunks_are_mixed(data: st.DataObject) -> None:
    here = arrivals()
    whole = {n: data.draw(st.binary(min_size=1, max_size=20)) for n in range(OPEN_PARCELS)}
    came = dict.fromkeys(whole, 0)
    while open_ones := [n for n in whole if came[n] < len(whole[n])]:
        number = data.draw(st.sampled_from(open_ones))
        content = whole[number]
        until = data.draw(st.integers(came[number] + 1, len(content)))
        here.add(Chunk(number, len(content), came[number], content[came[number] : until]))
        came[number] = until
    for number, content in whole.items():
        found = here.collect(number, len(content))
        assert found is not None
        assert found.readonly
        assert bytes(found) == content


def test_the_first_chunk_begins_a_parcel() -> None:
    here = arrivals()
    assert here.begins(Chunk(1, 2, 0, b"a"))
    here.add(Chunk(1, 2, 0, b"a"))
    assert not here.begins(Chunk(1, 2, 1, b"b"))
    assert not here.begins(Chunk(2, 0))


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(1, 9, 1, b"x"),
        Chunk(1, 9, 3, b"x"),
        Chunk(1, 8, 2, b"x"),
        Chunk(1, 9, 2, b"x" * 8),
        Chunk(1, 9, 2, b""),
        Chunk(2, 9, 2, b"x"),
    ],
    ids=["again", "a gap", "another size", "too much", "nothing", "no beginning"],
)
def test_a_chunk_that_cannot_follow_is_told(chunk: Chunk) -> None:
    here = arrivals()
    here.add(Chunk(1, 9, 0, b"ab"))
    with pytest.raises(RemoteProtocolError):
        here.add(chunk)


def test_a_parcel_at_the_limit_is_taken_and_one_past_it_refused_before_it_comes() -> None:
    here = arrivals(max_bytes=100)
    here.add(Chunk(1, 100, 0, b"x"))
    with pytest.raises(TooLarge, match="101 bytes is past the limit of 100"):
        here.add(Chunk(2, 101, 0, b"x"))


def test_no_more_parcels_are_open_than_may_be() -> None:
    here = arrivals()
    for number in range(OPEN_PARCELS):
        here.add(Chunk(number, 9, 0, b"x"))
    with pytest.raises(RemoteProtocolError, match="on their way already"):
        here.add(Chunk(99, 9, 0, b"x"))
    here.add(Chunk(0, 0))
    here.add(Chunk(99, 9, 0, b"x"))


@pytest.mark.parametrize(("number", "size"), [(1, 3), (1, 2), (2, 3)])
def test_what_is_not_whole_cannot_be_collected(number: int, size: int) -> None:
    here = arrivals()
    here.add(Chunk(1, 3, 0, b"ab"))
    with pytest.raises(RemoteProtocolError, match="bytes came"):
        here.collect(number, size)


def test_of_what_is_discarded_nothing_is_kept() -> None:
    here = arrivals()
    here.add(Chunk(1, 3, 0, b"ab"))
    here.discard(1)
    here.add(Chunk(1, 3, 2, b"c"))
    assert here.collect(1, 3) is None


def test_word_that_the_rest_will_not_come_forgets_the_parcel() -> None:
    here = arrivals()
    here.add(Chunk(1, 3, 0, b"ab"))
    here.add(Chunk(1, 0))
    here.add(Chunk(1, 0))
    here.add(Chunk(1, 2, 0, b"xy"))
    assert bytes(here.collect(1, 2) or b"") == b"xy"


def test_the_end_of_a_connection_forgets_what_is_open() -> None:
    here = arrivals()
    here.came(["a"])
    here.add(Chunk(1, 1, 0, b"a"))
    assert here.left_over() == ["a"]
    with pytest.raises(RemoteProtocolError):
        here.collect(1, 1)
