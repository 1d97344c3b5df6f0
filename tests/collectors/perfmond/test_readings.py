"""This machine is read as it is, and what it does not show is left out."""

from __future__ import annotations

import psutil
import pytest

from daemoneye.collectors.perfmond.readings import describe_host, take_sample
from daemoneye.collectors.perfmond.sample import SwapUse, shares


def test_a_sample_agrees_with_the_system() -> None:
    sample = take_sample()
    assert len(sample.cpus) == psutil.cpu_count()
    assert sample.memory.total_bytes == psutil.virtual_memory().total
    assert all(0 <= each.used_percent <= 100 for each in sample.volumes.values())
    assert all(each.total_seconds >= each.busy_seconds >= 0 for each in sample.cpus)


def test_work_shows_as_a_share() -> None:
    before = take_sample()
    while (found := shares(before, take_sample())).interval < 0.1:
        sum(range(10_000))
    assert found.cpu_percent is not None
    assert 0 < found.cpu_percent <= 100


@pytest.mark.parametrize(
    ("call", "error", "empty"),
    [
        ("disk_io_counters", RuntimeError("no counters"), "disks"),
        ("net_io_counters", PermissionError("denied"), "networks"),
        ("disk_usage", PermissionError("denied"), "volumes"),
    ],
)
def test_what_the_system_does_not_show_is_left_out(
    monkeypatch: pytest.MonkeyPatch, call: str, error: Exception, empty: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(psutil, call, refuse)
    assert getattr(take_sample(), empty) == {}


def test_a_machine_without_swap_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError("no /proc/vmstat")

    monkeypatch.setattr(psutil, "swap_memory", refuse)
    assert take_sample().swap == SwapUse()


def test_the_host_knows_its_name() -> None:
    assert describe_host().system
    assert describe_host().booted_at > 0
