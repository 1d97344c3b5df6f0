"""Two samples say what share of the CPUs was busy and how fast bytes went."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemoneye.collectors.perfmond.sample import (
    CpuTimes,
    DiskCounters,
    MemoryUse,
    NetworkCounters,
    Sample,
    Shares,
    SwapUse,
    shares,
)

FIRST = Sample(
    taken_at=1000.0,
    clock=50.0,
    cpus=(CpuTimes(10.0, 100.0), CpuTimes(20.0, 100.0)),
    load=(1.0, 1.0, 1.0),
    memory=MemoryUse(100, 50, 50, 50.0),
    swap=SwapUse(),
    disks={"sda": DiskCounters(1000, 2000, 10, 20)},
    networks={"eth0": NetworkCounters(500, 600, 5, 6, 0, 0)},
    volumes={},
)


def later(**changes: object) -> Sample:
    return replace(FIRST, clock=55.0, taken_at=1005.0, **changes)  # type: ignore[arg-type]  # fields by name


def test_a_first_sample_has_no_shares() -> None:
    assert shares(None, FIRST) == Shares()


def test_samples_of_one_moment_have_no_shares() -> None:
    assert shares(FIRST, FIRST) == Shares()


def test_a_cpu_is_as_busy_as_its_times_say() -> None:
    found = shares(FIRST, later(cpus=(CpuTimes(15.0, 105.0), CpuTimes(20.0, 105.0))))
    assert found.interval == 5.0
    assert found.cpu_each_percent == (100.0, 0.0)
    assert found.cpu_percent == 50.0


def test_times_that_step_back_are_no_share_below_zero_or_above_all() -> None:
    found = shares(FIRST, later(cpus=(CpuTimes(9.0, 105.0), CpuTimes(40.0, 105.0))))
    assert found.cpu_each_percent == (0.0, 100.0)


def test_cpus_that_came_or_went_have_no_shares_of_their_own() -> None:
    found = shares(FIRST, later(cpus=(CpuTimes(15.0, 105.0),)))
    assert (found.cpu_percent, found.cpu_each_percent) == (100.0, ())


def test_bytes_over_time_are_a_rate() -> None:
    found = shares(
        FIRST,
        later(
            disks={"sda": DiskCounters(2000, 2500, 11, 21)},
            networks={"eth0": NetworkCounters(1000, 600, 6, 6, 0, 0)},
        ),
    )
    assert found.disks == {"sda": (200.0, 100.0)}
    assert found.networks == {"eth0": (100.0, 0.0)}


@pytest.mark.parametrize(
    "disks",
    [{"sdb": DiskCounters(5, 5, 5, 5)}, {"sda": DiskCounters(5, 5000, 5, 5)}],
    ids=["new", "counted anew"],
)
def test_a_counter_without_a_past_has_no_rate(disks: dict[str, DiskCounters]) -> None:
    assert shares(FIRST, later(disks=disks)).disks == {}
