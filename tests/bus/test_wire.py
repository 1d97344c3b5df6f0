"""`docs/wire.md` is true: its client runs as it stands, with nothing of ours but the schema."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.bus.brokers import broker_process
from tests.support import scaled

DOCUMENT = Path(__file__).parents[2] / "docs" / "wire.md"


def client_of_the_docs() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return str(code)


def test_the_client_of_the_docs_needs_the_schema_only() -> None:
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", client_of_the_docs(), re.MULTILINE))
    assert {name for name in imported if name.startswith("daemoneye")} == {"daemoneye.bus.proto"}


def test_the_client_of_the_docs_publishes_and_hears_itself(short_dir: Path) -> None:
    with broker_process(short_dir) as process:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", client_of_the_docs(), str(process.run_dir.path)],
            capture_output=True,
            text=True,
            timeout=scaled(20),
            env={**os.environ, "PYTHONPATH": str(DOCUMENT.parents[1])},
            check=False,
        )
    assert done.stderr == ""
    assert done.stdout == "operator events.demo.tick b'hello' b'wire'\n"
