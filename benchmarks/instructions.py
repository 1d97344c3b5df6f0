"""How many instructions a message costs at each step it passes, counted by valgrind.

Seconds depend on what else a machine does; instructions do not: the same program on the same input
executes the same ones.  Each step runs twice, with few and with many messages, in a process of its
own under `valgrind --tool=callgrind`; the difference is what the messages cost, without the start
of the interpreter.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.measure import Figure
from benchmarks.routing import PAYLOAD, TOPIC, a_router, drain, subscribed
from daemoneye.bus.access import Declared, Identity
from daemoneye.bus.broker.router import Router
from daemoneye.bus.broker.session import Session
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.link import Link
from daemoneye.bus.client.outgoing import Courses, Draft, seal
from daemoneye.bus.client.wishes import batches
from daemoneye.bus.frames import Heading, OuterFrame, encode_publish, envelopes, parse
from daemoneye.bus.limits import Limits
from daemoneye.framing import FrameCutter, pack

FEW, MANY = 200, 1200
BATCH = 100  # messages in a full frame, near enough, so that counts are whole frames
MISSING = "" if shutil.which("valgrind") else "valgrind is not installed"


class Rig(NamedTuple):
    """A router with one publisher and one subscriber whose link hears what it is sent."""

    router: Router
    source: Session
    sink: Session
    link: Link[str]


def a_rig() -> Rig:
    """Everything that a message passes, without sockets."""
    router = a_router()
    source = router.open(Identity("publisher", "agent"), Declared(), 0)
    sink = subscribed(router, 0)
    link: Link[str] = Link()
    link.want(TOPIC, Options(), "bench")
    link.connected(1, Limits().frame_bytes)
    return Rig(router, source, sink, link)


def frames(count: int) -> Iterator[bytes]:
    """So many frames of one message each, as they come in a read."""
    heading = Heading(TOPIC)
    for number in range(count):
        yield pack(encode_publish(heading, [PAYLOAD], [number], number + 1))


def publish(count: int) -> None:
    """A publisher's messages, each into a frame of its own."""
    draft, courses = Draft(Limits().frame_bytes), Courses()
    for number in range(count):
        assert draft.add(courses.find(TOPIC, "", ""), PAYLOAD, (number + 1) << 20)


def route(count: int) -> None:
    """The broker's work: a read in, one subscriber's buffers out, a turn for each message."""
    rig, cutter = a_rig(), FrameCutter(Limits().frame_bytes)
    for data in frames(count):
        rig.router.receive(rig.source, cutter.feed(data), 1)
        drain(rig.sink, 1)


def receive(count: int) -> None:
    """A subscriber's work: a read in, an envelope out."""
    rig = a_rig()
    for data in delivered(rig, count):
        for _, delivery in rig.link.receive(data).deliveries:
            assert delivery.events[0].payload


def before_route(count: int) -> None:
    """What `route` does to get its input, to be taken off."""
    for data in frames(count):
        assert data


def before_receive(count: int) -> None:
    """The same for `receive`."""
    for data in delivered(a_rig(), count):
        assert data


def delivered(rig: Rig, count: int) -> Iterator[bytes]:
    """What the broker sends for so many messages."""
    cutter = FrameCutter(Limits().frame_bytes)
    for data in frames(count):
        rig.router.receive(rig.source, cutter.feed(data), 1)
        buffers = rig.sink.take(1 << 20, 1)
        yield b"".join(buffers)
        rig.sink.written(sum(map(len, buffers)))


def publish_many(count: int) -> None:
    """A publisher's messages, in full frames."""
    courses, payloads = Courses(), [PAYLOAD] * BATCH
    for number in range(count // BATCH):
        for batch in batches(payloads):
            course = courses.find(TOPIC, batch.content_type, "")
            seal(course, batch.payloads, [number] * BATCH)


def before_receive_many(count: int) -> None:
    """What `receive_many` does to get its input, to be taken off."""
    for frame in full_frames(count):
        assert frame.count == BATCH


def receive_many(count: int) -> None:
    """A subscriber's messages out of full frames, each looked at."""
    for frame in full_frames(count):
        events = envelopes(frame)
        assert isinstance(events, list)
        for event in events:
            assert event.payload


def full_frames(count: int) -> Iterator[OuterFrame]:
    """So many messages as a broker delivers them, in full frames."""
    raw = encode_publish(Heading(TOPIC), [PAYLOAD] * BATCH, [1] * BATCH, 1)
    for _ in range(count // BATCH):
        yield parse(raw)


STEPS: dict[str, Callable[[int], None]] = {
    each.__name__: each
    for each in (
        publish,
        before_route,
        route,
        before_receive,
        receive,
        publish_many,
        before_receive_many,
        receive_many,
    )
}


def instructions() -> list[Figure]:
    """Instructions for each message of 256 bytes: published, routed to one, received.

    Alone in its frame, and with `_many` among a hundred.
    """
    if MISSING:
        print(f"skipped instructions: {MISSING}")
        return []
    cost = {name: (counted(name, MANY) - counted(name, FEW)) / (MANY - FEW) for name in STEPS}
    for step in ("route", "receive", "receive_many"):
        cost[step] -= cost.pop(f"before_{step}")
    return [Figure(f"instructions to {name}", value, "/msg") for name, value in cost.items()]


def counted(step: str, count: int) -> int:
    """The instructions of one process that does a step so many times."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    done = subprocess.run(
        [*command, "-m", __name__, step, str(count)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


BENCHMARKS = (instructions,)

if __name__ == "__main__":
    STEPS[sys.argv[1]](int(sys.argv[2]))
