"""Stand-ins: a supervisor that answers as it is told, and documents as a real one sends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemoneye.framing import FrameCutter, pack
from daemoneye.rundir import RunDir

Document = dict[str, Any]

NOW = 1_790_000_000.0
"""2026-09-21T14:13:20Z, when the documents below are looked at."""


def child(name: str, state: str = "RUNNING", **other: object) -> Document:
    """A row of `status`."""
    row: Document = {
        "name": name,
        "state": state,
        "desired": "up",
        "pid": 4242,
        "incarnation": 1,
        "restarts": 0,
        "uptime_seconds": 75.0,
        "heartbeat_age_seconds": 0.4,
        "rss_bytes": 24 << 20,
        "cpu_percent": 0.34,
        "reason": "",
        "next_attempt_at": None,
    }
    return row | other


def status(*children: Document, overall: str = "healthy") -> Document:
    """A whole answer to `status`."""
    return {
        "schema_version": 1,
        "instance": "default",
        "overall": overall,
        "supervisor": {
            "pid": 4240,
            "uptime_seconds": 75.5,
            "rss_bytes": 30 << 20,
            "version": "0.1.0",
        },
        "broker": {
            "clients": 3,
            "subscriptions": 2,
            "published_total": 10,
            "delivered_total": 10,
            "lost_total": 0,
        },
        "children": list(children),
    }


@contextmanager
def supervisor_that_answers(
    directory: Path, *answers: Document | bytes | None
) -> Iterator[list[Document]]:
    """Answers one question after the other (None: never); gives the questions it was asked."""
    place = RunDir.find(directory / "run")
    place.make()
    asked: list[Document] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.control_path))
        listener.listen()
        listener.settimeout(5)
        answering = threading.Thread(target=_answer, args=(listener, answers, asked))
        answering.start()
        try:
            yield asked
        finally:
            answering.join()
            place.control_path.unlink()


def _answer(
    listener: socket.socket, answers: tuple[Document | bytes | None, ...], asked: list[Document]
) -> None:
    for answer in answers:
        connection, _ = listener.accept()
        with connection:
            cutter = FrameCutter(1 << 20)
            while not (frames := cutter.feed(connection.recv(1 << 16))):
                pass
            asked.append(json.loads(frames[0]))
            if answer is None:
                connection.recv(1)  # says nothing until the asker has gone
            elif isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                connection.sendall(pack(json.dumps({"ok": True, **answer}).encode()))
