"""On a Python without POSIX everything can be imported, and what cannot work says so in one error.

Such a Python is not at hand here: a process takes from its own what Windows does not have.  That
shows imports and first words, and nothing more.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import scaled

TAKE_AWAY = """
import asyncio, multiprocessing.connection, multiprocessing.popen_spawn_posix, os, pkgutil
import platform, psutil, select, selectors, signal, socket, subprocess, sys, tempfile, types
import importlib

POSIX = {
    os: "fork killpg getpgrp geteuid getuid set_blocking pidfd_open pread pwrite sysconf "
        "getloadavg WNOHANG O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_ASYNC memfd_create mkfifo",
    select: "poll epoll POLLIN POLLOUT EPOLLIN EPOLLOUT",
    signal: "SIGKILL SIGCONT SIGHUP SIGUSR1 SIGUSR2 SIGQUIT SIGSTOP SIGALRM SIGCHLD SIG_BLOCK "
        "SIG_SETMASK pthread_sigmask",
    socket: "AF_UNIX MSG_DONTWAIT SO_PEERCRED CMSG_SPACE SCM_RIGHTS MSG_CMSG_CLOEXEC",
}
for module, names in POSIX.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.modules["multiprocessing.popen_spawn_win32"] = types.SimpleNamespace(Popen=object)
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
sys.platform = "win32"
import daemoneye
"""


def without_posix(code: str) -> str:
    """What this prints where POSIX was taken away."""
    done = subprocess.run(
        [sys.executable, "-c", TAKE_AWAY + code],
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=False,
    )
    return done.stdout + done.stderr


def test_every_module_can_be_imported() -> None:
    assert not without_posix(
        """
for found in pkgutil.walk_packages(daemoneye.__path__, "daemoneye."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""
    )


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        ("daemoneye.Supervisor([])", "a supervisor needs process groups and POSIX signals"),
        (
            'daemoneye.BusClient.connect("bus", name="a", key=bytes(32))',
            "the bus needs AF_UNIX sockets",
        ),
    ],
)
def test_what_cannot_work_says_why_and_where_it_would(
    tmp_path: Path, attempt: str, words: str
) -> None:
    said = without_posix(
        f"""
os.chdir({str(tmp_path)!r})
try:
    {attempt}
except daemoneye.ConfigError as error:
    print(error)
"""
    )
    assert said.startswith(words)
    assert said.count("\n") == 1
    assert "run it on Linux, macOS or FreeBSD" in said
