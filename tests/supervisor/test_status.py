"""Rows of status and explanations, from children that live in a simulation."""

from __future__ import annotations

import pytest

from daemoneye.errors import UnknownChild
from daemoneye.supervisor.contract import BeatHeard, Facts, FactsTaken, FailureSaid, Verb
from daemoneye.supervisor.health import Overall
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
    assert (told.why, told.next_step) == ("exit:1", "the next attempt")
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
        ((child("a"),), Behaviour(), "RUNNING", "without another sign of life it becomes DEGRADED"),
        ((child("a", desired="down"),), Behaviour(), "STOPPED", "nothing, until somebody asks"),
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
