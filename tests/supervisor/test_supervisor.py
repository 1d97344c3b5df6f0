"""The supervisor as programs use it: inside an application, with real children."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.errors import (
    AccessDenied,
    AlreadyRunning,
    ConfigError,
    DeadlineExceeded,
    SupervisionError,
    UnknownChild,
)
from daemoneye.rundir import RunDir
from daemoneye.supervisor.bus_plan import AccessLine, BusPlan, NamedClient
from daemoneye.supervisor.health import Happening, HappeningKind, Overall
from daemoneye.supervisor.lifecycle import State
from daemoneye.supervisor.loop import STATUS_INTERVAL
from daemoneye.supervisor.spec import ChildSpec, Plan
from daemoneye.supervisor.supervisor import Supervisor
from tests.supervisor import targets
from tests.support import is_running, scaled, wait_for, wait_gone

Target = Callable[..., object]


def spec(name: str, target: Target = targets.serve, *args: object) -> ChildSpec:
    return ChildSpec(name, target, args=args, uses_bus=False)


@contextmanager
def running(directory: Path, *specs: ChildSpec) -> Iterator[tuple[Supervisor, list[Happening]]]:
    told: list[Happening] = []
    with Supervisor(specs, run_dir=directory, on_happening=told.append) as supervisor:
        yield supervisor, told


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.children()[name].pid
    assert pid is not None
    return pid


def test_children_run_inside_and_are_gone_behind_the_with(tidy: Path) -> None:
    with running(tidy, spec("a"), spec("b")) as (supervisor, told):
        supervisor.wait_ready(scaled(10))
        assert supervisor.health().overall is Overall.HEALTHY
        pids = [pid_of(supervisor, "a"), pid_of(supervisor, "b")]
        assert len(set(pids)) == 2
    for pid in pids:
        wait_gone(pid, within=0.1)
    assert told[-1].kind is HappeningKind.STOPPED


def test_what_escaped_from_a_child_is_gone_behind_the_with(tidy: Path) -> None:
    with running(tidy, spec("a", targets.leave_somebody_behind, None)) as (supervisor, _):
        supervisor.wait_ready(scaled(10))
        left = targets.pid_left_behind(tidy)
        assert is_running(left)
    assert not is_running(left)


def test_an_application_keeps_its_signal_handlers(tidy: Path) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with running(tidy, spec("a")) as (supervisor, _):
        supervisor.wait_ready(scaled(10))
        now = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        assert now == before


def test_an_application_keeps_children_of_its_own(tidy: Path) -> None:
    pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")
    try:
        with running(tidy, spec("a")) as (supervisor, _):
            supervisor.wait_ready(scaled(10))
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_restart_gives_a_new_process_and_says_so(tidy: Path) -> None:
    with running(tidy, spec("a")) as (supervisor, _):
        supervisor.wait_ready(scaled(10))
        before = pid_of(supervisor, "a")
        said = supervisor.restart("a", timeout=scaled(10))
        assert pid_of(supervisor, "a") != before
        assert str(pid_of(supervisor, "a")) in said
        assert supervisor.children()["a"].incarnation == 2


def test_stop_and_start_wait_until_it_is_done(tidy: Path) -> None:
    with running(tidy, spec("a")) as (supervisor, _):
        supervisor.wait_ready(scaled(10))
        supervisor.stop("a", timeout=scaled(10))
        assert supervisor.children()["a"].state is State.STOPPED
        supervisor.start("a", timeout=scaled(10))
        assert supervisor.children()["a"].state is State.RUNNING


def test_an_order_about_nobody_is_refused_with_the_names_there_are(tidy: Path) -> None:
    with (
        running(tidy, spec("procmond")) as (supervisor, _),
        pytest.raises(UnknownChild, match="procmond"),
    ):
        supervisor.restart("procmon", timeout=scaled(10))


def test_an_order_that_takes_too_long_is_told_and_goes_on(tidy: Path) -> None:
    with running(tidy, spec("a", targets.stop_slowly, 0.5)) as (supervisor, _):
        supervisor.wait_ready(scaled(10))
        with pytest.raises(DeadlineExceeded):
            supervisor.stop("a", timeout=0.05)
        wait_for(lambda: supervisor.children()["a"].state is State.STOPPED, "the stop")


def test_waiting_for_a_child_that_does_not_get_ready_names_it(tidy: Path) -> None:
    with (
        running(tidy, spec("late", targets.never_ready)) as (supervisor, _),
        pytest.raises(DeadlineExceeded, match="late is STARTING"),
    ):
        supervisor.wait_ready(0.3)


def test_orders_from_the_listener_would_wait_for_themselves_and_are_refused(tidy: Path) -> None:
    errors: list[str] = []

    def listen(happening: Happening) -> None:
        if happening.kind is HappeningKind.ALL_READY:
            try:
                supervisor.restart("a", timeout=1.0)
            except SupervisionError as error:
                errors.append(str(error))

    with Supervisor([spec("a")], run_dir=tidy, on_happening=listen) as supervisor:
        supervisor.wait_ready(scaled(10))
        wait_for(lambda: errors, "the refusal")


def test_a_listener_that_raises_does_not_end_the_supervisor(tidy: Path) -> None:
    def listen(happening: Happening) -> None:
        raise KeyError("a bug of the user's")

    with Supervisor([spec("a")], run_dir=tidy, on_happening=listen) as supervisor:
        supervisor.wait_ready(scaled(10))


def test_questions_are_answered_while_children_come_and_go(tidy: Path) -> None:
    with running(tidy, spec("a"), spec("b")) as (supervisor, _):
        supervisor.wait_ready(scaled(10))
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                for _ in range(50):
                    assert set(supervisor.children()) == {"a", "b"}
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        supervisor.restart("a", timeout=scaled(10))
        for thread in threads:
            thread.join(scaled(10))
        assert not failures


def test_a_second_supervisor_is_kept_out_and_told_by_whom(tidy: Path) -> None:
    with running(tidy, spec("a")) as (supervisor, _):
        supervisor.wait_ready(scaled(10))
        with pytest.raises(AlreadyRunning) as caught, running(tidy, spec("b")):
            pass
        assert caught.value.pid == os.getpid()
        assert supervisor.health().overall is Overall.HEALTHY


def test_a_plan_with_problems_touches_nothing(tidy: Path) -> None:
    with pytest.raises(ConfigError), running(tidy / "run", spec("a"), spec("a")):
        pass
    assert not (tidy / "run").exists()


def test_an_access_rule_that_means_nothing_gives_everything_back(tidy: Path) -> None:
    bus = BusPlan(access=(AccessLine("role:worker", "read-mostly", "events.#"),))
    plan = Plan((spec("a"),), bus=bus)
    with pytest.raises(ConfigError, match="read-mostly"), Supervisor(plan, run_dir=tidy):
        pass
    with running(tidy, spec("a")) as (supervisor, _):
        supervisor.wait_ready(scaled(10))


def test_outside_of_a_with_there_is_nothing_to_ask(tidy: Path) -> None:
    with pytest.raises(SupervisionError, match="does not run"):
        Supervisor([spec("a")], run_dir=tidy).health()


def test_a_broker_is_added_in_front_when_somebody_uses_the_bus(tidy: Path) -> None:
    with running(tidy, ChildSpec("a", targets.serve)) as (supervisor, told):
        supervisor.wait_ready(scaled(10))
        assert list(supervisor.children()) == ["broker", "a"]
        assert supervisor.children()["broker"].state is State.RUNNING
    stopped = [each.child for each in told if each.kind is HappeningKind.STOPPED]
    assert stopped == ["a", "broker"]


def test_a_named_client_comes_with_its_key_while_the_supervisor_lives(tidy: Path) -> None:
    run_dir = RunDir(tidy)
    plan = Plan((spec("a"),), bus=BusPlan(clients=(NamedClient("dashboard"),)))
    with Supervisor(plan, run_dir=tidy) as supervisor:
        supervisor.wait_ready(scaled(10))
        assert run_dir.key_path("dashboard").stat().st_mode & 0o777 == 0o600
        with BusClient.connect(name="dashboard", run_dir=tidy) as bus:
            (row,) = bus.clients()
            assert (row.identity, row.role, row.pid) == ("dashboard", "observer", os.getpid())
            with bus.subscribe("control.health.status.#") as events:
                assert events.get(STATUS_INTERVAL + scaled(5)) is not None
            with pytest.raises(AccessDenied):
                bus.publish_confirmed("events.demo.tick", b"")
    assert not run_dir.keys_dir.exists()
    assert not run_dir.key_path("operator").exists()


def test_a_name_that_is_taken_starts_nothing(tidy: Path) -> None:
    plan = Plan((spec("a"),), bus=BusPlan(clients=(NamedClient("a"), NamedClient("operator"))))
    with pytest.raises(ConfigError) as caught, Supervisor(plan, run_dir=tidy):
        pass
    assert len(caught.value.problems) == 2
    assert not RunDir(tidy).key_path("operator").exists()
