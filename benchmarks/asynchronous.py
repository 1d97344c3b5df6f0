"""The client for tasks beside the one for threads, on the same broker, turn about.

`the loop itself` is what asyncio takes for the least that any such client can do: bytes to a
process that sends them back, by `add_reader` and one future, over the same by a blocking socket.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from benchmarks.measure import Figure, Pace, percentile
from benchmarks.peers.ours import broker_in
from daemoneye import AsyncBusClient, BusClient

TABLE = "threads and tasks"
TOPIC = "events.demo.tick"
PAYLOAD = bytes(256)
SHARE = 0.2  # of the round trips, for each turn
TURNS = 7
MANY = 512  # in one call, as the peers do


def tasks(pace: Pace) -> list[Figure]:
    """Round trips and floods of both clients, and the ratio of each turn."""
    count = max(100, int(pace.round_trips * SHARE))
    with tempfile.TemporaryDirectory(prefix="de-bench-") as directory, broker_in(Path(directory)):
        trips = [
            (_trips_of_threads(directory, count), asyncio.run(_trips_of_tasks(directory, count)))
            for _ in range(TURNS)
        ]
        floods = [
            (_flood_of_threads(directory, pace), asyncio.run(_flood_of_tasks(directory, pace)))
            for _ in range(pace.rounds)
        ]
    floors = [_least(count) for _ in range(TURNS)]
    return [
        Figure("round trip p50, threads", median(each[0] for each in trips), "µs", "less", TABLE),
        Figure("round trip p50, tasks", median(each[1] for each in trips), "µs", "less", TABLE),
        Figure("… more than threads", median(b - a for a, b in trips), "µs", "less", TABLE),
        Figure("… of it the loop itself", median(b - a for a, b in floors), "µs", "less", TABLE),
        Figure("publish and receive, threads", median(a for a, _ in floods), "/s", "more", TABLE),
        Figure("publish and receive, tasks", median(b for _, b in floods), "/s", "more", TABLE),
    ]


BENCHMARKS = (tasks,)


def _trips_of_threads(directory: str, count: int) -> float:
    took = []
    with BusClient.connect(run_dir=directory) as bus, bus.subscribe(TOPIC) as events:
        for _ in range(count):
            began = time.perf_counter_ns()
            bus.publish(TOPIC, PAYLOAD)
            events.get()
            took.append((time.perf_counter_ns() - began) / 1000)
    return percentile(took, 0.5)


async def _trips_of_tasks(directory: str, count: int) -> float:
    took = []
    async with AsyncBusClient.connect(run_dir=directory) as bus, bus.subscribe(TOPIC) as events:
        for _ in range(count):
            began = time.perf_counter_ns()
            await bus.publish(TOPIC, PAYLOAD)
            await events.get()
            took.append((time.perf_counter_ns() - began) / 1000)
    return percentile(took, 0.5)


def _flood_of_threads(directory: str, pace: Pace) -> float:
    """Messages each second through the broker and back, in parts that one credit has room for."""
    count = 0
    with BusClient.connect(run_dir=directory) as bus, bus.subscribe(TOPIC) as events:
        began = time.perf_counter()
        while time.perf_counter() - began < pace.flood_seconds:
            for _ in range(MANY):
                bus.publish(TOPIC, PAYLOAD)
            bus.flush()
            for _, _ in zip(range(MANY), events, strict=False):
                count += 1
        return count / (time.perf_counter() - began)


async def _flood_of_tasks(directory: str, pace: Pace) -> float:
    count = 0
    async with AsyncBusClient.connect(run_dir=directory) as bus, bus.subscribe(TOPIC) as events:
        began = time.perf_counter()
        while time.perf_counter() - began < pace.flood_seconds:
            for _ in range(MANY):
                await bus.publish(TOPIC, PAYLOAD)
            await bus.flush()
            left = MANY
            async for _ in events:
                count += 1
                left -= 1
                if not left:
                    break
        return count / (time.perf_counter() - began)


def _least(count: int) -> tuple[float, float]:
    """The same bytes there and back by a blocking socket, and by a loop; µs."""
    ours, theirs = socket.socketpair()
    echo = get_context("spawn").Process(target=_echo, args=(theirs,))
    echo.start()
    theirs.close()
    with ours:
        ours.sendall(PAYLOAD)
        ours.recv(1 << 16)
        blocking = _timed(count, lambda: (ours.send(PAYLOAD), ours.recv(1 << 16)))
        ours.setblocking(False)
        looping = asyncio.run(_least_of_tasks(ours, count))
    echo.join()
    return blocking, looping


def _timed(count: int, act: Callable[[], object]) -> float:
    took = []
    for _ in range(count):
        began = time.perf_counter_ns()
        act()
        took.append((time.perf_counter_ns() - began) / 1000)
    return percentile(took, 0.5)


async def _least_of_tasks(sock: socket.socket, count: int) -> float:
    loop = asyncio.get_running_loop()
    came: asyncio.Future[bytes] = loop.create_future()
    loop.add_reader(sock, lambda: came.set_result(sock.recv(1 << 16)))
    took = []
    for _ in range(count):
        began = time.perf_counter_ns()
        sock.send(PAYLOAD)
        came = loop.create_future()
        await came
        took.append((time.perf_counter_ns() - began) / 1000)
    loop.remove_reader(sock)
    return percentile(took, 0.5)


def _echo(sock: socket.socket) -> None:
    while data := sock.recv(1 << 16):
        sock.sendall(data)


if __name__ == "__main__":
    for figure in tasks(Pace()):
        print(f"{figure.name:32} {figure}")
