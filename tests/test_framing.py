"""Cutting a byte stream into frames: whole, split anywhere, hostile, and slow."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.errors import RemoteProtocolError, TooLarge
from daemoneye.framing import HEADER_BYTES, FrameCutter, pack, pack_length

FRAMES = [b"", b"a", b"bc" * 30, b"", b"d" * 100]
STREAM = b"".join(map(pack, FRAMES))


def test_a_frame_is_what_multiprocessing_writes() -> None:
    assert pack(b"abc") == struct.pack("!i", 3) + b"abc"


def test_one_read_may_bring_many_frames() -> None:
    assert FrameCutter(100).feed(STREAM) == FRAMES


@pytest.mark.parametrize("step", range(1, len(STREAM)))
def test_frames_are_the_same_however_the_stream_is_split(step: int) -> None:
    cutter = FrameCutter(100)
    found = []
    for start in range(0, len(STREAM), step):
        found += cutter.feed(STREAM[start : start + step])
    assert found == FRAMES
    assert cutter.pending_bytes == 0


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(0, 50)))
def test_any_frames_survive_any_cuts(frames: list[bytes], cuts: list[int]) -> None:
    cutter, rest, found = FrameCutter(40), b"".join(map(pack, frames)), []
    for cut in cuts:
        found += cutter.feed(rest[:cut])
        rest = rest[cut:]
    found += cutter.feed(rest)
    assert found == frames
    assert all(type(frame) is bytes for frame in found)


def test_a_frame_at_the_limit_passes_and_one_past_it_does_not() -> None:
    assert FrameCutter(5).feed(pack(b"12345")) == [b"12345"]
    with pytest.raises(TooLarge, match=r"6 bytes is past the limit of 5"):
        FrameCutter(5).feed(pack(b"123456"))


@pytest.mark.parametrize("length", [-1, -(2**31)])
def test_a_negative_length_is_refused(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=str(length)):
        FrameCutter(100).feed(pack_length(length))


def test_a_promise_too_large_is_refused_on_the_header_alone() -> None:
    cutter = FrameCutter(1 << 20)
    assert cutter.feed(b"\x7f\xff\xff") == []
    with pytest.raises(TooLarge):
        cutter.feed(b"\xff")
    assert cutter.pending_bytes < HEADER_BYTES


def test_what_is_held_is_the_unfinished_frame() -> None:
    cutter = FrameCutter(100)
    cutter.feed(pack(b"done") + pack(b"unfinished")[:-3])
    assert cutter.pending_bytes == HEADER_BYTES + len("unfinished") - 3


def test_what_is_missing_is_the_header_and_then_the_frame() -> None:
    cutter = FrameCutter(100)
    missing = [cutter.missing_bytes]
    for part in (b"\0\0\0", b"\5", b"12", b"345"):
        cutter.feed(part)
        missing.append(cutter.missing_bytes)
    assert missing == [4, 1, 5, 3, 4]


def test_a_large_frame_that_trickles_costs_its_length() -> None:
    """Quadratic gathering of this would copy 16 GiB."""
    cutter, stream = FrameCutter(1 << 20), pack(bytes(1 << 20))
    began = time.perf_counter()
    found = [
        frame for at in range(0, len(stream), 32) for frame in cutter.feed(stream[at : at + 32])
    ]
    assert found == [bytes(1 << 20)]
    assert time.perf_counter() - began < 1.0
