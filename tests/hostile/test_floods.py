"""Silence, dawdling and lies at the door of a real broker, from one process and from many."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.frames import Notice, Refusal
from daemoneye.bus.handshake import Claim
from daemoneye.bus.limits import Limits
from tests.bus.brokers import BrokerProcess, broker_process
from tests.hostile.support import Bystander, Caller, descriptors_of, resident_bytes
from tests.support import scaled, wait_for

PROMISES = {
    "2 GiB": b"\x7f\xff\xff\xff",
    "2 GiB, and some of it": b"\x7f\xff\xff\xff" + bytes(1000),
    "2^40 in the long form": b"\xff\xff\xff\xff" + (1 << 40).to_bytes(8, "big"),
    "2^63 - 1 in the long form": b"\xff\xff\xff\xff\x7f" + b"\xff" * 7,
    "-2": b"\xff\xff\xff\xfe",
    "-2^31": b"\x80\x00\x00\x00",
    "a byte too many": (Limits().early_frame_bytes + 1).to_bytes(4, "big"),
}
"""Headers that nobody may believe."""

ENOUGH = 8 << 20
"""More memory than this nobody may take by a promise, in bytes."""

PATIENCE = Limits().authentication_timeout


@pytest.fixture
def broker(short_dir: Path) -> Iterator[BrokerProcess]:
    with broker_process(short_dir) as running:
        yield running


@contextmanager
def no_memory_taken(broker: BrokerProcess) -> Iterator[None]:
    before = resident_bytes(broker.pid)
    yield
    assert resident_bytes(broker.pid) - before < ENOUGH


def refusal_of(caller: Caller) -> Refusal:
    """Why it was turned away: the only thing that it hears."""
    (refusal,) = caller.hear_all()
    assert isinstance(refusal, Refusal)
    assert refusal.detail
    return refusal


@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES)
def test_b25_a_promise_that_cannot_be_ends_it_at_once(
    broker: BrokerProcess, promise: bytes
) -> None:
    with no_memory_taken(broker), Caller(broker.run_dir.bus_path) as liar:
        began = time.monotonic()
        liar.say(promise)
        assert refusal_of(liar).reason == "protocol"
        assert time.monotonic() - began < scaled(1.0)


@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES)
def test_b25_a_promise_of_somebody_proven_ends_it_too(
    broker: BrokerProcess, promise: bytes
) -> None:
    key = broker.run_dir.read_key()
    with no_memory_taken(broker), Caller(broker.run_dir.bus_path) as liar:
        liar.prove(Claim("operator", 1, key))
        liar.sock.settimeout(scaled(1.0))
        if promise == PROMISES["a byte too many"]:
            promise = (Limits().frame_bytes + 1).to_bytes(4, "big")
        liar.say(promise)
        (notice,) = liar.hear_all()
        assert isinstance(notice, Notice)
        assert (notice.code, bool(notice.detail)) == ("protocol", True)


def test_b25_silence_and_dawdling_end_in_time_and_say_why(broker: BrokerProcess) -> None:
    path = broker.run_dir.bus_path
    with broker.client() as other, Bystander(other).undisturbed(within=1.0):
        with no_memory_taken(broker), ExitStack() as stack:
            began = time.monotonic()
            silent, *slow = [stack.enter_context(Caller(path)) for _ in range(4)]
            beginnings = (b"\0\0\x0f\xff", b"", b"\0")  # of a frame that may be, of none, of half
            for each, beginning in zip(slow, beginnings, strict=True):
                each.say(beginning)
            while time.monotonic() - began < PATIENCE / 2:
                for each in slow:
                    each.say(b"\0")
                time.sleep(PATIENCE / 8)
            assert {refusal_of(each).reason for each in (silent, slow[0])} == {"timeout"}
            # Zeros are frames in the end: of no length, and of no kind that can come first.
            assert {refusal_of(each).reason for each in slow[1:]} <= {"timeout", "protocol"}
            assert time.monotonic() - began < scaled(PATIENCE + 1)


HOLD = """
import os, select, socket, sys, time

path, processes, each, words = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
children = []
for _ in range(processes):
    pid = os.fork()
    if not pid:
        held = []
        for _ in range(each):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            held.append(sock)
            try:
                sock.send(bytes.fromhex(words))
            except OSError:
                pass
        os.write(1, b"+")
        heard = 0
        for sock in held:
            try:
                heard += b"\\x0a" in sock.recv(4096)
            except OSError:
                pass
        os._exit(heard != each)
    children.append(pid)
sys.stdin.read(1)
sys.exit(sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0 for pid in children))
"""
"""Connects from many processes, says the same on each connection, and waits for the last word."""


def time_to_serve(broker: BrokerProcess) -> float:
    """How long it takes a good client to come in and be answered."""
    began = time.monotonic()
    with broker.client() as good:
        assert good.publish_confirmed("events.good.tick", b"x")
        return time.monotonic() - began


@pytest.mark.parametrize(
    ("processes", "each", "words"),
    [(1, 200, ""), (25, 8, ""), (25, 8, "00000fff00"), (25, 8, "7fffffff"), (25, 8, "fffffffe")],
    ids=["silent, of one process", "silent", "half a frame", "2 GiB", "negative"],
)
def test_b25_two_hundred_at_once_hold_up_nobody(
    broker: BrokerProcess, processes: int, each: int, words: str
) -> None:
    command = [sys.executable, "-I", "-S", "-c", HOLD, str(broker.run_dir.bus_path)]
    command += [str(processes), str(each), words]
    with broker.client() as other:
        before = descriptors_of(broker.pid)
        with Bystander(other).undisturbed(within=1.0, at_least=20), no_memory_taken(broker):
            pipe = subprocess.PIPE
            with subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0) as crowd:
                assert crowd.stdin is not None
                assert crowd.stdout is not None
                arrived = b""
                while len(arrived) < processes:
                    arrived += crowd.stdout.read(processes)
                # The best of three: a machine that has much else to do is not what is measured.
                assert min(time_to_serve(broker) for _ in range(3)) < scaled(0.1)
                crowd.stdin.write(b"!")
                assert crowd.wait(scaled(PATIENCE + 10)) == 0  # each was told why
        wait_for(lambda: descriptors_of(broker.pid) == before, "all to be closed")
