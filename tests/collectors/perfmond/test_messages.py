"""Samples and crossings become messages a person can read."""

from __future__ import annotations

from daemoneye.bus.proto.events_pb2 import Edge, Severity
from daemoneye.collectors.perfmond.messages import anomaly, description, figures, metadata
from daemoneye.collectors.perfmond.readings import describe_host
from daemoneye.collectors.perfmond.sample import (
    CpuTimes,
    DiskCounters,
    MemoryUse,
    NetworkCounters,
    Sample,
    Shares,
    SwapUse,
    VolumeUse,
)
from daemoneye.collectors.perfmond.thresholds import Crossing, Threshold

SAMPLE = Sample(
    taken_at=1000.0,
    clock=50.0,
    cpus=(CpuTimes(0, 0), CpuTimes(0, 0)),
    load=(3.0, 2.0, 1.0),
    memory=MemoryUse(1000, 400, 600, 60.0),
    swap=SwapUse(),
    disks={"sda": DiskCounters(1, 2, 3, 4)},
    networks={"eth0": NetworkCounters(1, 2, 3, 4, 5, 6)},
    volumes={"/": VolumeUse(10 << 30, 9 << 30, 90.0)},
)


def test_a_first_sample_has_totals_and_neither_shares_nor_rates() -> None:
    message = metadata(SAMPLE, Shares())
    assert not message.HasField("cpu_percent")
    assert message.disks[0].read_bytes == 1
    assert not message.disks[0].HasField("read_bytes_per_second")
    assert not message.networks[0].HasField("sent_bytes_per_second")


def test_a_later_sample_has_them() -> None:
    found = Shares(5.0, 25.0, (50.0, 0.0), {"sda": (7.0, 8.0)}, {"eth0": (9.0, 10.0)})
    message = metadata(SAMPLE, found)
    assert (message.interval_seconds, message.cpu_percent) == (5.0, 25.0)
    assert list(message.cpu_each_percent) == [50.0, 0.0]
    assert message.disks[0].written_bytes_per_second == 8.0
    assert message.networks[0].received_bytes_per_second == 9.0


def test_figures_are_those_that_are_known() -> None:
    assert figures(SAMPLE, Shares()) == {
        ("memory-high", "memory"): 60.0,
        ("load-high", "load"): 1.5,
        ("volume-full", "/"): 90.0,
    }
    assert figures(SAMPLE, Shares(5.0, 25.0))["cpu-high", "cpu"] == 25.0


def test_a_crossing_says_what_how_much_and_what_is_left() -> None:
    volume = Threshold("volume-full", 90.0, "percent", critical=97.0)
    message = anomaly(Crossing(volume, "/", True, 90.0), SAMPLE)
    assert (message.subject, message.finding.rule) == ("/", "volume-full")
    assert message.finding.edge == Edge.EDGE_ENTERED
    assert message.finding.severity == Severity.SEVERITY_WARNING
    assert message.finding.reason == "/ is at 90 %, at or above 90; 1 GiB free"
    assert message.finding.threshold == 90.0


def test_far_above_is_critical_and_leaving_is_not() -> None:
    cpu = Threshold("cpu-high", 90.0, "percent", critical=99.0)
    assert (
        anomaly(Crossing(cpu, "cpu", True, 99.5), SAMPLE).finding.severity
        == Severity.SEVERITY_CRITICAL
    )
    left = anomaly(Crossing(cpu, "cpu", False, 10.0), SAMPLE).finding
    assert (left.edge, left.severity) == (Edge.EDGE_LEFT, Severity.SEVERITY_WARNING)
    assert left.reason == "cpu is at 10 %, below 81"


def test_the_host_is_described() -> None:
    message = description(describe_host(), SAMPLE)
    assert (message.cpus, message.memory_bytes) == (2, 1000)
    assert message.hostname
    assert list(message.interfaces) == ["eth0"]
