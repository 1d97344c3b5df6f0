"""The crash directory: whole documents, private, a bounded number of them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from daemoneye.supervisor.crashes import KEPT, write_crash


def test_a_document_is_written_whole_and_for_our_user_only(tmp_path: Path) -> None:
    path = write_crash(tmp_path / "crashes", "1-a-1", {"cause": "exit:1", "text": "é\udcff"})
    assert json.loads(path.read_text())["cause"] == "exit:1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        write_crash(tmp_path, f"{number:04}-a-1", {})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == KEPT
    assert names[0] == "0003-a-1.json"


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".1-a-1.new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        write_crash(tmp_path, "1-a-1", {})
    assert not (tmp_path / "elsewhere").exists()
