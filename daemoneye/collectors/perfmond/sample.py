"""A sample of the machine's performance, and what two of them say together.  Pure.

The system counts CPU time and bytes since it started; a share or a rate is a difference of two
samples.  A counter that went down (an interface was replaced, a driver reloaded) gives no rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Rates = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """What one CPU did since the machine started."""

    busy_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Main memory."""

    total_bytes: int
    available_bytes: int
    used_bytes: int
    used_percent: float


@dataclass(frozen=True, slots=True)
class SwapUse:
    """Memory on disk; all 0 where there is none."""

    total_bytes: int = 0
    used_bytes: int = 0
    used_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class DiskCounters:
    """Totals of one disk."""

    read_bytes: int
    written_bytes: int
    reads: int
    writes: int


@dataclass(frozen=True, slots=True)
class NetworkCounters:
    """Totals of one interface."""

    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int
    errors: int
    drops: int


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """One mounted file system."""

    total_bytes: int
    used_bytes: int
    used_percent: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything that was read at one moment."""

    taken_at: float
    """Unix time."""
    clock: float
    """Monotonic time: what rates are taken over."""
    cpus: tuple[CpuTimes, ...]
    load: tuple[float, ...]
    """Averages of 1, 5 and 15 minutes; empty where the system has none."""
    memory: MemoryUse
    swap: SwapUse
    disks: Mapping[str, DiskCounters]
    networks: Mapping[str, NetworkCounters]
    volumes: Mapping[str, VolumeUse]
    """By mount point."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What happened between two samples."""

    interval: float = 0.0
    """Seconds between them; 0 in the first sample, which has no shares."""
    cpu_percent: float | None = None
    cpu_each_percent: tuple[float, ...] = ()
    disks: Rates | None = None
    """Bytes read and written a second, by name."""
    networks: Rates | None = None
    """Bytes received and sent a second, by name."""


def shares(before: Sample | None, after: Sample) -> Shares:
    """What happened between two samples; nothing when there is no first one."""
    if before is None or after.clock <= before.clock:
        return Shares()
    interval = after.clock - before.clock
    each = tuple(_busy_percent(old, new) for old, new in zip(before.cpus, after.cpus, strict=False))
    return Shares(
        interval=interval,
        cpu_percent=sum(each) / len(each) if each else None,
        # CPUs that come or go between two samples cannot be told apart by position.
        cpu_each_percent=each if len(before.cpus) == len(after.cpus) else (),
        disks=_rates(
            {name: (disk.read_bytes, disk.written_bytes) for name, disk in before.disks.items()},
            {name: (disk.read_bytes, disk.written_bytes) for name, disk in after.disks.items()},
            interval,
        ),
        networks=_rates(
            {name: (net.received_bytes, net.sent_bytes) for name, net in before.networks.items()},
            {name: (net.received_bytes, net.sent_bytes) for name, net in after.networks.items()},
            interval,
        ),
    )


def _busy_percent(old: CpuTimes, new: CpuTimes) -> float:
    total = new.total_seconds - old.total_seconds
    busy = new.busy_seconds - old.busy_seconds
    # The kernel's idle time may step back a little; a share stays within its bounds.
    return min(100.0, max(0.0, busy / total * 100.0)) if total > 0 else 0.0


def _rates(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], interval: float
) -> Rates:
    rates: dict[str, tuple[float, float]] = {}
    for name, (into, out) in after.items():
        old_into, old_out = before.get(name, (into + 1, out + 1))
        if into >= old_into and out >= old_out:
            rates[name] = ((into - old_into) / interval, (out - old_out) / interval)
    return rates
