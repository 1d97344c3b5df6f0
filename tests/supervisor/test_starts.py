"""Whose turn it is to start: dependencies, how many at once, the rate of restarts."""

from __future__ import annotations

from daemoneye.supervisor.contract import Verb
from daemoneye.supervisor.spec import ChildSpec, RestartPolicy
from tests.supervisor.simulation import Behaviour, Simulation, child, plan


def test_s8_a_chain_starts_one_after_the_other_each_at_the_readiness_of_the_one_before() -> None:
    world = Simulation(
        plan(child("c", depends_on=("b",)), child("b", depends_on=("a",)), child("a")),
        {"a": Behaviour(ready_after=3.0), "b": Behaviour(ready_after=2.0)},
    ).run(10)
    assert (world.starts("a"), world.starts("b"), world.starts("c")) == ([0.0], [3.0], [5.0])


def test_the_broker_is_started_first_and_its_users_at_its_readiness() -> None:
    users = (ChildSpec("one", "m:f"), ChildSpec("two", "m:f"))
    world = Simulation(plan(*users, ChildSpec("broker", "m:f"), child("loner"))).run(1)
    assert world.starts("broker") == world.starts("loner") == [0.0]
    assert world.starts("one") == world.starts("two") == [0.1]


def test_s10_a_dependency_that_never_becomes_ready_keeps_its_dependents_pending_with_a_reason() -> (
    None
):
    world = Simulation(
        plan(child("base", RestartPolicy(give_up_after=2)), child("top", depends_on=("base",))),
        {"base": Behaviour(lives=0.05, ready_after=None)},
    ).run(60)
    assert world.state("base") == "FATAL"
    assert (world.state("top"), world.row("top").reason) == ("PENDING", "waits for base")
    assert world.starts("top") == []
    assert "base is FATAL: exit:1" in world.supervision.health(world.now).reason


def test_s11_a_child_stopped_while_it_waits_is_never_started() -> None:
    world = Simulation(
        plan(child("base"), child("top", depends_on=("base",))), {"base": Behaviour(ready_after=5)}
    )
    request = world.command(Verb.STOP, "top")
    answer = world.answer(request)
    assert answer is not None
    assert answer.ok
    world.run(60)
    assert (world.state("base"), world.state("top")) == ("RUNNING", "STOPPED")
    assert world.starts("top") == []


def test_a_transient_child_that_completed_satisfies_those_who_wait_for_it() -> None:
    world = Simulation(
        plan(child("setup", "transient"), child("main", depends_on=("setup",))),
        {"setup": Behaviour(ready_after=None, lives=2.0, exit_code=0)},
    ).run(10)
    assert (world.state("setup"), world.starts("main")) == ("EXITED", [2.0])


def test_a_temporary_child_that_failed_does_not() -> None:
    world = Simulation(
        plan(child("setup", "temporary"), child("main", depends_on=("setup",))),
        {"setup": Behaviour(ready_after=None, lives=2.0, exit_code=1)},
    ).run(10)
    assert (world.state("setup"), world.starts("main")) == ("EXITED", [])


def test_s12_of_a_hundred_children_at_most_eight_start_at_once() -> None:
    names = [f"c{number}" for number in range(100)]
    world = Simulation(plan(*(child(name) for name in names))).run(2)
    starts = sorted(world.starts(name)[0] for name in names)
    assert all(later >= earlier + 0.099 for earlier, later in zip(starts, starts[8:], strict=False))
    assert {world.state(name) for name in names} == {"RUNNING"}


def test_s31_fifty_children_that_crash_at_once_come_back_spread_and_none_is_lost() -> None:
    names = [f"c{number}" for number in range(50)]
    world = Simulation(
        plan(*(child(name) for name in names), max_starting=100),
        dict.fromkeys(names, Behaviour(ready_after=0.0, lives=100.0)),
    )
    world.behaviours.clear()
    world.run(110)
    again = sorted(world.starts(name)[1] for name in names)
    assert again[0] == 100.0
    assert all(later >= earlier + 0.999 for earlier, later in zip(again, again[20:], strict=False))
    assert again[-1] < 103.2
    assert {world.state(name) for name in names} == {"RUNNING"}


def test_s31_restarts_that_had_to_wait_for_another_child_do_not_begin_all_at_once() -> None:
    names = [f"c{number}" for number in range(50)]
    children = [child(name, depends_on=("base",)) for name in names]
    world = Simulation(
        plan(child("base"), *children, max_starting=100),
        {name: Behaviour(ready_after=0.0, lives=100.0) for name in ("base", *names)},
    ).run(1)
    world.behaviours.clear()
    world.behaviours["base"] = Behaviour(ready_after=5.0)
    world.run(120)
    again = sorted(world.starts(name)[1] for name in names)
    assert again[0] >= 105.0
    assert all(later >= earlier + 1.0 for earlier, later in zip(again, again[20:], strict=False))
    assert again[-1] < 108.0
    assert {world.state(name) for name in names} == {"RUNNING"}


def test_planned_starts_are_not_slowed_by_the_rate_of_restarts() -> None:
    names = [f"c{number}" for number in range(60)]
    world = Simulation(plan(*(child(name) for name in names), max_starting=100))
    assert {tuple(world.starts(name)) for name in names} == {(0.0,)}


def test_one_failing_child_does_not_hold_up_the_boot_of_the_others() -> None:
    world = Simulation(plan(child("bad"), child("good")), {"bad": Behaviour(lives=0.01)}).run(1)
    assert world.state("good") == "RUNNING"
    assert [one.text for one in world.happenings() if one.kind == "all-ready"] == [
        "1 of 2 children are ready"
    ]


def awaited(world: Simulation) -> list[tuple[float, str]]:
    return [
        (round(one.at - world.begun_at, 3), one.text)
        for one in world.happenings()
        if one.kind == "awaited"
    ]


def test_a_slow_first_start_says_who_keeps_it_waiting_and_says_it_again() -> None:
    specs = child("quick"), child("slow"), child("after", depends_on=("slow",))
    world = Simulation(plan(*specs), {"slow": Behaviour(ready_after=25.0)}).run(60)
    text = "still waiting for slow (STARTING), after (PENDING: waits for slow)"
    assert awaited(world) == [(2.0, text), (12.0, text), (22.0, text)]


def test_a_quick_first_start_needs_no_word_about_it() -> None:
    world = Simulation(plan(child("a"), child("b", depends_on=("a",)))).run(60)
    assert awaited(world) == []


def test_an_essential_child_that_fails_at_first_is_awaited_too() -> None:
    behaviours = {"core": Behaviour(ready_after=None, lives=0.3)}
    world = Simulation(plan(child("core", essential=True), child("b")), behaviours).run(3)
    assert [text for _, text in awaited(world)] == ["still waiting for core (BACKOFF)"]


def test_of_many_that_are_awaited_some_are_named() -> None:
    specs = [child(f"c{number}") for number in range(30)]
    world = Simulation(plan(*specs, max_starting=1), {"c0": Behaviour(ready_after=20.0)}).run(3)
    [(_, text)] = awaited(world)
    assert text.endswith("c9 (PENDING) and 20 more")
