"""What becomes of a child when nothing of its incarnation is left."""

from __future__ import annotations

import pytest

from daemoneye.supervisor.contract import (
    BecameReady,
    ConditionSaid,
    Drain,
    DumpTaken,
    Ended,
    Facts,
    FailureSaid,
    GroupEmptied,
    Kill,
    Release,
    Spawn,
    Terminate,
    Verb,
)
from daemoneye.supervisor.spec import RestartPolicy
from tests.supervisor.simulation import Behaviour, Simulation, child, orders, plan


def world_of(behaviour: Behaviour, policy: RestartPolicy | str = "permanent") -> Simulation:
    return Simulation(plan(child("a", policy)), {"a": behaviour})


@pytest.mark.parametrize(
    ("policy", "exit_code", "state"),
    [
        ("permanent", 0, "RUNNING"),
        ("permanent", 1, "RUNNING"),
        ("permanent", -15, "RUNNING"),
        ("transient", 0, "EXITED"),
        ("transient", -15, "EXITED"),
        ("transient", 1, "RUNNING"),
        ("temporary", 0, "EXITED"),
        ("temporary", 1, "EXITED"),
        (RestartPolicy("transient", success_codes=(0, 3)), 3, "EXITED"),
    ],
)
def test_s16_s17_s18_s20_an_unasked_end(
    policy: RestartPolicy | str, exit_code: int, state: str
) -> None:
    world = world_of(Behaviour(lives=30.0, exit_code=exit_code), policy)
    world.behaviours.clear()
    world.run(31)
    assert world.state("a") == state


@pytest.mark.parametrize(
    ("policy", "state"),
    [("permanent", "BACKOFF"), ("transient", "EXITED"), ("temporary", "EXITED")],
)
def test_s4_exit_0_before_ready(policy: str, state: str) -> None:
    world = world_of(Behaviour(ready_after=None, lives=1.0, exit_code=0), policy).run(1.1)
    assert world.state("a") == state


def test_s14_a_crash_after_a_long_time_is_restarted_in_the_same_turn() -> None:
    world = world_of(Behaviour(lives=3600.0)).run(3600.5)
    assert world.starts("a") == [0.0, 3600.0]


def test_s15_a_loop_of_crashes_backs_off_and_tells_the_next_attempt() -> None:
    world = world_of(Behaviour(ready_after=0.0, lives=0.0)).run(3.0)
    assert world.starts("a") == pytest.approx([0.0, 0.0, 0.2, 0.6, 1.4, 3.0])
    world.run(130)
    assert world.starts("a")[6:] == pytest.approx([63.0, 123.0])
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert (crash.cause, crash.failures_in_a_row) == ("exit:1", 8)
    assert crash.next_attempt_at == world.row("a").next_attempt_at == world.begun_at + 183.0
    assert world.row("a").reason == "exit:1"
    assert "quarantined" in [one.kind for one in world.happenings("a")]


def test_s3_an_end_before_ready_is_a_failed_start_and_a_late_ready_is_not_believed() -> None:
    world = world_of(Behaviour(ready_after=None, lives=0.5, exit_code=-9)).run(0.6)
    assert (world.state("a"), world.row("a").incarnation) == ("BACKOFF", 1)
    world.tell(BecameReady("a", 1))
    assert world.state("a") == "BACKOFF"
    world.run(0.15)
    assert world.starts("a") == pytest.approx([0.0, 0.7])
    world.tell(BecameReady("a", 1))
    assert world.state("a") == "STARTING"


def test_s7_a_child_that_cannot_be_born_is_a_failed_start_with_backoff() -> None:
    world = world_of(Behaviour(spawn_error="OSError: [Errno 24] Too many open files")).run(1.0)
    assert world.starts("a") == pytest.approx([0.0, 0.2, 0.6])
    crash = world.happenings("a")[-1].crash
    assert crash is not None
    assert (crash.cause, crash.pid, crash.exit_code) == ("spawn-error", 0, None)
    assert crash.exception == "OSError: [Errno 24] Too many open files"


def test_s5_a_child_that_never_says_ready_is_dumped_terminated_killed_and_tried_again() -> None:
    world = world_of(Behaviour(ready_after=None, ignores=frozenset({Terminate})))
    world.run(30.1)
    assert world.given(Terminate) == [(30.0, Terminate("a", 1))]
    assert world.state("a") == "STOPPING"
    world.run(5)
    assert world.given(Kill) == [(35.0, Kill("a", 1))]
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert (crash.cause, crash.signal_name, crash.ours) == ("not-ready", "SIGKILL", True)
    assert crash.why == "not ready after 30 s; killed by daemoneye"
    assert world.happenings("a")[-1].text == (
        "not-ready after 35.0 s: not ready after 30 s; killed by daemoneye; started again in 0.2 s"
    )


def test_s35_a_hung_child_that_we_killed_says_what_for() -> None:
    frozen = Behaviour(silent_after=4.0, facts=Facts("stopped"))
    world = world_of(frozen, "temporary").run(10)
    world.tell(ConditionSaid("a", 1, "the disk is full"))
    world.run(30)
    text = "no heartbeat for 30 s: frozen by a signal (SIGSTOP or Ctrl-Z); killed by daemoneye"
    assert world.row("a").reason == f"hang(stopped): {text}"


def test_a_child_that_may_not_finish_says_why_its_end_is_a_failure() -> None:
    world = world_of(Behaviour(ready_after=0.0, lives=0.0, exit_code=0)).run(10)
    assert (world.state("a"), world.row("a").reason) == (
        "QUARANTINED",
        "exit:0: ended by itself, which counts as a failure with restart = permanent; "
        "transient if it may finish",
    )


def test_a_signal_from_elsewhere_is_not_ours_though_we_end_what_it_left() -> None:
    world = world_of(Behaviour(lives=20.0, exit_code=-11, leftover=60.0)).run(30)
    assert world.given(Terminate, Kill)
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert (crash.cause, crash.signal_name, crash.ours) == ("signal:11", "SIGSEGV", False)


def test_a_crash_report_has_the_childs_last_words() -> None:
    world = world_of(Behaviour(lives=100.0)).run(20)
    world.tell(
        FailureSaid("a", 1, "builtins.ValueError", "no such disk", "Traceback …"),
        DumpTaken("a", 1, "thread 1: in collect"),
        Ended("a", 1, -11),
        GroupEmptied("a", 1),
    )
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert (crash.cause, crash.signal_name, crash.exit_code) == ("signal:11", "SIGSEGV", -11)
    assert (crash.exception, crash.traceback) == (
        "builtins.ValueError: no such disk",
        "Traceback …",
    )
    assert (crash.stacks, crash.ours) == ("thread 1: in collect", False)
    assert (crash.uptime_seconds, crash.at) == (20.0, world.now)
    assert crash.next_action == "started again at once"


def test_words_are_heard_before_deaths_whatever_their_order_in_the_batch() -> None:
    world = world_of(Behaviour()).run(20)
    world.tell(GroupEmptied("a", 1), FailureSaid("a", 1, "E", "why", "tb"), Ended("a", 1, 1))
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert crash.exception == "E: why"


def test_the_end_of_an_incarnation_releases_it_before_the_next_is_started() -> None:
    world = world_of(Behaviour()).run(20)
    instructions = orders(world.tell(Ended("a", 1, 1), GroupEmptied("a", 1)))
    assert [type(one) for one in instructions] == [Release, Spawn]
    assert instructions[0] == Release("a", 1, "exit:1")


IMMORTAL = frozenset({Drain, Terminate, Kill})


def test_a_hung_child_that_was_lost_and_goes_at_last_is_a_failure_and_started_again() -> None:
    world = world_of(Behaviour(ignores=IMMORTAL, silent_after=5.0)).run(60)
    assert (world.state("a"), world.starts("a")) == ("LOST", [0.0])
    world.tell(Ended("a", 1, -9))
    assert world.state("a") == "LOST"
    world.behaviours.clear()
    assert Release("a", 1, "lost") in world.tell(GroupEmptied("a", 1))
    world.run(1)
    assert (world.state("a"), world.starts("a")) == ("RUNNING", [0.0, 60.0])
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert (crash.cause, crash.failures_in_a_row) == ("lost", 1)


@pytest.mark.parametrize(("verb", "state"), [(Verb.RESTART, "RUNNING"), (Verb.STOP, "STOPPED")])
def test_a_child_lost_on_our_order_ends_as_ordered_when_it_goes(verb: Verb, state: str) -> None:
    world = world_of(Behaviour(ignores=IMMORTAL)).run(20)
    world.command(verb, "a")
    assert world.run(20).state("a") == "LOST"
    world.behaviours.clear()
    world.tell(Ended("a", 1, -9), GroupEmptied("a", 1))
    assert world.run(1).state("a") == state


def test_give_up_makes_it_fatal_and_leaves_the_others_alone() -> None:
    world = Simulation(
        plan(child("a", RestartPolicy(give_up_after=2)), child("b")), {"a": Behaviour(lives=0.0)}
    ).run(100)
    assert (world.state("a"), world.state("b")) == ("FATAL", "RUNNING")
    assert world.happenings("a")[-1].text == "failed 2 times in a row and is given up"


@pytest.mark.parametrize(
    "spec",
    [
        child("a", RestartPolicy(give_up_after=2, on_give_up="shutdown")),
        child("a", RestartPolicy(give_up_after=2), essential=True),
    ],
)
def test_s25_give_up_of_an_essential_child_or_by_policy_ends_the_run_with_70(spec: object) -> None:
    world = Simulation(
        plan(spec, child("b")),  # type: ignore[arg-type]  # a spec, whichever
        {"a": Behaviour(lives=0.5, ready_after=0.0)},
    ).run(10)
    assert world.record.finish is not None
    assert world.record.finish.exit_code == 70
    assert world.record.finish.reason == "a is given up: exit:1"
    assert world.alive() == {}
