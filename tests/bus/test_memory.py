"""Large payloads as memory: read where they lie, kept by their views, copied when need be."""

from __future__ import annotations

import dataclasses
import gc
import mmap
import os

import pytest

from daemoneye import system
from daemoneye.bus.memory import Stored, can_pass_memory, content_of
from daemoneye.system import memfd_of

pytestmark = pytest.mark.skipif(not can_pass_memory(), reason="no sealed memory here")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_content_is_read_only_and_outlives_its_descriptor() -> None:
    before = descriptors()
    fd = memfd_of(b"x" * 5000)
    content = content_of(fd, 5000)
    os.close(fd)
    part = content[10:20]
    del content
    gc.collect()
    assert part.readonly
    assert bytes(part) == b"x" * 10
    del part
    gc.collect()
    assert descriptors() == before


def test_what_cannot_be_mapped_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> mmap.mmap:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(mmap, "mmap", refuse)
    fd = memfd_of(b"abc")
    try:
        content = content_of(fd, 3)
    finally:
        os.close(fd)
    assert content.readonly
    assert bytes(content) == b"abc"


def test_memory_is_passed_where_it_can_be_sealed_and_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("memfd", "passed_descriptors"):
        without = dataclasses.replace(system.FEATURES, **{missing: False})
        monkeypatch.setattr(system, "FEATURES", without)
        assert not can_pass_memory()
        monkeypatch.undo()
    assert can_pass_memory()


def test_stored_memory_is_read_in_parts() -> None:
    fd = memfd_of(b"0123456789")
    try:
        stored = Stored(fd, 10)
        assert [stored[0:4], stored[4:8], stored[8:12], stored[12:16]] == [
            b"0123",
            b"4567",
            b"89",
            b"",
        ]
    finally:
        os.close(fd)


def test_stored_memory_that_is_shorter_than_was_said_is_an_error() -> None:
    fd = memfd_of(b"0123")
    try:
        stored = Stored(fd, 10)
        assert stored[0:4] == b"0123"
        with pytest.raises(OSError, match="0 of 4 bytes at 4"):
            stored[4:8]
    finally:
        os.close(fd)
