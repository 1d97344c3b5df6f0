"""docs/bus.md: its programs run, and its tables name what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from daemoneye.bus.broker import streams
from daemoneye.bus.client.counters import Counters
from daemoneye.bus.client.wishes import OFFERED
from daemoneye.bus.envelope import Envelope
from daemoneye.bus.frames import Choice
from daemoneye.bus.hierarchy import TOPICS
from tests.bus.brokers import broker_process
from tests.support import document, scaled, table_in

REFERENCE = document("docs/bus.md")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", REFERENCE, re.MULTILINE | re.DOTALL)


def named(heading: str) -> set[str]:
    """What stands in the first column of a table, word for word."""
    cells = " ".join(row[0] for row in table_in(REFERENCE, heading))
    return set(re.findall(r"[a-z_-]+", cells))


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_runs(tidy: Path, program: str) -> None:
    with broker_process(tidy) as process:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "DAEMONEYE_RUN_DIR": str(process.run_dir.path)},
            capture_output=True,
            text=True,
            timeout=scaled(20),
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_programs_for_both_clients() -> None:
    assert sum("AsyncBusClient" in each for each in PROGRAMS) == 1
    assert len(PROGRAMS) > 2


def test_the_ways_to_overflow_are_those_a_subscription_may_choose() -> None:
    assert named("overflow") == set(OFFERED)


def test_the_reasons_are_those_of_the_broker_and_a_restart() -> None:
    reasons = {
        streams.OVERFLOW,
        streams.EXPIRED,
        streams.OVERSIZE,
        streams.DENIED,
        streams.DISCONNECTED,
        streams.UNREADABLE,
    }
    assert named("lost") == reasons | {"broker-restart"}


def test_the_topics_of_the_broker_are_those_that_are_declared() -> None:
    told = {row[0].strip("`").replace("|", "") for row in table_in(REFERENCE, "topic")}
    assert told == {each.text for each in TOPICS if each.text.startswith("$bus.")}


def test_the_choices_are_those_of_a_group() -> None:
    assert named("`choice=`") - {"if", "you", "say", "nothing"} == set(Choice) - {Choice.DEFAULT}


def test_the_readme_shows_reasons_that_there_are() -> None:
    shown = table_in(document("README.md"), "`lost`")
    assert set(re.findall(r"[a-z][a-z-]+", " ".join(row[0] for row in shown))) < named("lost")


def test_the_counters_are_those_of_a_client() -> None:
    assert named("counter") == {each.name for each in fields(Counters)}


def test_the_fields_of_an_event_are_its_properties() -> None:
    public = {name for name, made in vars(Envelope).items() if isinstance(made, property)}
    assert named("field of an event") == public
