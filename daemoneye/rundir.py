"""The run directory: where an instance keeps its sockets, its lock and its keys.

    <run directory>/            0700, owned by the user of the instance
        lock                    held by the live supervisor; its pid is inside
        bus, control            the sockets
        operator.key            what proves an operator on the bus (0600, hex)
        keys/NAME.key           the same for each named client of the configuration
        crashes/                one report for each failure

Finding it touches nothing; `make` is for the supervisor, `check` for everybody else.  A directory
that somebody else owns, may write to, or could swap for another is refused: whoever can do that
could be the broker for everybody.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daemoneye.errors import AlreadyRunning, ConfigError, NotRunning
from daemoneye.system import (
    NO_FOLLOW,
    NON_BLOCKING,
    SOCKET_PATH_LIMIT_BYTES,
    lock_nowait,
    user_id,
)

KEY_BYTES = 32
OPERATOR = "operator"
"""The identity of whoever can read the operator's key."""

_INSTANCE = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
_LONGEST_SOCKET_NAME = "control"
_NAMED = "--run-dir, in Python run_dir="
"""How another run directory is named, by whoever reads an error."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """A place on disk, by name only: making one of these touches nothing."""

    path: Path
    """The directory itself, absolute."""

    @classmethod
    def find(
        cls,
        explicit: str | os.PathLike[str] | None = None,
        instance: str = "default",
        environ: Mapping[str, str] = os.environ,
    ) -> RunDir:
        """Where the instance of this name lives, by the first rule that says something.

        An explicit path; DAEMONEYE_RUN_DIR; RUNTIME_DIRECTORY (set by systemd);
        XDG_RUNTIME_DIR/daemoneye/<instance>; /run/daemoneye/<instance> for root; a directory of
        this user below the temporary directory.  The first three name the directory whole, so there
        the instance's name plays no part.  Raises ConfigError for an impossible instance name.
        """
        if not _INSTANCE.fullmatch(instance):
            raise ConfigError(
                f"{instance!r} cannot name an instance",
                hint="use 1 to 64 of a-z, 0-9, _ and -",
            )
        systemd = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        whole = explicit or environ.get("DAEMONEYE_RUN_DIR") or systemd
        if whole:
            return cls(Path(os.path.abspath(whole)))
        if runtime := environ.get("XDG_RUNTIME_DIR"):
            return cls(Path(os.path.abspath(runtime), "daemoneye", instance))
        if user_id() == 0:
            return cls(Path("/run/daemoneye", instance))
        return cls(_own_temporary(environ.get("TMPDIR") or "/tmp") / instance)

    @property
    def socket_dir(self) -> Path:
        """Where the sockets are: here, or below /tmp where this path is too long for them."""
        if len(os.fsencode(self.path / _LONGEST_SOCKET_NAME)) <= SOCKET_PATH_LIMIT_BYTES:
            return self.path
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()
        return _own_temporary("/tmp") / digest[:16]

    @property
    def bus_path(self) -> Path:
        """The socket of the broker."""
        return self.socket_dir / "bus"

    @property
    def control_path(self) -> Path:
        """The socket of the supervisor."""
        return self.socket_dir / "control"

    @property
    def lock_path(self) -> Path:
        """The file whose lock the live supervisor holds."""
        return self.path / "lock"

    @property
    def keys_dir(self) -> Path:
        """Where the keys of named clients are."""
        return self.path / "keys"

    def key_path(self, name: str) -> Path:
        """The key that makes whoever can read it this identity.

        Raises ConfigError for what can be nobody's name.
        """
        if not _INSTANCE.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a client", hint="use 1 to 64 of a-z, 0-9, _ and -"
            )
        return self.path / "operator.key" if name == OPERATOR else self.keys_dir / f"{name}.key"

    @property
    def crash_dir(self) -> Path:
        """Where reports of failures are kept."""
        return self.path / "crashes"

    def make(self) -> None:
        """Create what is missing, for our user only, and check what is there.

        Raises ConfigError when the directory, or where it would have to be, cannot be trusted.
        """
        for directory in {self.path: None, self.socket_dir: None}:
            try:
                _make_private(directory)
            except OSError as error:
                raise ConfigError(
                    f"cannot make the run directory {directory}: {error.strerror}",
                    hint="name another with --run-dir or DAEMONEYE_RUN_DIR",
                ) from error
        self.check()

    def check(self) -> None:
        """Hold that the directory is ours alone.

        Raises NotRunning when there is none, ConfigError when it cannot be trusted.
        """
        for directory in {self.path: None, self.socket_dir: None}:
            check_private(directory)

    def make_keys(self, clients: Sequence[str] = ()) -> dict[str, bytes]:
        """A fresh key for the operator and each of these, in their files; by name.

        Keys of an earlier run are gone afterwards.  Raises ConfigError when something else is in
        the place of one.
        """
        self.remove_keys()
        names = (OPERATOR, *clients)
        if clients:
            try:
                self.keys_dir.mkdir(0o700, exist_ok=True)
            except OSError as error:
                raise _cannot("make", self.keys_dir, error) from error
            check_private(self.keys_dir)
        return {name: _make_key(self.key_path(name)) for name in names}

    def remove_keys(self) -> None:
        """Nobody can prove anything any more; harmless when there are none."""
        left = [self.key_path(OPERATOR)]
        if not self.keys_dir.is_symlink():
            left += (*self.keys_dir.glob("*.key"), *self.keys_dir.glob("*.new"))
        for path in left:
            with suppress(OSError):  # a directory in its place is found when a key is made
                path.unlink()
        with suppress(OSError):
            self.keys_dir.rmdir()

    def remove_socket_dir(self) -> None:
        """Take away the place of the sockets when it is not here; one that is in use stays."""
        if self.socket_dir != self.path:
            with suppress(OSError):  # somebody put something there, which is not ours to remove
                self.socket_dir.rmdir()

    def read_key(self, name: str = OPERATOR) -> bytes:
        """The key of the operator, or of a named client.

        Raises NotRunning when there is no instance, ConfigError when it has no such client, or the
        file is not private or no key.
        """
        path = self.key_path(name)
        try:
            if name != OPERATOR:
                check_private(self.keys_dir)
            return _read_key(path)
        except (FileNotFoundError, NotRunning):
            if name != OPERATOR and self.key_path(OPERATOR).exists():
                raise ConfigError(
                    f"there is no client {name!r} at {self.path}{self._known_clients()}",
                    hint=f"if {name} is a child, nobody else may come as it; if not, add "
                    f"[bus.clients.{name}] to the configuration and restart the instance",
                ) from None
            raise NotRunning(
                f"no key of an {OPERATOR} in {self.path}", hint="start it with `daemoneye run`"
            ) from None
        except OSError as error:
            raise _cannot("read", path, error) from error

    def _known_clients(self) -> str:
        names = sorted(each.stem for each in self.keys_dir.glob("*.key"))
        return f", only {', '.join(names)}" if names else ""


def _make_key(path: Path) -> bytes:
    key = os.urandom(KEY_BYTES)
    draft = path.with_suffix(".new")
    try:
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
        os.replace(draft, path)
    except OSError as error:
        raise _cannot("write", Path(error.filename2 or error.filename or draft), error) from error
    return key


def _read_key(path: Path) -> bytes:
    """Raises OSError when it cannot be read, ConfigError when it is not private or no key."""
    with open(_open_regular(path, os.O_RDONLY), encoding="ascii", errors="replace") as file:
        found = os.fstat(file.fileno())
        if found.st_uid != user_id() or found.st_mode & 0o077:
            raise ConfigError(
                f"{path} can be read by others, so it proves nothing",
                hint=f"chmod 600 {path}, then restart the instance",
            )
        text = file.read(4 * KEY_BYTES).strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{path} holds no key of {KEY_BYTES} bytes in hex",
            hint="restart the instance, which makes a new one",
        )
    return key


class RunLock:
    """The right to be the supervisor of a run directory, held until `release` or death.

    The kernel frees it with the process, however that ends: the descriptor is closed on exec, so no
    child keeps it alive.
    """

    __slots__ = ("_fd", "_path")

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def acquire(cls, run_dir: RunDir) -> Self:
        """Take the lock at once.

        Raises AlreadyRunning, with the holder's pid, when it is held, and ConfigError when its
        place is taken by something that cannot be locked.
        """
        path = run_dir.lock_path
        while True:
            try:
                fd = _open_regular(path, os.O_RDWR | os.O_CREAT)
            except OSError as error:
                raise _cannot("lock", path, error) from error
            try:
                if not lock_nowait(fd):
                    pid = _pid_inside(fd)
                    raise AlreadyRunning(
                        f"{run_dir.path} is held by a running supervisor, pid {pid or 'unknown'}",
                        pid=pid,
                        hint="`daemoneye status` shows it; stop it first, or use another:"
                        f" {_NAMED}",
                    )
                if _is_at(path, fd):
                    os.ftruncate(fd, 0)
                    os.write(fd, f"{os.getpid()}\n".encode())
                    return cls(path, fd)
            except BaseException:  # whatever it is, the descriptor is ours to close
                os.close(fd)
                raise
            os.close(fd)  # its holder removed the file between our open and our lock

    def release(self) -> None:
        """Give the directory up; releasing twice does nothing."""
        if self._fd < 0:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1


def _open_regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file; never waits, as the open of a named pipe would.

    Raises OSError for what is no regular file, and for a symbolic link.
    """
    fd = os.open(path, flags | NO_FOLLOW | NON_BLOCKING, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return fd


def _cannot(do: str, path: Path, error: OSError) -> ConfigError:
    why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
    hint = "remove what is there, or name another place with --run-dir"
    if error.errno in _FULL:
        hint = "make room there, or name another place with --run-dir"
    return ConfigError(f"cannot {do} {path}: {why}", hint=hint)


_FULL = {errno.ENOSPC, errno.EDQUOT}


def _own_temporary(parent: str) -> Path:
    return Path(os.path.abspath(parent), f"daemoneye-{user_id()}")


def _make_private(directory: Path) -> None:
    missing = [directory]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        try:
            each.mkdir(0o700)
        except FileExistsError:
            continue


def check_private(directory: Path) -> None:
    """Hold that a directory is ours alone and stays where it is.

    Raises NotRunning when there is none, ConfigError when it cannot be trusted.
    """
    try:
        found, parent = directory.lstat(), directory.parent.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotRunning(
            f"nothing runs at {directory}: there is no such directory",
            hint=f"start it with `daemoneye run`, or name another place with {_NAMED}",
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot look at {directory}: {error.strerror}") from error
    complaint = _complaint_about(found, parent)
    if complaint:
        raise ConfigError(
            f"{directory} cannot be a run directory: {complaint}",
            hint="name another with --run-dir or DAEMONEYE_RUN_DIR",
        )


def _complaint_about(found: os.stat_result, parent: os.stat_result) -> str:
    """Why a directory with these facts cannot be trusted; empty when it can."""
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISDIR(found.st_mode):
        return "it is no directory"
    if found.st_uid != user_id():
        return f"it belongs to user {found.st_uid}, not to {user_id()}"
    if found.st_mode & 0o077:
        return f"others may use it (mode {stat.S_IMODE(found.st_mode):04o}, wanted 0700)"
    if parent.st_mode & stat.S_IWOTH and not parent.st_mode & stat.S_ISVTX:
        return "anybody may replace it, because anybody may write to its parent"
    if parent.st_uid not in (0, user_id()):
        return f"its parent belongs to user {parent.st_uid}, who may replace it"
    return ""


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _pid_inside(fd: int) -> int:
    text = os.read(fd, 20).strip()
    return int(text) if text.isdigit() else 0
