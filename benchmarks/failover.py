"""A standby takes over: from SIGKILL of the active member to its work in the next one's hands.

Every member is a process of its own.  Each round the active one has a message in hand when it is
killed; what is measured ends when the next member has that message, so that it counts all of it:
that the kernel says so, that the broker looks, chooses and writes, and that the member wakes.

    python -m benchmarks.failover RUN-DIRECTORY     one of the members
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Figure, Pace, percentile
from benchmarks.peers.ours import broker_in
from benchmarks.processes import Worker, python
from daemoneye.bus.client.bus_client import BusClient

TABLE = "failover"
WORK = "control.bench.work"
GROUP = "standby"


def failover(pace: Pace) -> list[Figure]:
    """Kill the active member again and again."""
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory, ExitStack() as stack:
        stack.enter_context(broker_in(Path(directory)))
        bus = stack.enter_context(BusClient.connect(run_dir=directory))
        members = [joined(stack, directory), joined(stack, directory)]
        took = []
        for _ in range(pace.kills):
            took.append(until_taken_over(bus, *members))
            members = [members[1], joined(stack, directory)]
    return [
        Figure("kill -9 to the next member p50", percentile(took, 0.5), "ms", "less", TABLE),
        Figure("kill -9 to the next member p99", percentile(took, 0.99), "ms", "less", TABLE),
        Figure("kill -9 to the next member worst", max(took), "ms", "less", TABLE),
    ]


def joined(stack: ExitStack, directory: str) -> Worker:
    """One more member, behind all others."""
    worker = stack.enter_context(Worker(python("benchmarks.failover", directory)))
    worker.wait_ready()
    worker.go()
    return worker


def until_taken_over(bus: BusClient, active: Worker, following: Worker) -> float:
    """Kill the active one with a message in hand; milliseconds until the next has it."""
    active.go()
    following.go()
    bus.publish(WORK, b"", guarantee="at-least-once")
    _, count = active.numbers()
    assert count == 1, f"it was tried {count} times before"
    start = time.monotonic_ns()
    active.process.kill()
    at, count = following.numbers()
    assert count == 2, f"it was tried {count} times"
    return (at - start) / 1e6


def main() -> None:
    """A member that keeps what it gets first, and acknowledges what another had."""
    with (
        BusClient.connect(run_dir=sys.argv[1]) as bus,
        bus.subscribe(WORK, group=GROUP, choice="standby") as jobs,
    ):
        print("ready", flush=True)
        for job in jobs:
            print(time.monotonic_ns(), job.delivery_count, flush=True)
            if job.delivery_count > 1:
                job.ack()


BENCHMARKS = (failover,)

if __name__ == "__main__":
    main()
