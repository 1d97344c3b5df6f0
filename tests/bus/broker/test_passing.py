"""A real broker and peers that pass descriptors: wrong ones, too many, none; nothing is left."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.broker import clients
from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.frames import (
    PUBLISH,
    Carriage,
    Chunk,
    Heading,
    Notice,
    Subscribe,
    Value,
    control_value,
    encode,
    encode_large,
    parcel_stamp,
    parse,
)
from daemoneye.bus.handshake import Claim
from daemoneye.bus.memory import can_pass_memory, own_carriage
from daemoneye.framing import FrameCutter, pack
from daemoneye.system import memfd_of, send_with_descriptors
from tests.bus.brokers import TICK, Running, assert_well, broker_in_thread, read_all
from tests.support import scaled, wait_for

pytestmark = pytest.mark.skipif(not can_pass_memory(), reason="no sealed memory here")

LARGE = bytes(range(256)) * 1024


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


@contextmanager
def passing_session(broker: Running) -> Iterator[socket.socket]:
    """A proven connection on which descriptors travel, without a client around it."""
    key = broker.keys.get("raw") or broker.admit("raw")
    connected = introduce(broker.path, Claim("raw", 1, key), 5.0, own_carriage())
    assert connected.carriage.descriptors
    with connected.sock as sock:
        yield sock


def publish(size: int = len(LARGE), sequence: int = 1, descriptors: int = 1) -> bytes:
    frame = encode_large(Heading(TICK), size, 1, sequence) + parcel_stamp(0, descriptors)
    return pack(frame)


def no_memory_is_held(broker: Running) -> None:
    """The broker has closed whatever it was passed."""

    def held() -> list[str]:
        links = (f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd"))
        return [link for link in links if os.path.lexists(link) and "memfd" in os.readlink(link)]

    wait_for(lambda: not held() and not broker.broker.router.parcels.bytes, "all to be closed")


def last_words(sock: socket.socket) -> Value:
    return read_all(sock)[-1]


def test_a_descriptor_is_passed_on_and_closed(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(TICK) as events, passing_session(broker) as sock:
        fd = memfd_of(LARGE)
        send_with_descriptors(sock, [publish()], [fd])
        os.close(fd)
        event = events.get(scaled(5))
        assert event is not None
        assert event.payload == LARGE
        assert event.publisher.name == "raw"
        del event
    no_memory_is_held(broker)


def test_a_frame_may_come_in_pieces_behind_its_descriptor(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(TICK) as events, passing_session(broker) as sock:
        fd, data = memfd_of(LARGE), publish()
        send_with_descriptors(sock, [data[:1]], [fd])
        os.close(fd)
        for position in range(1, len(data)):
            sock.send(data[position : position + 1])
        assert events.get(scaled(5)) is not None
        events.close()
    no_memory_is_held(broker)


def test_a_descriptor_may_come_with_bytes_before_its_frame(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(TICK) as events, passing_session(broker) as sock:
        fd = memfd_of(LARGE)
        before = pack(encode(Subscribe(9, "events.other", request=9)))
        send_with_descriptors(sock, [before, publish()], [fd])
        os.close(fd)
        assert events.get(scaled(5)) is not None
        events.close()
    no_memory_is_held(broker)


def test_plain_frames_are_enough_for_who_takes_chunks(broker: Running) -> None:
    key = broker.admit("plain")
    carriage = Carriage(descriptors=False, max_payload_bytes=64 << 20)
    connected = introduce(broker.path, Claim("plain", 1, key), 5.0, carriage)
    with connected.sock as sock, broker.client() as bus:
        sock.sendall(pack(encode(Subscribe(1, TICK, request=1))))
        wait_for(lambda: len(bus.subscriptions()) == 1, "the subscription")
        bus.publish(TICK, LARGE)
        bus.flush()
        sock.settimeout(scaled(5))
        cutter, came = FrameCutter(connected.max_frame_bytes + 192), b""
        while True:
            for raw in cutter.feed(sock.recv(1 << 16)):
                frame = parse(raw)
                if frame.kind == PUBLISH:
                    assert (frame.large_bytes, frame.descriptors) == (len(LARGE), 0)
                    assert came == LARGE
                    return
                if isinstance(chunk := control_value(frame), Chunk):
                    assert (chunk.size, chunk.offset) == (len(LARGE), len(came))
                    came += chunk.content


def unsealed() -> int:
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, LARGE)
    return fd


def shorter() -> int:
    return memfd_of(LARGE[1:])


def write_only() -> int:
    fd = memfd_of(LARGE)
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    finally:
        os.close(fd)


def device() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def a_socket() -> int:
    return socket.socket(socket.AF_UNIX).detach()


@pytest.mark.parametrize("make", [unsealed, shorter, write_only, device, a_socket])
def test_what_is_no_sealed_memory_of_that_size_is_refused_and_told(
    broker: Running, make: object
) -> None:
    with broker.client() as bus, bus.subscribe(TICK) as events, passing_session(broker) as sock:
        wrong, right = make(), memfd_of(LARGE)  # type: ignore[operator]  # one of the above
        send_with_descriptors(sock, [publish(sequence=1)], [wrong])
        send_with_descriptors(sock, [publish(sequence=2)], [right])
        os.close(wrong)
        os.close(right)
        event = events.get(scaled(5))
        assert event is not None
        assert event.sequence == 2
        del event
        sock.shutdown(socket.SHUT_WR)
        (notice,) = [each for each in read_all(sock) if isinstance(each, Notice)]
        assert "no sealed memory" in notice.detail
        events.close()
    no_memory_is_held(broker)


def test_a_publish_without_its_descriptor_costs_only_its_session(broker: Running) -> None:
    with passing_session(broker) as sock:
        sock.send(publish())
        notice = last_words(sock)
        assert isinstance(notice, Notice)
        assert "did not come" in notice.detail
    assert_well(broker)


def test_descriptors_that_no_frame_owns_cost_only_their_session_and_are_closed(
    broker: Running,
) -> None:
    ping = pack(encode(Subscribe(1, "events.#", request=1)))
    fd = memfd_of(LARGE)
    with passing_session(broker) as sock:
        for _ in range(5):
            send_with_descriptors(sock, [ping], [fd])
        notice = last_words(sock)
        assert isinstance(notice, Notice)
        assert "no frame owns" in notice.detail
    os.close(fd)
    no_memory_is_held(broker)
    assert_well(broker)


def test_too_many_descriptors_at_once_cost_only_their_session_and_are_closed(
    broker: Running,
) -> None:
    fd = memfd_of(LARGE)
    with passing_session(broker) as sock:
        send_with_descriptors(sock, [publish()], [fd] * 64)
        assert isinstance(last_words(sock), Notice)
    os.close(fd)
    no_memory_is_held(broker)


def test_a_descriptor_that_waits_for_its_frame_is_closed_with_the_connection(
    broker: Running,
) -> None:
    fd = memfd_of(LARGE)
    with passing_session(broker) as sock:
        send_with_descriptors(sock, [publish()[:5]], [fd])
    os.close(fd)
    no_memory_is_held(broker)


def test_a_descriptor_whose_frame_does_not_come_ends_its_session(tidy: Path) -> None:
    fd = memfd_of(LARGE)
    with broker_in_thread(tidy, write_timeout=0.3) as broker, passing_session(broker) as sock:
        send_with_descriptors(sock, [publish()[:5]], [fd])
        os.close(fd)
        notice = last_words(sock)
        assert isinstance(notice, Notice)
        assert notice.detail.startswith("unclaimed")
        assert broker.broker.cut_off == {"unclaimed": 1}
        no_memory_is_held(broker)


def test_a_client_that_does_not_pass_descriptors_cannot_own_one(broker: Running) -> None:
    key = broker.admit("plain")
    with introduce(broker.path, Claim("plain", 1, key), 5.0).sock as sock:
        sock.send(publish())
        assert isinstance(last_words(sock), Notice)
    no_memory_is_held(broker)


def test_a_broker_that_passes_none_says_so_and_takes_chunks(tidy: Path) -> None:
    with broker_in_thread(tidy, large_descriptors=0) as broker:
        key = broker.admit("raw")
        connected = introduce(broker.path, Claim("raw", 1, key), 5.0, own_carriage())
        connected.sock.close()
        assert not connected.carriage.descriptors
        with broker.client() as bus, bus.subscribe(TICK) as events:
            assert bus.publish_confirmed(TICK, LARGE).subscribers == 1
            event = events.get(scaled(5))
            assert event is not None
            assert event.payload == LARGE


@pytest.mark.parametrize("size", [(64 << 20) + 1, 1 << 40])
def test_a_parcel_past_the_limit_ends_its_session_before_it_comes(
    broker: Running, size: int
) -> None:
    with passing_session(broker) as sock:
        sock.send(pack(encode(Chunk(1, size, 0, b"x"))))
        notice = last_words(sock)
        assert isinstance(notice, Notice)
        assert "past the limit" in notice.detail
    assert_well(broker)


def test_what_is_promised_and_does_not_come_takes_no_memory(broker: Running) -> None:
    with passing_session(broker) as sock:
        sock.send(pack(encode(Chunk(1, 64 << 20, 0, b"x"))))
        wait_for(lambda: broker.broker.router.parcels.bytes == 1, "the promise")
        (session,) = broker.broker.router.directory.named("raw")
        (growing,) = session.arrivals._growing.values()
        assert growing.buffer is not None
        assert len(growing.buffer) == 1
    wait_for(lambda: not broker.broker.router.parcels.bytes, "the promise to be forgotten")


def test_a_kernel_that_passes_no_more_has_chunks_sent(
    broker: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    monkeypatch.setattr(clients, "send_with_descriptors", refuse)
    with broker.client() as bus, bus.subscribe(TICK) as events:
        for _ in range(2):
            assert bus.publish_confirmed(TICK, LARGE).subscribers == 1
            event = events.get(scaled(5))
            assert event is not None
            assert event.payload == LARGE
    no_memory_is_held(broker)
