"""Samples and crossings as the messages of `events.performance.…`.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daemoneye.bus.proto.events_pb2 import (
    DiskSample,
    Edge,
    Finding,
    Memory,
    NetworkSample,
    PerformanceAnomaly,
    PerformanceBatch,
    PerformanceMetadata,
    Severity,
    Swap,
    VolumeSample,
)
from daemoneye.collectors.perfmond.sample import (
    DiskCounters,
    NetworkCounters,
    Sample,
    Shares,
    VolumeUse,
)
from daemoneye.collectors.perfmond.thresholds import Crossing
from daemoneye.units import format_size


@dataclass(frozen=True, slots=True)
class Host:
    """What does not change while the machine runs."""

    hostname: str
    system: str
    release: str
    machine: str
    python_version: str
    booted_at: float
    cores: int
    """Physical ones; 0 where the system does not say."""


def metadata(sample: Sample, shares: Shares) -> PerformanceMetadata:
    """One sample and what happened since the one before."""
    return PerformanceMetadata(
        observed_at=sample.taken_at,
        interval_seconds=shares.interval,
        cpu_percent=shares.cpu_percent,
        cpu_each_percent=shares.cpu_each_percent,
        load=sample.load,
        memory=Memory(
            total_bytes=sample.memory.total_bytes,
            available_bytes=sample.memory.available_bytes,
            used_bytes=sample.memory.used_bytes,
            used_percent=sample.memory.used_percent,
        ),
        swap=Swap(
            total_bytes=sample.swap.total_bytes,
            used_bytes=sample.swap.used_bytes,
            used_percent=sample.swap.used_percent,
        ),
        disks=[_disk(name, disk, shares) for name, disk in sample.disks.items()],
        networks=[_network(name, network, shares) for name, network in sample.networks.items()],
        volumes=_volumes(sample.volumes),
    )


def description(host: Host, sample: Sample) -> PerformanceBatch:
    """What machine this is."""
    return PerformanceBatch(
        observed_at=sample.taken_at,
        hostname=host.hostname,
        system=host.system,
        release=host.release,
        machine=host.machine,
        python_version=host.python_version,
        booted_at=host.booted_at,
        cpus=len(sample.cpus),
        cores=host.cores,
        memory_bytes=sample.memory.total_bytes,
        swap_bytes=sample.swap.total_bytes,
        volumes=_volumes(sample.volumes),
        interfaces=sorted(sample.networks),
    )


def figures(sample: Sample, shares: Shares) -> dict[tuple[str, str], float]:
    """What thresholds are held against, by (rule, subject)."""
    found: dict[tuple[str, str], float] = {("memory-high", "memory"): sample.memory.used_percent}
    if shares.cpu_percent is not None:
        found["cpu-high", "cpu"] = shares.cpu_percent
    if sample.load and sample.cpus:
        found["load-high", "load"] = sample.load[0] / len(sample.cpus)
    if sample.swap.total_bytes:
        found["swap-high", "swap"] = sample.swap.used_percent
    for mount_point, volume in sample.volumes.items():
        found["volume-full", mount_point] = volume.used_percent
    return found


def anomaly(crossing: Crossing, sample: Sample) -> PerformanceAnomaly:
    """A threshold that was crossed or left."""
    threshold = crossing.threshold
    critical = crossing.entered and crossing.value >= threshold.critical
    finding = Finding(
        rule=threshold.rule,
        severity=Severity.SEVERITY_CRITICAL if critical else Severity.SEVERITY_WARNING,
        edge=Edge.EDGE_ENTERED if crossing.entered else Edge.EDGE_LEFT,
        reason=_reason(crossing, sample),
        value=crossing.value,
        threshold=threshold.enter if crossing.entered else threshold.leave,
        unit=threshold.unit,
        observed_at=sample.taken_at,
    )
    return PerformanceAnomaly(finding=finding, subject=crossing.subject)


def _reason(crossing: Crossing, sample: Sample) -> str:
    threshold = crossing.threshold
    unit = " %" if threshold.unit == "percent" else " for each CPU"
    side = f"at or above {threshold.enter:g}" if crossing.entered else f"below {threshold.leave:g}"
    told = f"{crossing.subject} is at {crossing.value:.3g}{unit}, {side}"
    volume = sample.volumes.get(crossing.subject)
    if volume is not None and threshold.rule == "volume-full":
        told += f"; {format_size(volume.total_bytes - volume.used_bytes)} free"
    return told


def _volumes(volumes: Mapping[str, VolumeUse]) -> list[VolumeSample]:
    return [
        VolumeSample(
            mount_point=mount_point,
            total_bytes=volume.total_bytes,
            used_bytes=volume.used_bytes,
            used_percent=volume.used_percent,
        )
        for mount_point, volume in volumes.items()
    ]


def _disk(name: str, disk: DiskCounters, shares: Shares) -> DiskSample:
    read_rate, written_rate = (shares.disks or {}).get(name, (None, None))
    return DiskSample(
        name=name,
        read_bytes=disk.read_bytes,
        written_bytes=disk.written_bytes,
        reads=disk.reads,
        writes=disk.writes,
        read_bytes_per_second=read_rate,
        written_bytes_per_second=written_rate,
    )


def _network(name: str, network: NetworkCounters, shares: Shares) -> NetworkSample:
    received_rate, sent_rate = (shares.networks or {}).get(name, (None, None))
    return NetworkSample(
        name=name,
        received_bytes=network.received_bytes,
        sent_bytes=network.sent_bytes,
        received_packets=network.received_packets,
        sent_packets=network.sent_packets,
        errors=network.errors,
        drops=network.drops,
        received_bytes_per_second=received_rate,
        sent_bytes_per_second=sent_rate,
    )
