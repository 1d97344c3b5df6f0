"""The public names: all of them, and nothing besides; none is loaded before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import daemoneye
from daemoneye import errors

ERRORS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.DaemoneyeError)
}
NAMES = ERRORS | {
    "AsyncBusClient",
    "AsyncJob",
    "AsyncRequest",
    "BusClient",
    "ChildSpec",
    "Collector",
    "Correlation",
    "Envelope",
    "Event",
    "Job",
    "Plan",
    "Request",
    "RestartPolicy",
    "RestartType",
    "Strategy",
    "Supervisor",
    "Timeouts",
    "Topic",
    "TopicFilter",
    "collector",
    "collector_spec",
    "every",
    "on",
}


def test_the_face_is_what_is_listed_here() -> None:
    assert set(daemoneye.__all__) == NAMES
    assert sorted(daemoneye.__all__) == sorted(set(daemoneye.__all__))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(daemoneye, name)
    assert found.__name__ == name
    assert found.__doc__


def test_every_error_has_a_hint() -> None:
    assert daemoneye.ConfigError("what", hint="what next").hint == "what next"
    assert daemoneye.InvalidTopic("what").hint == ""


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Manager'"):
        _ = daemoneye.Manager


def test_only_the_client_for_tasks_brings_an_event_loop() -> None:
    code = (
        "import sys, daemoneye\n"
        "for name in daemoneye.__all__:\n"
        "    name == 'AsyncBusClient' or getattr(daemoneye, name)\n"
        "assert 'daemoneye.bus.client.bus_client' in sys.modules\n"
        "print('asyncio' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "False\n"


def test_importing_the_package_imports_none_of_its_modules() -> None:
    code = "import sys, daemoneye; print(*(name for name in sys.modules if 'daemoneye' in name))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == ["daemoneye"]
