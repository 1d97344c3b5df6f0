"""Named pipes of Windows, made private: a part of the border to the operating system, see `system`.

What `multiprocessing.connection` lacks for this is added, its `PipeConnection` is used:

* only our own user may open the pipe, by its security descriptor, and nobody from another machine;
* the name has to be free when we begin to listen, or somebody else would answer beside us;
* who dials looks whom the pipe belongs to before a byte is sent, and does not lend its identity to
  whoever serves it.

Never run, for want of a Windows: its types are checked, and what stands on it (`bus/pipes.py`) is
tested with a stand-in for `listen` and `connect`.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Protocol

from daemoneye import system

BUFFER_BYTES = 64 << 10


class Pipe(Protocol):
    """A connection that keeps messages apart: what is used of a `PipeConnection`."""

    def send_bytes(self, data: bytes, /) -> None:
        """Send one message; waits while the other side takes nothing."""

    def recv_bytes(self, max_bytes: int, /) -> bytes:
        """The next message.  Raises OSError for a longer one, EOFError when there is none."""

    def close(self) -> None:
        """Hang up; whoever waits in here is freed with an exception."""


class Listener(Protocol):
    """Where such connections come from; one thread accepts."""

    def accept(self) -> tuple[Pipe, int] | None:
        """The next one and the pid that made it, or 0; waits for it.  None once it is closed.

        Raises OSError when there is no room for it just now.
        """

    def close(self) -> None:
        """Free the name, and whoever waits; from any thread."""


if sys.platform == "win32":
    import _winapi
    import ctypes
    from ctypes import wintypes
    from multiprocessing.connection import PipeConnection

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi = ctypes.WinDLL("advapi32", use_last_error=True)

    _REJECT_REMOTE_CLIENTS = 0x8
    _SECURITY_SQOS_PRESENT = 0x00100000  # with no level beside it: the server may not act as us
    _TOKEN_QUERY, _TOKEN_USER = 0x8, 1
    _SE_KERNEL_OBJECT, _OWNER_SECURITY_INFORMATION = 6, 1
    _SDDL_REVISION = 1

    _pointer, _handle, _number = ctypes.c_void_p, wintypes.HANDLE, wintypes.DWORD
    _sid_to_text = _advapi.ConvertSidToStringSidW
    _descriptor_from_text = _advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW
    _sid_to_text.argtypes = (_pointer, _pointer)
    _descriptor_from_text.argtypes = (wintypes.LPCWSTR, _number, _pointer, _pointer)
    _advapi.OpenProcessToken.argtypes = (_handle, _number, _pointer)
    _advapi.GetTokenInformation.argtypes = (_handle, _number, _pointer, _number, _pointer)
    _advapi.GetSecurityInfo.argtypes = (_handle, _number, _number, *[_pointer] * 5)
    _kernel.GetNamedPipeClientProcessId.argtypes = (_handle, _pointer)
    _kernel.DisconnectNamedPipe.argtypes = (_handle,)
    _kernel.SetEvent.argtypes = (_handle,)
    _kernel.CreateEventW.argtypes = (_pointer, wintypes.BOOL, wintypes.BOOL, wintypes.LPCWSTR)
    _kernel.CreateEventW.restype = _handle
    _kernel.LocalFree.argtypes = (_pointer,)
    _kernel.LocalFree.restype = _pointer

    class _SecurityAttributes(ctypes.Structure):
        _fields_ = (
            ("length", wintypes.DWORD),
            ("descriptor", ctypes.c_void_p),
            ("inherit", wintypes.BOOL),
        )

    def _check(succeeded: int) -> None:
        if not succeeded:
            raise ctypes.WinError(ctypes.get_last_error())

    def _text_of(sid: ctypes.c_void_p) -> str:
        text = ctypes.c_wchar_p()
        _check(_sid_to_text(sid, ctypes.byref(text)))
        try:
            return text.value or ""
        finally:
            _kernel.LocalFree(ctypes.cast(text, ctypes.c_void_p))

    def _own_user() -> str:
        """The security id of the user of this process, as text."""
        token, size = wintypes.HANDLE(), wintypes.DWORD()
        process = _winapi.GetCurrentProcess()
        _check(_advapi.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)))
        try:
            _advapi.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(size))
            room = ctypes.create_string_buffer(size.value)
            _check(_advapi.GetTokenInformation(token, _TOKEN_USER, room, size, ctypes.byref(size)))
            sid = ctypes.c_void_p.from_buffer(room)  # a TOKEN_USER begins with the pointer to it
            return _text_of(sid)
        finally:
            _winapi.CloseHandle(token.value or 0)

    def _owner_of(pipe: int) -> str:
        """The security id of the user whom a pipe belongs to: who made it says so, and is held."""
        owner, descriptor = ctypes.c_void_p(), ctypes.c_void_p()
        problem = _advapi.GetSecurityInfo(
            *(pipe, _SE_KERNEL_OBJECT, _OWNER_SECURITY_INFORMATION, ctypes.byref(owner)),
            *(None, None, None, ctypes.byref(descriptor)),
        )
        if problem:
            raise ctypes.WinError(problem)
        try:
            return _text_of(owner)
        finally:
            _kernel.LocalFree(descriptor)

    def _make(name: str, flags: int) -> int:
        """One more instance of a pipe, owned by our user and open to nobody else."""
        user, descriptor = _own_user(), ctypes.c_void_p()
        _check(
            _descriptor_from_text(
                f"O:{user}D:P(A;;GA;;;{user})", _SDDL_REVISION, ctypes.byref(descriptor), None
            )
        )
        try:
            attributes = _SecurityAttributes(
                ctypes.sizeof(_SecurityAttributes), descriptor.value, False
            )
            return _winapi.CreateNamedPipe(
                name,
                _winapi.PIPE_ACCESS_DUPLEX | _winapi.FILE_FLAG_OVERLAPPED | flags,
                _winapi.PIPE_TYPE_MESSAGE
                | _winapi.PIPE_READMODE_MESSAGE
                | _winapi.PIPE_WAIT
                | _REJECT_REMOTE_CLIENTS,
                _winapi.PIPE_UNLIMITED_INSTANCES,
                *(BUFFER_BYTES, BUFFER_BYTES, 0, ctypes.addressof(attributes)),
            )
        finally:
            _kernel.LocalFree(descriptor)

    class _PipeListener:
        """A name, and always one instance of it that waits: so it never becomes free meanwhile."""

        def __init__(self, name: str) -> None:
            self._name = name
            self._closing = int(_kernel.CreateEventW(None, True, False, None) or 0)
            _check(self._closing)
            try:
                self._next = _make(name, _winapi.FILE_FLAG_FIRST_PIPE_INSTANCE)
            except OSError:
                _winapi.CloseHandle(self._closing)
                raise

        def accept(self) -> tuple[Pipe, int] | None:
            """See `Listener`."""
            try:
                knock = _winapi.ConnectNamedPipe(self._next, overlapped=True)
            except OSError as error:
                if error.winerror != _winapi.ERROR_NO_DATA:  # else it came and went: it is told so
                    raise
            else:
                which = _winapi.WaitForMultipleObjects([knock.event, self._closing], False)
                if which != _winapi.WAIT_OBJECT_0:
                    knock.cancel()
                    knock.GetOverlappedResult(True)
                    _winapi.CloseHandle(self._next)
                    _winapi.CloseHandle(self._closing)
                    return None
                knock.GetOverlappedResult(True)
            taken = self._next
            try:
                self._next = _make(self._name, 0)
            except OSError:
                _kernel.DisconnectNamedPipe(taken)  # to be the one that waits again
                raise
            pid = wintypes.DWORD()
            known = _kernel.GetNamedPipeClientProcessId(taken, ctypes.byref(pid))
            return PipeConnection(taken), pid.value if known else 0

        def close(self) -> None:
            """See `Listener`: the thread that accepts does it."""
            _kernel.SetEvent(self._closing)

    def _connect(name: str) -> Pipe:
        try:
            pipe = _winapi.CreateFile(
                name,
                _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
                0,
                _winapi.NULL,
                _winapi.OPEN_EXISTING,
                _winapi.FILE_FLAG_OVERLAPPED | _SECURITY_SQOS_PRESENT,
                _winapi.NULL,
            )
        except OSError as error:
            if error.winerror == _winapi.ERROR_PIPE_BUSY:
                raise BlockingIOError(errno.EAGAIN, "every instance is taken") from error
            raise
        try:
            owner = _owner_of(pipe)
            if owner != _own_user():
                raise PermissionError(errno.EPERM, f"it belongs to user {owner}")
            _winapi.SetNamedPipeHandleState(pipe, _winapi.PIPE_READMODE_MESSAGE, None, None)
        except BaseException:  # whatever it is, the handle is ours to close
            _winapi.CloseHandle(pipe)
            raise
        return PipeConnection(pipe)


def listen(name: str) -> Listener:
    """Begin to listen under a name that nobody has.

    Raises PermissionError when somebody has it, OSError where there are no named pipes.
    """
    if sys.platform == "win32" and system.FEATURES.named_pipes:
        return _PipeListener(name)
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def connect(name: str) -> Pipe:
    """Connect to whoever listens under a name, when that is our own user.

    Raises FileNotFoundError when nobody does, PermissionError when it is another user's,
    BlockingIOError when too many want in just now, OSError where there are no named pipes.
    """
    if sys.platform == "win32" and system.FEATURES.named_pipes:
        return _connect(name)
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
