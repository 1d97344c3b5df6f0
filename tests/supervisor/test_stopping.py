"""The stop ladder of one child, and the orderly end of all."""

from __future__ import annotations

import pytest

from daemoneye.supervisor.contract import (
    Drain,
    Kill,
    ShutdownAsked,
    Spawned,
    Terminate,
    Urgency,
    Verb,
)
from daemoneye.supervisor.spec import ChildSpec, Timeouts
from tests.supervisor.simulation import Behaviour, Simulation, child, orders, plan

DEAF = Behaviour(ignores=frozenset({Drain}))
DEAFER = Behaviour(ignores=frozenset({Drain, Terminate}))
IMMORTAL = Behaviour(ignores=frozenset({Drain, Terminate, Kill}))


def running(*specs: ChildSpec, **behaviours: Behaviour) -> Simulation:
    """A world in which everybody is ready, ten seconds old."""
    return Simulation(plan(*specs), behaviours).run(10)


def ladder(world: Simulation, name: str) -> list[tuple[float, str]]:
    return [
        (round(at - 10, 3), type(one).__name__)
        for at, one in world.given(Drain, Terminate, Kill)
        if one.child == name  # type: ignore[union-attr]  # these three have a child
    ]


@pytest.mark.parametrize(
    ("behaviour", "rungs", "took"),
    [
        (Behaviour(), ["Drain"], 0.01),
        (DEAF, ["Drain", "Terminate"], 5.01),
        (DEAFER, ["Drain", "Terminate", "Kill"], 10.01),
    ],
)
def test_s42_each_rung_has_its_time_and_the_total_is_bounded(
    behaviour: Behaviour, rungs: list[str], took: float
) -> None:
    world = running(child("a"), a=behaviour)
    request = world.command(Verb.STOP, "a")
    assert world.answer(request) is None
    world.run(took - 0.005)
    assert world.state("a") == "STOPPING"
    world.run(0.006)
    answer = world.answer(request)
    assert answer is not None
    assert answer.ok
    assert world.state("a") == "STOPPED"
    assert ladder(world, "a") == [(5.0 * step, rung) for step, rung in enumerate(rungs)]


def test_a_child_that_survives_sigkill_is_lost_and_the_stop_fails() -> None:
    world = running(child("a"), a=IMMORTAL)
    request = world.command(Verb.STOP, "a")
    world.run(15)
    answer = world.answer(request)
    assert answer is not None
    assert (answer.ok, answer.code) == (False, 1)
    assert world.state("a") == "LOST"
    assert world.happenings("a")[-1].crash is not None
    world.run(300)
    assert world.starts("a") == [0.0]


def test_s44_a_stop_is_done_when_the_group_is_empty_not_when_the_process_is() -> None:
    world = running(child("a"), a=Behaviour(leftover=3.0))
    request = world.command(Verb.STOP, "a")
    world.run(1)
    assert (world.state("a"), world.answer(request)) == ("STOPPING", None)
    assert ladder(world, "a") == [(0.0, "Drain"), (0.01, "Terminate")]
    world.run(3)
    answer = world.answer(request)
    assert answer is not None
    assert answer.ok


def test_what_a_crashed_process_leaves_of_its_group_is_ended_before_the_next_life() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(lives=20.0, leftover=9.0)}).run(25)
    assert [type(one).__name__ for _, one in world.given(Terminate, Kill)] == ["Terminate", "Kill"]
    assert world.starts("a") == [0.0]
    world.run(1)
    assert world.starts("a") == [0.0, 25.01]


def test_a_child_ordered_to_stop_before_it_was_born_is_asked_as_soon_as_it_is() -> None:
    world = Simulation(plan(child("a")), {"a": DEAFER})
    world.command(Verb.STOP, "a")
    assert world.given(Drain) == []
    assert orders(world.tell(Spawned("a", 1, 5, 0.0))) == [Drain("a", 1, 5.0)]


def test_s47_an_error_while_stopping_is_kept_and_starts_nothing() -> None:
    world = running(child("a"), a=Behaviour(lives=10.5, exit_code=1, ignores=frozenset({Drain})))
    world.command(Verb.STOP, "a")
    world.run(300)
    assert (world.state("a"), world.row("a").reason) == ("STOPPED", "ended with exit:1")
    assert world.starts("a") == [0.0]


# --- the end of all ----------------------------------------------------------------------------


def test_s51_ranks_end_one_after_another_all_of_a_rank_together_the_broker_last() -> None:
    specs = (
        ChildSpec("broker", "m:f"),
        ChildSpec("base", "m:f"),
        ChildSpec("top", "m:f", depends_on=("base",)),
        ChildSpec("other", "m:f"),
    )
    world = running(*specs, other=DEAF)
    world.tell(ShutdownAsked())
    world.run(20)
    drains = [(round(at, 2), one.child) for at, one in world.given(Drain) if isinstance(one, Drain)]
    assert drains == [(10.0, "top"), (10.0, "other"), (15.01, "base"), (15.02, "broker")]
    assert world.record.finish is not None
    assert world.record.finish.exit_code == 0


def test_a_rank_is_not_asked_before_the_one_above_it_is_gone() -> None:
    world = running(child("base"), child("top", depends_on=("base",)), top=DEAFER)
    world.tell(ShutdownAsked())
    world.run(9.9)
    assert ladder(world, "base") == []
    world.run(0.2)
    assert ladder(world, "base") == [(10.01, "Drain")]


def test_what_waits_to_be_started_is_not() -> None:
    world = Simulation(
        plan(child("base"), child("top", depends_on=("base",)), child("bad")),
        {"bad": Behaviour(lives=0.01), "base": Behaviour(ready_after=None)},
    ).run(1)
    assert (world.state("top"), world.state("bad")) == ("PENDING", "BACKOFF")
    world.tell(ShutdownAsked())
    assert (world.state("top"), world.state("bad")) == ("STOPPED", "STOPPED")
    world.run(300)
    assert world.record.finish is not None
    assert world.starts("top") == []


@pytest.mark.parametrize(("signal", "code"), [(2, 130), (15, 143)])
def test_s48_a_second_signal_terminates_at_once_and_kills_after_two_seconds(
    signal: int, code: int
) -> None:
    world = running(child("a"), child("b", depends_on=("a",)), a=DEAFER, b=DEAFER)
    world.tell(ShutdownAsked(Urgency.ORDERLY, signal))
    world.run(1)
    world.tell(ShutdownAsked(Urgency.FAST, signal))
    world.run(5)
    assert ladder(world, "a") == [(1.0, "Terminate"), (3.0, "Kill")]
    assert ladder(world, "b") == [(0.0, "Drain"), (1.0, "Terminate"), (3.0, "Kill")]
    assert world.record.finish is not None
    assert world.record.finish.exit_code == code


def test_s48_a_third_signal_kills_everybody_now() -> None:
    world = running(child("a"), child("b", depends_on=("a",)), a=DEAFER, b=DEAFER)
    for urgency in Urgency:
        world.tell(ShutdownAsked(urgency, 2))
    world.run(1)
    assert [at for at, _ in world.given(Kill)] == [10.0, 10.0]
    assert world.record.finish is not None
    assert world.record.finish.exit_code == 130


def test_urgency_never_goes_down_again() -> None:
    world = running(child("a"), a=DEAFER)
    world.tell(ShutdownAsked(Urgency.KILL, 2))
    assert orders(world.tell(ShutdownAsked(Urgency.ORDERLY, 2))) == []
    assert ladder(world, "a") == [(0.0, "Kill")]


def test_one_signal_before_everybody_was_ready_cuts_the_run_short() -> None:
    world = Simulation(plan(child("a")))
    world.tell(ShutdownAsked(Urgency.ORDERLY, 15))
    world.run(30)
    assert world.record.finish is not None
    assert world.record.finish.exit_code == 143


def test_an_end_asked_for_in_words_is_always_in_order() -> None:
    world = Simulation(plan(child("a")))
    world.tell(ShutdownAsked())
    world.run(30)
    assert world.record.finish is not None
    assert (world.record.finish.exit_code, world.record.finish.reason) == (0, "it was asked to end")


def test_s52_a_child_that_cannot_be_killed_does_not_keep_the_end_past_its_deadline() -> None:
    world = running(child("a"), child("stuck", depends_on=("a",)), stuck=IMMORTAL)
    world.tell(ShutdownAsked(Urgency.ORDERLY, 2))
    world.run(30)
    finish = world.record.finish
    assert finish is not None
    assert finish.exit_code == 1
    assert finish.reason == "signal 2; still there: stuck"
    assert world.alive() == {"stuck": 1}


def test_s52_four_ranks_of_the_deaf_still_end_within_thirty_seconds() -> None:
    names = ("a", "b", "c", "d")
    specs = [child(name, depends_on=names[:i][-1:]) for i, name in enumerate(names)]
    world = running(*specs, **dict.fromkeys(names, DEAFER))
    world.tell(ShutdownAsked())
    world.run(25.1)
    assert world.alive() == {}
    assert world.record.finish is not None
    assert world.record.finish.exit_code == 0


def test_a_lost_child_does_not_hold_up_the_end() -> None:
    world = running(child("a"), child("b"), a=IMMORTAL)
    world.command(Verb.STOP, "a")
    world.run(20)
    world.tell(ShutdownAsked())
    world.run(1)
    assert world.record.finish is not None
    assert world.record.finish.reason == "it was asked to end; still there: a"


def test_after_the_end_there_is_no_deadline_and_nothing_is_ordered() -> None:
    world = running(child("a"))
    world.tell(ShutdownAsked())
    world.run(1)
    assert world.supervision.next_deadline() is None
    assert world.supervision.handle(10_000.0, []) == []


def test_haste_never_makes_the_end_later() -> None:
    slow = Timeouts(kill_timeout=60.0)
    world = running(child("stuck", timeouts=slow), stuck=IMMORTAL)
    world.tell(ShutdownAsked(Urgency.ORDERLY, 2))
    world.run(29)
    world.tell(ShutdownAsked(Urgency.FAST, 2))
    world.run(1)
    assert world.record.finish is not None
    assert world.record.finish.exit_code == 130


def test_a_kill_waits_only_as_long_as_sigkill_may_take() -> None:
    world = running(child("stuck"), stuck=IMMORTAL)
    world.tell(ShutdownAsked(Urgency.KILL, 2))
    world.run(5)
    assert world.record.finish is not None
    assert world.state("stuck") == "LOST"


def test_a_crash_while_everything_ends_is_no_failure() -> None:
    world = running(child("a"), child("b", depends_on=("a",)), a=Behaviour(lives=12.0), b=DEAF)
    world.tell(ShutdownAsked())
    world.run(30)
    assert (world.state("a"), world.row("a").reason) == ("STOPPED", "ended with exit:1")
    assert [one.kind for one in world.happenings("a")][-1] == "stopped"
