"""The benchmarks still run, tell the truth about what fails, and leave nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from benchmarks.__main__ import PEERS, main, parsed
from benchmarks.bus import Contest, publishing, round_trip
from benchmarks.call import calls
from benchmarks.control import control
from benchmarks.goals import Goal, goals
from benchmarks.large import ALL_READ, WAYS, flood
from benchmarks.measure import Figure, Pace, Results, percentile, shown, shown_bytes
from benchmarks.peers import Relay, naive, ours
from benchmarks.processes import Failed, Worker, python
from benchmarks.report import report
from benchmarks.rounds import Remarks, compete
from benchmarks.routing import turn
from benchmarks.rules import access_among, matching_among, subscribing_among
from benchmarks.sustained import sustained
from daemoneye.bus.access import AccessList
from tests.support import scaled, wait_for, wait_gone

TINY = Pace(
    rounds=1, flood_seconds=0.05, size_seconds=0.05, control_seconds=0.1, round_trips=50
)  # fmt: skip
PEERS_HERE = (naive.PEER, ours.PEER)


def values(results, name):
    return {peer: results.value(name, peer) for peer in ("naive relay", "daemoneye")}


# ---- in memory ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param(lambda: matching_among(100, 20), id="matching"),
        pytest.param(lambda: subscribing_among(300, 20), id="subscribing"),
        pytest.param(lambda: access_among(AccessList(), 100, 20), id="access"),
        pytest.param(lambda: [turn(1, 4, 2, 5), turn(190, 1, 2, 5)], id="routing"),
    ],
)
def test_rules_are_measured_without_any_process(figures):
    assert all(figure.value > 0 and figure.unit == "µs" for figure in figures())


def test_the_median_over_rounds_is_what_counts():
    results = Results()
    for value in (5, 1, 3):
        results.add("a", [Figure("x", value, "ms", table="t")])
    results.add("b", [Figure("x", 7, "ms", table="t")])
    assert results.rows("t") == [
        {"a": Figure("x", 3, "ms", table="t"), "b": Figure("x", 7, "ms", table="t")}
    ]
    assert results.rows("another") == []


@pytest.mark.parametrize(("fraction", "value"), [(0.5, 51), (0.99, 100), (0.999, 100)])
def test_percentiles(fraction, value):
    assert percentile(range(100, 0, -1), fraction) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (shown(1234567.8), "1,234,568"),
        (shown(0.01234), "0.0123"),
        (shown_bytes(0), "0 B"),
        (shown_bytes(16 << 10), "16 KiB"),
        (shown_bytes(4 << 20), "4 MiB"),
    ],
)
def test_numbers_as_people_read_them(text, expected):
    assert text == expected


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal("fast", 100, "µs", False, 50), "met, 2 × better"),
        (Goal("fast", 100, "µs", False, 200), "MISSED, 2 × the goal"),
        (Goal("much", 10, "/s", True, 30), "met, 3 × better"),
        (Goal("much", 10, "/s", True, 8), "MISSED, 0.8 × the goal"),
        (Goal("none", 0, "", False, 0), "met"),
        (Goal("none", 0, "", False, 1), "MISSED"),
        (Goal("unknown", 1, "s", False, None), "not measured"),
    ],
)
def test_a_goal_says_by_how_much(goal, verdict):
    assert goal.verdict == verdict


def test_goals_compare_with_the_fastest_of_the_real_peers():
    results = Results()
    for peer, value in (("daemoneye", 90), ("C relay", 30), ("NATS", 100), ("Redis", 60)):
        results.add(peer, [Figure("round trip p50", value, "µs")])
    seen = {goal.what: goal.seen for goal in goals(results)}
    assert seen["round trip p50, to the C relay"] == 3
    assert seen["round trip p50, to the fastest peer"] == 1.5
    assert seen["round trip p99"] is None


# ---- the command line ---------------------------------------------------------------------------


def test_peers_are_chosen_by_name_or_family_and_we_always_compete():
    assert [each.key for each in parsed(["--peers", "naive"]).peers] == ["naive", "ours"]
    family = [each.key for each in parsed(["--peers", "mosquitto"]).peers]
    assert family == ["ours", "mosquitto-0", "mosquitto-1"]
    assert parsed([]).peers == list(PEERS)


@pytest.mark.parametrize("arguments", [["nonsense"], ["--peers", "carrier-pigeon"]])
def test_what_is_unknown_is_named_with_what_is_known(arguments, capsys):
    with pytest.raises(SystemExit):
        parsed(arguments)
    told = capsys.readouterr().err
    assert arguments[-1] in told
    assert "there are" in told


def test_a_picture_wants_the_fanout_that_is_left_out_by_default():
    assert "fanout" not in parsed([]).names
    assert "fanout" in parsed(["routing", "fanout"]).names


def test_what_is_measured_alone_is_told_and_written(tmp_path, capsys):
    written = tmp_path / "figures.json"
    assert main(["routing", "--quick", "--peers", "", "--json", str(written)]) == 0
    told = json.loads(written.read_text())
    assert told["schema_version"] == 2
    assert "route a message" in capsys.readouterr().out
    assert all(row["values"]["daemoneye"] > 0 for row in told["figures"])


# ---- contests -----------------------------------------------------------------------------------


def test_rounds_are_interleaved_and_every_peer_has_its_figures(tidy):
    results, remarks = Results(), Remarks()
    contests: list[Contest] = [round_trip, partial(publishing, "publish_many", 2, 1)]
    compete(PEERS_HERE, lambda: iter(contests), 1, TINY, results, remarks)
    assert not remarks.lines
    for name in ("round trip p50", "publish_many 2→1"):
        assert all(value > 0 for value in values(results, name).values()), name
    told = report(results, None, remarks, PEERS_HERE, 1)
    assert json.loads(json.dumps(told))["peers"]["daemoneye"]["version"]


def test_control_messages_arrive_beside_a_flood(tidy):
    results, remarks = Results(), Remarks()
    compete((ours.PEER,), lambda: iter([partial(control, True)]), 1, TINY, results, remarks)
    assert not remarks.lines
    assert results.value("to a slow consumer lost", "daemoneye") == 0


def test_a_sustained_run_accounts_for_every_message(tidy):
    endured = sustained(0.3)
    assert [each.missing for each in endured.accounts] == [0, 0, 0]
    assert [each.received is None for each in endured.accounts] == [False, False, True]
    assert endured.accounts[2].queued > 0
    assert endured.samples[0][1] > 0


def test_large_payloads_travel_both_ways(tidy):
    for way in WAYS:
        received, lost = flood(way, ALL_READ, 0.05)
        assert received > 0
        assert 0 <= lost < 100


def test_calls_are_measured_beside_other_ways():
    told = {figure.name: figure.value for figure in calls(TINY)}
    assert {"call p50", "call p99", "two topics by hand p50"} <= set(told)
    assert all(value > 0 for value in told.values())


def broken_relay(_directory):
    raise Failed("it does not come up")


def no_relay(_directory):
    return nullcontext(Relay("nowhere", 1))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"relay": broken_relay}, "failed: it does not come up"),
        ({"relay": no_relay, "client": lambda *_: [sys.executable, "-c", "raise SystemExit('no')"]},
         "no"),
        ({"relay": no_relay, "client": lambda *_: [sys.executable, "-c", "print('cannot fly')"]},
         "cannot carry fly"),
    ],
    ids=["relay", "client", "cannot"],
)  # fmt: skip
def test_a_peer_that_fails_costs_its_own_figures_only(tidy, changes, told):
    results, remarks = Results(), Remarks()
    failing = replace(naive.PEER, name="failing", **changes)
    contests = lambda: iter([partial(publishing, "publish", 1, 1)])  # noqa: E731
    compete((failing, naive.PEER), contests, 1, TINY, results, remarks)
    assert [line.endswith(told) for line in remarks.lines] == [True]
    assert results.value("publish 1→1", "naive relay")
    assert results.value("publish 1→1", "failing") is None


def test_a_silent_process_fails_in_time(tidy):
    with (
        Worker([sys.executable, "-c", "import time; time.sleep(60)"], start_budget=0.1) as worker,
        pytest.raises(Failed, match="no answer in time"),
    ):
        worker.wait_ready()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_a_run_is_cut_short(tidy, number):
    command = python("benchmarks", "bus", "--peers", "naive", "--rounds", "100")
    environment = {"TMPDIR": str(tidy)}
    with subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL
    ) as run:
        try:
            family = wait_for(lambda: grown(run.pid), "a contest to begin", within=10)
            assert list(tidy.iterdir())
            run.send_signal(number)
            assert run.wait(timeout=scaled(5)) in (1, 130)
        finally:
            run.kill()
    for process in family:
        wait_gone(process.pid)
    assert not list(tidy.iterdir())


def grown(pid):
    """The processes that it has started, once these are a relay and a client."""
    children = psutil.Process(pid).children(recursive=True)
    return children if len(children) > 1 else []
