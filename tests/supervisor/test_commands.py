"""What may be asked of one child, in whatever state it is; each ends in exactly one answer."""

from __future__ import annotations

from itertools import product

import pytest

from daemoneye.supervisor.contract import (
    Answer,
    Commanded,
    Configure,
    Drain,
    Ended,
    GroupEmptied,
    Kill,
    Pause,
    Resume,
    ShutdownAsked,
    Spawn,
    Terminate,
    Verb,
)
from daemoneye.supervisor.lifecycle import State
from daemoneye.supervisor.spec import ChildSpec, RestartPolicy
from tests.supervisor.simulation import Behaviour, Simulation, child, orders, plan

DEAF = Behaviour(ignores=frozenset({Drain, Terminate}))
IMMORTAL = Behaviour(ignores=frozenset({Drain, Terminate, Kill}))


CRASHING = Behaviour(ready_after=0.0, lives=0.0)

WAYS: dict[State, tuple[ChildSpec, Behaviour, float]] = {
    State.PENDING: (child("a", depends_on=("base",)), Behaviour(), 10.0),
    State.STARTING: (child("a"), Behaviour(ready_after=20.0), 10.0),
    State.DEGRADED: (child("a"), Behaviour(silent_after=4.0), 20.0),
    State.EXITED: (child("a", "transient"), Behaviour(lives=5.0, exit_code=0), 10.0),
    State.BACKOFF: (child("a"), CRASHING, 1.5),
    State.QUARANTINED: (child("a"), CRASHING, 10.0),
    State.FATAL: (child("a", RestartPolicy(give_up_after=1)), Behaviour(lives=1.0), 10.0),
    State.LOST: (child("a"), IMMORTAL, 10.0),
    State.STOPPING: (child("a"), DEAF, 10.0),
}
"""What child, how it behaves and how long it takes to be in a state; others: a good child, 10 s."""

ORDERS = {
    State.STOPPED: (Verb.STOP, 5.0),
    State.STOPPING: (Verb.STOP, 1.0),
    State.LOST: (Verb.STOP, 20.0),
    State.PAUSED: (Verb.PAUSE, 1.0),
}
"""What has to be asked then, and how long that takes."""


def world_in(state: State) -> Simulation:
    """A world whose child `a` has come into this state; what it starts next behaves well."""
    spec, behaviour, seconds = WAYS.get(state, (child("a"), Behaviour(), 10.0))
    world = Simulation(plan(spec, child("base", desired="down")), {"a": behaviour}).run(seconds)
    if state in ORDERS:
        verb, seconds = ORDERS[state]
        world.command(verb, "a")
        world.run(seconds)
    world.behaviours.clear()
    assert world.state("a") == state
    return world


EXPECTED = {
    Verb.STOP: {
        **dict.fromkeys(State, (0, "STOPPED")),
        State.LOST: (1, "LOST"),
    },
    Verb.START: {
        **dict.fromkeys(State, (0, "RUNNING")),
        State.PENDING: (0, "PENDING"),
        State.DEGRADED: (0, "DEGRADED"),
        State.PAUSED: (0, "PAUSED"),
        State.LOST: (75, "LOST"),
    },
    Verb.RESTART: {
        **dict.fromkeys(State, (0, "RUNNING")),
        State.PENDING: (0, "PENDING"),
        State.LOST: (75, "LOST"),
    },
    Verb.PAUSE: {
        **dict.fromkeys(State, (1, "")),
        State.STARTING: (75, ""),
        State.RUNNING: (0, "PAUSED"),
        State.DEGRADED: (75, "DEGRADED"),  # it does not hear
        State.PAUSED: (0, "PAUSED"),
    },
    Verb.RESUME: {
        **dict.fromkeys(State, (1, "")),
        State.STARTING: (75, ""),
        State.RUNNING: (0, "RUNNING"),
        State.DEGRADED: (0, "DEGRADED"),
        State.PAUSED: (0, "RUNNING"),
    },
    Verb.CONFIGURE: {
        **dict.fromkeys(State, (0, "")),
        State.STARTING: (75, ""),
        State.STOPPING: (1, ""),
        State.LOST: (1, ""),
    },
    Verb.STATUS: dict.fromkeys(State, (0, "")),
}
"""For each verb and state: the answer's code, and where the child is then ("" where it was)."""


@pytest.mark.parametrize(("verb", "state"), list(product(Verb, State)))
def test_every_command_in_every_state_ends_in_one_answer(verb: Verb, state: State) -> None:
    world = world_in(state)
    lives = world.row("a").incarnation
    request = world.command(verb, "a")
    for _ in range(200):
        if world.answer(request) is not None:
            break
        world.run(0.1)
    answer = world.answer(request)
    assert answer is not None
    code, after = EXPECTED[verb][state]
    assert (answer.code, answer.ok) == (code, code == 0), answer.text
    assert answer.text.startswith("a ")
    assert world.state("a") == (after or state.value)
    if verb is Verb.RESTART and after == "RUNNING":
        assert world.row("a").incarnation == lives + 1


def test_s32_restart_in_backoff_is_immediate_and_clears_the_count() -> None:
    world = world_in(State.BACKOFF)
    instructions = world.tell(Commanded(900, Verb.RESTART, "a"))
    assert [type(one) for one in orders(instructions)] == [Spawn]
    world.run(5)
    assert world.state("a") == "RUNNING"
    assert world.alive() == {"a": 1}


def test_restart_in_quarantine_is_immediate_and_ends_it() -> None:
    world = world_in(State.QUARANTINED)
    world.behaviours["a"] = Behaviour(ready_after=0.0, lives=0.5)
    assert [type(one) for one in orders(world.tell(Commanded(900, Verb.RESTART, "a")))] == [Spawn]
    world.run(0.6)
    assert world.answer(900) is not None
    assert world.state("a") == "RUNNING"
    assert world.supervision.explain("a", world.now).crash is not None
    assert "started again at once" in world.happenings("a")[-3].text


@pytest.mark.parametrize("state", [State.BACKOFF, State.QUARANTINED])
def test_s33_stop_while_waiting_for_the_next_attempt_starts_nothing_ever(state: State) -> None:
    world = world_in(state)
    starts = len(world.starts("a"))
    world.command(Verb.STOP, "a")
    assert (world.state("a"), world.row("a").next_attempt_at) == ("STOPPED", None)
    world.run(300)
    assert len(world.starts("a")) == starts


def test_s34_new_settings_in_backoff_are_used_at_the_next_attempt() -> None:
    world = world_in(State.BACKOFF)
    world.command(Verb.CONFIGURE, "a", {"interval": 5})
    world.run(10)
    spawn = world.given(Spawn)[-1][1]
    assert isinstance(spawn, Spawn)
    assert spawn.spec.settings == {"interval": 5}


def test_a_restart_keeps_the_settings_a_child_agreed_to() -> None:
    world = world_in(State.RUNNING)
    first = world.command(Verb.CONFIGURE, "a", {"interval": 5, "depth": 1})
    world.run(1)
    second = world.command(Verb.CONFIGURE, "a", {"interval": 9})
    world.run(1)
    assert [world.answer(one) for one in (first, second)] == [
        Answer(one, True, "a has the new settings") for one in (first, second)
    ]
    assert world.given(Configure)[-1][1] == Configure("a", 1, second, {"interval": 9, "depth": 1})
    world.command(Verb.RESTART, "a")
    spawn = world.given(Spawn)[-1][1]
    world.run(1)
    spawn = world.given(Spawn)[-1][1]
    assert isinstance(spawn, Spawn)
    assert (spawn.number, spawn.spec.settings) == (2, {"interval": 9, "depth": 1})


def test_settings_that_a_child_refuses_are_not_kept() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(refuses="interval is below 1 s")}).run(10)
    request = world.command(Verb.CONFIGURE, "a", {"interval": 0})
    world.run(1)
    text = "a refuses the settings: interval is below 1 s"
    assert world.answer(request) == Answer(request, False, text, 1)
    world.command(Verb.RESTART, "a")
    world.run(1)
    spawn = world.given(Spawn)[-1][1]
    assert isinstance(spawn, Spawn)
    assert spawn.spec.settings == {}


def test_one_change_of_settings_at_a_time() -> None:
    world = world_in(State.RUNNING)
    world.command(Verb.CONFIGURE, "a", {"x": 1})
    second = world.command(Verb.CONFIGURE, "a", {"x": 2})
    answer = world.answer(second)
    assert answer is not None
    assert answer.code == 75


def test_a_child_that_does_not_answer_is_answered_for_at_the_soft_limit() -> None:
    world = world_in(State.RUNNING)
    assert orders(world.supervision.handle(world.now, [Commanded(900, Verb.PAUSE, "a")])) == [
        Pause("a", 1)
    ]
    world.run(10)
    assert world.answer(900) == Answer(900, False, "a did not answer in time", 75)


def test_a_child_that_ends_is_answered_for_at_once() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(lives=10.005)}).run(10)
    request = world.command(Verb.PAUSE, "a")
    world.run(0.006)
    assert world.answer(request) == Answer(request, False, "a ended meanwhile (exit:1)", 75)


def test_resume_undoes_a_pause_that_has_not_been_heard_of_yet() -> None:
    world = world_in(State.RUNNING)
    pause = world.command(Verb.PAUSE, "a")
    resume = world.command(Verb.RESUME, "a")
    assert world.given(Pause, Resume)[1:] == [(10.0, Resume("a", 1))]
    world.run(1)
    assert world.answer(pause) == Answer(pause, False, "a goes on instead", 75)
    assert world.answer(resume) == Answer(resume, True, "a goes on")


@pytest.mark.parametrize("before", [Verb.START, Verb.RESTART])
def test_a_stop_overtakes_a_start_and_both_are_answered(before: Verb) -> None:
    world = world_in(State.STARTING)
    first = world.command(before, "a")
    second = world.command(Verb.STOP, "a")
    assert world.answer(first) == Answer(first, False, "a is stopped instead", 75)
    world.run(1)
    answer = world.answer(second)
    assert answer is not None
    assert answer.ok
    assert world.state("a") == "STOPPED"


def test_a_start_overtakes_a_stop_and_both_are_answered() -> None:
    world = world_in(State.RUNNING)
    first = world.command(Verb.STOP, "a")
    second = world.command(Verb.START, "a")
    assert world.answer(first) == Answer(first, False, "a is started again instead", 75)
    world.run(1)
    answer = world.answer(second)
    assert answer is not None
    assert answer.ok
    assert (world.state("a"), world.row("a").incarnation) == ("RUNNING", 2)


def test_a_start_that_fails_says_how() -> None:
    world = world_in(State.STOPPED)
    world.behaviours["a"] = Behaviour(ready_after=None, lives=0.5, exit_code=3)
    request = world.command(Verb.START, "a")
    world.run(1)
    answer = world.answer(request)
    assert answer is not None
    assert (answer.ok, answer.code) == (False, 1)
    assert answer.text == "a failed: exit:3 after 0.5 s; started again in 0.2 s"


def test_a_start_that_waits_for_another_child_says_for_whom() -> None:
    world = world_in(State.PENDING)
    request = world.command(Verb.START, "a")
    assert world.answer(request) == Answer(request, True, "a starts when base can serve")


def test_an_operators_restart_is_no_failure() -> None:
    world = world_in(State.RUNNING)
    for _ in range(20):
        world.command(Verb.RESTART, "a")
        world.run(0.5)
    row = world.row("a")
    assert (row.state, row.restarts, row.incarnation) == ("RUNNING", 0, 21)
    assert world.supervision.explain("a", world.now).crash is None


@pytest.mark.parametrize("state", [State.STOPPED, State.STARTING, State.RUNNING])
def test_what_is_no_collector_cannot_be_paused(state: State) -> None:
    spec = child("a", role="worker", desired="down" if state is State.STOPPED else "up")
    behaviour = Behaviour(ready_after=20.0 if state is State.STARTING else 0.1)
    world = Simulation(plan(spec), {"a": behaviour}).run(10)
    assert world.state("a") == state
    request = world.command(Verb.PAUSE, "a")
    text = "a is no collector: only collectors can be paused"
    hint = "`daemoneye stop a` ends it until it is started again"
    assert world.answer(request) == Answer(request, False, text, 1, hint)
    assert world.given(Pause) == []


def test_an_unknown_child_is_not_found_and_a_name_is_suggested() -> None:
    world = world_in(State.RUNNING)
    request = world.command(Verb.STOP, "aa")
    answer = world.answer(request)
    assert answer is not None
    assert (answer.ok, answer.code) == (False, 5)
    assert answer.text == "no child is named 'aa'; did you mean 'a'?"
    assert answer.hint == "children: a, base"
    assert answer.words == f"{answer.text} ({answer.hint})"


def test_while_everything_ends_nothing_is_started_and_a_stop_is_still_answered() -> None:
    world = world_in(State.STARTING)
    start = world.command(Verb.START, "a")
    world.tell(ShutdownAsked())
    assert world.answer(start) == Answer(start, False, "a is not done: the supervisor ends", 75)
    late, stop = world.command(Verb.RESTART, "a"), world.command(Verb.STOP, "a")
    answer = world.answer(late)
    assert answer is not None
    assert (answer.ok, answer.code) == (False, 75)
    world.run(20)
    answer = world.answer(stop)
    assert answer is not None
    assert answer.ok


def test_waiting_commands_are_bounded() -> None:
    world = Simulation(plan(child("a")), {"a": DEAF}).run(10)
    requests = [world.command(Verb.STOP, "a") for _ in range(70)]
    refused = [one for one in requests if world.answer(one) is not None]
    assert refused == requests[64:]
    world.run(20)
    assert all(world.answer(one) is not None for one in requests)


def test_an_operators_restart_forgives_what_failed_before() -> None:
    world = Simulation(plan(child("a")), {"a": Behaviour(lives=1.0)}).run(4.5)
    assert len(world.starts("a")) == 4
    world.behaviours.clear()
    world.run(5)
    world.command(Verb.RESTART, "a")
    world.run(5)
    number = world.row("a").incarnation
    told = world.tell(Ended("a", number, 1), GroupEmptied("a", number))
    assert Spawn in {type(one) for one in told}


@pytest.mark.parametrize(
    ("handed_up_by", "code"), [("", 0), ("a", 0), ("broker", 0), ("base", 77), ("nobody", 77)]
)
def test_a_child_may_hand_up_what_concerns_itself_and_only_the_broker_for_others(
    handed_up_by: str, code: int
) -> None:
    world = world_in(State.RUNNING)
    world.tell(Commanded(900, Verb.STOP, "a", asked_by="operator", handed_up_by=handed_up_by))
    world.run(5)
    answer = world.answer(900)
    assert answer is not None
    assert answer.code == code, answer.text
    assert world.state("a") == ("RUNNING" if code else "STOPPED")


def test_settings_that_fit_no_spawn_argument_are_refused_and_change_nothing() -> None:
    world = world_in(State.STOPPED)
    world.tell(Commanded(900, Verb.CONFIGURE, "a", {"text": "x" * 40_000}))
    answer = world.answer(900)
    assert answer is not None
    assert not answer.ok
    assert "32768" in answer.text
