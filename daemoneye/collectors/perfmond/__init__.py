"""perfmond: CPUs, memory, disks, networks and load of this machine.

Rules (·): no I/O, no threads, no clock.

    sample        a sample, and what two of them say together
    thresholds    when a figure is worth a word, and when it is over
    messages      that as payloads of `events.performance.…`

Shells (!): they touch the world and decide nothing.

    readings      reads the machine
    perfmond      the collector
"""

from daemoneye.collectors.perfmond.perfmond import Perfmond

__all__ = ["Perfmond"]
