"""Large payloads as memory that is passed by descriptor: what this machine can do, and reading it.

Nothing is mapped whose seals were not looked at: under the mapping of memory that its owner may
still shorten, a read ends the process.  A mapping keeps the memory, whoever closes the descriptor,
until the last view of it is gone.
"""

from __future__ import annotations

import errno
import mmap
import os

from daemoneye import system
from daemoneye.bus.arguments import checked_flag
from daemoneye.bus.frames import Carriage
from daemoneye.bus.limits import Limits
from daemoneye.system import sealed_bytes

LARGEST = Limits().payload_bytes
"""The largest payload that a client takes."""


def can_pass_memory() -> bool:
    """Whether memory can be sealed here, and its descriptor sent over the bus."""
    return system.FEATURES.memfd and system.FEATURES.passed_descriptors


def own_carriage(pass_memory: bool = True) -> Carriage:
    """What this process offers as a client; without passing memory, everything goes in chunks.

    Raises LocalProtocolError.
    """
    return Carriage(checked_flag("pass_memory", pass_memory) and can_pass_memory(), LARGEST)


def contents_of(
    descriptors: tuple[int, ...], some_lost: bool, max_bytes: int
) -> list[memoryview | None]:
    """What is behind descriptors that have come, which are closed; None for what is not usable.

    That is what is not sealed, too large, or was lost on the way.
    """
    found: list[memoryview | None] = []
    for fd in descriptors:
        try:
            size = sealed_bytes(fd) or 0
            found.append(content_of(fd, size) if 0 < size <= max_bytes else None)
        except (OSError, MemoryError):
            found.append(None)
        finally:
            os.close(fd)
    return [*found, None] if some_lost else found


class Stored:
    """Sealed memory of which parts are read when they are wanted; the descriptor is the caller's.

    For who passes it on in chunks: a mapping of 64 MiB takes its time to make and to let go of.
    """

    __slots__ = ("_fd", "_size")

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size

    def __getitem__(self, part: slice, /) -> bytes:
        """So much from there, and not less.  Raises OSError and MemoryError."""
        start, stop, _ = part.indices(self._size)
        found = system.read_at(self._fd, stop - start, start)
        if len(found) != stop - start:
            raise OSError(errno.EIO, f"{len(found)} of {stop - start} bytes at {start}")
        return found


def content_of(fd: int, size: int) -> memoryview:
    """The sealed memory behind a descriptor, read-only; the descriptor stays the caller's.

    It is read where it lies.  When it cannot be mapped (a mapping needs a descriptor, too), there
    is a copy.  Raises OSError and MemoryError when even that cannot be.
    """
    try:
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))
    except OSError:
        return memoryview(system.read_at(fd, size, 0))
