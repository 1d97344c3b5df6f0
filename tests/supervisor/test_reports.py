"""What a living child says of itself, or is seen to be, and what follows."""

from __future__ import annotations

import pytest

from daemoneye.supervisor.contract import (
    Answer,
    AskDump,
    BeatHeard,
    ConditionSaid,
    DumpTaken,
    Ended,
    Facts,
    FailureSaid,
    GroupEmptied,
    Inspect,
    Kill,
    MoreTimeAsked,
    Resume,
    Terminate,
    TimeSkipped,
    Verb,
)
from tests.supervisor.simulation import Behaviour, Simulation, child, orders, plan


def world_of(behaviour: Behaviour | None = None, seconds: float = 10.0) -> Simulation:
    return Simulation(plan(child("a")), {"a": behaviour or Behaviour()}).run(seconds)


def test_s35_a_stopped_child_is_noticed_at_the_soft_limit_and_replaced_at_the_hard_one() -> None:
    """Its last beat is at 3.1 s, so the limits are at 13.1 and 33.1."""
    world = world_of(Behaviour(silent_after=4.0, facts=Facts("stopped")), 13.0)
    assert world.state("a") == "RUNNING"
    world.run(0.2)
    assert (world.state("a"), world.row("a").reason) == (
        "DEGRADED",
        "no heartbeat for 10 s: frozen by a signal (SIGSTOP or Ctrl-Z)",
    )
    assert world.given(AskDump) == [(13.1, AskDump("a", 1))]
    assert (13.1, Inspect("a", 1)) in world.given(Inspect)
    world.behaviours.clear()
    world.run(21)
    assert world.given(Kill) == [(33.1, Kill("a", 1))]
    assert world.state("a") == "RUNNING"
    assert world.starts("a") == pytest.approx([0.0, 33.11])
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert (crash.cause, crash.ours) == ("hang(stopped)", True)
    assert crash.facts == Facts("stopped")


def test_a_child_that_beats_again_is_well_again() -> None:
    world = world_of(Behaviour(silent_after=4.0), 20.0)
    assert world.state("a") == "DEGRADED"
    world.tell(BeatHeard("a", 1))
    assert (world.state("a"), world.row("a").reason) == ("RUNNING", "")
    assert [one.kind for one in world.happenings("a")] == ["starting", "ready", "degraded", "well"]


def test_s35_a_paused_child_beats_and_nothing_happens_to_it() -> None:
    world = world_of()
    world.command(Verb.PAUSE, "a")
    world.run(3600)
    assert (world.state("a"), world.starts("a")) == ("PAUSED", [0.0])


def working(world: Simulation, seconds: int) -> None:
    """Beats of a child that heard the order to pause, and does not finish its work."""
    for second in range(seconds):
        world.tell(
            BeatHeard("a", 1, busy_seconds=0.5 + second, doing="sample", paused=True),
        )
        world.now += 1.0


def test_a_hung_child_that_is_told_to_pause_is_killed_all_the_same() -> None:
    world = world_of(Behaviour(silent_after=9.5))
    request = world.command(Verb.PAUSE, "a")
    working(world, 10)
    assert (world.state("a"), world.answer(request)) == ("RUNNING", None)
    working(world, 30)
    assert world.answer(request) == Answer(request, False, "a will pause when sample is done", 75)
    assert world.state("a") == "DEGRADED"
    assert world.given(Kill) == []
    world.tell(BeatHeard("a", 1, busy_seconds=30.5, doing="sample", paused=True))
    assert len(world.given(Kill)) == 1


def test_a_pause_is_done_when_the_work_in_hand_is() -> None:
    world = world_of(Behaviour(silent_after=9.5))
    request = world.command(Verb.PAUSE, "a")
    working(world, 3)
    assert (world.state("a"), world.answer(request)) == ("RUNNING", None)
    world.tell(BeatHeard("a", 1, paused=True))
    assert (world.state("a"), world.answer(request)) == (
        "PAUSED",
        Answer(request, True, "a is paused"),
    )
    world.tell(BeatHeard("a", 1))
    assert [one.text for one in world.happenings("a")][-2:] == ["is paused", "goes on"]


def test_a_child_that_has_not_paused_yet_may_be_told_to_go_on() -> None:
    world = world_of(Behaviour(silent_after=9.5))
    world.tell(BeatHeard("a", 1, busy_seconds=0.5, doing="sample", paused=True))
    request = world.command(Verb.RESUME, "a")
    assert world.given(Resume) == [(10.0, Resume("a", 1))]
    world.tell(BeatHeard("a", 1, busy_seconds=0.6, doing="sample"))
    assert world.answer(request) == Answer(request, True, "a goes on")


def test_a_paused_child_that_falls_silent_is_degraded_and_then_replaced() -> None:
    world = world_of(Behaviour(silent_after=12.0))
    world.command(Verb.PAUSE, "a")
    world.run(1)
    assert world.state("a") == "PAUSED"
    world.run(13)
    assert world.state("a") == "DEGRADED"
    world.run(20)
    assert len(world.starts("a")) == 2


def test_s36_work_without_end_is_degraded_then_killed_though_it_beats() -> None:
    world = world_of()
    for second in range(30):
        world.tell(BeatHeard("a", 1, busy_seconds=0.5 + second, doing="sample"))
        world.now += 1.0
    assert world.state("a") == "DEGRADED"
    assert world.row("a").reason.startswith("busy with sample for")
    assert len(world.given(AskDump)) == 1
    world.tell(DumpTaken("a", 1, "waits in Lock.acquire, line 7"))
    assert Kill("a", 1) in world.tell(BeatHeard("a", 1, busy_seconds=30.5, doing="sample"))
    world.run(0.1)
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert (crash.cause, crash.stacks) == ("hang(deadlock)", "waits in Lock.acquire, line 7")


def test_s13_a_long_silent_start_is_no_hang() -> None:
    world = world_of(Behaviour(ready_after=25.0), 26)
    assert (world.state("a"), world.starts("a")) == ("RUNNING", [0.0])


def test_s6_a_child_that_keeps_asking_for_time_is_not_ended_and_one_that_stops_is() -> None:
    world = world_of(Behaviour(ready_after=None), 0)
    for _ in range(5):
        world.run(20)
        world.tell(MoreTimeAsked("a", 1, 60.0))
    assert world.state("a") == "STARTING"
    world.run(59.9)
    assert world.state("a") == "STARTING"
    world.run(0.2)
    assert world.given(Terminate) == [(160.0, Terminate("a", 1))]


@pytest.mark.parametrize("seconds", [-5.0, 0.0, float("nan"), 1.0])
def test_asking_for_less_time_than_it_has_changes_nothing(seconds: float) -> None:
    world = world_of(Behaviour(ready_after=None), 1)
    world.tell(MoreTimeAsked("a", 1, seconds))
    world.run(28)
    assert world.state("a") == "STARTING"
    world.run(1.1)
    assert world.state("a") != "STARTING"


def test_no_extension_is_without_end() -> None:
    world = world_of(Behaviour(ready_after=None), 1)
    world.tell(MoreTimeAsked("a", 1, float("inf")))
    world.run(3602)
    assert world.given(Terminate) == [(3601.0, Terminate("a", 1))]


def test_a_child_may_call_itself_degraded_and_well_again() -> None:
    world = world_of()
    world.tell(ConditionSaid("a", 1, "the disk is full"))
    assert (world.state("a"), world.row("a").reason) == ("DEGRADED", "the disk is full")
    assert world.given(AskDump) == []
    world.tell(ConditionSaid("a", 1, ""))
    assert world.state("a") == "RUNNING"


def test_a_complaint_made_before_it_was_ready_is_remembered() -> None:
    world = world_of(Behaviour(ready_after=5.0), 1)
    world.tell(ConditionSaid("a", 1, "no privilege"))
    assert world.state("a") == "STARTING"
    world.run(5)
    assert (world.state("a"), world.row("a").reason) == ("DEGRADED", "no privilege")


def test_a_degraded_child_that_falls_silent_is_looked_at_and_killed_like_any_other() -> None:
    world = world_of(Behaviour(silent_after=4.0), 5)
    world.tell(ConditionSaid("a", 1, "the disk is full"))
    world.run(9)
    assert len(world.given(AskDump)) == 1
    world.run(20)
    assert len(world.given(Kill)) == 1


def test_a_process_is_looked_at_when_it_is_ready_and_every_five_seconds() -> None:
    world = world_of(seconds=20.5)
    assert [at for at, _ in world.given(Inspect)] == [0.1, 5.0, 10.0, 15.0, 20.0]


def test_stacks_are_bounded_and_told() -> None:
    world = world_of()
    world.tell(DumpTaken("a", 1, "x" * 1_000_000))
    happening = world.happenings("a")[-1]
    assert (happening.kind, len(happening.detail)) == ("stacks", 65536)


def test_words_of_an_incarnation_that_is_over_change_nothing() -> None:
    world = world_of(Behaviour(lives=5.0))
    before = world.supervision.health(world.now)
    assert world.row("a").incarnation > 1
    late = ConditionSaid("a", 1, "late"), FailureSaid("a", 1, "E", "", "")
    assert orders(world.tell(BeatHeard("a", 1), *late, BeatHeard("nobody", 1))) == []
    assert world.supervision.health(world.now) == before


@pytest.mark.parametrize("gap", [120.0, 1e9, float("inf"), float("nan"), -5.0])
def test_s38_s40_time_that_was_skipped_kills_nobody(gap: float) -> None:
    world = world_of()
    world.now += 120.0
    told = orders(world.tell(TimeSkipped(gap), BeatHeard("a", 1)))
    assert not any(isinstance(one, Kill) for one in told)
    world.run(5)
    assert world.state("a") == "RUNNING"


def test_s38_skipped_time_moves_every_deadline_and_is_told_in_the_supervisors_clock() -> None:
    world = world_of(Behaviour(lives=0.0, ready_after=0.0), 1.5)
    due = world.row("a").next_attempt_at
    assert due is not None
    world.now += 120.0
    world.tell(TimeSkipped(120.0))
    moved = world.row("a").next_attempt_at
    assert moved == pytest.approx(due + 120.0)
    assert world.happenings()[-1].at == world.now
    assert world.supervision.next_deadline() == pytest.approx(moved)


LONG = "x" * 64_000


def test_a_child_that_complains_at_length_is_quoted_in_short() -> None:
    world = world_of()
    world.tell(ConditionSaid("a", 1, LONG))
    assert world.state("a") == "DEGRADED"
    assert len(world.row("a").reason) == 500
    assert len(world.happenings("a")[-1].text) == 500


def test_long_last_words_are_cut_but_for_the_traceback() -> None:
    world = world_of()
    world.tell(FailureSaid("a", 1, "module.Error" * 1000, LONG, LONG))
    world.tell(Ended("a", 1, 1), GroupEmptied("a", 1))
    crash = world.supervision.explain("a", world.now).crash
    assert crash is not None
    assert len(crash.exception) == 200 + len(": ") + 500
    assert crash.traceback == LONG
    assert len(world.row("a").reason) < 1000


def test_a_beat_says_little_of_its_work_and_of_its_counters() -> None:
    counters = tuple((f"{number}{LONG}", number) for number in range(300))
    world = world_of()
    world.tell(BeatHeard("a", 1, busy_seconds=11.0, doing=LONG, counters=counters))
    row = world.row("a")
    assert len(row.counters) == 256
    assert all(len(name) == 200 for name, _ in row.counters)
    life = world.supervision._slots["a"].life()
    assert life.heartbeats.beat is not None
    assert len(life.heartbeats.beat.doing) == 200


def test_a_long_refusal_of_settings_is_cut() -> None:
    world = world_of(Behaviour(refuses=LONG))
    number = world.command(Verb.CONFIGURE, "a", {"x": 1})
    world.run(1)
    answer = world.answer(number)
    assert answer is not None
    assert len(answer.text) < 600
