"""Real clients, of both kinds, with a broker that holds their key and speaks nonsense.

Part of the decoder's target.  Whatever it says, a client raises errors of ours to whoever uses it,
no thread of it dies, and it ends when it is closed.
"""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.frames import (
    Answer,
    OuterFrame,
    Refusal,
    Welcome,
    control_value,
    encode,
    parse,
)
from daemoneye.bus.handshake import Keyring, Reception, Terms
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Credential
from daemoneye.errors import BusError
from daemoneye.framing import FrameCutter, pack
from tests.bus.client.alike import Tasks, Threads
from tests.fuzz.corpus import FROM_BROKERS, TICK
from tests.fuzz.mutations import mutated
from tests.support import scaled

KEY = bytes(range(32))
KEYRING = Keyring([Credential("raw", "agent", KEY)])
QUESTION_TIMEOUT = 0.05


class Ambush:
    """Somebody who listens where a broker should, and knows what a client's key is."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "bus"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(8)
        self._kinds = (Threads(), Tasks())

    def close(self) -> None:
        for kind in self._kinds:
            kind.close()
        self._listener.close()
        self.path.unlink()

    def lie_in_wait(self, dice: random.Random) -> None:
        """One client, and some connections of it."""
        kind = dice.choice(self._kinds)
        threads = set(threading.enumerate())
        with _no_thread_dies(), self._serving(dice):
            try:
                bus = kind.connect(self.path, name="raw", key=KEY)
            except BusError:
                return
            try:
                _use(bus, dice)
            except BusError:
                pass
            began = time.monotonic()
            bus.close()
            assert time.monotonic() - began < scaled(3)
        left = {each for each in threading.enumerate() if each.name.startswith("bus-")} - threads
        for each in left:
            each.join(scaled(2))
            assert not each.is_alive(), each.name

    @contextmanager
    def _serving(self, dice: random.Random) -> Iterator[None]:
        ending = threading.Event()
        thread = threading.Thread(target=self._serve, args=(dice.getrandbits(32), ending))
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(scaled(5))
            assert not thread.is_alive()

    def _serve(self, seed: int, ending: threading.Event) -> None:
        dice = random.Random(seed)
        self._listener.settimeout(0.02)
        while not ending.is_set():
            with suppress(TimeoutError):
                sock, _ = self._listener.accept()
                with sock, suppress(OSError):
                    sock.settimeout(scaled(2))
                    _speak(dice, sock)


def _speak(dice: random.Random, sock: socket.socket) -> None:
    """Let it in as a rule, answer what it asks as a rule, say much else, and hang up."""
    cutter = FrameCutter(1 << 21)
    reception = Reception(Terms(7, Limits()), dice.randbytes(32), 0)
    for raw in _heard(sock, cutter, patience=0.2):
        if not raw:
            return  # it does not know what to make of what it was told
        reply = reception.receive(control_value(parse(raw)), KEYRING)
        whole = pack(encode(reply))
        sock.sendall(mutated(dice, whole) if dice.random() < 0.03 else whole)
        if isinstance(reply, (Welcome, Refusal)):
            break
    words = dice.randrange(1, 20)
    for raw in _heard(sock, cutter, patience=0.01):
        request = _request_of(raw)
        if request and dice.random() < 0.8:
            sock.sendall(pack(encode(Answer(request))))
        words -= 1
        sock.sendall(_nonsense(dice))
        if words < 0:
            break


def _heard(sock: socket.socket, cutter: FrameCutter, patience: float) -> Iterator[bytes]:
    """Frames as they come; an empty one when none comes for so long, until it hangs up."""
    while True:
        if not select.select([sock], [], [], patience)[0]:
            yield b""
            continue
        data = sock.recv(1 << 16)
        if not data:
            return
        yield from cutter.feed(data)


def _request_of(raw: bytes) -> int:
    frame: OuterFrame = parse(raw)
    return frame.request


def _nonsense(dice: random.Random) -> bytes:
    parts = []
    for _ in range(dice.randrange(3)):
        good = dice.choice(FROM_BROKERS)
        frame = pack(mutated(dice, good, FROM_BROKERS) if dice.random() < 0.3 else good)
        parts.append(mutated(dice, frame) if dice.random() < 0.03 else frame)
    return b"".join(parts)


def _use(bus: BusClient, dice: random.Random) -> None:
    """What a program does with a client; each may raise an error of ours."""
    uses: tuple[Callable[[], object], ...] = (
        lambda: bus.publish(TICK, b"x"),
        lambda: bus.publish_confirmed(TICK, b"x", timeout=QUESTION_TIMEOUT),
        lambda: bus.flush(),
        lambda: bus.counters(),
        bus.clients,
    )
    with bus.subscribe("events.#", "control.#") as events:
        for _ in range(dice.randrange(1, 8)):
            with suppress(BusError):
                dice.choice(uses)()
            event = events.get(0.002)
            if event is not None:
                assert event.lost is not None
                with suppress(BusError):
                    event.json()


@contextmanager
def _no_thread_dies() -> Iterator[None]:
    """Fail when a thread ends by an exception inside."""
    died: list[str] = []
    before = threading.excepthook
    threading.excepthook = lambda args: died.append(f"{args.thread}: {args.exc_value!r}")
    try:
        yield
    finally:
        threading.excepthook = before
    assert not died, died
