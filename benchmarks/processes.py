"""Processes of a contest: started together, told to go together, ended whatever happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]
PATIENCE = 2.0  # s for a worker to leave by itself; our broker's supervisor ends its tree in order


class Worker:
    """A process that says `ready`, is told to go, and answers in lines of text."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = " ".join(command)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it: some leave when their stdin is closed, the others are killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout=PATIENCE)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def line(self) -> str:
        """The next line it prints; fails when it has ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            sys.exit(f"benchmark: {self.command} ended without an answer")
        return line

    def numbers(self) -> list[int]:
        """The next line, as numbers."""
        return [int(word) for word in self.line().split()]

    def wait_ready(self) -> None:
        """Wait until it is connected and subscribed."""
        while self.line() != "ready":
            continue

    def go(self) -> None:
        """Tell it to begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()


@contextmanager
def running(command: Sequence[str]) -> Iterator[Worker]:
    """A worker that is ready."""
    with Worker(command) as worker:
        worker.wait_ready()
        yield worker
