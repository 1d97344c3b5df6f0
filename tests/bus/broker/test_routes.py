"""Routes: remembered within bounds, and what a publish may not say."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from daemoneye.bus.broker.routes import Route, Routes
from daemoneye.bus.frames import (
    LAST_SEQUENCE,
    MAX_HEADING_BYTES,
    MAX_KEY_CHARACTERS,
    Guarantee,
    Heading,
    encode_publish,
    parse,
)
from daemoneye.bus.limits import Limits
from daemoneye.errors import BusError, LocalProtocolError, TooLarge


def test_a_route_is_remembered() -> None:
    routes = Routes()
    assert routes.remember("a", 10) is routes.remember("a", 10)


def test_the_older_half_is_forgotten_when_there_are_too_many() -> None:
    routes = Routes()
    for number in range(9):
        routes.remember(f"t{number}", 8)
    assert list(routes) == ["t4", "t5", "t6", "t7", "t8"]


def test_a_table_for_one_route_works() -> None:
    routes = Routes()
    for topic in "abc":
        routes.remember(topic, 1)
    assert list(routes) == ["c"]


@pytest.mark.parametrize(
    ("heading", "sequence", "error", "said"),
    [
        (Heading("a"), 5, LocalProtocolError, "5 after 5"),
        (Heading("a"), (1 << 64) - 1, LocalProtocolError, "ends at 18446744073709551614"),
        (Heading("a", guarantee=-1), 6, LocalProtocolError, "no guarantee -1"),  # type: ignore[arg-type]  # the point
        (Heading("a", guarantee=99), 6, LocalProtocolError, "no guarantee 99"),  # type: ignore[arg-type]  # the point
        (Heading("a", target="A"), 6, LocalProtocolError, "nobody can be called 'A'"),
        (Heading("a", target="b\x1b"), 6, LocalProtocolError, r"called 'b\\x1b'"),
        (Heading("a", target="b" * 65), 6, LocalProtocolError, "nobody can be called"),
        (Heading("a", content_type="x" * 108), 6, TooLarge, "limit of 108"),
    ],
)
def test_what_may_not_be_published_is_refused_with_its_reason(
    heading: Heading, sequence: int, error: type[BusError], said: str
) -> None:
    route = Route()
    route.sequence = 5
    raw = encode_publish(heading, [b"x"], [1], sequence)
    with pytest.raises(error, match=said):
        route.check(parse(raw), len(raw), Limits(frame_bytes=108))


@pytest.mark.parametrize("sequence", [1, LAST_SEQUENCE])
def test_what_may_be_published_passes(sequence: int) -> None:
    raw = encode_publish(Heading("a", guarantee=Guarantee.BEST_EFFORT), [b"x"], [1], sequence)
    Route().check(parse(raw), len(raw), Limits(frame_bytes=len(raw)))


@pytest.mark.parametrize("more", [0, 1])
def test_what_stands_beside_messages_at_its_limit_and_one_past_it(more: int) -> None:
    def saying(characters: int) -> bytes:
        return encode_publish(Heading("a", content_type="t" * characters), [b"x"], [1], 1)

    def beside(raw: bytes) -> int:
        return len(raw) - len(parse(raw).body)

    counts = range(MAX_HEADING_BYTES, 0, -1)
    most = next(each for each in counts if beside(saying(each)) <= MAX_HEADING_BYTES)
    raw = saying(most + more)
    with pytest.raises(TooLarge, match="beside its messages") if more else nullcontext():
        Route().check(parse(raw), len(raw), Limits())


@pytest.mark.parametrize("more", [0, 1])
def test_a_key_at_its_limit_and_one_past_it(more: int) -> None:
    heading = Heading("a", partition_key="k" * (MAX_KEY_CHARACTERS + more))
    raw = encode_publish(heading, [b"x"], [1], 1)
    with pytest.raises(LocalProtocolError, match="a key has at most") if more else nullcontext():
        Route().check(parse(raw), len(raw), Limits())
