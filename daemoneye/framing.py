"""Length-prefixed frames, as `multiprocessing.connection` writes them on a stream.  Pure.

A frame is a 4-byte big-endian signed length and that many bytes.  `multiprocessing` writes −1 and
an 8-byte length for messages past 2 GiB; nothing of ours may be that large, so such a header is
refused like any other that promises too much, before a byte is allocated for it.

Operations wanted: append what one bulk read brought, get the complete frames as `bytes`.
Cost: one slice per frame, one join per read that completes a frame begun in an earlier one.  Reads
that complete nothing are gathered until the promised length is there, so a large frame that
trickles in costs its length, not its length times the number of reads.
"""

from __future__ import annotations

import struct

from daemoneye.errors import RemoteProtocolError, TooLarge

HEADER_BYTES = 4
_HEADER = struct.Struct("!i")
_length_at = _HEADER.unpack_from

pack_length = _HEADER.pack


def pack(frame: bytes) -> bytes:
    """One frame with its header, ready to be written."""
    return pack_length(len(frame)) + frame


class FrameCutter:
    """Cuts a byte stream into frames; holds at most one frame of `limit` bytes and one read."""

    __slots__ = ("_rest", "_wanted", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._rest: bytes | bytearray = b""
        self._wanted = (
            HEADER_BYTES  # bytes that `_rest` needs before looking at it again makes sense
        )

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished frame is held."""
        return len(self._rest)

    @property
    def missing_bytes(self) -> int:
        """How much more has to come before the unfinished frame, or its header, is whole."""
        return self._wanted - len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what one read brought; return the frames it completed, in order.

        Raises RemoteProtocolError for a negative length and TooLarge for one past `limit`; the
        stream cannot be understood after that, so the connection has to be closed.
        """
        if self._rest:
            if len(self._rest) + len(data) < self._wanted:
                self._gather(data)
                return []
            data = b"".join((self._rest, data))
        frames: list[bytes] = []
        position, end = 0, len(data)
        wanted = HEADER_BYTES
        while end - position >= HEADER_BYTES:
            (length,) = _length_at(data, position)
            if not 0 <= length <= self.limit:
                raise self._refusal(length)
            start = position + HEADER_BYTES
            if end - start < length:
                wanted += length
                break
            position = start + length
            frames.append(data[start:position])
        self._rest = data[position:]
        self._wanted = wanted
        return frames

    def _gather(self, data: bytes) -> None:
        if isinstance(self._rest, bytes):
            self._rest = bytearray(self._rest)
        self._rest += data

    def _refusal(self, length: int) -> Exception:
        if length < 0:
            return RemoteProtocolError(f"a frame header promises {length} bytes")
        return TooLarge(f"a frame of {length} bytes is past the limit of {self.limit}")
