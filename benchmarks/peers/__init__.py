"""Who runs in the contests: a peer brings a relay and the command lines of its clients.

A client is a process that prints `ready`, waits for a line on stdin, prints its figures and stays
until it is ended; `worker.py` lists the roles, and `floor.c` speaks the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from benchmarks.processes import python

INSTALL_CLIENTS = "pip install -e '.[bench]'"


@dataclass(frozen=True, slots=True)
class Relay:
    """What runs between the clients."""

    address: str  # what its clients are given
    pid: int  # whose CPU time and memory are the relay's


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of getting messages from process to process."""

    key: str  # what `--peers` calls it
    name: str
    missing: str  # why it cannot run here, and what would help; empty when it can
    version: Callable[[], str]
    relay: Callable[[Path], AbstractContextManager[Relay]]  # in a directory of its own
    client: Callable[[str, str], list[str]]  # role with its arguments, address → command line
    has_topics: bool = True  # whether control and events can be told apart


def by_worker(module: str, role: str, address: str) -> list[str]:
    """The command line of a client that `worker.py` plays."""
    return python("benchmarks.worker", module, address, *role.split())


def worker_of(module: str) -> Callable[[str, str], list[str]]:
    """The client of a peer whose module has `connect`."""
    return partial(by_worker, module)


def not_here(package: str, distribution: str, server: str = "") -> str:
    """What is missing of a client library and a server, and how to get it; empty: nothing."""
    wanting = []
    if find_spec(package) is None:
        wanting.append(f"{distribution} is not installed: {INSTALL_CLIENTS}")
    if server and not which(program(server)):
        wanting.append(f"{server} is not installed: your system's package of that name")
    return "; ".join(wanting)


SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
"""Where servers are: some of them in places that are not on everybody's PATH."""


def program(name: str) -> str:
    """Where a server is."""
    return which(name) or which(name, path=SYSTEM_PATH) or name


def version_of(distribution: str) -> str:
    """Of an installed client library."""
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"{distribution} ?"
