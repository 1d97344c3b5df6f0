"""A process that takes itself for one on Windows: no POSIX, and stand-ins for what is asked of it.

It shows that imports hold and which calls are made, and nothing of what a Windows would answer.
Only for a process of its own: there is no way back.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing.connection
import multiprocessing.popen_spawn_posix
import os
import platform
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from typing import Any

import psutil

LOADED_BEFORE = asyncio, multiprocessing.popen_spawn_posix, platform, selectors, tempfile, psutil
"""The library looks at the platform when it is loaded: these have to be there before."""

POSIX = {
    os: "fork killpg getpgrp geteuid getuid set_blocking pidfd_open pread pwrite sysconf "
    "getloadavg WNOHANG O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_ASYNC memfd_create mkfifo",
    select: "poll epoll POLLIN POLLOUT EPOLLIN EPOLLOUT",
    signal: "SIGKILL SIGCONT SIGHUP SIGUSR1 SIGUSR2 SIGQUIT SIGSTOP SIGALRM SIGCHLD SIG_BLOCK "
    "SIG_SETMASK pthread_sigmask",
    socket: "AF_UNIX MSG_DONTWAIT SO_PEERCRED CMSG_SPACE SCM_RIGHTS MSG_CMSG_CLOEXEC",
}

CALLS: list[tuple[str, tuple[object, ...]]] = []
"""What Windows was asked for, in order: name and arguments."""

US = "S-1-5-21-7"

PIPE_OWNERS = [US]
"""Whom the pipes that are dialled belong to."""

_OWNER = 0x1234  # where its id stands


class WindowsError(OSError):
    """An error with a number of Windows."""

    winerror = 0


class Windows(types.ModuleType):
    """`_winapi`, as far as it is used."""

    FILE_FLAG_FIRST_PIPE_INSTANCE = 0x80000
    FILE_FLAG_OVERLAPPED = 0x40000000
    PIPE_ACCESS_DUPLEX, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE, PIPE_WAIT = 3, 2, 4, 0
    PIPE_UNLIMITED_INSTANCES = 255
    GENERIC_READ, GENERIC_WRITE, OPEN_EXISTING, NULL = 0x80000000, 0x40000000, 3, 0
    ERROR_NO_DATA, ERROR_PIPE_BUSY, WAIT_OBJECT_0 = 232, 231, 0

    handles = iter(range(100, 1000))
    waits: list[int]
    failures: dict[str, WindowsError]

    def __init__(self) -> None:
        super().__init__("_winapi")
        self.waits, self.failures = [], {}

    def _asked(self, name: str, *arguments: object) -> int:
        CALLS.append((name, arguments))
        if error := self.failures.pop(name, None):
            raise error
        return next(self.handles)

    def GetCurrentProcess(self) -> int:
        return -1

    def CloseHandle(self, handle: int) -> None:
        CALLS.append(("CloseHandle", (handle,)))

    def CreateNamedPipe(self, *arguments: object) -> int:
        return self._asked("CreateNamedPipe", *arguments)

    def CreateFile(self, *arguments: object) -> int:
        return self._asked("CreateFile", *arguments)

    def SetNamedPipeHandleState(self, *arguments: object) -> None:
        self._asked("SetNamedPipeHandleState", *arguments)

    def ConnectNamedPipe(self, handle: int, overlapped: bool) -> types.SimpleNamespace:
        self._asked("ConnectNamedPipe", handle)
        return types.SimpleNamespace(
            event=1,
            cancel=lambda: CALLS.append(("cancel", ())),
            GetOverlappedResult=lambda _: (0, 0),
        )

    def WaitForMultipleObjects(self, handles: list[int], wait_all: bool) -> int:
        return self.waits.pop(0)


class Library:
    """A DLL whose functions do what is known of them, and else succeed."""

    def __init__(self, name: str, use_last_error: bool = False) -> None:
        self._functions: dict[str, types.FunctionType] = {}

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name not in self._functions:
            known = globals().get(f"_{name}", lambda *_: 1)

            def function(*arguments: object) -> int:
                CALLS.append((name, arguments))
                answer: int = known(*arguments)
                return answer

            self._functions[name] = function  # type: ignore[assignment]  # it takes `argtypes` too
        return self._functions[name]


def _ConvertSidToStringSidW(sid: ctypes.c_void_p, text: object) -> int:
    _inside(text).value = PIPE_OWNERS[0] if sid.value == _OWNER else US
    return 1


def _GetTokenInformation(*arguments: object) -> int:
    _inside(arguments[-1]).value = ctypes.sizeof(ctypes.c_void_p) + 8
    return 1


def _GetSecurityInfo(pipe: object, kind: int, what: int, owner: object, *rest: object) -> int:
    _inside(owner).value = _OWNER
    return 0


def _GetNamedPipeClientProcessId(pipe: object, pid: object) -> int:
    _inside(pid).value = 4242
    return 1


def _CreateEventW(*arguments: object) -> int:
    return 9


def _inside(reference: Any) -> Any:
    """What `byref` points to."""
    return reference._obj


def become_windows() -> Windows:
    """From now on this process takes itself for one on Windows."""
    for module, names in POSIX.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    found = Windows()
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]  # stand-ins, and None
    modules["_winapi"] = found
    modules["multiprocessing.popen_spawn_win32"] = types.SimpleNamespace(Popen=object)
    for name in ("fcntl", "resource", "pwd", "grp", "termios"):
        modules[name] = None
    stand_ins: dict[types.ModuleType, dict[str, object]] = {
        ctypes: {
            "WinDLL": Library,
            "WinError": lambda code=0: OSError(code, "failed"),
            "get_last_error": lambda: 5,
        },
        multiprocessing.connection: {
            "PipeConnection": lambda handle: types.SimpleNamespace(handle=handle)
        },
    }
    for module, names_ in stand_ins.items():
        for name, value in names_.items():
            setattr(module, name, value)
    sys.platform = "win32"
    return found


def output_of(code: str) -> str:
    """What this prints in a process of its own that became Windows; `windows` is its stand-in."""
    begin = "from tests.fake_windows import *\nfrom tests.fake_windows import become_windows\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}windows = become_windows()\nimport daemoneye\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr
