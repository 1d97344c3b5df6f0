"""The private pipe between a child and its supervisor: what is said on it, and its two ends.

    supervisor ── orders: Drain Pause Configure Dump Tell Verdict ──▶ child
               ◀─ reports: Ready Beat Extend Condition Failure Dumped Wish Tell Configured ──

The pipe is one half each of a `multiprocessing.Pipe()`, and the frames on it are that module's, so
its own `Connection` can read them.  We do not let it: `send_bytes` blocks for ever once the other
side stops reading, and `recv_bytes` allocates whatever a header promises.  An end here never
blocks.  What the kernel does not take at once waits in an outbox; when that is full the other side
has not read for a long time, and `send` says so instead of waiting or growing.

End of file is how both sides learn of a death that nobody announced.  What was said before it is
read first.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from multiprocessing.connection import Connection
from typing import ClassVar, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from daemoneye import lifeline_pb2 as pb
from daemoneye.errors import LocalProtocolError, RemoteProtocolError, TooLarge
from daemoneye.framing import FrameCutter, pack

FRAME_LIMIT_BYTES = 1 << 20
"""The longest thing either side may say."""

OUTBOX_LIMIT_BYTES = 4 << 20
"""What may wait for a reader that does not read."""

TEXT_LIMIT_CHARACTERS = 64 << 10
"""Where a traceback or a dump is cut, so that one report stays far below the frame's limit."""

_READ_BYTES = 16 << 10  # of the shortest reports a flood can bring, 2000: some 10 ms of work


@dataclass(frozen=True, slots=True)
class Passport:
    """Who a child is on the bus; it travels in the spawn arguments and nowhere else."""

    name: str
    """The child's name, and its identity on the bus."""
    role: str
    """Which built-in rights it has: collector, worker, observer, agent."""
    kind: str
    """What a collector watches: process, network, …; empty for others."""
    incarnation: int
    """Which life of the child this is; rises from 1."""
    key: bytes = field(repr=False)
    """32 bytes that prove the identity to the broker, good for this incarnation only."""
    bus_address: str
    """Path of the broker's socket; empty when the plan has no bus."""
    run_dir: str
    """The run directory of the instance."""


# ---- orders --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish what you have begun, then end."""

    timeout: float
    """Seconds until SIGTERM."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Begin no more work, or go on."""

    paused: bool
    """True: pause; False: go on."""


@dataclass(frozen=True, slots=True)
class Configure:
    """New settings, as a whole."""

    request: int
    """Number to be answered with Configured."""
    settings: str
    """A JSON object."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Say where all your threads are."""

    request: int
    """Number to be answered with Dumped."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a wish."""

    request: int
    """The child's number of the wish."""
    ok: bool
    """Whether it was done."""
    text: str
    """What happened, or why not, for a person."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Something for the program at the other end; the lifeline does not look inside.  Both ways."""

    name: str
    """Which part of the program it is for."""
    body: bytes
    """What only that part understands."""


# ---- reports -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """I can serve."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life, with what the work is doing."""

    progress: int = 0
    """Rises with every piece of work finished."""
    busy_seconds: float = 0.0
    """How long the work in hand has taken; 0: waiting for work."""
    doing: str = ""
    """The work in hand, for a person."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """What this child counts, for `status`."""
    paused: bool = False
    """It begins no work, because it was asked not to."""
    bus_connected: bool = False
    """Its bus client has a session."""
    uses_bus: bool = False
    """It has a bus client at all."""


@dataclass(frozen=True, slots=True)
class Extend:
    """I need longer to get ready."""

    seconds: float
    """How much longer, from now."""


@dataclass(frozen=True, slots=True)
class Condition:
    """I work, but not well; or well again."""

    degraded: str
    """The reason; empty: all is well."""


@dataclass(frozen=True, slots=True)
class Failure:
    """My last words: the exception that ends me."""

    exception: str
    """Qualified name of its class."""
    message: str
    """What it said."""
    traceback: str
    """As Python prints it."""


@dataclass(frozen=True, slots=True)
class Dumped:
    """Where all my threads are."""

    request: int
    """Number of the order."""
    stacks: str
    """Text for a person."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody on the bus wants something of the supervisor."""

    request: int
    """The child's number for the verdict; 0: none wanted."""
    verb: str
    """start, stop, restart, pause, resume, configure."""
    child: str
    """Whom it is about."""
    settings: str = ""
    """A JSON object, with configure."""
    asked_by: str = ""
    """The identity the broker proved."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What became of new settings."""

    request: int
    """Number of the order."""
    error: str
    """Empty: they are in force."""


Order = Drain | Pause | Configure | Dump | Tell | Verdict
Report = Ready | Beat | Extend | Condition | Failure | Dumped | Wish | Tell | Configured

Said = TypeVar("Said", bound=Order | Report)
Heard = TypeVar("Heard", bound=Order | Report)

_ORDERS: dict[str, type] = {
    "drain": Drain,
    "pause": Pause,
    "configure": Configure,
    "dump": Dump,
    "tell": Tell,
    "verdict": Verdict,
}
_REPORTS: dict[str, type] = {
    "ready": Ready,
    "beat": Beat,
    "extend": Extend,
    "condition": Condition,
    "failure": Failure,
    "dumped": Dumped,
    "wish": Wish,
    "tell": Tell,
    "configured": Configured,
}
_PLACE = {kind: place for table in (_ORDERS, _REPORTS) for place, kind in table.items()}


def encode(envelope: pb.Order | pb.Report, said: Order | Report) -> bytes:
    """`said` as the bytes of an Order or a Report; `envelope` is an empty one of these.

    The values above have the names and the order of the protobuf fields, so one rule serves all.
    Text that is no UTF-8 (a file name in an exception) is escaped, and long text is cut.
    """
    if isinstance(said, Pause) and isinstance(envelope, pb.Order):
        envelope.pause = said.paused
        return envelope.SerializeToString()
    inner: Message = getattr(envelope, _PLACE[type(said)])
    inner.SetInParent()
    for each in fields(said):
        value = getattr(said, each.name)
        if isinstance(value, Mapping):
            getattr(inner, each.name).update(value)
        else:
            setattr(inner, each.name, _sayable(value) if isinstance(value, str) else value)
    return envelope.SerializeToString()


def decode(envelope: pb.Order | pb.Report, frame: bytes) -> Order | Report | None:
    """The value in `frame`; None when it is something a later version says.

    Raises RemoteProtocolError when the bytes are no message at all.
    """
    try:
        envelope.ParseFromString(frame)
    except DecodeError as error:
        raise RemoteProtocolError(f"{len(frame)} bytes on a lifeline are no message") from error
    is_order = isinstance(envelope, pb.Order)
    place = envelope.WhichOneof("order" if is_order else "report")
    if place is None:
        return None
    inner = getattr(envelope, place)
    if place == "pause":
        return Pause(inner)
    kind = (_ORDERS if is_order else _REPORTS)[place]
    values = {each.name: getattr(inner, each.name) for each in fields(kind)}
    if kind is Beat:
        values["counters"] = dict(values["counters"])
    value: Order | Report = kind(**values)
    return value


def _sayable(text: str) -> str:
    if len(text) > TEXT_LIMIT_CHARACTERS:
        half = TEXT_LIMIT_CHARACTERS // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters cut …\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()


class _End(Generic[Said, Heard]):
    """One end of a lifeline.  Nothing here blocks; `send` may be called from any thread."""

    _says: ClassVar[type[pb.Order] | type[pb.Report]]
    _hears: ClassVar[type[pb.Order] | type[pb.Report]]

    def __init__(self, connection: Connection) -> None:
        """Take over a `multiprocessing` connection; the given object is closed."""
        duplicate = os.dup(connection.fileno())
        connection.close()
        self._socket = socket.socket(fileno=duplicate)
        self._socket.setblocking(False)
        self._cutter = FrameCutter(FRAME_LIMIT_BYTES)
        self._outbox = b""
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """For waiting: readable when something was said or the other side is gone."""
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether something waits in the outbox for the kernel's room."""
        return bool(self._outbox)

    def read(self) -> list[Heard]:
        """What was said since the last call, one bulk read at most; empty when nothing was.

        Raises EOFError when the other side is gone, after everything it said has been returned,
        and RemoteProtocolError or TooLarge when it speaks no language of ours.
        """
        try:
            received = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:  # a reset connection is an end like any other
            raise EOFError from error
        if not received:
            raise EOFError
        return list(self._decoded(self._cutter.feed(received)))

    def send(self, said: Said) -> bool:
        """Say it now, or as soon as the kernel has room; False when the outbox has none.

        A dead other side is no error here: reading tells of it.  Raises TooLarge past the limit,
        and LocalProtocolError for what is no value of its field.
        """
        try:
            frame = encode(self._says(), said)
        except (TypeError, ValueError, AttributeError) as error:
            name = type(said).__name__
            raise LocalProtocolError(f"this {name} cannot be said: {error}") from error
        if len(frame) > FRAME_LIMIT_BYTES:
            raise TooLarge(f"{type(said).__name__} of {len(frame)} bytes on a lifeline")
        with self._sending:
            if len(self._outbox) + len(frame) > OUTBOX_LIMIT_BYTES:
                return False
            self._outbox += pack(frame)
            self._write_nowait()
        return True

    def flush(self) -> bool:
        """Write what the kernel takes now; True when nothing is left over."""
        with self._sending:
            self._write_nowait()
            return not self._outbox

    def close(self) -> None:
        """Hang up; the other side reads an end of file."""
        self._socket.close()

    def _decoded(self, frames: Iterable[bytes]) -> Iterable[Heard]:
        for frame in frames:
            heard = decode(self._hears(), frame)
            if heard is not None:
                yield heard  # type: ignore[misc]  # `_hears` names the one table it is read by

    def _write_nowait(self) -> None:
        while self._outbox:
            try:
                written = self._socket.send(self._outbox)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._outbox = b""  # nobody will ever read it
                return
            self._outbox = self._outbox[written:]


class SupervisorEnd(_End[Order, Report]):
    """Says orders and hears reports."""

    _says = pb.Order
    _hears = pb.Report


class ChildEnd(_End[Report, Order]):
    """Says reports and hears orders."""

    _says = pb.Report
    _hears = pb.Order
