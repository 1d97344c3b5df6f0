"""Large payloads as memory that is passed by descriptor: what this machine can do, and reading it.

Nothing is mapped whose seals were not looked at: under the mapping of memory that its owner may
still shorten, a read ends the process.  A mapping keeps the memory, whoever closes the descriptor,
until the last view of it is gone.
"""

from __future__ import annotations

import mmap

from daemoneye import system


def can_pass_memory() -> bool:
    """Whether memory can be sealed here, and its descriptor sent over the bus."""
    return system.FEATURES.memfd and system.FEATURES.passed_descriptors


def content_of(fd: int, size: int) -> memoryview:
    """The sealed memory behind a descriptor, read-only; the descriptor stays the caller's.

    It is read where it lies.  When it cannot be mapped (a mapping needs a descriptor, too), there
    is a copy.  Raises OSError and MemoryError when even that cannot be.
    """
    try:
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))
    except OSError:
        return memoryview(system.read_at(fd, size, 0))
