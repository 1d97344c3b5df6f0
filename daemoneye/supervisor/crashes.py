"""The crash directory: one JSON document for each failure, a bounded number of them.

A document appears whole or not at all, and only our user can read it: a traceback may hold secrets.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from daemoneye.supervisor.documents import Document
from daemoneye.system import NO_FOLLOW

KEPT = 200
"""How many documents are kept; the oldest go first."""


def write_crash(directory: Path, name: str, document: Document) -> Path:
    """Write a document under a name that sorts by time; returns its path.  Raises OSError."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{name}.json"
    draft = directory / f".{name}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    os.replace(draft, path)
    for old in sorted(directory.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path
