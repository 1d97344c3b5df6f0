"""A `multiprocessing` process of the start method spawn, born safe.

What the standard start leaves open, and what is closed here:

* the child has a session, and so a process group, of its own from before its exec on, so there is
  no moment in which the group cannot be signalled;
* a mark in its environment, and only there, that whatever descends from it carries too;
* no resource tracker: it would be one more process, and it outlives us;
* between exec and the first byte of its arguments we hold the child back: that is when the caller
  arms what has to be armed before any foreign code runs;
* descriptors it inherits are made close-on-exec by the very first bytes it unpickles, or a program
  it starts would hold our pipes open;
* the main module is imported again only when something in the arguments lives there;
* writing the arguments never blocks: they are refused when they would not fit into a pipe's buffer.

SIGINT and SIGUSR2 are blocked in the child until it has its handlers: `block_early_signals` in the
thread that launches (a signal mask is inherited through fork and exec, a handler is not).

It leans on private hooks of `multiprocessing`, so its tests run on every Python we promise.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing import context, process, reduction, spawn, util
from typing import Any, cast

from daemoneye import signals, system
from daemoneye.errors import SupervisionError

if sys.platform != "win32":
    from multiprocessing.popen_spawn_posix import Popen as _SpawnPopen
else:  # names alone: see `Supervisor`
    from multiprocessing.popen_spawn_win32 import Popen as _SpawnPopen

ARGUMENTS_LIMIT_BYTES = 60 << 10
"""What spawn arguments may weigh: a pipe takes 64 KiB without anybody reading."""

EARLY_SIGNALS = frozenset({signal.SIGINT, signals.SIGUSR2})
"""Blocked from birth until the child has its handlers: a terminal's, and ours."""


def _no_arming(pid: int) -> None:
    """Nothing has to be armed."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a process is given besides its target."""

    mark: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the child."""
    inherited: tuple[int, ...] = ()
    """Descriptors it gets under the same numbers."""
    arm: Callable[[int], None] = _no_arming
    """Called with the new pid before the child can run any code of ours or yours."""


class LaunchedProcess(context.SpawnProcess):
    """A `multiprocessing.Process` that starts as this module's docstring says.

    It never becomes a child of `multiprocessing.active_children()`: that list is joined at exit,
    and a child that cannot be killed must not keep us from ending.
    """

    def __init__(
        self, birth: Birth, target: Callable[..., object], args: tuple[object, ...], name: str
    ) -> None:
        super().__init__(target=target, args=args, name=name)
        self.birth = birth

    def start(self) -> None:
        """Start it.  Raises OSError, or SupervisionError when the arguments cannot be passed on."""
        try:
            super().start()
        finally:
            _children().discard(self)

    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> _Popen:
        return _Popen(process_obj)

    def __reduce__(self) -> tuple[object, ...]:
        """In the child it is a plain SpawnProcess: it need not import this module."""
        state = {key: value for key, value in vars(self).items() if key != "birth"}
        return object.__new__, (context.SpawnProcess,), state


class _Popen(_SpawnPopen):
    """`multiprocessing`'s handle of a spawned process, with `subprocess` underneath."""

    _fds: list[int]  # what pickling found among the arguments: the base class fills it

    def _launch(self, process_obj: process.BaseProcess) -> None:
        birth = cast("LaunchedProcess", process_obj).birth
        alive_read, alive_write = os.pipe()  # ends when the process does: the sentinel
        argument_read, argument_write = os.pipe()
        self.sentinel = alive_read
        self.finalizer = util.Finalize(self, _close, (alive_read, argument_write))
        try:
            inherited = (*birth.inherited, argument_read, alive_write)
            arguments = self._pickled(process_obj, inherited)
            self._process = subprocess.Popen(
                spawn.get_command_line(pipe_handle=argument_read),
                pass_fds=(*self._fds, *inherited),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **birth.mark},
            )
            self.pid = self._process.pid
            try:
                birth.arm(self.pid)
                _write_at_once(argument_write, arguments)
            except BaseException:  # born or not, it may not stay unarmed
                self._process.kill()
                self._process.wait()
                raise
        except BaseException:  # whatever it was, nothing is left open
            self.finalizer()
            raise
        finally:
            os.close(alive_write)
            os.close(argument_read)

    def _pickled(self, process_obj: process.BaseProcess, inherited: tuple[int, ...]) -> bytes:
        body, whole = io.BytesIO(), io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(process_obj, body)
            preparation = spawn.get_preparation_data(process_obj.name)
            if b"__main__" not in body.getvalue():
                preparation.pop("init_main_from_name", None)
                preparation.pop("init_main_from_path", None)
            early = [_Sealed(fd) for fd in (*self._fds, *inherited)]
            reduction.dump({"daemoneye": early, **preparation}, whole)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
            raise SupervisionError(
                f"the arguments of {process_obj.name!r} cannot be passed to a process: {error}",
                hint="use a function at the top of a module, and plain values",
            ) from error
        finally:
            context.set_spawning_popen(None)
        whole.write(body.getbuffer())
        if whole.tell() > ARGUMENTS_LIMIT_BYTES:
            raise SupervisionError(
                f"the arguments of {process_obj.name!r} weigh {whole.tell()} bytes, "
                f"and {ARGUMENTS_LIMIT_BYTES} can be passed to a process",
                hint="pass the name of a file instead",
            )
        return whole.getvalue()

    def poll(self, flag: int = signals.WNOHANG) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        self.returncode = self._process.poll() if flag == signals.WNOHANG else self._process.wait()
        return self.returncode


class _Sealed:
    """Unpickling it makes a descriptor close-on-exec, with the standard library alone."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __reduce__(self) -> tuple[object, ...]:
        return os.set_inheritable, (self._fd, False)


def _write_at_once(fd: int, arguments: bytes) -> None:
    """Let the child go: it waits for these bytes, and whoever gets half of them ends by itself."""
    system.set_nonblocking(fd)
    try:
        written = os.write(fd, arguments)
    except BrokenPipeError:
        return  # it died at once: its exit code tells
    if written < len(arguments):
        raise SupervisionError(
            f"a pipe took {written} bytes at once, and {len(arguments)} are needed",
            hint="raise /proc/sys/fs/pipe-user-pages-soft",
        )


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def block_early_signals() -> None:
    """Make this thread give birth to children in which EARLY_SIGNALS are blocked."""
    signals.block_signals(*EARLY_SIGNALS)


def _children() -> set[process.BaseProcess]:
    return cast("set[process.BaseProcess]", cast(Any, process)._children)
