"""Groups between real processes, whose members are killed: others go on, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.proto import events_pb2
from tests.bus.brokers import BrokerProcess, broker_process
from tests.support import scaled, wait_for

JOBS = "control.demo.jobs"

MEMBER = """
import sys, time
from daemoneye import BusClient

run_dir, choice, pause, keep, count = sys.argv[1:]
kept = []
with BusClient.connect(run_dir=run_dir) as bus:
    with bus.subscribe("control.demo.jobs", group="workers", choice=choice) as jobs:
        print("ready", flush=True)
        for job in jobs:
            print(time.monotonic_ns(), int(job.payload), job.delivery_count, flush=True)
            time.sleep(float(pause))
            if keep == "keep" and job.delivery_count == int(count):
                kept.append(job)
            else:
                job.ack()
"""


class Member:
    """A process that writes down what it is given before it acknowledges it."""

    def __init__(
        self, path: Path, run_dir: Path, choice: str, pause: float = 0.0, keep: int = 0
    ) -> None:
        self._path = path
        held = ("keep", str(keep)) if keep else ("no", "0")
        with path.open("wb") as out:
            command = [sys.executable, "-W", "error", "-c", MEMBER]
            self._process = subprocess.Popen(
                [*command, str(run_dir), choice, str(pause), *held], stdout=out
            )

    def wait_ready(self) -> None:
        wait_for(lambda: self._path.read_text().startswith("ready\n"), "it to join", within=20)

    def given(self) -> list[tuple[int, int, int]]:
        """When, which, and for the how-manieth time; without a line that is not whole."""
        *lines, _ = self._path.read_text().split("\n")
        rows = [[int(word) for word in line.split()] for line in lines[1:]]
        return [(at, number, count) for at, number, count in rows]

    def numbers(self) -> set[int]:
        """Which of them it was given."""
        return {number for _, number, _ in self.given()}

    def wait_given(self, number: int) -> tuple[int, int]:
        """When it was given this one, and for the how-manieth time."""
        wait_for(lambda: number in self.numbers(), f"message {number}")
        (found,) = ((at, count) for at, which, count in self.given() if which == number)
        return found

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(scaled(10))


@contextmanager
def members(directory: Path, process: BrokerProcess) -> Iterator[list[Member]]:
    """Whatever members are put here are ended."""
    found: list[Member] = []
    try:
        yield found
    finally:
        for each in found:
            each.kill()


@pytest.fixture
def process(tidy: Path) -> Iterator[BrokerProcess]:
    with broker_process(tidy, statistics_interval=scaled(0.1)) as running:
        yield running


def counted(stats: Subscription) -> events_pb2.BusStatistics:
    """What the broker has counted by now."""
    while stats.get(0) is not None:
        continue
    event = stats.get(scaled(10))
    assert event is not None
    return event.unpack(events_pb2.BusStatistics)


def test_b19_a_standby_has_the_work_of_a_killed_member_at_once(
    tidy: Path, process: BrokerProcess
) -> None:
    run_dir = process.run_dir.path
    with process.client() as bus, members(tidy, process) as crew:
        took = []
        for number in range(4):
            crew.append(Member(tidy / f"member{number}", run_dir, "standby", keep=1))
            crew[-1].wait_ready()
        for number in range(3):
            active, following = crew[number], crew[number + 1]
            bus.publish_confirmed(JOBS, b"%d" % number)
            active.wait_given(number)
            assert not any(number in each.numbers() for each in crew[number + 1 :])
            began = time.monotonic_ns()
            active.kill()
            at, count = following.wait_given(number)
            assert count == 2
            took.append((at - began) / 1e9)
            wait_for(lambda: not in_flight(bus), "it to be acknowledged")
        assert min(took) < scaled(0.1), took


def in_flight(bus: BusClient) -> int:
    """How many messages members have in hand."""
    return sum(each.in_flight for each in bus.subscriptions())


def test_a_group_that_loses_its_members_under_load_loses_no_message(
    tidy: Path, process: BrokerProcess
) -> None:
    run_dir, messages = process.run_dir.path, 1500
    with (
        process.client() as bus,
        bus.subscribe("$bus.dead.+") as dead,
        bus.subscribe("$bus.stats") as stats,
        members(tidy, process) as crew,
    ):
        for number in range(4):
            crew.append(Member(tidy / f"member{number}", run_dir, "least-in-flight", 0.0005))
        for each in crew:
            each.wait_ready()
        for number in range(messages):
            bus.publish_confirmed(JOBS, b"%d" % number, timeout=scaled(20))
            if number % 300 == 200:  # four times, and another one comes in its place
                crew[number // 300].kill()
                crew.append(Member(tidy / f"next{number}", run_dir, "least-in-flight", 0.0005))
        wait_for(lambda: counted(stats).handled_total == messages, "all to be handled", within=20)
        given = [row for each in crew for row in each.given()]
        assert {number for _, number, _ in given} == set(range(messages))
        assert any(count > 1 for _, _, count in given)
        said = counted(stats)
        assert (dict(said.lost), said.group_waiting, said.group_in_flight) == ({}, 0, 0)
        assert dead.get(0) is None
