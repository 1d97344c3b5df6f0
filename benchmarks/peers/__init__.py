"""Who runs in the contests: a peer brings a relay process and the command lines of its clients.

A client is a process that prints `ready`, waits for a line on stdin, prints its figures and ends
when stdin is closed (see `worker.py`; `floor.c` speaks the same).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of getting messages from process to process."""

    name: str
    missing: str  # why it cannot run here; empty when it can
    relay: Callable[[Path], AbstractContextManager[str]]  # starts its broker, gives its address
    client: Callable[[str, str], list[str]]  # role, address → the client's command line
