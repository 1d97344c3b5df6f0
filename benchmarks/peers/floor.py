"""The floor: a relay and clients in C, which decide nothing; compiled on the spot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import Peer, Relay
from benchmarks.processes import Failed, running

SOURCE = Path(__file__).parents[1] / "floor.c"


@contextmanager
def relay(directory: Path) -> Iterator[Relay]:
    """The relay on a socket in `directory`, where it is compiled."""
    binary, path = directory / "floor", directory / "floor.sock"
    made = subprocess.run(
        ["cc", "-O2", "-o", str(binary), str(SOURCE)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise Failed(f"cc cannot compile {SOURCE.name}: {made.stderr.strip()}")
    with running([str(binary), "relay", str(path)]) as worker:
        yield Relay(str(path), worker.pid)


def client(role: str, address: str) -> list[str]:
    """A client's command line; publishing many at once is what this one does anyway."""
    binary = str(Path(address).with_name("floor"))
    return [binary, *stream_role(role, address)]


def stream_role(role: str, address: str) -> list[str]:
    """A role in the words of a relay that knows bytes, and neither messages nor publishers."""
    name, *arguments = role.split()
    if name == "publish_many":
        name = "publish"
    if name == "publish":
        arguments.pop()  # its number
    if name == "subscribe":
        del arguments[0]  # the number of publishers
    return [name, address, *arguments]


def version() -> str:
    """The compiler's."""
    said = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=False)
    return (said.stdout.splitlines() or ["cc"])[0]


MISSING = "" if shutil.which("cc") else "no C compiler: install your system's gcc or clang"
if sys.platform == "win32":
    MISSING = "needs AF_UNIX sockets"

PEER = Peer("c", "C relay", MISSING, version, relay, client, has_topics=False)
