"""What a supervised function can rely on, told by real processes over a real lifeline."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from daemoneye import lifeline as line
from daemoneye.supervisor.child import Boot, Child, Work, boot
from daemoneye.supervisor.launcher import Birth, LaunchedProcess, block_early_signals
from daemoneye.supervisor.runtime import Mailbox, Pulse, Runtime, StopEvent
from tests.supervisor import targets
from tests.support import wait_for

R = TypeVar("R", bound=line.Report)
PASSPORT = line.Passport("probe", "worker", "", 3, bytes(32), "", "/nowhere")


class Probe:
    """A child in a real process, with the test at the supervisor's end."""

    def __init__(self, work: Work) -> None:
        here, there = multiprocessing.Pipe()
        self.end = line.SupervisorEnd(here)
        self.heard: list[line.Report] = []
        self.process = LaunchedProcess(
            Birth(), boot, (Boot(PASSPORT, there, work, {"rate": 5}, 0.1),), "probe"
        )
        starter = threading.Thread(target=self._start)  # as in the supervisor: signals are blocked
        starter.start()
        starter.join()
        there.close()

    def _start(self) -> None:
        block_early_signals()
        self.process.start()

    def wait_for(self, kind: type[R], test: Callable[[R], bool] = lambda report: True) -> R:
        """The first report of this kind, among all so far, that passes the test."""

        def found() -> R | None:
            try:
                self.heard += self.end.read()
            except EOFError:
                pass
            return next((r for r in self.heard if isinstance(r, kind) and test(r)), None)

        answer = wait_for(found, f"a {kind.__name__} of the child")
        assert answer is not None
        return answer

    def wait_exit(self) -> int:
        """Its exit code, when it has ended."""
        self.process.join(5)
        assert self.process.exitcode is not None
        return self.process.exitcode


Start = Callable[..., Probe]


@pytest.fixture
def start() -> Iterator[Start]:
    probes: list[Probe] = []

    def start(target: Callable[..., object] | str, *args: object, **kwargs: object) -> Probe:
        probes.append(Probe(Work(target, args, kwargs)))
        return probes[-1]

    yield start
    for probe in probes:
        probe.process.kill()
        probe.process.join(5)
        probe.process.close()
        probe.end.close()


def test_the_target_gets_the_child_its_arguments_and_settings(start: Start) -> None:
    probe = start(targets.describe, 1, "two", three=[3])
    given = json.loads(probe.wait_for(line.Tell).body)
    assert given["name"] == "probe"
    assert given["args"] == [1, "two"]
    assert given["kwargs"] == {"three": [3]}
    assert given["settings"] == {"rate": 5}
    assert given["pid"] == probe.process.pid


def test_signals_ignored_at_birth_are_ignored_and_nothing_stays_blocked(start: Start) -> None:
    given = json.loads(start(targets.describe).wait_for(line.Tell).body)
    assert given["ignored"] == ["SIGINT", "SIGUSR2"]
    assert given["blocked"] == []


def test_a_target_may_be_named_by_module_and_function(start: Start) -> None:
    assert start("tests.supervisor.targets:serve").wait_for(line.Ready)


def test_it_beats_before_it_is_ready_and_says_ready_once(start: Start) -> None:
    probe = start(targets.never_ready)
    probe.wait_for(line.Beat)
    assert not any(isinstance(each, line.Ready) for each in probe.heard)


def test_every_line_it_logs_is_its_own_and_harmless(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    assert start(targets.log, "\x1b[2J\nbroker: gone").wait_exit() == 0
    told = capfd.readouterr().err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  probe: ", line) for line in told)
    lines = [line[len("12:34:56  ") :] for line in told]
    assert lines[0] == r"probe: \x1b[2J\nbroker: gone"
    assert lines[1:3] == ["probe: caught", "probe: Traceback (most recent call last):"]
    assert all(line.startswith("probe: ") and line.isprintable() for line in lines)


def test_a_drain_sets_stopping_and_the_end_is_clean(start: Start) -> None:
    probe = start(targets.serve)
    probe.wait_for(line.Ready)
    probe.end.send(line.Drain(5.0))
    assert probe.wait_exit() == 0


def test_sigterm_asks_like_a_drain(start: Start) -> None:
    probe = start(targets.serve)
    probe.wait_for(line.Ready)
    probe.process.terminate()
    assert probe.wait_exit() == 0


def test_sigterm_after_a_drain_ends_a_child_that_is_slow_to_stop(start: Start) -> None:
    probe = start(targets.stop_slowly, 600)
    probe.wait_for(line.Ready)
    probe.end.send(line.Drain(0.1))
    probe.end.send(line.Dump(1))  # once it answers, it has seen the drain
    probe.wait_for(line.Dumped)
    probe.process.terminate()
    assert probe.wait_exit() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR2])
def test_an_early_signal_does_not_kill_a_newborn(start: Start, number: signal.Signals) -> None:
    probe = start(targets.serve)
    assert probe.process.pid
    os.kill(probe.process.pid, number)
    assert probe.wait_for(line.Ready)


def test_an_exception_is_told_with_its_traceback_before_exit_1(start: Start) -> None:
    probe = start(targets.fail, "no disk")
    said = probe.wait_for(line.Failure)
    assert (said.exception, said.message) == ("builtins.ValueError", "no disk")
    assert "in fail" in said.traceback
    assert probe.wait_exit() == 1


@pytest.mark.parametrize(
    ("target", "exception"),
    [
        ("no.such.module:f", "ModuleNotFoundError"),
        ("tests.supervisor.targets:no_such_function", "AttributeError"),
        ("json:__name__", "SupervisionError"),
    ],
)
def test_a_target_that_cannot_be_found_is_told_like_any_exception(
    start: Start, target: str, exception: str
) -> None:
    probe = start(target)
    assert probe.wait_for(line.Failure).exception.endswith(exception)
    assert probe.wait_exit() == 1


def test_an_exit_code_of_its_own_is_kept_and_is_no_failure(start: Start) -> None:
    probe = start(targets.leave, 42)
    assert probe.wait_exit() == 42
    assert not any(isinstance(each, line.Failure) for each in probe.heard)


def test_work_in_hand_makes_it_busy_and_names_it(start: Start) -> None:
    beat = start(targets.work_in_hand).wait_for(line.Beat, lambda beat: beat.busy_seconds > 0.2)
    assert beat.doing == "a long job"


def test_waiting_on_stopping_is_waiting_for_work(start: Start) -> None:
    beat = start(targets.beat_twice_and_wait).wait_for(line.Beat, lambda beat: beat.progress == 2)
    assert (beat.busy_seconds, beat.counters) == (0.0, {"items": 7})


def test_a_dump_names_the_line_a_deadlock_stands_on(start: Start) -> None:
    probe = start(targets.deadlock)
    probe.wait_for(line.Beat, lambda beat: beat.doing == "a deadlock")
    probe.end.send(line.Dump(9))
    dumped = probe.wait_for(line.Dumped)
    assert dumped.request == 9
    assert "lock.acquire()" in dumped.stacks
    assert "MainThread" in dumped.stacks


def test_orders_that_came_before_anybody_listened_are_delivered_in_order(start: Start) -> None:
    probe = start(targets.serve_and_listen)
    for order in (line.Tell("a", b"12"), line.Pause(True), line.Tell("b", b"34")):
        probe.end.send(order)
    probe.wait_for(line.Ready)
    probe.wait_for(line.Tell, lambda told: told.name == "b")
    told = [(each.name, each.body) for each in probe.heard if isinstance(each, line.Tell)]
    assert told == [("a", b"21"), ("paused", b"True"), ("b", b"43")]
    assert probe.wait_for(line.Beat, lambda beat: beat.paused)


@pytest.mark.parametrize(("settings", "error"), [('{"good": 1}', ""), ('{"bad": 1}', "no good")])
def test_new_settings_are_answered_by_whoever_listens(
    start: Start, settings: str, error: str
) -> None:
    probe = start(targets.serve_and_listen)
    probe.wait_for(line.Ready)
    probe.end.send(line.Configure(4, settings))
    assert probe.wait_for(line.Configured) == line.Configured(4, error)


def test_new_settings_nobody_listens_to_are_refused_at_once(start: Start) -> None:
    probe = start(targets.serve)
    probe.end.send(line.Configure(4, "{}"))
    assert probe.wait_for(line.Configured).error


def test_whatever_a_program_passes_to_its_child_it_beats_on(start: Start) -> None:
    probe = start(targets.be_careless)
    probe.wait_for(line.Ready)
    refused = [told.body.decode() for told in probe.heard if isinstance(told, line.Tell)]
    assert len(refused) == 6
    assert refused[0].startswith("counter 'x' cannot be 9223372036854775808 (")
    assert refused[3].startswith("work is named by a text, not by 7 (")
    probe.end.send(line.Pause(True))
    probe.wait_for(line.Beat, lambda beat: beat.paused and beat.counters == {"x": 2**63 - 1})
    probe.end.send(line.Tell("x", b""))
    probe.end.send(line.Configure(4, "{}"))
    answer = probe.wait_for(line.Configured)
    assert answer == line.Configured(4, "KeyError while it was told")
    probe.end.send(line.Drain(1.0))
    assert probe.wait_exit() == 0


def test_a_wish_gets_its_verdict(start: Start) -> None:
    probe = start(targets.wish_for, "restart", "netmond")
    wish = probe.wait_for(line.Wish)
    assert (wish.verb, wish.child, wish.asked_by) == ("restart", "netmond", "probe")
    probe.end.send(line.Verdict(wish.request, False, "no such child"))
    assert probe.wait_for(line.Tell).body == b"False no such child"


def test_when_the_supervisor_is_gone_it_ends_by_itself(start: Start) -> None:
    probe = start(targets.serve)
    probe.wait_for(line.Ready)
    probe.end.close()
    assert probe.wait_exit() == 0


def test_when_the_supervisor_is_gone_even_a_child_that_will_not_stop_ends(start: Start) -> None:
    probe = start(targets.not_stoppable)
    probe.wait_for(line.Ready)
    began = time.monotonic()
    probe.end.close()
    assert probe.wait_exit() == -signal.SIGKILL
    assert time.monotonic() - began < 3.0


def test_a_pulse_counts_work_and_forgets_the_time_between_pieces() -> None:
    pulse = Pulse()
    pulse.begin("a")
    assert pulse.beat().busy_seconds > 0
    pulse.end()
    assert (pulse.beat().progress, pulse.beat().busy_seconds) == (1, 0.0)
    with pulse.waiting():
        pass
    assert pulse.beat().busy_seconds == 0.0


def test_only_the_thread_that_works_can_say_that_it_waits() -> None:
    pulse = Pulse()
    pulse.begin("a")
    seen: list[float] = []

    def wait_elsewhere() -> None:
        with pulse.waiting():
            seen.append(pulse.beat().busy_seconds)

    thread = threading.Thread(target=wait_elsewhere)
    thread.start()
    thread.join()
    assert seen[0] > 0
    with pulse.waiting():
        assert pulse.beat().busy_seconds == 0.0
    assert pulse.beat().busy_seconds > 0


def test_a_mailbox_nobody_opens_stays_bounded() -> None:
    mailbox = Mailbox()
    for number in range(5000):
        mailbox.put(line.Tell(str(number), b""))
    heard: list[str] = []

    class Last:
        def paused(self, paused: bool) -> None: ...
        def configure(self, request: int, settings: str) -> None: ...
        def told(self, name: str, body: bytes) -> None:
            heard.append(name)

    mailbox.listen(Last())
    assert heard[-1] == "4999"
    assert len(heard) == 1024


def test_who_cannot_wait_for_the_end_is_called_also_when_it_comes_late() -> None:
    asked, called = StopEvent(), []
    asked.call(lambda: called.append("early"))
    assert called == []
    asked.set()
    asked.call(lambda: called.append("late"))
    assert called == ["early", "late"]


def test_threads_that_want_the_bus_at_once_get_one_client(short_dir: Path) -> None:
    here, there = multiprocessing.Pipe()
    passport = line.Passport(
        "probe", "worker", "", 3, bytes(32), f"{short_dir}/bus", str(short_dir)
    )
    given = Boot(passport, there, Work(print), {}, 1.0)
    end = line.ChildEnd(there)
    child = Child(given, Runtime(end, 1.0))
    with ThreadPoolExecutor(8) as threads:
        clients = {id(client) for client in threads.map(lambda _: child.bus, range(8))}
    child.close()
    end.close()
    here.close()
    assert len(clients) == 1
