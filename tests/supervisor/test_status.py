"""Rows of status and explanations, from children that live in a simulation."""

from __future__ import annotations

import pytest

from daemoneye.errors import UnknownChild
from daemoneye.supervisor.contract import (
    BeatHeard,
    ConditionSaid,
    Drain,
    Facts,
    FactsTaken,
    FailureSaid,
    Kill,
    Terminate,
    Verb,
)
from daemoneye.supervisor.health import Overall
from daemoneye.supervisor.spec import RestartPolicy
from tests.supervisor.simulation import Behaviour, Simulation, child, plan

CRASHING = Behaviour(ready_after=0.0, lives=0.0)


def test_the_row_of_a_running_child() -> None:
    world = Simulation(plan(child("a"))).run(10)
    world.tell(
        BeatHeard("a", 1, counters=(("published", 7),)),
        FactsTaken("a", 1, Facts("sleeping", cpu_percent=1.5, rss_bytes=4096)),
    )
    world.now += 0.5
    row = world.row("a")
    assert (row.state, row.desired, row.pid, row.incarnation, row.restarts) == (
        "RUNNING",
        "up",
        10_001,
        1,
        0,
    )
    assert (row.uptime_seconds, row.heartbeat_age_seconds) == (10.5, 0.5)
    assert (row.rss_bytes, row.cpu_percent, row.reason) == (4096, 1.5, "")
    assert row.counters == (("published", 7),)


def test_the_row_of_a_stopped_child_has_no_process() -> None:
    world = Simulation(plan(child("a"))).run(10)
    world.command(Verb.STOP, "a")
    row = world.run(1).row("a")
    assert (row.state, row.desired, row.pid, row.uptime_seconds) == ("STOPPED", "down", None, None)
    assert (row.heartbeat_age_seconds, row.rss_bytes, row.next_attempt_at) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "essential", "overall", "reason"),
    [
        ("broker", True, "degraded", "broker is STOPPED: nothing can be published"),
        ("core", True, "degraded", "core is STOPPED: it is essential"),
        ("a", False, "healthy", ""),
    ],
)
def test_an_essential_child_that_somebody_stopped_is_why_the_whole_is_not_well(
    name: str, essential: bool, overall: str, reason: str
) -> None:
    world = Simulation(plan(child(name, essential=essential), child("other"))).run(5)
    world.command(Verb.STOP, name)
    whole = world.run(1).supervision.health(world.now)
    assert (whole.overall, whole.reason) == (overall, reason)


def test_the_row_of_a_child_in_quarantine_says_why_and_until_when() -> None:
    world = Simulation(plan(child("a")), {"a": CRASHING}).run(10)
    row = world.row("a")
    assert (row.state, row.reason, row.restarts) == ("QUARANTINED", "exit:1", 5)
    assert row.next_attempt_at == world.begun_at + 63.0
    assert world.supervision.health(world.now).overall is Overall.FAILED


def test_the_reason_of_a_crash_has_the_exception() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(ready_after=None, lives=1.0)})
    world.run(0.5)
    world.tell(FailureSaid("a", 1, "ImportError", "no module named x", "…"))
    assert world.run(0.6).row("a").reason == "exit:1: ImportError: no module named x"


def test_a_plan_starts_with_everybody_waiting_or_starting() -> None:
    world = Simulation(plan(child("a"), child("b", depends_on=("a",)), child("c", desired="down")))
    assert [(one.name, one.state) for one in world.supervision.health(world.now).children] == [
        ("a", "STARTING"),
        ("b", "PENDING"),
        ("c", "STOPPED"),
    ]
    whole = world.supervision.health(world.now)
    assert (whole.overall, whole.reason) == (
        Overall.STARTING,
        "a is STARTING; b is PENDING: waits for a",
    )


def test_an_explanation_says_why_since_when_what_next_and_what_would_change_it() -> None:
    world = Simulation(plan(child("a")), {"a": CRASHING}).run(10)
    told = world.supervision.explain("a", world.now)
    assert (told.why, told.next_step) == (
        "it failed too often, the last time with exit:1",
        "it is started again",
    )
    assert (told.since, told.next_at) == (world.begun_at + 3.0, world.begun_at + 63.0)
    assert told.what_would_change_it == (
        "restart a: try now and forget the failures",
        "stop a",
    )
    assert len(told.happenings) == 10
    assert [one.kind for one in told.happenings][-2:] == ["crashed", "quarantined"]
    assert told.crash is not None
    assert told.crash.cause == "exit:1"


@pytest.mark.parametrize(
    ("specs", "behaviour", "state", "next_step"),
    [
        ((child("a"),), Behaviour(), "RUNNING", "nothing, as long as it beats"),
        (
            (child("a", desired="down"),),
            Behaviour(),
            "STOPPED",
            "nothing, until somebody starts it",
        ),
        (
            (child("a", depends_on=("b",)), child("b", desired="down")),
            Behaviour(),
            "PENDING",
            "it starts when b can serve",
        ),
        (
            (child("b"), child("a"), child("c")),
            Behaviour(ready_after=None),
            "STARTING",
            "unless it is ready by then, it is ended",
        ),
    ],
)
def test_the_next_step_of_a_state(
    specs: tuple[object, ...], behaviour: Behaviour, state: str, next_step: str
) -> None:
    world = Simulation(plan(*specs), {"a": behaviour}).run(5)  # type: ignore[arg-type]  # specs
    told = world.supervision.explain("a", world.now)
    assert told.child.state == state
    assert told.next_step.startswith(next_step)
    assert told.what_would_change_it


STOPS = child("a", depends_on=("b",)), child("b", desired="down")


def explained(world: Simulation, name: str = "a") -> tuple[str, float | None]:
    told = world.supervision.explain(name, world.now)
    return told.next_step, None if told.next_at is None else round(told.next_at - world.begun_at, 3)


def test_a_silent_child_is_killed_at_the_hard_limit_after_its_last_beat() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(silent_after=4.0)}).run(20)
    text = "unless it recovers, it is killed and started again"
    assert explained(world) == (text, 33.1)


def test_a_busy_child_is_killed_at_the_hard_limit_after_its_work_began() -> None:
    world = Simulation(plan(child("a", "temporary")), {"a": Behaviour(silent_after=9.5)}).run(10)
    for second in range(12):
        world.tell(BeatHeard("a", 1, busy_seconds=0.5 + second, doing="sample"))
        world.now += 1.0
    assert world.state("a") == "DEGRADED"
    assert explained(world) == ("unless it recovers, it is killed", 39.5)


def test_nobody_is_killed_for_a_complaint_or_for_having_lost_the_bus() -> None:
    world = Simulation(plan(child("a"))).run(10)
    world.tell(ConditionSaid("a", 1, "failed 3 times in a row"))
    assert explained(world) == ("nothing, until it says that it is well, or it ends", None)
    for _ in range(3):
        world.tell(BeatHeard("a", 1, uses_bus=True, bus_connected=False))
        world.now += 1.0
    assert explained(world) == (
        "nothing, until it is connected to the bus again and it says that it is well, or it ends",
        None,
    )
    world.tell(ConditionSaid("a", 1, ""))
    assert explained(world) == ("nothing, until it is connected to the bus again, or it ends", None)


def test_a_child_on_the_stop_ladder_says_what_its_next_rung_is() -> None:
    deaf = Behaviour(ignores=frozenset({Drain, Terminate, Kill}))
    world = Simulation(plan(child("a")), {"a": deaf}).run(10)
    world.command(Verb.RESTART, "a")
    seen = []
    for _ in range(4):
        seen.append(explained(world))
        world.run(5)
    gone = "if it is not gone by then, "
    assert seen == [
        (f"{gone}its group is sent SIGTERM", 15.0),
        (f"{gone}its group is sent SIGKILL", 20.0),
        (f"{gone}it is LOST", 25.0),
        ("nothing is started in its place until it is gone", None),
    ]


def test_a_frozen_child_comes_with_the_command_that_lets_it_go_on() -> None:
    frozen = Behaviour(silent_after=4.0, facts=Facts("stopped"))
    world = Simulation(plan(child("a")), {"a": frozen}).run(20)
    choices = world.supervision.explain("a", world.now).what_would_change_it
    assert choices[0] == "kill -CONT 10001: lets it go on"


def test_a_child_that_has_heard_the_order_to_pause_says_what_it_finishes_first() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(silent_after=9.5)}).run(10)
    world.tell(BeatHeard("a", 1, busy_seconds=0.5, doing="sample", paused=True))
    told = world.supervision.explain("a", world.now)
    assert (told.child.state, told.next_step) == ("RUNNING", "it is paused when sample is done")
    assert told.what_would_change_it[-1] == "resume a: do not pause"


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (RestartPolicy(give_up_after=1), "it is given up, the last failure was exit:1"),
        (RestartPolicy(backoff_interval=60.0), "it failed: exit:1"),
    ],
)
def test_why_is_a_sentence_about_the_last_failure(policy: RestartPolicy, why: str) -> None:
    crashing = Behaviour(ready_after=None, lives=1.0)
    world = Simulation(plan(child("a", policy)), {"a": crashing}).run(10)
    assert world.supervision.explain("a", world.now).why == why


def test_an_essential_child_that_is_down_is_explained_by_what_is_wanted_of_it() -> None:
    world = Simulation(plan(child("broker", essential=True, desired="down"))).run(1)
    told = world.supervision.explain("broker", world.now)
    assert told.why == "it is meant to be down; nothing can be published"


def test_a_restart_in_progress_can_still_become_a_stop() -> None:
    world = Simulation(plan(child("a"))).run(10)
    world.command(Verb.RESTART, "a")
    told = world.supervision.explain("a", world.now)
    assert (told.child.state, told.why) == ("STOPPING", "it is asked to end")
    assert told.what_would_change_it == ("stop a: it is not started again",)


def test_who_waits_for_another_says_where_to_ask_why() -> None:
    world = Simulation(plan(*STOPS)).run(5)
    choices = world.supervision.explain("a", world.now).what_would_change_it
    assert choices[-1] == "daemoneye explain b: why it cannot serve yet"


@pytest.mark.parametrize(("role", "offered"), [("collector", True), ("worker", False)])
def test_a_pause_is_offered_only_to_those_who_can(role: str, offered: bool) -> None:
    world = Simulation(plan(child("a", role=role))).run(5)
    choices = world.supervision.explain("a", world.now).what_would_change_it
    assert any(choice.startswith("pause a") for choice in choices) is offered


def test_a_child_that_waits_for_its_turn_says_so() -> None:
    world = Simulation(plan(child("a"), child("b"), max_starting=1))
    told = world.supervision.explain("b", world.now)
    assert (told.why, told.next_step) == (
        "waits for its turn",
        "it starts when fewer children are starting",
    )


def test_an_unknown_child_cannot_be_explained() -> None:
    world = Simulation(plan(child("procmond")))
    with pytest.raises(UnknownChild, match="did you mean 'procmond'"):
        world.supervision.explain("procmon", world.now)
