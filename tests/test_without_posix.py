"""Without POSIX everything can be imported, and what cannot work says so in one error."""

from __future__ import annotations

from tests.fake_windows import output_of


def test_every_module_can_be_imported() -> None:
    assert not output_of(
        """
import importlib, pkgutil
for found in pkgutil.walk_packages(daemoneye.__path__, "daemoneye."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""
    )


def test_a_supervisor_says_what_is_missing_and_where_it_would_work() -> None:
    said = output_of(
        """
try:
    daemoneye.Supervisor([])
except daemoneye.ConfigError as error:
    print(error)
"""
    )
    assert said == (
        "a supervisor needs process groups and POSIX signals; this platform has neither"
        " (run it on Linux, macOS or FreeBSD)\n"
    )


def test_a_client_looks_for_a_named_pipe() -> None:
    said = output_of(
        """
windows.failures["CreateFile"] = missing = FileNotFoundError(2, "no such pipe")
missing.winerror = 2
try:
    daemoneye.BusClient.connect("bus", name="a", key=bytes(32))
except daemoneye.BusBroken as error:
    print(error)
"""
    )
    assert said.startswith("nobody listens at bus: no such pipe")
