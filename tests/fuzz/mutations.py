"""Bytes that are nearly right: random ones, and protobuf messages with one thing or another wrong.

Half of the mutations know how a message is made (fields, wire types, lengths), because flipped bits
alone seldom get past a parser.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
           (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
"""Numbers at the edges of what a field holds."""

TEXTS = ("", "#", "+", "a", "events.demo.tick", "events.#", "control.health.heartbeat", "$bus.x",
         "a..b", "A", "a\x1b[2J", "a\n", "\u0430", "operator", "mallory", "x" * 65, "x" * 300,
         "control.collector.lifecycle")  # fmt: skip
"""Topics, filters and names, good and bad."""

Field = tuple[int, int, bytes]
"""Number, wire type, and the value's bytes as they stand (of a text or message: without length)."""

_VARINT, _FIXED64, _BYTES, _START, _END, _FIXED32 = range(6)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def written(fields: Sequence[Field]) -> bytes:
    """The message that has these fields."""
    parts = []
    for number, wire_type, value in fields:
        parts.append(varint(number << 3 | wire_type))
        if wire_type == _BYTES:
            parts.append(varint(len(value)))
        parts.append(value)
    return b"".join(parts)


def fields_of(message: bytes) -> list[Field] | None:
    """The fields of a message without groups; None when it is none."""
    fields: list[Field] = []
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        wire_type, start = tag & 7, at
        if wire_type == _VARINT:
            _, at = _read_varint(message, at)
        elif wire_type == _BYTES:
            length, start = _read_varint(message, at)
            at = start + length
        elif wire_type in (_FIXED64, _FIXED32):
            at += 8 if wire_type == _FIXED64 else 4
        else:
            return None
        if at > len(message) or start < 0:
            return None
        fields.append((tag >> 3, wire_type, message[start:at]))
    return fields


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return 0, len(message) + 1


def mutated(dice: random.Random, message: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Something near `message`; `others` may lend it parts."""
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        fields = fields_of(message)
        if fields and dice.random() < 0.7:
            message = written(dice.choice(_OF_FIELDS)(dice, fields))
        elif others and dice.random() < 0.1:
            other = dice.choice(others)
            cut = dice.randrange(len(other) + 1)
            message = message[: dice.randrange(len(message) + 1)] + other[cut:]
        else:
            message = dice.choice(_OF_BYTES)(dice, message)
    return message


# ---- of bytes -----------------------------------------------------------------------------------


def _flip(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _overwrite(dice: random.Random, data: bytes) -> bytes:
    at = dice.randrange(len(data) + 1)
    new = dice.randbytes(dice.randrange(1, 9))
    return data[:at] + new + data[at + len(new) :]


def _cut(dice: random.Random, data: bytes) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _insert(dice: random.Random, data: bytes) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.randbytes(dice.randrange(1, 9)) + data[at:]


def _tail(dice: random.Random, data: bytes) -> bytes:
    """Something that a stamp might fall into: an open group, a length that promises more."""
    number = dice.choice((2, 4, 9, 20, 24, 25, 99))
    ends = (
        varint(number << 3 | _START),
        varint(number << 3 | _END),
        varint(number << 3 | _BYTES) + varint(dice.randrange(1, 200)),
        varint(number << 3 | _FIXED64),
        varint(number << 3),
        b"\xff" * dice.randrange(1, 11),
        varint(number << 3 | _START) * dice.choice((10, 99, 100, 101, 1000)),
    )
    return data + dice.choice(ends)


_OF_BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip, _overwrite, _cut, _insert, _tail,
)  # fmt: skip


# ---- of fields ----------------------------------------------------------------------------------


def _drop(dice: random.Random, fields: list[Field]) -> list[Field]:
    del fields[dice.randrange(len(fields))]
    return fields


def _repeat(dice: random.Random, fields: list[Field]) -> list[Field]:
    fields.insert(dice.randrange(len(fields) + 1), dice.choice(fields))
    return fields


def _shuffle(dice: random.Random, fields: list[Field]) -> list[Field]:
    dice.shuffle(fields)
    return fields


def _renumber(dice: random.Random, fields: list[Field]) -> list[Field]:
    at = dice.randrange(len(fields))
    number = dice.choice((*range(1, 29), 0, 99, 1 << 20, (1 << 29) - 1))
    fields[at] = (number, *fields[at][1:])
    return fields


def _change(dice: random.Random, fields: list[Field]) -> list[Field]:
    at = dice.randrange(len(fields))
    number, wire_type, value = fields[at]
    if wire_type == _VARINT:
        value = varint(dice.choice(NUMBERS))
    elif wire_type == _BYTES:
        value = _changed_bytes(dice, value)
    else:
        value = dice.randbytes(len(value))
    fields[at] = (number, wire_type, value)
    return fields


def _changed_bytes(dice: random.Random, value: bytes) -> bytes:
    choice = dice.randrange(4)
    if choice == 0:
        return dice.choice(TEXTS).encode()
    if choice == 1:
        return dice.choice(_OF_BYTES)(dice, value)
    return mutated(dice, value)


def _add(dice: random.Random, fields: list[Field]) -> list[Field]:
    number = dice.choice((*range(1, 29), 99))
    values: tuple[Field, ...] = (
        (number, _VARINT, varint(dice.choice(NUMBERS))),
        (number, _BYTES, dice.choice(TEXTS).encode()),
        (number, _BYTES, dice.randbytes(dice.randrange(40))),
        (number, _FIXED64, dice.randbytes(8)),
        (number, _FIXED32, dice.randbytes(4)),
    )
    fields.insert(dice.randrange(len(fields) + 1), dice.choice(values))
    return fields


def _many(dice: random.Random, fields: list[Field]) -> list[Field]:
    at = dice.randrange(len(fields))
    return fields[:at] + [fields[at]] * dice.choice((2, 10, 500)) + fields[at:]


_OF_FIELDS: tuple[Callable[[random.Random, list[Field]], list[Field]], ...] = (
    _drop, _repeat, _shuffle, _renumber, _change, _change, _change, _add, _many,
)  # fmt: skip
