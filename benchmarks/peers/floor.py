"""The floor: a relay and clients in C, which decide nothing; compiled on the spot."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.processes import running

SOURCE = Path(__file__).parents[1] / "floor.c"
PAYLOAD_BYTES = 256


@cache
def binary() -> str:
    """Where the compiled program is, for as long as this process lives."""
    directory = Path(tempfile.gettempdir()) / f"daemoneye-floor-{SOURCE.stat().st_mtime_ns}"
    target = directory / "floor"
    if not target.exists():
        directory.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", str(target), str(SOURCE)], check=True)
    return str(target)


@contextmanager
def relay(directory: Path) -> Iterator[str]:
    """The relay on a socket in `directory`."""
    path = directory / "floor.sock"
    path.unlink(missing_ok=True)
    with running([binary(), "relay", str(path)]):
        yield str(path)


def client(role: str, address: str) -> list[str]:
    """A client's command line; publishing many at once is what this one does anyway."""
    name, _, argument = role.partition(" ")
    name = "publish" if name == "publish_many" else name
    size = [] if name == "echo" else [str(PAYLOAD_BYTES)]
    return [binary(), name, address, *argument.split(), *size]


PEER = Peer("C relay", "" if shutil.which("cc") else "no C compiler", relay, client)
