"""Descriptors and chunks that should not be, at a real broker, from a client that lies."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemoneye import system
from daemoneye.bus.frames import (
    Answer,
    Chunk,
    Heading,
    Notice,
    Ping,
    Pong,
    Refusal,
    Subscribe,
    encode,
    encode_large,
    parcel_stamp,
)
from daemoneye.bus.handshake import Claim
from daemoneye.bus.terms import Carriage
from daemoneye.framing import pack
from tests.bus.brokers import TICK, Running, broker_in_thread
from tests.hostile.support import Bystander, Caller, descriptors_of
from tests.support import wait_for

pytestmark = pytest.mark.skipif(
    not (system.FEATURES.memfd and system.FEATURES.passed_descriptors),
    reason="no sealed memory is passed here",
)

SIZE = 100_000
CARRIAGE = Carriage(descriptors=True, max_payload_bytes=1 << 30)


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    """A broker that another client uses all the while, and that keeps no descriptor in the end."""
    with broker_in_thread(tidy) as running, running.client("other") as other:
        running.admit("mallory")
        with Bystander(other).undisturbed(within=1.0):
            running.client("warm").close()
            wait_for(lambda: len(running.broker.door.places) == 1, "the first to be gone")
            before = descriptors_of(os.getpid())
            yield running
            wait_for(lambda: descriptors_of(os.getpid()) == before, "no descriptor to be left")
        assert running.broker.router.parcels.bytes == 0
        assert running.broker.router.parcels.descriptors == 0


def mallory(broker: Running) -> Caller:
    """Proven, and passing descriptors."""
    caller = Caller(broker.path)
    caller.prove(Claim("mallory", 1, broker.keys["mallory"]), carriage=CARRIAGE)
    return caller


def publish(sequence: int = 1, size: int = SIZE, descriptors: int = 1, parcel: int = 0) -> bytes:
    """A large publish that wants an answer."""
    raw = encode_large(Heading(TICK), size, time.time_ns(), sequence, request=7)
    return pack(raw + parcel_stamp(parcel, descriptors))


def passing(caller: Caller, data: bytes, *descriptors: int) -> None:
    """Send this along; our own copies are closed."""
    try:
        socket.send_fds(caller.sock, [data], list(descriptors))
    finally:
        for each in descriptors:
            os.close(each)


def answer(caller: Caller) -> str:
    while not isinstance(heard := caller.hear(), Answer):
        assert heard is not None
    return heard.error


def end(caller: Caller) -> str:
    """Why the session ended."""
    *_, notice = caller.hear_all()
    assert isinstance(notice, Notice)
    return f"{notice.code}: {notice.detail}"


# ---- what is passed -----------------------------------------------------------------------------


def unsealed(size: int = SIZE) -> int:
    fd = os.memfd_create("mallory")
    os.ftruncate(fd, size)
    return fd


def half_a_pipe() -> int:
    read, write = os.pipe()
    os.close(write)
    return read


def a_socket() -> int:
    one, other = socket.socketpair()
    other.close()
    return one.detach()


STRANGE: dict[str, Callable[[], int]] = {
    "memory that can change": unsealed,
    "a file": lambda: os.open(__file__, os.O_RDONLY),
    "a device": lambda: os.open("/dev/zero", os.O_RDWR),
    "a directory": lambda: os.open("/", os.O_RDONLY),
    "a pipe": half_a_pipe,
    "a socket": a_socket,
    "memory of another size": lambda: system.memfd_of(bytes(SIZE - 1)),
    "no memory at all": lambda: system.memfd_of(b""),
    "another process": lambda: os.pidfd_open(os.getpid()),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_b30_what_is_no_sealed_memory_of_that_size_is_refused(
    broker: Running, strange: object
) -> None:
    assert callable(strange)
    with mallory(broker) as caller:
        passing(caller, publish(1), strange())
        assert answer(caller) == "LocalProtocolError"
        passing(caller, publish(2), system.memfd_of(bytes(SIZE)))
        assert answer(caller) == ""


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE + 1, (1 << 32) + SIZE, (1 << 64) - 1])
def test_b30_a_size_that_lies_is_refused(broker: Running, size: int) -> None:
    with mallory(broker) as caller:
        passing(caller, publish(1, size), system.memfd_of(bytes(SIZE)))
        assert answer(caller) == ("TooLarge" if size > 1 << 30 else "LocalProtocolError")


def test_b30_a_publish_whose_descriptor_did_not_come_ends_its_session(broker: Running) -> None:
    with mallory(broker) as caller:
        caller.say(publish())
        assert end(caller) == "protocol: a publish owns a descriptor that did not come"


@pytest.mark.parametrize("owned", [2, 3, 253, (1 << 32) - 1])
def test_b30_a_publish_owns_one_descriptor_at_most(broker: Running, owned: int) -> None:
    with mallory(broker) as caller:
        passing(caller, publish(descriptors=owned), *(system.memfd_of(b"x") for _ in range(2)))
        assert end(caller).startswith("protocol: ")


def test_b30_descriptors_that_no_frame_owns_end_a_session_and_are_closed(broker: Running) -> None:
    with mallory(broker) as caller:
        for number in range(3):
            passing(caller, pack(encode(Ping(number))), system.memfd_of(b"x"))
            assert caller.hear() == Pong(number)
        passing(caller, pack(encode(Ping(4))), *(system.memfd_of(b"x") for _ in range(10)))
        assert "descriptors came that no frame owns" in end(caller)


def test_b30_as_many_as_the_kernel_takes_cost_nothing(broker: Running) -> None:
    """253 with one message; more than the broker has room for are dropped by the kernel."""
    for _ in range(20):
        with mallory(broker) as caller:
            passing(caller, publish(), *(os.dup(0) for _ in range(253)))
            assert end(caller).startswith("protocol: ")


def test_b30_descriptors_before_a_proof_and_of_who_does_not_pass_any_are_refused(
    broker: Running,
) -> None:
    breach = "a descriptor came on a connection on which none is taken"
    with Caller(broker.path) as caller:
        try:
            passing(caller, b"\0", *(os.dup(0) for _ in range(100)))
        except PermissionError:  # by the kernel, at the sender
            pass
        else:
            assert Refusal("protocol", breach) in caller.hear_all()
    with Caller(broker.path) as caller:
        caller.prove(Claim("mallory", 1, broker.keys["mallory"]))
        try:
            passing(caller, publish(1), system.memfd_of(bytes(SIZE)))
        except PermissionError:
            pass
        else:
            assert end(caller) == f"protocol: {breach}"


def test_b30_who_hangs_up_with_descriptors_on_the_way_leaves_none(broker: Running) -> None:
    for cut in range(0, 60, 3):
        with mallory(broker) as caller:
            passing(caller, publish()[: cut + 1], system.memfd_of(bytes(SIZE)))
    for _ in range(5):
        with mallory(broker) as caller:
            caller.say(Subscribe(1, TICK, request=1))
            assert answer(caller) == ""
            for number in range(1, 10):
                passing(caller, publish(number), system.memfd_of(bytes(SIZE)))


# ---- chunks -------------------------------------------------------------------------------------


CHUNKS = {
    "not at the beginning": (Chunk(1, 100, 1, b"x"),),
    "a gap": (Chunk(1, 100, 0, b"x"), Chunk(1, 100, 2, b"x")),
    "back": (Chunk(1, 100, 0, b"xx"), Chunk(1, 100, 1, b"x")),
    "twice": (Chunk(1, 100, 0, b"x"), Chunk(1, 100, 0, b"x")),
    "too much": (Chunk(1, 3, 0, b"xx"), Chunk(1, 3, 2, b"xx")),
    "another size": (Chunk(1, 100, 0, b"x"), Chunk(1, 99, 1, b"x")),
    "nothing": (Chunk(1, 100, 0, b""),),
    "five at once": tuple(Chunk(number, 100, 0, b"x") for number in range(5)),
    "more than may be": (Chunk(1, (64 << 20) + 1, 0, b"x"),),
    "more than there is": (Chunk(1, (1 << 64) - 1, 0, b"x"),),
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_b30_chunks_that_do_not_fit_end_a_session(
    broker: Running, chunks: tuple[Chunk, ...]
) -> None:
    with mallory(broker) as caller:
        caller.say(*chunks)
        assert end(caller).startswith("protocol: ")


@pytest.mark.parametrize(
    ("size", "parcel"),
    [(2, 1), (4, 1), (3, 2), (0, 1)],
    ids=["short", "long", "of another", "none"],
)
def test_b30_a_publish_of_chunks_that_are_not_that_ends_a_session(
    broker: Running, size: int, parcel: int
) -> None:
    with mallory(broker) as caller:
        caller.say(Chunk(1, 3, 0, b"xxx"), publish(1, size, 0, parcel))
        if size:
            assert end(caller).startswith("protocol: of parcel")
        else:  # a publish of no large payload, whose body is honest
            assert answer(caller) == ""


def test_b30_what_was_given_up_half_way_is_gone(broker: Running) -> None:
    with mallory(broker) as caller:
        caller.say(Chunk(1, 100, 0, b"x"), Chunk(1, 0), Chunk(9, 0), publish(1, 100, 0, 1))
        assert end(caller).startswith("protocol: of parcel 1")
