"""The states of a child and their one table."""

from __future__ import annotations

from itertools import product

import pytest

from daemoneye.errors import InvalidTransition
from daemoneye.supervisor.lifecycle import (
    DEADLINES,
    LIVE,
    SERVING,
    TRANSITIONS,
    WAITING,
    Event,
    Lifecycle,
    State,
    diagram,
)

WAY_TO = {
    State.STOPPED: (),
    State.PENDING: (Event.WANTED,),
    State.STARTING: (Event.WANTED, Event.SPAWN),
    State.RUNNING: (Event.WANTED, Event.SPAWN, Event.READY),
    State.DEGRADED: (Event.WANTED, Event.SPAWN, Event.READY, Event.UNWELL),
    State.PAUSED: (Event.WANTED, Event.SPAWN, Event.READY, Event.PAUSE),
    State.STOPPING: (Event.WANTED, Event.SPAWN, Event.STOP),
    State.EXITED: (Event.WANTED, Event.SPAWN, Event.ENDED, Event.COMPLETED),
    State.BACKOFF: (Event.WANTED, Event.SPAWN, Event.ENDED, Event.FAILED),
    State.QUARANTINED: (Event.WANTED, Event.SPAWN, Event.ENDED, Event.FAILED_OFTEN),
    State.FATAL: (Event.WANTED, Event.SPAWN, Event.ENDED, Event.GAVE_UP),
    State.LOST: (Event.WANTED, Event.SPAWN, Event.STOP, Event.OVERDUE),
}


def lifecycle_in(state: State) -> Lifecycle:
    lifecycle = Lifecycle(0.0)
    for event in WAY_TO[state]:
        lifecycle.step(event, 1.0)
    assert lifecycle.state is state
    return lifecycle


def test_every_state_has_a_row_and_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(State) == set(WAY_TO)
    reached = {target for steps in TRANSITIONS.values() for target in steps.values()}
    assert reached == set(State)
    assert all(TRANSITIONS.values())


def test_every_event_is_used() -> None:
    assert {event for steps in TRANSITIONS.values() for event in steps} == set(Event)


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_a_step_goes_where_the_table_says_or_names_state_and_event(
    state: State, event: Event
) -> None:
    lifecycle = lifecycle_in(state)
    if event in TRANSITIONS[state]:
        assert lifecycle.step(event, 2.0) is TRANSITIONS[state][event]
        assert (lifecycle.state, lifecycle.since) == (TRANSITIONS[state][event], 2.0)
    else:
        with pytest.raises(InvalidTransition) as error:
            lifecycle.step(event, 2.0)
        assert state.value in str(error.value)
        assert event.value in str(error.value)
        assert error.value.hint
        assert (lifecycle.state, lifecycle.since) == (state, 0.0 if state is State.STOPPED else 1.0)


@pytest.mark.parametrize("state", list(DEADLINES))
def test_leaving_a_state_drops_its_deadline(state: State) -> None:
    for event in TRANSITIONS[state]:
        lifecycle = lifecycle_in(state)
        lifecycle.arm(5.0)
        assert lifecycle.deadline == 5.0
        lifecycle.step(event, 2.0)
        assert lifecycle.deadline is None


@pytest.mark.parametrize("state", sorted(set(State) - set(DEADLINES)))
def test_a_state_that_owns_no_deadline_takes_none(state: State) -> None:
    lifecycle = lifecycle_in(state)
    with pytest.raises(InvalidTransition, match=state.value):
        lifecycle.arm(5.0)
    assert lifecycle.deadline is None


def test_the_named_groups_of_states_do_not_overlap() -> None:
    assert SERVING < LIVE
    assert not LIVE & WAITING


def test_nothing_is_started_from_a_state_in_which_something_lives() -> None:
    assert [state for state, steps in TRANSITIONS.items() if Event.SPAWN in steps] == [
        State.PENDING
    ]
    assert State.PENDING not in LIVE


def test_the_diagram_has_one_arrow_for_each_pair_of_states() -> None:
    lines = diagram().splitlines()
    assert lines[:3] == [
        "stateDiagram-v2",
        "    [*] --> STOPPED",
        "    STOPPED --> PENDING: wanted",
    ]
    assert "    BACKOFF --> PENDING: due / wanted" in lines
    assert "    RUNNING --> STOPPING: stop / ended / condemned" in lines
    pairs = {(a, b) for a, steps in TRANSITIONS.items() for b in steps.values()}
    assert len(lines) == 2 + len(pairs)
