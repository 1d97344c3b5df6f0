"""One real instance for all commands that only look at it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.instance import Instance, running
from tests.support import nothing_left_behind


@pytest.fixture(scope="package")
def instance() -> Iterator[Instance]:
    """A running instance with the built-in collectors; nobody may stop its broker."""
    directory = Path(tempfile.mkdtemp(prefix="de-"))
    with nothing_left_behind(directory), running(directory) as started:
        yield started
    shutil.rmtree(directory)
