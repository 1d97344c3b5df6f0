"""Fixtures of the whole suite, and the ground it stands on: no instance of the developer's own."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import nothing_left_behind

# Deadlines of single examples say more about the machine than about the code; a CI run that fails
# has to fail again on the developer's machine.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A test finds only what it started: not the instance, settings or run directory of its developer.
for _name in list(os.environ):
    if _name.startswith("DAEMONEYE_") and not _name.startswith("DAEMONEYE_TEST_"):
        del os.environ[_name]
for _name in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):
    os.environ.pop(_name, None)

# A shell has what it starts in the background ignore a Ctrl-C, `nohup` the end of the terminal, and
# a child inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A fresh private directory whose path leaves room for a socket's name."""
    path = Path(tempfile.mkdtemp(prefix="de-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def tidy(short_dir: Path) -> Iterator[Path]:
    """`short_dir`, and a failure when the test leaves a process, thread, descriptor or socket."""
    with nothing_left_behind(short_dir):
        yield short_dir
