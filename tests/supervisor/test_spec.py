"""Specs, policies and plans: what is refused, and with which words."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import partial

import pytest

from daemoneye.errors import ConfigError
from daemoneye.supervisor.spec import (
    ChildSpec,
    Plan,
    RestartPolicy,
    RestartType,
    Strategy,
    Timeouts,
    unknown_child,
)

GOOD = ChildSpec("good", "package.module:run")


def problems_of(spec: ChildSpec) -> list[str]:
    return [str(problem) for problem in spec.problems()]


def test_a_plain_spec_has_no_problems() -> None:
    assert problems_of(GOOD) == []
    Plan((GOOD,)).check()


def test_a_restart_type_alone_is_a_whole_policy() -> None:
    assert ChildSpec("a", "m:f", restart="transient").policy == RestartPolicy("transient")
    assert ChildSpec("a", "m:f").policy.restart_type is RestartType.PERMANENT


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Bad Name"}, "name: expected 1 to 64 of a-z"),
        ({"name": ""}, "name: expected 1 to 64 of a-z"),
        ({"name": "x" * 65}, "name: expected 1 to 64 of a-z"),
        ({"name": "good\n"}, "name: expected 1 to 64 of a-z"),
        ({"target": "no_colon"}, 'target: expected "module:name"'),
        ({"target": lambda child: None}, "<lambda> cannot be named in a new process; use a func"),
        ({"target": partial(print, "x")}, "target: partial cannot be named in a new process"),
        ({"restart": "transcient"}, "restart: expected one of permanent, transient, temporary"),
        ({"restart": "transcient"}, "did you mean 'transient'?"),
        ({"restart": RestartPolicy(max_failures=-1)}, "restart.max_failures: expected 0 or more"),
        ({"restart": RestartPolicy(give_up_after=0)}, "restart.give_up_after: expected 1 or more"),
        ({"restart": RestartPolicy(on_give_up="stop")}, "restart.on_give_up: expected one of"),
        ({"restart": RestartPolicy(decay_interval=0)}, "restart.decay_interval: expected a dur"),
        ({"restart": RestartPolicy(backoff_interval=99)}, "is above max_backoff_interval"),
        ({"timeouts": Timeouts(ready_timeout=-1)}, "timeouts.ready_timeout: expected a duration"),
        ({"timeouts": Timeouts(ready_timeout=float("nan"))}, "found nan s"),
        ({"timeouts": Timeouts(soft_timeout=30)}, "timeouts.soft_timeout: 30 s is not below hard"),
        ({"timeouts": Timeouts(soft_timeout=1)}, "is not above beat_interval"),
        ({"role": "colector"}, "role: expected one of agent, collector, worker, observer"),
        ({"kind": "Process"}, "kind: expected 1 to 64 of a-z"),
        ({"desired": "sideways"}, "desired: expected one of up, down"),
        ({"depends_on": ("good",)}, "depends_on: a child cannot wait for itself"),
    ],
)
def test_a_bad_field_is_named_with_what_was_expected(
    change: dict[str, object], expected: str
) -> None:
    bad = replace(GOOD, **change)  # type: ignore[arg-type]  # fields of ChildSpec, some wrong on purpose
    found = "\n".join(problems_of(bad))
    assert expected in found
    assert all("'good'" in line or "name:" in line for line in problems_of(bad))


def test_all_problems_of_a_plan_are_listed_together_and_carry_their_address() -> None:
    plan = Plan(
        (
            ChildSpec("twice", "m:f"),
            ChildSpec("twice", "m:f"),
            ChildSpec("waits", "nowhere", depends_on=("twise",)),
        ),
        instance="?",
        max_starting=0,
    )
    with pytest.raises(ConfigError) as error:
        plan.check()
    assert list(error.value.problems) == [
        "instance: expected 1 to 64 of a-z, 0-9, _ and -, found '?'",
        "max_starting: expected 1 or more, found 0",
        "child 'twice': name: another child has this name",
        "child 'waits': target: expected \"module:name\", found 'nowhere'",
        "child 'waits': depends_on: no child is named 'twise'; did you mean 'twice'?",
    ]
    assert error.value.hint == "nothing was started"
    assert {(one.child, one.key) for one in plan.problems()} >= {("waits", "depends_on")}


def test_s9_a_cycle_of_dependencies_is_named() -> None:
    plan = Plan(
        (
            ChildSpec("a", "m:f", depends_on=("c",)),
            ChildSpec("b", "m:f", depends_on=("a",)),
            ChildSpec("c", "m:f", depends_on=("b",)),
        )
    )
    assert [str(one) for one in plan.problems()] == [
        "child 'a': depends_on: waits for itself: a → c → b → a"
    ]


def test_a_broker_that_waits_for_a_user_of_the_bus_is_a_cycle() -> None:
    plan = Plan((ChildSpec("broker", "m:f", depends_on=("worker",)), ChildSpec("worker", "m:f")))
    assert "broker → worker → broker" in "".join(map(str, plan.problems()))


def test_everybody_who_uses_the_bus_waits_for_the_broker() -> None:
    plan = Plan(
        (
            ChildSpec("broker", "m:f"),
            ChildSpec("user", "m:f"),
            ChildSpec("named", "m:f", depends_on=("user", "broker")),
            ChildSpec("loner", "m:f", uses_bus=False),
        )
    )
    assert plan.dependencies == {
        "broker": (),
        "user": ("broker",),
        "named": ("user", "broker"),
        "loner": (),
    }


def test_without_a_broker_nobody_waits_for_one() -> None:
    assert Plan((ChildSpec("user", "m:f"),)).dependencies == {"user": ()}


@pytest.mark.parametrize("strategy", [Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL, "one_for_all"])
def test_strategies_that_are_not_built_are_refused_and_say_so(strategy: str) -> None:
    with pytest.raises(ConfigError, match="is not built yet; one_for_one is"):
        Plan((GOOD,), strategy=strategy).check()


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ConfigError, match="strategy: expected one of one_for_one"):
        Plan((GOOD,), strategy="all_for_one").check()


def test_s24_a_limit_that_can_never_trigger_is_a_warning_with_the_numbers() -> None:
    slow = RestartPolicy(backoff_interval=30.0, max_failures=5, window_interval=60.0)
    warnings = [str(one) for one in Plan((replace(GOOD, restart=slow),)).warnings()]
    assert warnings == [
        "child 'good': restart.max_failures: quarantine can never come: "
        "6 failures take at least 105 s, and the window is 60 s"
    ]
    assert list(Plan((GOOD,)).warnings()) == []


def test_a_name_that_is_not_in_the_plan_is_an_error_with_a_suggestion() -> None:
    error = unknown_child("goood", ["good", "other"])
    assert "did you mean 'good'" in str(error)
    assert error.hint == "children: good, other"


def test_a_plan_can_travel_to_another_process() -> None:
    plan = Plan((replace(GOOD, settings={"interval": 5}, restart=RestartPolicy("transient")),))
    assert pickle.loads(pickle.dumps(plan)) == plan
