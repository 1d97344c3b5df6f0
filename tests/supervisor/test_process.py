"""A child's process: born off the loop, known by its identity, ended with its whole group."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from daemoneye.lifeline import Passport, Ready
from daemoneye.supervisor.contract import Spawn
from daemoneye.supervisor.process import ChildProcess, Newborn, Starter
from daemoneye.supervisor.scope import Switch
from daemoneye.supervisor.spec import ChildSpec, Timeouts
from tests.supervisor import targets
from tests.support import is_running, wait_for


class Slow:
    """An argument that takes long to pickle, as a large one would."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __reduce__(self) -> tuple[object, ...]:
        time.sleep(self.seconds)
        return float, (self.seconds,)


class Broken:
    """An argument whose pickling raises something of its own."""

    def __reduce__(self) -> tuple[object, ...]:
        raise KeyError("of the user's own")


def leave_a_member_behind(child: Any) -> None:
    """End, and leave one process in the group that ignores SIGTERM."""
    program = "import signal,time; signal.signal(15, signal.SIG_IGN); print(); time.sleep(600)"
    left = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert left.stdout
    left.stdout.readline()
    child.ready()


def newborn(target: Callable[..., object], *args: object, **options: Any) -> Newborn:
    spec = ChildSpec("child", target, args=args, **options)
    passport = Passport("child", "worker", "", 1, bytes(32), "", "/nowhere")
    return Newborn(Spawn("child", 1, spec), passport, "test-scope", SWITCH)


SWITCH = Switch()
Start = Callable[..., ChildProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    born: list[ChildProcess] = []

    def start(target: Callable[..., object], *args: object) -> ChildProcess:
        born.append(ChildProcess.start(newborn(target, *args)))
        return born[-1]

    yield start
    for child in born:
        child.signal_group(signal.SIGKILL)
        wait_for(lambda child=child: child.exit_code() is not None, "a child's end")  # type: ignore[misc]  # binds the loop's child
        child.close()


@pytest.fixture
def starter() -> Iterator[tuple[Starter, threading.Event]]:
    woken = threading.Event()
    starter = Starter(woken.set)
    yield starter, woken
    starter.close()
    wait_for(
        lambda: not [t for t in threading.enumerate() if t.name == "daemoneye-starter"],
        "the starter's end",
    )


def test_it_is_known_by_pid_and_creation_time(start: Start) -> None:
    child = start(targets.serve)
    assert child.created_at == psutil.Process(child.pid).create_time()
    assert os.getpgid(child.pid) == child.pid


def test_it_speaks_on_its_lifeline(start: Start) -> None:
    child = start(targets.serve)
    wait_for(lambda: Ready() in child.lifeline.read(), "ready")


def test_its_death_is_told_by_a_descriptor_within_milliseconds(start: Start) -> None:
    child = start(targets.serve)
    wait_for(lambda: Ready() in child.lifeline.read(), "ready")
    poll = select.poll()
    poll.register(child, select.POLLIN)
    assert not poll.poll(0)
    os.kill(child.pid, signal.SIGKILL)
    began = time.monotonic()
    assert poll.poll(2000)
    assert wait_for(child.exit_code, "its exit code") == -signal.SIGKILL
    assert time.monotonic() - began < 0.5


def test_the_group_is_empty_only_when_its_last_member_is_gone(start: Start) -> None:
    child = start(leave_a_member_behind)
    wait_for(lambda: child.exit_code() is not None, "the leader's end")
    assert not child.group_is_empty()
    child.signal_group(signal.SIGTERM)
    time.sleep(0.05)
    assert not child.group_is_empty()
    child.signal_group(signal.SIGKILL)
    wait_for(child.group_is_empty, "an empty group")


def test_a_stopped_child_takes_its_sigterm_when_it_is_continued(start: Start) -> None:
    child = start(targets.serve)
    wait_for(lambda: Ready() in child.lifeline.read(), "ready")
    os.kill(child.pid, signal.SIGSTOP)
    child.signal_group(signal.SIGTERM, signal.SIGCONT)
    wait_for(lambda: child.exit_code() == 0, "an orderly end")


def test_signals_to_an_empty_group_reach_nobody(start: Start) -> None:
    child = start(targets.leave, 0)
    wait_for(lambda: child.exit_code() is not None, "its end")
    child.signal_group(signal.SIGKILL)
    assert child.group_is_empty()


def test_facts_are_what_the_system_says_and_none_after_the_end(start: Start) -> None:
    child = start(targets.serve)
    wait_for(lambda: Ready() in child.lifeline.read(), "ready")
    facts = child.facts()
    assert facts is not None
    assert facts.rss_bytes > 1 << 20
    assert facts.threads >= 1
    assert facts.descriptors >= 3
    os.kill(child.pid, signal.SIGSTOP)
    wait_for(lambda: (f := child.facts()) and f.status == "stopped", "the fact that it is stopped")
    child.signal_group(signal.SIGKILL)
    wait_for(lambda: child.exit_code() is not None, "its end")
    assert child.facts() is None


def test_the_starter_tells_what_was_born(starter: tuple[Starter, threading.Event]) -> None:
    births, woken = starter
    births.submit(newborn(targets.serve))
    assert woken.wait(5)
    ((spawn, child),) = births.collect(time.monotonic())
    assert spawn.child == "child"
    assert isinstance(child, ChildProcess)
    child.discard()
    assert not is_running(child.pid)


@pytest.mark.parametrize(
    ("argument", "words"), [(threading.Lock(), "cannot be passed"), (Broken(), "of the user's own")]
)
def test_the_starter_tells_why_there_was_no_birth(
    starter: tuple[Starter, threading.Event], argument: object, words: str
) -> None:
    births, woken = starter
    births.submit(newborn(targets.serve, argument))
    assert woken.wait(5)
    ((_, error),) = births.collect(time.monotonic())
    assert isinstance(error, str)
    assert words in error


def test_a_birth_that_takes_too_long_is_given_up_and_does_not_hold_up_the_next(
    starter: tuple[Starter, threading.Event],
) -> None:
    births, woken = starter
    births.submit(newborn(targets.serve, Slow(0.6), timeouts=Timeouts(spawn_timeout=0.1)))
    births.submit(newborn(targets.serve))
    deadline = wait_for(births.next_deadline, "the first birth") or 0.0
    ((_, error),) = births.collect(deadline)
    assert error == "not born in 0.1 s"
    assert woken.wait(5)
    ((_, child),) = births.collect(time.monotonic())
    assert isinstance(child, ChildProcess)
    child.discard()
    late = wait_for(lambda: time.monotonic() > deadline + 0.6, "the late one")
    assert late
    assert births.collect(time.monotonic()) == []


def test_after_closing_whatever_is_born_is_killed() -> None:
    births = Starter(lambda: None)
    births.submit(newborn(targets.serve, Slow(0.2)))
    wait_for(births.next_deadline, "the birth")
    births.close()
    wait_for(
        lambda: not [t for t in threading.enumerate() if t.name == "daemoneye-starter"],
        "the starter's end",
    )
    assert not psutil.Process().children()
