"""What `run` says: which happenings are worth a line, and that nobody waits for the terminal."""

from __future__ import annotations

import io
import os
import threading
from datetime import datetime
from pathlib import Path

from daemoneye.cli.screen import Screen
from daemoneye.cli.telling import Printer, Telling
from daemoneye.config.plan import Configuration
from daemoneye.rundir import RunDir
from daemoneye.supervisor.health import Happening, HappeningKind
from daemoneye.supervisor.spec import ChildSpec, Plan

CLOCK = datetime(2026, 9, 21, 14, 13, 20)


def screen(width: int = 100) -> Screen:
    return Screen(io.StringIO(), width, colour=False, terminal=True)


def telling(width: int = 100, place: str = "") -> Telling:
    return Telling(screen(width), 100.0, place)


def lines(
    what: Telling, kind: HappeningKind, text: str, child: str = "procmond", now: float = 100.3
) -> list[str]:
    return list(what.happening(Happening(now, kind, child, 1, text), now, CLOCK))


def test_the_beginning_says_what_is_started_and_where() -> None:
    configuration = Configuration(Plan((ChildSpec("procmond", "a:b"),)), ("daemoneye.toml",))
    assert list(telling().beginning(configuration, RunDir(Path("/run/x")), 4240)) == [
        "daemoneye 0.1.0, instance default, pid 4240",
        "  starts         broker, procmond",
        "  configuration  daemoneye.toml",
        "  run directory  /run/x",
    ]


def test_ready_is_said_once_with_how_long_it_took_and_how_to_watch() -> None:
    what = telling(place=" --run-dir /x")
    assert lines(what, HappeningKind.READY, "is ready (pid 5)") == []
    assert lines(what, HappeningKind.ALL_READY, "3 of 3 children are ready", "") == [
        "ready in 0.3 s: 3 of 3 children are ready; Ctrl-C ends it in order",
        "  watch it with  daemoneye --run-dir /x events -f",
        "                 daemoneye --run-dir /x status",
    ]
    assert lines(what, HappeningKind.READY, "is ready (pid 6)") == [
        "14:13:20  procmond is ready (pid 6)"
    ]


def test_what_happens_is_a_line_with_its_time_and_child() -> None:
    assert lines(telling(), HappeningKind.CRASHED, "signal:9 \x1b[2J") == [
        r"14:13:20  procmond failed: signal:9 \x1b[2J"
    ]


def test_what_nobody_has_to_read_is_not_said() -> None:
    assert lines(telling(), HappeningKind.STARTING, "is started") == []
    assert lines(telling(), HappeningKind.STACKS, "wrote down what its threads do") == []


def test_a_long_line_is_wrapped_below_its_text() -> None:
    told = lines(telling(40), HappeningKind.CRASHED, "exit code 1 after 2 s, again at once")
    assert told == ["14:13:20  procmond failed: exit code 1", "          after 2 s, again at once"]


def test_an_end_is_told_as_the_person_knows_it_who_brought_it_about() -> None:
    def told(text: str, what: Telling) -> str:
        (line,) = lines(what, HappeningKind.SHUTDOWN, text, "", now=110.0)
        return line.partition("  ")[2]

    assert told("everything ends: signal 2", telling()) == "everything ends: Ctrl-C (SIGINT)"
    assert told("everything ends: signal 15", telling()) == "everything ends: SIGTERM"
    assert told("everything ends: broker gave up", telling()) == "everything ends: broker gave up"
    timed = Telling(screen(), 100.0, lasts=10.0)
    asked = "everything ends: it was asked to end"
    assert told(asked, timed) == "everything ends: --for 10 s is over"
    assert told(asked, Telling(screen(), 100.0, lasts=60.0)) == asked


def test_the_end_says_how() -> None:
    assert telling().end(0, 160.0) == "daemoneye ended in order after 1 min"
    assert telling().end(70, 160.0) == "daemoneye ended with exit code 70 after 1 min"


def test_the_printer_prints_in_order() -> None:
    shown = screen()
    printer = Printer(shown)
    printer.say(["one", "two"])
    printer.say(iter(["three"]))
    printer.close()
    assert isinstance(shown.stream, io.StringIO)
    assert shown.stream.getvalue() == "one\ntwo\nthree\n"


class Paused(io.StringIO):
    """A terminal on which somebody has pressed Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.going = threading.Event()

    def write(self, text: str) -> int:
        self.going.wait()
        return super().write(text)


def test_nobody_waits_for_a_terminal_that_takes_nothing() -> None:
    terminal = Paused()
    printer = Printer(Screen(terminal, 100, colour=False, terminal=True))
    printer.say(str(number) for number in range(3000))
    terminal.going.set()
    printer.close()
    shown = terminal.getvalue().splitlines()
    assert "0" in shown[:2]
    assert any("lines were left out" in line for line in shown)
    assert 1000 <= len(shown) < 1010


def test_a_reader_that_has_gone_ends_the_printing_only() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(os.dup(writing), "wb", 0) as raw:
        os.close(writing)
        printer = Printer(Screen(io.TextIOWrapper(raw, write_through=True), 80, False, True))
        printer.say(["one", "two"])
        printer.close()
        assert not printer._thread.is_alive()
