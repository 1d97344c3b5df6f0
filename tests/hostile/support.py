"""What attacks need: somebody who has to notice nothing, and words that are said byte by byte."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.endpoint import dial
from daemoneye.bus.frames import BadBody, Challenge, Envelope, Value, Welcome, decode, encode
from daemoneye.bus.handshake import Claim, Introduction
from daemoneye.bus.terms import NO_CARRIAGE, Carriage
from daemoneye.framing import FrameCutter, pack
from tests.support import scaled

Heard = Value | list[Envelope] | BadBody


QUIET = "events.bystander.tick"


@dataclass
class Bystander:
    """A client that does round trips all the while, and how long each took."""

    bus: BusClient
    took: list[float] = field(default_factory=list)

    @contextmanager
    def undisturbed(self, *, within: float, at_least: int = 3) -> Iterator[Bystander]:
        """Round trips go on inside, each of them whole, and none takes longer than `within`."""
        ending = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(ending, at_least), name="bystander")
        thread.start()
        try:
            yield self
        finally:
            ending.set()
            thread.join(scaled(20))
        assert not thread.is_alive()
        assert len(self.took) >= at_least, "it gave up"
        assert max(self.took) < scaled(within), f"slowest round trip {max(self.took):.3f} s"

    def _go_on(self, ending: threading.Event, at_least: int) -> None:
        """What goes wrong here fails the test: pytest takes unheard exceptions of threads so."""
        with self.bus.subscribe(QUIET) as events:
            number = 0
            while not ending.wait(0.001) or len(self.took) < at_least:
                number += 1
                began = time.monotonic()
                self.bus.publish(QUIET, b"%d" % number)
                event = events.get(scaled(10))
                self.took.append(time.monotonic() - began)
                assert event is not None
                assert (event.payload, event.lost) == (b"%d" % number, {})


def descriptors_of(pid: int) -> int:
    """How many descriptors a process has open."""
    return psutil.Process(pid).num_fds()


def resident_bytes(pid: int) -> int:
    """How much memory a process has in use."""
    return psutil.Process(pid).memory_info().rss


def cpu_seconds(pid: int) -> float:
    """How long a process has been running on a processor."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


class Caller:
    """Somebody at the broker's door who says frames by hand."""

    def __init__(self, path: Path) -> None:
        self.sock: socket.socket = dial(path, scaled(5))
        self.sock.setblocking(True)
        self.sock.settimeout(scaled(5))
        self._cutter = FrameCutter(2 << 20)
        self._heard: list[Heard] = []

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def say(self, *words: Value | bytes) -> None:
        """Values as frames, bytes as they are; who hung up hears nothing more."""
        data = b"".join(each if isinstance(each, bytes) else pack(encode(each)) for each in words)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def hear(self) -> Heard | None:
        """The next value, or what a publish holds; None when the broker has hung up."""
        while not self._heard:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._heard += [decode(raw) for raw in self._cutter.feed(data)]
        return self._heard.pop(0)

    def hear_all(self) -> list[Heard]:
        """Everything until the broker hangs up."""
        found = []
        while (value := self.hear()) is not None:
            found.append(value)
        return found

    def prove(self, claim: Claim, carriage: Carriage = NO_CARRIAGE) -> Welcome:
        """The whole handshake."""
        introduction = Introduction(claim, bytes(32), carriage)
        self.say(introduction.hello())
        challenge = self.hear()
        assert isinstance(challenge, Challenge)
        proof = introduction.receive(challenge)
        self.say(proof)
        welcome = self.hear()
        assert isinstance(welcome, Welcome)
        assert introduction.receive(welcome) is welcome
        return welcome


Tamper = Callable[[int, bool, bytes], tuple[bytes, bool]]
"""Of the connection's number, whether the broker said it, and the bytes: the bytes to pass on, and
whether to go on at all."""


def unchanged(number: int, said_by_broker: bool, data: bytes) -> tuple[bytes, bool]:
    """A relay that only passes on."""
    return data, True


class Relay:
    """Somebody between clients and a broker, who passes on what `tamper` makes of it."""

    def __init__(self, path: Path, broker: Path, tamper: Tamper = unchanged) -> None:
        self.path = path
        self.accepted = 0
        self._broker = broker
        self._tamper = tamper
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, name="relay")]

    def __enter__(self) -> Relay:
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in self._threads:
            each.join(scaled(10))
            assert not each.is_alive()
        self._listener.close()
        self.path.unlink()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            serving = threading.Thread(target=self._serve, args=(self.accepted, client))
            serving.start()
            self._threads.append(serving)

    def _serve(self, number: int, client: socket.socket) -> None:
        """One connection, until either side hangs up or it is cut."""
        with client, dial(self._broker, scaled(5)) as broker, suppress(OSError):
            broker.setblocking(True)
            poller = select.poll()
            others = {client.fileno(): (client, broker), broker.fileno(): (broker, client)}
            for fd in others:
                poller.register(fd, select.POLLIN)
            while True:
                for fd, _ in poller.poll():
                    source, target = others[fd]
                    data = source.recv(1 << 16)
                    passed, goes_on = self._tamper(number, source is broker, data)
                    target.sendall(passed)
                    if not data or not goes_on:
                        return
