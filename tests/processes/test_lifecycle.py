"""The life of real children: start, ready, crash, hang, restart, stop, supervisor's death."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemoneye.cli.control import ControlClient
from daemoneye.errors import DaemoneyeError
from daemoneye.rundir import RunDir
from daemoneye.supervisor import guardian
from daemoneye.supervisor.health import Happening, HappeningKind, Overall
from daemoneye.supervisor.lifecycle import State
from daemoneye.supervisor.scope import scope_of
from daemoneye.supervisor.spec import ChildSpec, Plan, RestartPolicy, Timeouts
from daemoneye.supervisor.supervisor import Supervisor
from tests.processes import difficult
from tests.supervisor import targets
from tests.support import is_running, scaled, sockets_below, wait_for, wait_gone

QUICK = Timeouts(
    beat_interval=0.1,
    soft_timeout=scaled(0.5),
    hard_timeout=scaled(1.2),
    drain_timeout=scaled(0.3),
    terminate_timeout=scaled(0.3),
)
"""What takes half a minute by default, in a second."""


def spec(name: str, target: Callable[..., object], *args: object, **options: Any) -> ChildSpec:
    return ChildSpec(name, target, args=args, uses_bus=False, **options)


class Watched:
    """A running supervisor and what it has told."""

    def __init__(self, supervisor: Supervisor, told: list[Happening]) -> None:
        self.supervisor = supervisor
        self.told = told

    def pid(self, name: str) -> int:
        """The pid of a child that lives."""
        found = self.supervisor.children()[name].pid
        assert found is not None
        return found

    def wait_state(self, name: str, state: State, within: float = 10.0) -> None:
        """Wait until a child is in this state."""
        wait_for(
            lambda: self.supervisor.children()[name].state is state,
            f"{name} to be {state}",
            within=within,
        )

    def wait_new_life(self, name: str, old: int, within: float = 10.0) -> int:
        """Wait until a child serves in another process than `old`; its pid."""

        def lives() -> int | None:
            child = self.supervisor.children()[name]
            return child.pid if child.state is State.RUNNING and child.pid != old else None

        pid = wait_for(lives, f"{name} to live again", within=within)
        assert pid is not None
        return pid

    def happened(self, kind: HappeningKind, child: str = "") -> Happening:
        """The last happening of a kind, waited for."""

        def last() -> Happening | None:
            return next((h for h in self.told[::-1] if h.kind is kind and h.child == child), None)

        found = wait_for(last, f"{kind} of {child}")
        assert found is not None
        return found

    def crash_documents(self) -> list[dict[str, Any]]:
        """What is in the crash directory, oldest first."""
        paths = sorted(self.supervisor.run_dir.crash_dir.glob("*.json"))
        return [json.loads(path.read_text()) for path in paths]


@contextmanager
def running(directory: Path, *specs: ChildSpec, **options: Any) -> Iterator[Watched]:
    told: list[Happening] = []
    plan = Plan(specs, **options)
    with Supervisor(plan, run_dir=directory, on_happening=told.append) as supervisor:
        yield Watched(supervisor, told)


# ---- crash --------------------------------------------------------------------------------------


def test_a_killed_child_runs_again_in_half_a_second_with_event_and_report(tidy: Path) -> None:
    with running(tidy, spec("a", targets.serve)) as it:
        it.supervisor.wait_ready(scaled(10))
        pid, began = it.pid("a"), time.monotonic()
        os.kill(pid, signal.SIGKILL)
        it.wait_new_life("a", pid)
        assert time.monotonic() - began < scaled(0.5)
        crash = it.happened(HappeningKind.CRASHED, "a").crash
        assert crash is not None
        assert (crash.cause, crash.pid) == ("signal:9", pid)
        (document,) = it.crash_documents()
        assert document["cause"] == "signal:9"
        assert document["signal_name"] == "SIGKILL"
        assert document["pid"] == pid


def test_crash_reports_are_private_and_complete(tidy: Path) -> None:
    with running(tidy, spec("a", targets.ready_then_fail, 0.05)) as it:
        it.happened(HappeningKind.CRASHED, "a")
        document = wait_for(it.crash_documents, "a document")[0]
        assert document["exception"].startswith("builtins.ValueError: broken")
        assert "ready_then_fail" in document["traceback"]
        paths = list(it.supervisor.run_dir.crash_dir.iterdir())
        assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
        assert stat.S_IMODE(it.supervisor.run_dir.crash_dir.stat().st_mode) == 0o700


def test_a_target_that_raises_at_once_does_not_disturb_the_others(tidy: Path) -> None:
    with running(tidy, spec("bad", targets.fail), spec("good", targets.serve)) as it:
        it.wait_state("good", State.RUNNING)
        pid = it.pid("good")
        it.wait_state("bad", State.BACKOFF)
        assert it.pid("good") == pid
        assert it.supervisor.health().overall is Overall.DEGRADED
        assert "bad" in it.supervisor.health().reason


def test_a_target_that_cannot_be_imported_is_a_failed_start_with_a_reason(tidy: Path) -> None:
    broken = ChildSpec("a", "no.such.module:f", uses_bus=False)
    with running(tidy, broken, spec("good", targets.serve)) as it:
        it.happened(HappeningKind.CRASHED, "a")
        assert "ModuleNotFoundError" in wait_for(it.crash_documents, "it")[0]["exception"]


def test_a_transient_child_that_ends_well_is_done(tidy: Path) -> None:
    with running(tidy, spec("a", targets.leave, 0, restart="transient")) as it:
        it.wait_state("a", State.EXITED)
        it.supervisor.wait_ready(scaled(5))


def test_an_essential_child_that_is_given_up_ends_the_run(tidy: Path) -> None:
    policy = RestartPolicy(max_failures=1, give_up_after=1, backoff_interval=0.01)
    with running(
        tidy,
        spec("a", targets.fail, restart=policy, essential=True),
        spec("b", targets.serve),
        first_success_timeout=scaled(1.5),
    ) as it:
        it.happened(HappeningKind.SHUTDOWN)
        it.wait_state("b", State.STOPPED)


# ---- hang ---------------------------------------------------------------------------------------


def test_a_stopped_child_is_noticed_at_the_soft_limit_and_replaced_at_the_hard_one(
    tidy: Path,
) -> None:
    with running(tidy, spec("a", targets.serve, timeouts=QUICK)) as it:
        it.supervisor.wait_ready(scaled(10))
        pid = it.pid("a")
        os.kill(pid, signal.SIGSTOP)
        it.wait_state("a", State.DEGRADED)
        assert it.pid("a") == pid
        wait_for(lambda: "frozen by a signal" in it.supervisor.children()["a"].reason, "the reason")
        it.wait_new_life("a", pid)
        wait_gone(pid, within=0.1)
        crash = it.happened(HappeningKind.CRASHED, "a").crash
        assert crash is not None
        assert crash.cause == "hang(stopped)"


def test_a_deadlock_is_seen_by_its_work_and_the_report_has_the_line(tidy: Path) -> None:
    with running(tidy, spec("a", targets.deadlock, timeouts=QUICK)) as it:
        it.supervisor.wait_ready(scaled(10))
        pid = it.pid("a")
        it.wait_new_life("a", pid)
        assert "lock.acquire()" in it.crash_documents()[0]["stacks"]


def test_a_child_that_holds_the_interpreter_is_replaced(tidy: Path) -> None:
    child = spec("a", difficult.holding_the_interpreter, 1, timeouts=QUICK)
    with running(tidy, child) as it:
        it.wait_state("a", State.DEGRADED)
        pid = it.pid("a")
        wait_for(lambda: not is_running(pid), "its end")


def test_waiting_for_work_is_no_hang(tidy: Path) -> None:
    with running(tidy, spec("a", targets.beat_twice_and_wait, timeouts=QUICK)) as it:
        it.supervisor.wait_ready(scaled(10))
        pid = it.pid("a")
        time.sleep(QUICK.hard_timeout + 0.3)
        assert (it.supervisor.children()["a"].state, it.pid("a")) == (State.RUNNING, pid)


def test_waiting_on_the_bus_is_no_hang(tidy: Path) -> None:
    broker = ChildSpec(
        "broker", "daemoneye.bus.broker.serving:serve", uses_bus=False, essential=True
    )
    reads = ("events.#",)
    waiter = ChildSpec("a", targets.beat_and_wait_on_the_bus, subscribes=reads, timeouts=QUICK)
    with running(tidy, broker, waiter) as it:
        it.supervisor.wait_ready(scaled(10))
        pid = it.pid("a")
        time.sleep(QUICK.hard_timeout + 0.3)
        assert (it.supervisor.children()["a"].state, it.pid("a")) == (State.RUNNING, pid)


def test_a_child_that_is_never_ready_is_a_failed_start(tidy: Path) -> None:
    late = replace(QUICK, ready_timeout=scaled(0.6))
    with running(tidy, spec("a", targets.never_ready, timeouts=late)) as it:
        crash = it.happened(HappeningKind.CRASHED, "a").crash
        assert crash is not None
        assert crash.cause == "not-ready"


# ---- stop ---------------------------------------------------------------------------------------


def test_a_child_that_ignores_drain_and_sigterm_is_killed_in_time(tidy: Path) -> None:
    with running(tidy, spec("a", targets.not_stoppable, timeouts=QUICK)) as it:
        it.supervisor.wait_ready(scaled(10))
        pid, began = it.pid("a"), time.monotonic()
        it.supervisor.stop("a", timeout=scaled(10))
        assert time.monotonic() - began < scaled(1.2)
        assert not is_running(pid)


def test_a_stop_is_done_when_the_group_is_empty(tidy: Path) -> None:
    with running(tidy, spec("a", difficult.with_a_deaf_member, 1, timeouts=QUICK)) as it:
        it.supervisor.wait_ready(scaled(10))
        group = it.pid("a")
        it.supervisor.stop("a", timeout=scaled(10))
        assert not guardian.has_living_members(group)


def test_what_depends_on_another_starts_behind_it_and_ends_before_it(tidy: Path) -> None:
    first, second = (
        spec("first", targets.serve),
        spec("second", targets.serve, depends_on=("first",)),
    )
    with running(tidy, second, first) as it:
        it.supervisor.wait_ready(scaled(10))
    order = [(h.kind, h.child) for h in it.told]
    ready, stopped = HappeningKind.READY, HappeningKind.STOPPED
    assert order.index((ready, "first")) < order.index((HappeningKind.STARTING, "second"))
    assert order.index((stopped, "second")) < order.index((HappeningKind.STOPPING, "first"))


# ---- the broker, the guardian -------------------------------------------------------------------


def test_a_killed_broker_is_started_again_and_its_clients_are_not(tidy: Path) -> None:
    serve = "daemoneye.bus.broker.serving:serve"
    broker_spec = ChildSpec("broker", serve, uses_bus=False, essential=True)
    with running(tidy, broker_spec, ChildSpec("a", targets.use_bus)) as it:
        it.supervisor.wait_ready(scaled(15))
        broker, pid = it.pid("broker"), it.pid("a")
        os.kill(broker, signal.SIGKILL)
        it.wait_new_life("broker", broker)
        wait_for(
            lambda: dict(it.supervisor.children()["broker"].counters).get("clients") == 1,
            "the client to be back",
        )
        assert it.pid("a") == pid


@pytest.mark.parametrize(
    ("number", "fate"),
    [(signal.SIGKILL, "ended unasked"), (signal.SIGSTOP, "was stopped, and is killed")],
    ids=["killed", "stopped"],
)
def test_a_guardian_that_cannot_act_is_replaced_and_told(
    tidy: Path, number: signal.Signals, fate: str
) -> None:
    with running(tidy, spec("a", targets.serve)) as it:
        it.supervisor.wait_ready(scaled(10))
        scope = scope_of(it.supervisor.run_dir)
        (old,) = guardian.marked(scope, guardian.GUARDIAN_MARK)
        os.kill(old, number)
        said = f"the guardian (pid {old}) {fate}; another takes its place"
        wait_for(lambda: any(h.text == said for h in it.told), "the telling")
        (new,) = wait_for(
            lambda: guardian.marked(scope, guardian.GUARDIAN_MARK), "another guardian"
        )
        assert new != old
    assert not is_running(old)


# ---- a supervisor of its own process ------------------------------------------------------------


class Owned:
    """`Supervisor.run()` in a process of its own, asked over its control endpoint."""

    def __init__(self, directory: Path, *kinds: str) -> None:
        self.run_dir = RunDir(directory)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.owned_run", str(directory), *kinds],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, verb: str = "status") -> dict[str, Any] | None:
        """What it answers; None when it is not that far."""
        try:
            return ControlClient(self.run_dir).ask(verb)
        except DaemoneyeError:
            return None

    def wait_running(self) -> dict[str, int]:
        """Wait until all children run; their pids by name."""

        def pids() -> dict[str, int] | None:
            status = self.ask()
            rows = status["children"] if status else []
            ready = rows and all(row["state"] == "RUNNING" for row in rows)
            return {row["name"]: row["pid"] for row in rows} if ready else None

        found = wait_for(pids, "all children to run", within=15)
        assert found
        return found

    def wait_exit(self, within: float = 15.0) -> int:
        """Its exit code."""
        return self.process.wait(scaled(within))


@pytest.fixture
def own(tidy: Path) -> Iterator[Callable[..., Owned]]:
    started: list[Owned] = []

    def start(*kinds: str) -> Owned:
        started.append(Owned(tidy, *kinds))
        return started[-1]

    yield start
    for owned in started:
        owned.process.kill()
        owned.process.wait()
        assert owned.process.stdout
        owned.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_everything_in_order_with_code_0(
    own: Callable[..., Owned], number: signal.Signals
) -> None:
    owned = own("serve")
    pids = owned.wait_running()
    owned.process.send_signal(number)
    assert owned.wait_exit() == 0
    assert not [pid for pid in pids.values() if is_running(pid)]
    assert not sockets_below(owned.run_dir.path)
    assert not owned.run_dir.key_path("operator").exists()
    assert not owned.run_dir.lock_path.exists()


def test_a_second_signal_cuts_the_end_short(own: Callable[..., Owned]) -> None:
    owned = own("slow")
    owned.wait_running()
    owned.process.send_signal(signal.SIGINT)
    time.sleep(scaled(0.2))
    began = time.monotonic()
    owned.process.send_signal(signal.SIGINT)
    assert owned.wait_exit() == 130
    assert time.monotonic() - began < scaled(3.0)


def test_a_signal_before_everything_is_ready_is_told_by_the_exit_code(
    own: Callable[..., Owned],
) -> None:
    owned = own("never_ready")
    wait_for(owned.ask, "its control endpoint", within=10)
    owned.process.send_signal(signal.SIGTERM)
    assert owned.wait_exit() == 143


def test_a_shutdown_may_be_asked_for_on_the_control_endpoint(own: Callable[..., Owned]) -> None:
    owned = own("serve")
    owned.wait_running()
    assert owned.ask("shutdown")
    assert owned.wait_exit() == 0


def test_what_escaped_from_a_child_and_hid_ends_with_its_supervisor(
    own: Callable[..., Owned],
) -> None:
    owned = own("escaping")
    owned.wait_running()
    left = targets.pid_left_behind(owned.run_dir.path)
    assert is_running(left)
    owned.process.send_signal(signal.SIGTERM)
    assert owned.wait_exit() == 0
    assert not is_running(left)


def test_a_supervisor_that_was_stopped_for_a_while_kills_nobody(own: Callable[..., Owned]) -> None:
    owned = own("quick")
    pids = owned.wait_running()
    owned.process.send_signal(signal.SIGSTOP)
    time.sleep(QUICK.hard_timeout + scaled(1.0))
    owned.process.send_signal(signal.SIGCONT)
    time.sleep(scaled(0.5))
    assert owned.wait_running() == pids


def test_a_new_supervisor_takes_over_behind_a_killed_one(own: Callable[..., Owned]) -> None:
    first = own("serve")
    pids = first.wait_running()
    first.process.kill()
    first.process.wait()
    second = own("serve")
    again = second.wait_running()
    assert not set(pids.values()) & set(again.values())
    for pid in pids.values():
        assert not is_running(pid)


def test_after_a_kill_nothing_is_left_after_three_seconds(own: Callable[..., Owned]) -> None:
    owned = own("serve", "slow")
    pids = owned.wait_running()
    owned.process.kill()
    owned.process.wait()
    wait_for(
        lambda: (
            not [pid for pid in pids.values() if is_running(pid)]
            and not sockets_below(owned.run_dir.path)
        ),
        "nothing to be left",
        within=3.0,
    )
