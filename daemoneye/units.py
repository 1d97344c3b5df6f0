"""Durations and sizes as people write and read them.  Pure.

A bare number is seconds, or bytes.  Text is one or more numbers with units (`"5s"`, `"10 min"`,
`"1 h 30 min"`, `"64 KiB"`).  Sizes keep the two families apart: KiB is 1024 bytes, kB is 1000; a
lone `k` is refused, because half of its readers would guess wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from daemoneye.errors import ConfigError

_DURATION_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}
_SIZE_UNITS = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
# Longest first; the second unit is shown only below days, where it still says something.
_DURATION_STEPS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_PARTS = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_BARE_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

DURATION_HINT = 'write seconds as a number, or text such as "250ms", "5s", "10 min", "1 h 30 min"'
SIZE_HINT = 'write bytes as a whole number, or text such as "512 B", "64 KiB", "8 MiB", "10 MB"'


@dataclass(frozen=True, slots=True)
class _Measure:
    """One kind of quantity: its units, its bound, and how to speak of it."""

    what: str
    units: Mapping[str, float]
    most: float
    most_text: str
    hint: str

    def refuse(self, value: object, why: str = "") -> ConfigError:
        return ConfigError(f"{value!r:.80} is not {self.what}{why and ': ' + why}", hint=self.hint)

    def parse(self, value: object) -> float:
        # bool is an int to Python, never to the person who wrote `timeout = true`.
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number: float = value
        elif isinstance(value, str):
            number = self._parse_text(value.strip())
        else:
            raise self.refuse(value)
        if not 0 <= number:  # written so that not-a-number is refused too
            raise self.refuse(value, "it has to be 0 or more")
        if number > self.most:
            raise self.refuse(value, f"the most is {self.most_text}")
        return float(number)

    def _parse_text(self, text: str) -> float:
        if _BARE_NUMBER.fullmatch(text):
            return float(text)
        total, position = 0.0, 0
        while part := _PARTS.match(text, position):
            unit = part[2].lower()
            if unit not in self.units:
                raise self.refuse(text, f"no unit is called {part[2]!r}")
            total += float(part[1]) * self.units[unit]
            position = part.end()
        if position == 0 or position != len(text):
            raise self.refuse(text)
        # 0.25 s and 250 ms are the same wish; the product above may differ in the last bit.
        return round(total, 9)


# The bounds are far past any use, and far below where floats and kernels object.
_DURATION = _Measure("a duration", _DURATION_UNITS, 36500 * 86400.0, "100 years", DURATION_HINT)
_SIZE = _Measure("a size", _SIZE_UNITS, 1 << 50, "1 PiB", SIZE_HINT)


def parse_duration(value: object) -> float:
    """Seconds from a number of seconds or from text such as `"10 min"`.

    Raises ConfigError for anything else, a negative, endless or not-a-number value included.
    """
    return _DURATION.parse(value)


def parse_size(value: object) -> int:
    """Bytes from a whole number or from text such as `"64 KiB"`.

    Raises ConfigError for anything else, and for text that is no whole number of bytes.
    """
    size = _SIZE.parse(value)
    if not size.is_integer():
        raise _SIZE.refuse(value, "it has to be a whole number of bytes")
    return int(size)


def format_duration(seconds: float) -> str:
    """A duration for people, two units at most: `"2.5 s"`, `"1 min 15 s"`, `"3 d 4 h"`."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 0.0995:
        return f"{seconds * 1000:.3g} ms" if seconds else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for size, unit, smaller_size, smaller_unit in _DURATION_STEPS:
        if whole >= size:
            rest = whole % size // smaller_size
            return (
                f"{whole // size} {unit} {rest} {smaller_unit}"
                if rest
                else f"{whole // size} {unit}"
            )
    return f"{whole} s"


def format_size(size: float) -> str:
    """A size for people in powers of 1024: `"512 B"`, `"64 KiB"`, `"1.5 MiB"`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1023.5 or unit == "GiB":
            break
        size /= 1024
    digits = f"{size:.1f}" if abs(size) < 99.95 else f"{size:.0f}"
    return f"{digits.removesuffix('.0')} {unit}"
