"""The suite's own tools do what tests lean on: waiting, and finding what was left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import MARK, is_running, nothing_left_behind, wait_for, wait_gone

SLEEPER = [sys.executable, "-I", "-c", "import time; time.sleep(60)"]


def test_wait_for_returns_the_first_true_answer() -> None:
    answers = iter([None, 0, "here"])
    assert wait_for(lambda: next(answers), "an answer") == "here"


def test_wait_for_says_what_it_waited_for_and_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match="for a miracle; last seen: 0"):
        wait_for(lambda: 0, "a miracle", within=0.02)


def test_a_process_in_a_session_of_its_own_is_found_and_killed(short_dir: Path) -> None:
    child: subprocess.Popen[bytes] | None = None
    with (
        pytest.raises(AssertionError, match="left behind: process"),
        nothing_left_behind(short_dir, within=0.1),
    ):
        child = subprocess.Popen(SLEEPER, start_new_session=True)
        wait_for(lambda: is_running(child.pid) and MARK in _environment(child.pid), "its exec")
    assert child is not None
    wait_gone(child.pid)
    child.wait()


def test_a_socket_file_and_its_descriptor_are_named(short_dir: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    try:
        with (
            pytest.raises(AssertionError) as failure,
            nothing_left_behind(short_dir, within=0.1),
        ):
            duplicate = listener.dup()
            duplicate.bind(os.fspath(short_dir / "left.sock"))
        duplicate.close()
    finally:
        listener.close()
    assert "descriptor" in str(failure.value)
    assert "left.sock" in str(failure.value)


def test_what_is_closed_and_ended_is_no_leak(tidy: Path) -> None:
    subprocess.run([sys.executable, "-I", "-c", ""], check=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tidy / "gone.sock"))
    (tidy / "gone.sock").unlink()


def _environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text(errors="replace")
