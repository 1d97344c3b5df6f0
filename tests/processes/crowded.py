"""Subscribers that do not read, and a kernel that lets their user have few descriptors on the way.

Gives up being root, because root may have any number of them.  Prints how many payloads came as
descriptors and how many in chunks, when all were whole.
"""

from __future__ import annotations

import os
import resource
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

from daemoneye.bus.arrivals import Arrivals
from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.frames import PUBLISH, Chunk, Release, Subscribe, control_value, encode, parse
from daemoneye.bus.handshake import Claim
from daemoneye.bus.memory import LARGEST, contents_of, own_carriage
from daemoneye.framing import FrameCutter, pack
from daemoneye.system import receive_with_descriptors
from tests.bus.brokers import TICK, Running, broker_in_thread
from tests.support import scaled, wait_for

NOBODY = 65534
DESCRIPTORS = 60  # that a process may have, and its user on their way
SUBSCRIBERS = 6
PAYLOADS = 14
SIZE = 300_000


def main() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        limits = {"large_descriptors": 400, "large_bytes": 1 << 30, "write_timeout": 60.0}
        broker = stack.enter_context(broker_in_thread(Path(directory), **limits))
        socks = [stack.enter_context(subscribed(broker, n)) for n in range(SUBSCRIBERS)]
        bus = stack.enter_context(broker.client())
        wait_for(lambda: len(bus.subscriptions()) == SUBSCRIBERS, "the subscriptions")
        for number in range(PAYLOADS):
            bus.publish_confirmed(TICK, bytes([number]) * SIZE)
        came = [whole(sock) for sock in socks]
        wait_for(lambda: not broker.broker.router.parcels.bytes, "all to be let go of")
        print(sum(came), SUBSCRIBERS * PAYLOADS - sum(came))


def subscribed(broker: Running, number: int) -> socket.socket:
    """A proven connection that wants everything and reads nothing yet."""
    claim = Claim(f"raw-{number}", 1, broker.admit(f"raw-{number}"))
    sock = introduce(broker.path, claim, scaled(5.0), own_carriage()).sock
    wish = Subscribe(1, TICK, credit_messages=1000, credit_bytes=1 << 40, request=1)
    sock.sendall(pack(encode(wish)))
    return sock


def whole(sock: socket.socket) -> int:
    """Read all payloads, each as it should be; how many came as descriptors."""
    sock.settimeout(scaled(5.0))
    cutter, seen, passed = FrameCutter(1 << 21), 0, 0
    arrivals: Arrivals[memoryview | None] = Arrivals(LARGEST)
    while seen < PAYLOADS:
        data, descriptors, some_lost = receive_with_descriptors(sock, 1 << 16)
        arrivals.came(contents_of(descriptors, some_lost, LARGEST))
        for frame in map(parse, cutter.feed(data)):
            if frame.kind == PUBLISH:
                mine = arrivals.claim() if frame.descriptors else None
                content = mine or arrivals.collect(frame.parcel, SIZE)
                assert bytes(content or b"") == bytes([seen]) * SIZE
                seen, passed = seen + 1, passed + frame.descriptors
                sock.sendall(pack(encode(Release((frame.parcel,)))))
            elif isinstance(chunk := control_value(frame), Chunk):
                arrivals.add(chunk)
    return passed


if __name__ == "__main__":
    main()
