"""`events`, beside a real instance."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest

from tests.cli.instance import DAEMONEYE, Instance, command, environment
from tests.support import scaled, wait_for


def test_a_process_that_starts_and_ends_is_seen_by_name_and_pid(instance: Instance) -> None:
    topic = "events.process.lifecycle"
    with subprocess.Popen(
        [*DAEMONEYE, "events", "-f", topic, "--json"],
        env=environment(instance.directory),
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            wait_for(lambda: topic in instance.command("bus", "subs").stdout, "the subscription")
            with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
                started = next_about(cat.pid, watching.stdout)
                cat.communicate()  # nothing to read any more: it ends
                ended = next_about(cat.pid, watching.stdout)
        finally:
            watching.terminate()
    assert (started["payload"]["action"], ended["payload"]["action"]) == ("start", "stop")
    assert started["payload"]["name"] == ended["payload"]["name"] == "cat"
    assert started["publisher"]["name"] == "procmond"


def next_about(pid: int, lines: IO[str] | None) -> dict[str, Any]:
    """The next event about a process."""
    for line in lines or ():
        event: dict[str, Any] = json.loads(line)
        if event["payload"]["pid"] == pid:
            return event
    raise AssertionError(f"the events ended before one about {pid}")


def test_events_end_by_count_and_by_time(instance: Instance) -> None:
    some = instance.command("events", "--count", "1", "--for", f"{scaled(20)}s")
    assert some.returncode == 0
    assert len(some.stdout.splitlines()) == 1
    none = instance.command("events", "events.demo.nothing", "--for", "0.2s")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "")


def test_an_invalid_filter_names_the_level(instance: Instance) -> None:
    done = instance.command("events", "events.*")
    assert done.returncode == 2
    assert "level 2" in done.stderr
    assert "`+` is one level" in done.stderr


def test_without_an_instance_it_says_how_to_start_one(tidy: Path) -> None:
    done = command(tidy, "events")
    assert done.returncode == 3
    assert "daemoneye run" in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_what_ends_it_is_quiet_and_lets_it_say_goodbye(
    instance: Instance, number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [*DAEMONEYE, "events", "-f", "events.demo.nothing"],
        env=environment(instance.directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        wait_for(
            lambda: "events.demo.nothing" in instance.command("bus", "subs").stdout,
            "the subscription",
        )
        watching.send_signal(number)
        assert watching.communicate(timeout=scaled(10)) == ("", "")
    assert watching.returncode == code
    clients = json.loads(instance.command("bus", "clients", "--json").stdout)
    assert not any(each["away"] for each in clients["clients"])


def test_a_conversation_is_watched_alone(instance: Instance) -> None:
    topic = "events.demo.case"
    with subprocess.Popen(
        [*DAEMONEYE, "events", topic, "--json", "-f", "--count", "1", "--correlation", "case-7"]
        + ["--stage", "checked"],
        env=environment(instance.directory),
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            wait_for(lambda: topic in instance.command("bus", "subs").stdout, "the subscription")
            case = ("--correlation", "case-7", "--stage")
            for payload, more in (("1", ()), ("2", (*case, "found")), ("3", (*case, "checked"))):
                assert instance.command("bus", "pub", topic, payload, *more).returncode == 0
            heard = json.loads(watching.communicate(timeout=scaled(10))[0])
        finally:
            watching.terminate()
    assert heard["payload"] == "3"
    assert (heard["correlation"], heard["stage"]) == ("case-7", "checked")
