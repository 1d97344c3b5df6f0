"""Signals and groups, as processes see them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from daemoneye import signals
from tests.support import scaled


def test_a_group_is_asked_signalled_and_gone() -> None:
    code = "import daemoneye.signals as s; print(s.leads_group(), flush=True); input()"
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"True\n"
        signals.signal_group(child.pid, 0)
        signals.signal_group(child.pid, signals.SIGKILL)
        assert child.wait(scaled(5)) == -signals.SIGKILL
    with pytest.raises(ProcessLookupError):
        signals.signal_group(child.pid, 0)


def test_held_back_signals_come_when_they_are_let_through() -> None:
    code = (
        "import os, signal, daemoneye.signals as s\n"
        "signal.signal(s.SIGUSR2, lambda *_: print('came'))\n"
        "s.block_signals(s.SIGUSR2)\n"
        "os.kill(os.getpid(), s.SIGUSR2)\n"
        "print('held', flush=True)\n"
        "s.let_signals_through()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["held", "came"]
