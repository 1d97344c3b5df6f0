"""4 MiB payloads to four subscribers: by descriptor against chunks, all read and unread.

The broker is the same; in the second case its limits allow no descriptor.  Reading is one copy into
memory that is there already, the least that can be done with all bytes of a payload.

    python -m benchmarks.large publish SECONDS RUN-DIRECTORY     one of the processes
    python -m benchmarks.large all-read|unread RUN-DIRECTORY
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from select import select
from statistics import median

from benchmarks.client import END_BYTES, FLOOD, end_of
from benchmarks.measure import Figure, Pace
from benchmarks.peers.ours import broker_in
from benchmarks.processes import python, running
from benchmarks.worker import END_EVERY, stay, wait_for_go
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.envelope import Envelope

TABLE = "large payloads"
SIZE = 4 << 20
SUBSCRIBERS = 4
PUBLISH, ALL_READ, UNREAD = "publish", "all-read", "unread"
WAYS: dict[str, dict[str, int]] = {"by descriptor": {}, "in chunks": {"large_descriptors": 0}}
"""How payloads travel, and the limits of the broker that make them."""


def large(pace: Pace) -> list[Figure]:
    """Both ways, both uses, interleaved; and what descriptors gain."""
    figures = []
    for use in (ALL_READ, UNREAD):
        seen: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(pace.rounds):
            for way in WAYS:
                seen[way].append(flood(way, use, pace.flood_seconds))
        name, rates = f"4 MiB 1→4 {use.replace('-', ' ')}", []
        for way, rounds in seen.items():
            rate, lost = (median(each) for each in zip(*rounds, strict=True))
            rates.append(rate)
            figures += [
                Figure(f"{name}, {way}", rate, "/s", "more", TABLE),
                Figure(f"{name}, {way} lost", lost, "%", "less", TABLE),
            ]
        gain = Figure(f"{name}: descriptor to chunks", rates[0] / rates[1], "×", "more", TABLE)
        figures.append(gain)
    return figures


def flood(way: str, use: str, seconds: float) -> tuple[float, float]:
    """Payloads that all subscribers together receive in a second, and percent lost."""
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory, ExitStack() as stack:
        stack.enter_context(broker_in(Path(directory), WAYS[way]))
        subscribers = [
            stack.enter_context(running(python("benchmarks.large", use, directory)))
            for _ in range(SUBSCRIBERS)
        ]
        command = python("benchmarks.large", PUBLISH, str(seconds), directory)
        publisher = stack.enter_context(running(command))
        for worker in (*subscribers, publisher):
            worker.go()
        start, sent = publisher.numbers()
        ends, counts = zip(*(each.numbers() for each in subscribers), strict=True)
    received = sum(counts)
    lost = 100 * (1 - received / (sent * SUBSCRIBERS))
    return received / ((max(ends) - start) / 1e9), lost


# ---- the processes ------------------------------------------------------------------------------


def publish(bus: BusClient, seconds: float) -> None:
    """Publish for so long, then say that it is over until we are ended."""
    payload = b"x" * SIZE
    wait_for_go()
    sent, start = 0, time.monotonic_ns()
    while time.monotonic_ns() - start < seconds * 1e9:
        bus.publish(FLOOD, payload)
        sent += 1
    bus.flush()
    print(start, sent, flush=True)
    while not select([sys.stdin], [], [], END_EVERY)[0]:
        bus.publish(FLOOD, end_of(0))
        bus.flush()


def subscribe(bus: BusClient, read: bool) -> None:
    """Count what comes until it is over."""
    with bus.subscribe(FLOOD) as events:
        wait_for_go()
        received = taken(events, read)
        print(time.monotonic_ns(), received, flush=True)
        stay()


def taken(events: Iterable[Envelope], read: bool) -> int:
    """How many came before the end; all of each is looked at, or nothing."""
    scratch = memoryview(bytearray(SIZE))
    for count, event in enumerate(events):
        if len(event.payload) == END_BYTES:
            return count
        if read:
            scratch[:] = event.payload
    raise AssertionError("it is iterated over for ever")


def main() -> None:
    """Connect and play the role."""
    role, *arguments, directory = sys.argv[1:]
    with BusClient.connect(run_dir=directory) as bus:
        if role == PUBLISH:
            publish(bus, float(arguments[0]))
        else:
            subscribe(bus, role == ALL_READ)


if __name__ == "__main__":
    main()
