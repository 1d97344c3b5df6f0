"""The whole of supervision: boot, the order in a turn, and its invariants under random worlds."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemoneye.errors import ConfigError
from daemoneye.supervisor.contract import (
    BeatHeard,
    ConditionSaid,
    Drain,
    Ended,
    Finish,
    GroupEmptied,
    Instruction,
    Kill,
    MoreTimeAsked,
    ShutdownAsked,
    Spawn,
    Terminate,
    TimeSkipped,
    Urgency,
    Verb,
)
from daemoneye.supervisor.lifecycle import DEADLINES, State
from daemoneye.supervisor.spec import ChildSpec, Plan, RestartPolicy
from daemoneye.supervisor.supervision import Phase, Supervision
from tests.supervisor.simulation import Behaviour, Simulation, child, longest, orders, plan


def test_a_bad_plan_is_refused_before_anything_is_decided() -> None:
    with pytest.raises(ConfigError, match="waits for itself"):
        Supervision(plan(child("a", depends_on=("a",))), 0.0, longest)


def test_a_first_turn_starts_what_depends_on_nobody() -> None:
    a, b = child("a"), child("b", depends_on=("a",))
    supervision = Supervision(plan(a, b), 0.0, longest)
    assert orders(supervision.handle(0.0, [])) == [Spawn("a", 1, a)]


def test_a_plan_without_children_ends_when_it_is_asked_to() -> None:
    world = Simulation(plan()).run(10)
    assert world.supervision.phase is Phase.SERVING
    assert Finish(0, "it was asked to end") in world.tell(ShutdownAsked())


def test_a_child_that_is_wanted_down_is_not_started() -> None:
    world = Simulation(plan(child("a", desired="down"))).run(60)
    assert (world.starts("a"), world.supervision.phase) == ([], Phase.SERVING)
    world.command(Verb.START, "a")
    assert world.run(1).state("a") == "RUNNING"


def test_deaths_come_before_commands_of_the_same_turn() -> None:
    world = Simulation(plan(child("a"))).run(10)
    request = 900
    instructions = world.tell(
        *(ShutdownAsked(), GroupEmptied("a", 1), Ended("a", 1, 1)),
    )
    assert [type(one) for one in orders(instructions)][-1] is Finish
    assert world.answer(request) is None


def test_a_message_before_a_deadline_in_the_same_turn_counts() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(silent_after=0.2)})
    world.run(5)
    world.now += 100.0
    assert not any(isinstance(one, Kill) for one in world.tell(BeatHeard("a", 1)))
    assert world.state("a") == "RUNNING"


def test_an_essential_child_without_success_in_a_minute_ends_the_first_boot_with_70() -> None:
    world = Simulation(
        plan(child("core", essential=True), child("other")),
        {"core": Behaviour(ready_after=None, lives=0.1, exit_code=3)},
    ).run(59.9)
    assert (world.supervision.phase, world.state("other")) == (Phase.BOOTING, "RUNNING")
    world.run(1)
    finish = world.record.finish
    assert finish is not None
    assert finish.exit_code == 70
    assert finish.reason == "core has not been ready once in 60 s: exit:3"
    assert any(one.crash for one in world.happenings("core"))
    assert world.alive() == {}


def test_an_essential_child_that_fails_later_does_not() -> None:
    world = Simulation(plan(child("core", essential=True))).run(10)
    world.behaviours["core"] = Behaviour(ready_after=None, lives=0.1)
    world.tell(Ended("core", 1, 1), GroupEmptied("core", 1))
    world.run(600)
    assert (world.record.finish, world.state("core")) == (None, "QUARANTINED")


def test_a_child_that_is_not_essential_may_fail_at_boot_for_ever() -> None:
    world = Simulation(
        plan(child("core", essential=True), child("other")), {"other": Behaviour(lives=0.0)}
    ).run(600)
    assert (world.record.finish, world.supervision.phase) == (None, Phase.SERVING)


def test_a_broker_that_dies_comes_back_and_nobody_else_is_touched() -> None:
    world = Simulation(
        plan(ChildSpec("broker", "m:f", essential=True), ChildSpec("procmond", "m:f"))
    ).run(10)
    world.tell(Ended("broker", 1, -9), GroupEmptied("broker", 1))
    world.run(1)
    assert world.starts("broker") == [0.0, 10.0]
    assert world.starts("procmond") == [0.1]
    assert world.given(Drain, Terminate, Kill) == []


def test_s39_the_rules_know_no_wall_clock() -> None:
    """Points in time come in only as `now`; a birth time from the wall clock is never compared."""
    world = Simulation(plan(child("a"))).run(10)
    assert world.row("a").uptime_seconds == 10.0


def test_s63_memory_stays_flat_over_many_restarts() -> None:
    policy = RestartPolicy(backoff_interval=0.001, max_backoff_interval=0.001, max_failures=10**6)
    supervision = Supervision(plan(child("a", policy), restart_rate=1e6), 0.0, longest)
    now = 0.0
    supervision.handle(now, [])
    for number in range(1, 2001):
        supervision.handle(now, [Ended("a", number, 1), GroupEmptied("a", number)])
        now += 0.1
        supervision.handle(now, [])
    told = supervision.explain("a", now)
    assert (told.child.incarnation, len(told.happenings)) == (2001, 10)


BEHAVIOURS = st.builds(
    Behaviour,
    ready_after=st.sampled_from([0.0, 0.1, 5.0, 40.0, None]),
    lives=st.sampled_from([None, None, None, 0.0, 0.5, 20.0, 100.0]),
    exit_code=st.sampled_from([0, 1, -9, -15]),
    ignores=st.sets(st.sampled_from([Drain, Terminate, Kill])).map(frozenset),
    leftover=st.sampled_from([0.0, 0.0, 3.0]),
    spawn_error=st.sampled_from(["", "", "", "OSError"]),
    silent_after=st.sampled_from([None, None, 2.0, 50.0]),
    refuses=st.sampled_from(["", "no"]),
)
NAMES = ("broker", "a", "b", "c", "d")
WORLD = Plan(
    (
        ChildSpec("broker", "m:f", essential=True),
        ChildSpec("a", "m:f"),
        ChildSpec("b", "m:f", restart="transient", depends_on=("a",)),
        ChildSpec("c", "m:f", restart="temporary"),
        ChildSpec("d", "m:f", restart=RestartPolicy(give_up_after=4)),
    ),
    max_starting=2,
)
STOP_BUDGET = 16.0


class AnyWorld(RuleBasedStateMachine):
    """Random children, commands and mishaps.

    The simulation itself asserts that nobody lives twice, that nothing is released alive, that the
    loop never spins, and that no request is answered twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[int] = []
        self.wanted_down_since: dict[str, float] = {}

    @initialize(behaviours=st.lists(BEHAVIOURS, min_size=5, max_size=5))
    def boot(self, behaviours: list[Behaviour]) -> None:
        self.world = Simulation(WORLD, dict(zip(NAMES, behaviours, strict=True)))

    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 12.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(name=st.sampled_from(NAMES), behaviour=BEHAVIOURS)
    def the_next_life_is_different(self, name: str, behaviour: Behaviour) -> None:
        self.world.behaviours[name] = behaviour

    @rule(verb=st.sampled_from(list(Verb)), name=st.sampled_from(NAMES))
    def somebody_asks(self, verb: Verb, name: str) -> None:
        self.requests.append(self.world.command(verb, name))

    @rule(name=st.sampled_from(NAMES), exit_code=st.sampled_from([0, 1, -9, -11]))
    def a_child_dies(self, name: str, exit_code: int) -> None:
        if self.world.alive()[name]:
            number = self.world.row(name).incarnation
            self.world.tell(Ended(name, number, exit_code), GroupEmptied(name, number))

    @rule(name=st.sampled_from(NAMES), busy=st.sampled_from([0.0, 5.0, 20.0, 1000.0]))
    def a_child_is_busy(self, name: str, busy: float) -> None:
        if self.world.alive()[name]:
            number = self.world.row(name).incarnation
            self.world.tell(
                BeatHeard(name, number, busy_seconds=busy),
                ConditionSaid(name, number, "busy" if busy else ""),
                MoreTimeAsked(name, number, busy),
            )

    @rule(seconds=st.sampled_from([0.0, 5.0, 500.0]))
    def the_supervisor_does_not_run(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.tell(TimeSkipped(seconds))
        self.wanted_down_since = {
            name: since + seconds for name, since in self.wanted_down_since.items()
        }

    @precondition(lambda self: self.world.now > self.world.begun_at + 60.0)
    @rule(urgency=st.sampled_from(list(Urgency)), signal=st.sampled_from([0, 2, 15]))
    def it_is_asked_to_end(self, urgency: Urgency, signal: int) -> None:
        self.world.tell(ShutdownAsked(urgency, signal))

    @invariant()
    def no_timer_without_its_state(self) -> None:
        now = self.world.now
        for name in NAMES:
            lifecycle = self.world.supervision._slots[name].lifecycle
            assert (lifecycle.deadline is not None) == (lifecycle.state in DEADLINES), lifecycle
            told = self.world.supervision.explain(name, now)
            assert told.next_at is None or lifecycle.deadline is not None, told

    @invariant()
    def desired_down_means_gone_within_the_stop_budget_or_lost(self) -> None:
        now = self.world.now
        for one in self.world.supervision.health(now).children:
            gone = one.state in (State.STOPPED, State.LOST)
            if one.desired == "up" or gone or self.world.record.finish:
                self.wanted_down_since.pop(one.name, None)
            else:
                since = self.wanted_down_since.setdefault(one.name, now)
                assert now <= since + STOP_BUDGET, one

    @invariant()
    def starts_after_failures_stay_under_the_limit(self) -> None:
        times = sorted(at for starts in self.world.record.starts.values() for at in starts)
        asked = len(self.requests)
        for first, last in zip(times, times[25 + asked :], strict=False):
            assert last >= first + 1.0

    @invariant()
    def a_finished_run_left_nobody_but_the_lost(self) -> None:
        if self.world.record.finish:
            lost = self.world.alive().keys()
            assert {self.world.state(name) for name in lost} <= {"LOST"}

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.tell(ShutdownAsked())
            self.world.run(30.001)  # where time was skipped, deadlines are a hair late
            assert self.world.record.finish is not None, "the end takes 30 s at most"
            for request in self.requests:
                assert self.world.answer(request) is not None, "every command gets an answer"


AnyWorld.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_the_invariants_hold_in_any_world = AnyWorld.TestCase


def test_a_storm_gives_the_same_instructions_each_time() -> None:
    def storm() -> list[tuple[float, Instruction]]:
        world = Simulation(
            plan(*(child(f"c{number}") for number in range(30))),
            {f"c{number}": Behaviour(lives=float(number)) for number in range(30)},
        )
        return world.run(100).record.instructions

    assert storm() == storm()


def test_every_child_has_its_own_ledger() -> None:
    world = Simulation(plan(child("bad"), child("good")), {"bad": Behaviour(lives=0.0)}).run(100)
    crashes: defaultdict[str, int] = defaultdict(int)
    for one in world.happenings("bad") + world.happenings("good"):
        crashes[one.child] += one.kind == "crashed"
    assert (crashes["bad"] >= 6, crashes["good"]) == (True, 0)
