"""A real instance, started as a person starts it, and the commands a person types beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.service import Service
from tests.support import scaled, wait_for

ROOT = Path(__file__).parents[2]
DAEMONEYE = (sys.executable, "-m", "daemoneye")


def environment(directory: Path, **more: str) -> dict[str, str]:
    """Where a command finds the package, and the instance below `directory`."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DAEMONEYE_RUN_DIR": str(directory / "run"),
        "HOME": str(directory),
        **more,
    }


@dataclass(frozen=True)
class Instance:
    """One running instance."""

    directory: Path
    """Where its files are; commands are run here."""
    process: subprocess.Popen[str]
    """Its supervisor."""

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """What a command says while the instance runs."""
        return command(self.directory, *arguments, **more)

    def document(self, *arguments: str) -> Any:
        """What a command says in JSON."""
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def child(self, name: str) -> Mapping[str, Any]:
        """A child's row of `status`."""
        row: Mapping[str, Any] = self.document("status", name)["children"][0]
        return row

    def said(self) -> str:
        """What `run` has said so far."""
        return (self.directory / "said").read_text(encoding="utf-8")

    def wait_said(self, words: str, *, within: float = 10.0) -> None:
        """Wait until `run` says so."""
        wait_for(lambda: words in self.said(), f"{words!r} in {self.said()!r}", within=within)

    def end(self, number: int = signal.SIGINT) -> int:
        """Ask it to end, as Ctrl-C does, and wait; the result is its exit code."""
        self.process.send_signal(number)
        return self.process.wait(scaled(15))


@contextmanager
def serving(instance: Instance, topic: str) -> Iterator[None]:
    """Somebody who replies to every call of a topic with what it was asked, or rejects nothing."""

    def echo(requests: Service) -> None:
        for request in requests:
            if request.payload:
                request.reply({"you said": bytes(request.payload).decode()})
            else:
                request.reject("there is nothing in it")

    run_dir = instance.directory / "run"
    with BusClient.connect(run_dir=run_dir) as bus, bus.serve(topic) as requests:
        thread = threading.Thread(target=echo, args=(requests,))
        thread.start()
        try:
            yield
        finally:
            requests.close()
            thread.join(scaled(5))


def command(directory: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command in `directory`."""
    return subprocess.run(
        [*DAEMONEYE, *arguments],
        cwd=directory,
        env=environment(directory, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=False,
    )


@contextmanager
def running(directory: Path, arguments: Sequence[str] = (), **more: str) -> Iterator[Instance]:
    """An instance that is ready; it is ended in order, and hard when that does not work."""
    with (directory / "said").open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [*DAEMONEYE, "run", *arguments],
            cwd=directory,
            env=environment(directory, **more),
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
        )
    instance = Instance(directory, process)
    try:
        instance.wait_said("ready in")
        yield instance
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(scaled(15))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
