"""A call and its reply, beside what one would do without: one caller, one server, 256 bytes.

By hand it is two plain topics, a publish on each: nobody is told then when there is no server, or
none any more.  With ZeroMQ it is REQ and REP with a ROUTER/DEALER proxy between them, which is its
way to have several servers.  Everybody is a process of its own.

    python -m benchmarks.call serve|call RUN-DIRECTORY     one of the processes
    python -m benchmarks.call proxy|rep|req PATH
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bus import BYTES, WARM_UP
from benchmarks.measure import Figure, Pace, percentile
from benchmarks.peers import ours
from benchmarks.processes import python, running
from benchmarks.worker import stay, wait_for_go
from daemoneye.bus.client.bus_client import BusClient

HAS_ZEROMQ = bool(find_spec("zmq"))
if HAS_ZEROMQ:
    import zmq

TABLE = "a call and its reply, 256 bytes each"
TOPIC = "control.bench.echo"


def calls(pace: Pace) -> list[Figure]:
    """All ways, interleaved."""
    took: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(pace.rounds):
        for way, measured in WAYS.items():
            times = measured(pace)
            took[way].append(times[int(len(times) * WARM_UP) :])
    return [
        Figure(
            f"{way} {name}", median(percentile(each, part) for each in rounds), "µs", "less", TABLE
        )
        for way, rounds in took.items()
        for name, part in (("p50", 0.5), ("p99", 0.99))
    ]


def by_call(pace: Pace) -> list[float]:
    """`serve` and `call`."""
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory, ExitStack() as stack:
        stack.enter_context(ours.broker_in(Path(directory)))
        stack.enter_context(running(python("benchmarks.call", "serve", directory)))
        return asked(stack, python("benchmarks.call", "call", directory, *_many(pace)))


def by_hand(pace: Pace) -> list[float]:
    """A publish on one topic, and one on another."""
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory, ExitStack() as stack:
        stack.enter_context(ours.broker_in(Path(directory)))
        stack.enter_context(running(ours.PEER.client("echo", directory)))
        role = f"ping {pace.round_trips} {pace.round_trip_seconds} {BYTES}"
        return asked(stack, ours.PEER.client(role, directory))


def by_zeromq(pace: Pace) -> list[float]:
    """REQ, a proxy, REP."""
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory, ExitStack() as stack:
        path = f"{directory}/zmq"
        stack.enter_context(running(python("benchmarks.call", "proxy", path)))
        stack.enter_context(running(python("benchmarks.call", "rep", path)))
        return asked(stack, python("benchmarks.call", "req", path, *_many(pace)))


WAYS: dict[str, Callable[[Pace], list[float]]] = {
    "call": by_call,
    "two topics by hand": by_hand,
    **({"ZeroMQ REQ/REP through a proxy": by_zeromq} if HAS_ZEROMQ else {}),
}


def asked(stack: ExitStack, command: list[str]) -> list[float]:
    """How long each round trip of this process took, in microseconds."""
    asking = stack.enter_context(running(command))
    asking.go()
    return [each / 1000 for each in asking.numbers()]


def _many(pace: Pace) -> tuple[str, str]:
    return str(pace.round_trips), str(pace.round_trip_seconds)


# ---- the processes ------------------------------------------------------------------------------


def serve(directory: str) -> None:
    """Reply with what was asked."""
    with BusClient.connect(run_dir=directory) as bus, bus.serve(TOPIC) as requests:
        print("ready", flush=True)
        for request in requests:
            request.reply(request.payload)


def call(directory: str, count: str, seconds: str) -> None:
    """Call, one after the other."""
    with BusClient.connect(run_dir=directory) as bus:
        timed(lambda payload: bus.call(TOPIC, payload), int(count), float(seconds))


def proxy(path: str) -> None:
    """What stands between callers and servers."""
    callers, servers = _socket("ROUTER"), _socket("DEALER")
    callers.bind(f"ipc://{path}.in")
    servers.bind(f"ipc://{path}.out")
    print("ready", flush=True)
    zmq.proxy(callers, servers)


def rep(path: str) -> None:
    """Reply with what was asked."""
    replying = _socket("REP")
    replying.connect(f"ipc://{path}.out")
    print("ready", flush=True)
    while True:
        replying.send(replying.recv())


def req(path: str, count: str, seconds: str) -> None:
    """Call, one after the other."""
    asking = _socket("REQ")
    asking.connect(f"ipc://{path}.in")

    def ask(payload: bytes) -> object:
        asking.send(payload)
        return asking.recv()

    timed(ask, int(count), float(seconds))


def timed(ask: Callable[[bytes], object], count: int, seconds: float) -> None:
    """Print how long each took, in ns; so many, or for so long."""
    payload, took = bytes(BYTES), list[int]()
    wait_for_go()
    end = time.monotonic() + seconds
    while len(took) < count and time.monotonic() < end:
        start = time.monotonic_ns()
        ask(payload)
        took.append(time.monotonic_ns() - start)
    print(*took, flush=True)
    stay()


def _socket(kind: str) -> Any:
    return zmq.Context.instance().socket(getattr(zmq, kind))


ROLES: dict[str, Callable[..., None]] = {
    each.__name__: each for each in (serve, call, proxy, rep, req)
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
