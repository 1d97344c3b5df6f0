"""Reads the performance of this machine through psutil.  A shell: it reads and decides nothing.

What a system does not have or does not show (no swap in a container, no disk counters without
privilege, a mount that hangs in another network) is left out of the sample.
"""

from __future__ import annotations

import platform
import time

import psutil

from daemoneye.collectors.perfmond.messages import Host
from daemoneye.collectors.perfmond.sample import (
    CpuTimes,
    DiskCounters,
    MemoryUse,
    NetworkCounters,
    Sample,
    SwapUse,
    VolumeUse,
)


def take_sample() -> Sample:
    """Everything as it is now."""
    memory = psutil.virtual_memory()
    return Sample(
        taken_at=time.time(),
        clock=time.monotonic(),
        cpus=tuple(_cpu(times) for times in psutil.cpu_times(percpu=True)),
        load=_load(),
        memory=MemoryUse(memory.total, memory.available, memory.used, memory.percent),
        swap=_swap(),
        disks=_disks(),
        networks=_networks(),
        volumes=_volumes(),
    )


def describe_host() -> Host:
    """What machine this is."""
    return Host(
        hostname=platform.node(),
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        python_version=platform.python_version(),
        booted_at=psutil.boot_time(),
        cores=psutil.cpu_count(logical=False) or 0,
    )


def _cpu(times: object) -> CpuTimes:
    # Guest time is counted in user time already; waiting for a disk is not work.
    spent = {name: float(getattr(times, name)) for name in type(times)._fields}  # type: ignore[attr-defined]  # a named tuple whose fields differ by platform
    for counted in ("guest", "guest_nice"):
        spent.pop(counted, None)
    total = sum(spent.values())
    return CpuTimes(total - spent.get("idle", 0.0) - spent.get("iowait", 0.0), total)


def _load() -> tuple[float, ...]:
    try:
        return psutil.getloadavg()
    except (AttributeError, OSError):
        return ()


def _swap() -> SwapUse:
    try:
        swap = psutil.swap_memory()
    except (OSError, RuntimeError):
        return SwapUse()
    return SwapUse(swap.total, swap.used, swap.percent)


def _disks() -> dict[str, DiskCounters]:
    try:
        counters = psutil.disk_io_counters(perdisk=True) or {}
    except (OSError, RuntimeError, NotImplementedError):
        return {}
    return {
        name: DiskCounters(disk.read_bytes, disk.write_bytes, disk.read_count, disk.write_count)
        for name, disk in counters.items()
        if not name.startswith(("loop", "ram"))
    }


def _networks() -> dict[str, NetworkCounters]:
    try:
        counters = psutil.net_io_counters(pernic=True)
    except OSError:
        return {}
    return {
        name: NetworkCounters(
            received_bytes=net.bytes_recv,
            sent_bytes=net.bytes_sent,
            received_packets=net.packets_recv,
            sent_packets=net.packets_sent,
            errors=net.errin + net.errout,
            drops=net.dropin + net.dropout,
        )
        for name, net in counters.items()
    }


def _volumes() -> dict[str, VolumeUse]:
    found: dict[str, VolumeUse] = {}
    devices: set[str] = set()
    # Only what stands on a device of this machine: a remote mount may hang for ever.
    for mount in psutil.disk_partitions(all=False):
        if mount.device in devices:
            continue  # the same file system bound to another place
        try:
            usage = psutil.disk_usage(mount.mountpoint)
        except OSError:
            continue
        devices.add(mount.device)
        found[mount.mountpoint] = VolumeUse(usage.total, usage.used, usage.percent)
    return found
