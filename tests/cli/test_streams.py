"""One line for each event."""

from __future__ import annotations

import io

import pytest

from daemoneye.bus.frames import Choice
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.cli.screen import Screen
from daemoneye.cli.streams import event_line, remarks_on, what_next
from tests.cli.fakes import child
from tests.cli.test_payloads import LIFECYCLE, STARTED, envelope, will_of_the_dead


def screen(width: int, *, terminal: bool) -> Screen:
    return Screen(io.StringIO(), width, colour=False, terminal=terminal)


def test_a_line_says_when_where_who_and_what() -> None:
    line = event_line(envelope(LIFECYCLE, STARTED), screen(200, terminal=True))
    when, where, who, *what = line.split()
    assert len(when) == len("12:34:56.789")
    assert (where, who) == ("process.lifecycle", "procmond")
    assert " ".join(what) == "started sleep, pid 4242, parent 1, user root"


def test_what_was_missed_stands_before_it() -> None:
    line = event_line(
        envelope(LIFECYCLE, STARTED, lost={"overflow": 3}), screen(200, terminal=True)
    )
    assert "[missed 3 by overflow] started sleep" in line


def test_a_line_fits_a_narrow_terminal_and_is_whole_in_a_file() -> None:
    event = envelope("events.demo.tick", b"x" * 300)
    assert len(event_line(event, screen(40, terminal=True))) == 40
    assert event_line(event, screen(40, terminal=False)).endswith("x" * 300)


def test_the_topic_is_whole_where_no_person_reads_along() -> None:
    assert f"  {LIFECYCLE}  " in event_line(
        envelope(LIFECYCLE, STARTED), screen(40, terminal=False)
    )


@pytest.mark.parametrize("width", [40, 69, 70, 80, 99, 100])
def test_a_process_keeps_its_name_and_pid_on_every_screen(width: int) -> None:
    started = pb.ProcessLifecycle(
        action=pb.PROCESS_ACTION_START, pid=4194303, name="fifteen-letters", user="somebody"
    )
    line = event_line(envelope(LIFECYCLE, started), screen(width, terminal=True))
    assert len(line) <= width
    assert "started fifteen-letters, pid 4194303" in line


def test_a_payload_cannot_speak_to_the_terminal() -> None:
    line = event_line(envelope("events.demo.tick", b"\x1b[2J\n"), screen(200, terminal=True))
    assert line.endswith(r"\x1b[2J\n")


def test_what_a_will_was_said_for_is_told() -> None:
    line = event_line(will_of_the_dead(), screen(200, terminal=True))
    assert line.endswith('{"up": false} [will: cause=signal:9]')


@pytest.mark.parametrize(
    ("state", "desired", "words"),
    [
        ("STOPPED", "down", "it was stopped, and stays so: `daemoneye start broker`"),
        ("STARTING", "up", "the broker is STARTING: `daemoneye explain broker` says why"),
        ("BACKOFF", "up", "the broker is BACKOFF: `daemoneye explain broker` says why"),
    ],
)
def test_who_cannot_reach_a_broker_is_told_how_it_is(state: str, desired: str, words: str) -> None:
    assert what_next(child("broker", state, desired=desired)) == words


def test_what_an_access_rule_cuts_out_is_named_once() -> None:
    assert list(remarks_on(("$bus.#", "$bus.stats", "events.#"), ())) == []
    cuts = ("events.process.batch", "events.demo.#", "events.process.batch")
    assert list(remarks_on(["events.#"], cuts)) == [
        "daemoneye: an access rule denies events.process.batch, events.demo.#: not shown"
    ]


def test_a_group_that_does_not_go_to_whoever_is_free_is_told() -> None:
    assert list(remarks_on(["events.#"], (), Choice.LEAST_IN_FLIGHT)) == []
    (line,) = remarks_on(["events.#"], (), Choice.STANDBY)
    assert line == "daemoneye: this group goes by standby, as its first member chose"


def test_where_nothing_speaks_one_does_not_wait_in_vain() -> None:
    (line,) = remarks_on(("$bus.client.#", "events.#", "$bus.denial"), ())
    assert line.startswith("daemoneye: nothing speaks on $bus.client.#, $bus.denial; see ")
