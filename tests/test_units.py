"""Durations and sizes as people write and read them."""

from __future__ import annotations

import pytest

from daemoneye.errors import ConfigError
from daemoneye.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (5, 5.0),
        (2.5, 2.5),
        (0, 0.0),
        ("5", 5.0),
        ("5s", 5.0),
        ("5 s", 5.0),
        (" 5 sec ", 5.0),
        ("250ms", 0.25),
        ("0.2s", 0.2),
        ("10 min", 600.0),
        ("10m", 600.0),
        ("1h", 3600.0),
        ("1 h 30 min", 5400.0),
        ("1h30m", 5400.0),
        ("2 Days", 172800.0),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_text_with_units(
    written: object, seconds: float
) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1024, 1024),
        ("1024", 1024),
        ("64 KiB", 65536),
        ("64kib", 65536),
        ("8MiB", 8 << 20),
        ("1.5 GiB", 3 << 29),
        ("10 MB", 10_000_000),
        ("1 kB", 1000),
        ("512 B", 512),
        (0, 0),
    ],
)
def test_a_size_is_a_number_of_bytes_or_text_with_units(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    "written",
    [
        "",
        "s",
        "5 fortnights",
        "-5s",
        "5s later",
        "five",
        "1e9",
        "٥s",
        -1,
        float("nan"),
        float("inf"),
    ]
    + [True, None, [5], "101 years", 1e12, 10**400, "9" * 400],
)
def test_what_is_no_duration_is_refused_with_a_hint(written: object) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_duration(written)
    assert "250ms" in refused.value.hint


@pytest.mark.parametrize(
    "written", ["64k", "64 K", "1.5 B", 1.5, -1, "", True, None, "1 TiB", 1e30, 10**400, "9" * 400]
)
def test_what_is_no_size_is_refused_with_a_hint(written: object) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_size(written)
    assert "64 KiB" in refused.value.hint


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(ConfigError, match="no unit is called 'fortnights'"):
        parse_duration("2 fortnights")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0004, "0.4 ms"),
        (0.0583, "58.3 ms"),
        (0.3, "0.3 s"),
        (5.0, "5 s"),
        (9.96, "10 s"),
        (59.7, "1 min"),
        (75, "1 min 15 s"),
        (600, "10 min"),
        (7500, "2 h 5 min"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
        (-2.5, "-2.5 s"),
    ],
)
def test_a_duration_is_shown_with_two_units_at_most(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (65536, "64 KiB"),
        (1 << 20, "1 MiB"),
        (3 << 19, "1.5 MiB"),
        (150 << 20, "150 MiB"),
        (5 << 40, "5120 GiB"),
    ],
)
def test_a_size_is_shown_in_powers_of_1024(size: int, text: str) -> None:
    assert format_size(size) == text
