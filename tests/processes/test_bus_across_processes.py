"""A broker, two collectors and a subscriber, each in a process of its own, and what kills them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from daemoneye import BusClient, ChildSpec, Supervisor, Timeouts, collector_spec
from daemoneye.bus.envelope import Envelope
from daemoneye.bus.proto.events_pb2 import (
    ChildStatus,
    Diagnostics,
    NetworkLifecycle,
    ProcessLifecycle,
)
from daemoneye.rundir import RunDir
from daemoneye.supervisor.lifecycle import State
from tests.support import scaled, wait_for, wait_gone

EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTIONS = "control.health.diagnostics"
Stream = tuple[str, int, str]
"""Publisher, incarnation and topic: what sequences belong to."""


@dataclass
class Ear:
    """A subscriber that writes down everything it hears, in order, in a thread of its own."""

    bus: BusClient
    heard: list[Envelope] = field(default_factory=list)

    @contextmanager
    def listening(self, *filters: str) -> Iterator[Ear]:
        """Listen while inside, with one iterator from beginning to end."""
        with self.bus.subscribe(*filters) as events:
            thread = threading.Thread(target=lambda: self.heard.extend(events))
            thread.start()
            try:
                yield self
            finally:
                events.close()
                thread.join()

    def wait_for(self, test: Callable[[Envelope], bool], what: str, after: int = 0) -> Envelope:
        """The first event behind the `after` first ones that passes the test."""
        return wait_for(
            lambda: [each for each in self.heard[after:] if test(each)], what, within=15
        )[0]

    def wait_answer(self, request: int) -> Envelope:
        """The answer to a wish."""
        what = f"an answer to {request}"
        return self.wait_for(lambda e: e.unpack(ChildStatus).answer_to == request, what)

    def streams(self) -> Mapping[Stream, list[Envelope]]:
        """What was heard, by publisher and topic."""
        found: dict[Stream, list[Envelope]] = {}
        for event in list(self.heard):
            who = event.publisher
            found.setdefault((who.name, who.incarnation, event.topic), []).append(event)
        return found


def unexplained(events: list[Envelope]) -> int:
    """How many of one stream were missed between the first and the last, and told by nobody.

    A loss is told with the next delivery to the subscription, of whichever stream; so this is
    only exact for a subscription that hears a single stream.
    """
    span = events[-1].sequence - events[0].sequence + 1
    told = sum(sum(each.lost.values()) for each in events[1:])
    return span - len(events) - told


class Stage:
    """The running instance: two mocks on a bus."""

    def __init__(self, supervisor: Supervisor, bus: BusClient) -> None:
        self.supervisor = supervisor
        self.bus = bus

    def pid(self, name: str) -> int:
        """The process of a child."""
        pid = self.supervisor.children()[name].pid
        assert pid
        return pid

    def pids(self) -> dict[str, int]:
        """All of them."""
        return {name: self.pid(name) for name in ("broker", "procmond", "netmond")}

    def wait_state(self, name: str, state: State) -> None:
        """Wait until the supervisor says so of a child."""
        children = self.supervisor.children
        wait_for(lambda: children()[name].state is state, f"{name} {state}", within=15)

    def wait_reborn(self, name: str, old_pid: int) -> int:
        """Wait until a child runs again in another process."""

        def reborn() -> int:
            now = self.supervisor.children()[name]
            runs = now.state is State.RUNNING and now.pid != old_pid
            return now.pid or 0 if runs else 0

        pid = wait_for(reborn, f"another process of {name}", within=15)
        wait_gone(old_pid)
        return pid

    def tell(self, name: str, order: str) -> None:
        """Have a mock behave so."""
        self.bus.publish(QUESTIONS, {"ask": order}, target=name)
        self.bus.flush()


def mock(name: str, **settings: object) -> ChildSpec:
    """A mock with little patience, for hangs that do not take a test's time."""
    return collector_spec(
        f"mock_collectors:Mock{name.capitalize()}",
        name=name,
        settings={"interval": "50ms", **settings},
        timeouts=Timeouts(soft_timeout=2.0, hard_timeout=4.0),
    )


@pytest.fixture
def stage(tidy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(sys, "path", [*sys.path, str(EXAMPLES)])
    specs = [mock("procmond", flood=2000), mock("netmond")]
    with Supervisor(specs, run_dir=RunDir(tidy / "run")) as supervisor:
        supervisor.wait_ready(timeout=scaled(20))
        with BusClient.connect(run_dir=tidy / "run") as bus:
            yield Stage(supervisor, bus)


def test_each_event_proves_the_process_it_came_from(stage: Stage) -> None:
    with Ear(stage.bus).listening("events.#") as ear:
        process = ear.wait_for(lambda e: e.topic == "events.process.lifecycle", "procmond")
        network = ear.wait_for(lambda e: e.topic == "events.network.lifecycle", "netmond")
    assert process.unpack(ProcessLifecycle).pid >= 5_000_000
    assert network.unpack(NetworkLifecycle).connection.remote.address.startswith("198.51.100.")
    pids = stage.pids()
    assert (process.publisher.pid, network.publisher.pid) == (pids["procmond"], pids["netmond"])
    assert len({*pids.values(), os.getpid()}) == 4
    assert {psutil.Process(pid).ppid() for pid in pids.values()} == {os.getpid()}
    assert process.publisher.role == "collector"


def test_a_killed_broker_comes_back_and_nobody_else_is_restarted(stage: Stage) -> None:
    before = stage.pids()
    with Ear(stage.bus).listening("events.network.lifecycle") as ear:
        ear.wait_for(lambda e: True, "a first event")
        os.kill(before["broker"], signal.SIGKILL)
        stage.wait_reborn("broker", before["broker"])
        heard = len(ear.heard)
        last = ear.wait_for(lambda e: True, "an event after the restart", after=heard + 5)
        for event in list(ear.heard):
            assert event.publisher.pid == before["netmond"]
    after = stage.pids()
    assert after.pop("broker") != before.pop("broker")
    assert after == before
    (events,) = ear.streams().values()
    assert last in events
    assert [each.sequence for each in events] == sorted({each.sequence for each in events})
    assert unexplained(events) == 0


def test_what_a_killed_broker_took_with_it_is_told(stage: Stage) -> None:
    with Ear(stage.bus).listening("events.process.lifecycle") as ear:
        stage.tell("procmond", "flood")
        ear.wait_for(lambda e: e.sequence > 5000, "a flood")
        for _ in range(3):
            broker, heard = stage.pid("broker"), len(ear.heard)
            os.kill(broker, signal.SIGKILL)
            stage.wait_reborn("broker", broker)
            ear.wait_for(lambda e: True, "the flood again", after=heard + 5000)
        stage.tell("procmond", "calm")
    (events,) = ear.streams().values()
    assert sum(sum(each.lost.values()) for each in events) > 0
    assert unexplained(events) == 0


def test_a_killed_collector_comes_back_as_another_life_of_the_same_identity(stage: Stage) -> None:
    before = stage.pids()
    with Ear(stage.bus).listening("events.#") as ear:
        first = ear.wait_for(lambda e: e.publisher.name == "procmond", "procmond")
        os.kill(before["procmond"], signal.SIGKILL)
        stage.wait_reborn("procmond", before["procmond"])
        second = ear.wait_for(
            lambda e: e.publisher.name == "procmond" and e.publisher.incarnation == 2,
            "its next life",
        )
    after = stage.pids()
    assert second.publisher.pid == after.pop("procmond") != before.pop("procmond")
    assert after == before
    assert first.publisher.incarnation == 1
    clients = [each for each in stage.bus.clients() if each.identity == "procmond"]
    assert [each.incarnation for each in clients] == [2]


@pytest.mark.parametrize("order", ["crash", "exit"])
def test_a_mock_ends_when_told_and_the_other_notices_nothing(stage: Stage, order: str) -> None:
    before = stage.pids()
    stage.tell("procmond", order)
    stage.wait_reborn("procmond", before["procmond"])
    assert stage.pid("netmond") == before["netmond"]
    assert stage.pid("broker") == before["broker"]


def test_a_collector_that_raises_again_and_again_is_degraded_until_it_works(stage: Stage) -> None:
    pid = stage.pid("netmond")
    with Ear(stage.bus).listening("control.health.status.netmond") as ear:
        stage.tell("netmond", "raise")
        told = ear.wait_for(
            lambda e: (
                "told to raise" in e.unpack(ChildStatus).reason and e.publisher.name == "netmond"
            ),
            "a status that says why",
        )
    assert told.publisher.pid == pid
    stage.wait_reborn("netmond", pid)  # ten in a row end it, and the next one behaves


def test_a_collector_that_hangs_still_says_where_and_is_replaced(stage: Stage) -> None:
    before = stage.pids()
    with Ear(stage.bus).listening(QUESTIONS) as ear:
        stage.tell("procmond", "hang")

        def says_where() -> bool:
            stage.tell("procmond", "threads")
            stacks = [each.unpack(Diagnostics).stacks for each in ear.heard]
            return any("time.sleep(3600)" in each for each in stacks)

        wait_for(says_where, "the line it hangs on", every=0.1)
    stage.wait_state("procmond", State.DEGRADED)
    stage.wait_reborn("procmond", before["procmond"])
    assert stage.pid("netmond") == before["netmond"]


def test_a_wish_on_the_bus_is_decided_by_the_supervisor(stage: Stage) -> None:
    with Ear(stage.bus).listening("control.health.status.netmond") as ear:
        for number, (verb, state) in enumerate(
            [("pause", State.PAUSED), ("resume", State.RUNNING)], 1
        ):
            wish = {"verb": verb, "request": number}
            stage.bus.publish("control.collector.lifecycle", wish, target="netmond")
            stage.wait_state("netmond", state)
            answer = ear.wait_answer(number)
            assert (answer.target, answer.unpack(ChildStatus).error) == ("operator", "")


def test_a_collector_that_was_stopped_over_the_bus_can_be_started_over_the_bus(
    stage: Stage,
) -> None:
    before = stage.pids()
    topic = "control.collector.lifecycle"
    stage.bus.publish(topic, {"verb": "stop", "request": 1}, target="netmond")
    stage.wait_state("netmond", State.STOPPED)
    wait_gone(before["netmond"])
    stage.bus.publish(topic, {"verb": "start", "request": 2}, target="netmond")
    stage.wait_reborn("netmond", before["netmond"])
    assert stage.pid("procmond") == before["procmond"]


def test_settings_from_the_bus_survive_a_restart_and_bad_ones_are_refused(stage: Stage) -> None:
    def configure(settings: dict[str, object], request: int) -> str:
        wish = {"settings": settings, "request": request}
        stage.bus.publish("control.collector.config", wish, target="netmond")
        return ear.wait_answer(request).unpack(ChildStatus).error

    def settings() -> dict[str, object]:
        heard = len(ear.heard)
        stage.tell("netmond", "settings")
        answer = ear.wait_for(lambda e: e.topic == QUESTIONS, "its settings", after=heard)
        found: dict[str, object] = json.loads(answer.unpack(Diagnostics).answer)
        return found

    with Ear(stage.bus).listening("control.health.status.netmond", QUESTIONS) as ear:
        assert configure({"interval": "20ms", "seed": 7}, 1) == ""
        assert "there is no such setting" in configure({"intreval": "1s"}, 2)
        assert settings()["seed"] == 7
        pid = stage.pid("netmond")
        os.kill(pid, signal.SIGKILL)
        stage.wait_reborn("netmond", pid)
        assert settings()["seed"] == 7


def test_b12_a_flood_of_events_holds_up_no_control_message(stage: Stage) -> None:
    with Ear(stage.bus).listening("events.process.#"), Ear(stage.bus).listening(QUESTIONS) as ear:
        stage.tell("procmond", "flood")
        for number in range(1, 6):
            stage.tell("netmond", "counters")
            wait_for(lambda: ear.heard[number - 1 :], f"answer {number}", within=2)  # noqa: B023  # called here
        stage.tell("procmond", "calm")
