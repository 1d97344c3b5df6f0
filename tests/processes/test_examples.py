"""Each example runs as its docstring says, and ends in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye import BusClient, DaemoneyeError
from daemoneye.bus.envelope import Envelope
from daemoneye.bus.proto.events_pb2 import ProcessLifecycle
from tests.bus.brokers import broker_process
from tests.support import scaled, wait_for, wait_gone

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def running(directory: Path, *command: str) -> Iterator[BusClient]:
    """A program that runs an instance, in a process of its own; it has to end with 0."""
    run_dir = directory / "run"
    with subprocess.Popen(
        [sys.executable, *command], env={**ENVIRONMENT, "DAEMONEYE_RUN_DIR": str(run_dir)}
    ) as process:

        def connected() -> BusClient | None:
            assert process.poll() is None, f"{command} has ended"
            try:
                return BusClient.connect(run_dir=run_dir)
            except DaemoneyeError:
                return None

        try:
            bus = wait_for(connected, f"the bus of {command}", within=15)
            assert bus is not None
            with bus:
                yield bus
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(scaled(20)) == 0


def first(bus: BusClient, filter_text: str, publisher: str = "") -> Envelope:
    """The next event that matches, perhaps of one publisher."""
    with bus.subscribe(filter_text, timeout=scaled(15)) as events:
        return next(e for e in events if not publisher or e.publisher.name == publisher)


def test_hello_collector_runs_by_itself(tidy: Path) -> None:
    with running(tidy, str(EXAMPLES / "hello_collector.py")) as bus:
        event = first(bus, "events.performance.uptime")
        assert event.publisher.name == "uptime"
        assert event.json()["seconds"] > 0


def test_supervised_worker_greets_and_comes_back_when_killed(tidy: Path) -> None:
    with running(tidy, str(EXAMPLES / "supervised_worker.py")) as bus:
        before = first(bus, "events.demo.greeting")
        assert before.json() == {"greeting": "hello"}
        os.kill(before.publisher.pid, signal.SIGKILL)
        wait_gone(before.publisher.pid)
        after = first(bus, "events.demo.greeting")
        assert (after.publisher.incarnation, before.publisher.incarnation) == (2, 1)
        assert after.publisher.pid != before.publisher.pid


def test_mock_collectors_run_all_four(tidy: Path) -> None:
    with running(tidy, str(EXAMPLES / "mock_collectors.py")) as bus:
        kinds = ("process", "network", "filesystem", "performance")
        publishers = [first(bus, f"events.{kind}.#").publisher for kind in kinds]
    assert [each.name for each in publishers] == [
        "mock-procmond",
        "mock-netmond",
        "mock-fsmond",
        "mock-perfmond",
    ]
    assert len({each.pid for each in publishers}) == 4


def test_the_configuration_runs_and_shows_a_process_of_this_machine(tidy: Path) -> None:
    command = ("-m", "daemoneye", "run", "--config", str(EXAMPLES / "daemoneye.toml"))
    with running(tidy, *command) as bus:
        wanted = {"greeter", "uptime", "perfmond", "procmond"}
        with bus.subscribe("events.#", timeout=scaled(15)) as events:
            while wanted:
                wanted.discard(next(iter(events)).publisher.name)
        with bus.subscribe("events.process.lifecycle", timeout=scaled(5)) as events:
            with subprocess.Popen(["sleep", "60"]) as process:
                told = (event.unpack(ProcessLifecycle) for event in events)
                seen = next(each for each in told if each.pid == process.pid)
                process.kill()
            gone = next(each for each in told if each.pid == process.pid and each.action == 3)
    assert (seen.action, seen.name) == (1, "sleep")
    assert gone.created_at == seen.created_at


@pytest.fixture
def subscriber() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def pid_of(child: str, run_dir: Path) -> int:
    """The process of a child, as the command line tells it."""
    command = [sys.executable, "-m", "daemoneye", "status", "--json", "--run-dir", str(run_dir)]
    status = json.loads(subprocess.check_output(command, env=ENVIRONMENT))
    return next(int(each["pid"]) for each in status["children"] if each["name"] == child)


def listen(run_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """The subscriber, in a process of its own."""
    program = str(EXAMPLES / "subscriber.py")
    command = [sys.executable, program, "--run-dir", str(run_dir), *arguments]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_subscriber_goes_on_when_the_broker_is_killed(
    tidy: Path, subscriber: list[subprocess.Popen[str]]
) -> None:
    with running(tidy, str(EXAMPLES / "mock_collectors.py")):
        ear = listen(tidy / "run", "events.network.#")
        subscriber.append(ear)
        assert ear.stdout is not None
        assert "mock-netmond[" in ear.stdout.readline()
        broker = pid_of("broker", tidy / "run")
        os.kill(broker, signal.SIGKILL)
        wait_gone(broker)
        for _ in range(3):
            line = ear.stdout.readline()
            assert line.startswith(("events.network.", "-- missed "))
        ear.send_signal(signal.SIGINT)
        assert ear.wait(scaled(10)) == 0


def test_a_reader_that_has_seen_enough_ends_the_subscriber_without_a_word(
    tidy: Path, subscriber: list[subprocess.Popen[str]]
) -> None:
    with running(tidy, str(EXAMPLES / "mock_collectors.py")):
        ear = listen(tidy / "run", "events.network.#")
        subscriber.append(ear)
        assert ear.stdout is not None
        assert ear.stderr is not None
        assert ear.stdout.readline()
        ear.stdout.close()
        assert ear.wait(scaled(10)) == 0
        assert ear.stderr.read() == ""


def test_the_subscriber_says_how_to_start_what_does_not_run(
    tidy: Path, subscriber: list[subprocess.Popen[str]]
) -> None:
    ear = listen(tidy / "nowhere")
    subscriber.append(ear)
    _, complaint = ear.communicate(timeout=scaled(10))
    assert ear.returncode == 3
    assert "daemoneye run" in complaint


@pytest.fixture
def pool(tidy: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts parts of the worker pool at a broker of their own; they are gone afterwards."""
    started: list[subprocess.Popen[str]] = []
    with broker_process(tidy) as process:

        def start(*arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, str(EXAMPLES / "worker_pool.py")]
            command += ["--run-dir", str(process.run_dir.path), *arguments]
            part = subprocess.Popen(
                command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            started.append(part)
            return part

        yield start
        for part in started:
            part.kill()
            part.communicate()


def line_of(part: subprocess.Popen[str]) -> str:
    assert part.stdout is not None
    return part.stdout.readline().removesuffix("\n")


def test_a_job_of_a_killed_worker_is_done_by_another(
    tidy: Path, pool: Callable[..., subprocess.Popen[str]]
) -> None:
    pipe = tidy / "lines"
    os.mkfifo(pipe)  # who opens it waits for a writer: a job that takes a while
    first = pool("work")
    assert line_of(first).endswith("is ready")
    giver = pool("give", str(pipe), "--timeout", str(scaled(20)))
    assert line_of(first) == f"{pipe}: try 1"
    second = pool("work")
    assert line_of(second).endswith("is ready")
    first.kill()
    assert line_of(second) == f"{pipe}: try 2"
    pipe.write_text("one\ntwo\n", encoding="utf-8")
    assert line_of(second) == f"{pipe}: 2 lines"
    assert line_of(giver) == f"{pipe}: done"
    assert giver.wait(scaled(10)) == 0
    second.send_signal(signal.SIGINT)
    assert second.wait(scaled(10)) == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "exhausted after 5 tries: "), (b"\xff", "rejected after 1 tries: ")],
)
def test_a_job_that_no_worker_can_do_is_told_to_whoever_gave_it_and_as_a_dead_letter(
    tidy: Path,
    pool: Callable[..., subprocess.Popen[str]],
    content: bytes | None,
    told: str,
) -> None:
    path = tidy / "file"
    if content is not None:
        path.write_bytes(content)
    dead, worker = pool("dead"), pool("work")
    assert line_of(dead) == "listening"
    assert line_of(worker).endswith("is ready")
    giver = pool("give", str(path), "--timeout", str(scaled(20)))
    assert giver.wait(scaled(20)) == 1
    assert giver.stderr is not None
    assert "did not handle it" in giver.stderr.read()
    assert line_of(dead).startswith(f'{told}{{"file":"{path}"}}')


def test_a_job_without_a_pool_is_an_error_that_says_so(
    pool: Callable[..., subprocess.Popen[str]],
) -> None:
    giver = pool("give", "file")
    assert giver.wait(scaled(10)) == 1
    assert giver.stderr is not None
    assert "there is no group to handle" in giver.stderr.read()
