"""A pool of workers that count the lines of files: each job is done by one of them.

    daemoneye run                                    in a first terminal
    python examples/worker_pool.py work              in others: as many workers as you like
    python examples/worker_pool.py dead              in one more: tells what no worker could do
    python examples/worker_pool.py give README.md    gives a job, and waits until it is done

End a worker with `kill -9` while it works: another one has its job at once.  After five tries, or
when a worker rejects it, a job is a dead letter.
"""

import argparse
import os
import sys

from daemoneye import (
    BusBroken,
    BusClient,
    BusError,
    DaemoneyeError,
    LocalProtocolError,
    NotRunning,
    Topic,
)
from daemoneye.bus.proto.events_pb2 import DeadLetter

JOBS = Topic("control.demo.lines", dict)
"""Below `control`, so a job waits for a worker.  Below `events` it would be lost without one."""

POOL = "counters"
"""Workers that say this name share the jobs."""


def work(bus: BusClient) -> None:
    """Do one job after the other; when this process dies, another worker gets what it has."""
    with bus.subscribe(JOBS, group=POOL) as jobs:
        say(f"worker {os.getpid()} is ready")
        for job in jobs:
            try:
                count(job)
            except LocalProtocolError as error:  # it took too long, or the connection was lost
                say(f"another worker has it now: {error}")


def count(job) -> None:
    """Do this job, and settle it: every way out says one word."""
    try:
        path = job.read(JOBS)["file"]
        say(f"{path}: try {job.delivery_count}")
        lines = 0
        with open(path, encoding="utf-8") as file:
            for lines, _ in enumerate(file, 1):
                if lines % 1_000_000 == 0:
                    job.extend(30.0)  # still at it: another 30 s from now
    except FileNotFoundError:
        job.retry(delay=0.2)  # it may be there soon; the fifth try is the last
    except (BusError, KeyError, TypeError, OSError, UnicodeDecodeError) as error:
        job.reject(f"{type(error).__name__}: {error}")  # no worker can do this
    else:
        say(f"{path}: {lines} lines")
        job.ack()


def tell_dead(bus: BusClient) -> None:
    """Print the jobs that no worker could do.  They are told once and not kept: leave this on."""
    with bus.subscribe(f"$bus.dead.{POOL}") as dead:
        say("listening")
        for event in dead:
            letter = event.unpack(DeadLetter)
            job = letter.payload.decode(errors="backslashreplace")
            say(f"{letter.reason} after {letter.delivery_count} tries: {job}: {letter.cause}")


def give(bus: BusClient, path: str, timeout: float) -> None:
    """Give a job and wait until a worker has done it.  Raises BusError when none did."""
    bus.publish_confirmed(JOBS, {"file": path}, until="handled", timeout=timeout)
    say(f"{path}: done")


def say(line: str) -> None:
    """Print it now, also into a pipe."""
    print(line, flush=True)


def main() -> int:
    """Do what is asked; the exit code is 1 when a job was not done, else the command line's."""
    parser = argparse.ArgumentParser(description="a pool of workers that count lines")
    parser.add_argument("--run-dir", help="where the instance keeps its socket")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("work", help="do jobs until Ctrl-C")
    commands.add_parser("dead", help="tell what no worker could do")
    giving = commands.add_parser("give", help="give a job and wait until it is done")
    giving.add_argument("file")
    giving.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
    wanted = parser.parse_args()
    try:
        with BusClient.connect(run_dir=wanted.run_dir) as bus:
            if wanted.command == "give":
                give(bus, os.path.abspath(wanted.file), wanted.timeout)
            else:
                {"work": work, "dead": tell_dead}[wanted.command](bus)
    except KeyboardInterrupt:
        pass
    except DaemoneyeError as error:
        print(error, file=sys.stderr)
        return 3 if isinstance(error, NotRunning) else 69 if isinstance(error, BusBroken) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
