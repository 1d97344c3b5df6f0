"""procmond: the processes of this machine.

Rules (·): no I/O, no threads, no clock.

    comparison    two scans → what started, changed, stopped; who uses most
    messages      that as payloads of `events.process.…`, bounded and cut into parts

Shells (!): they touch the world and decide nothing.

    scan          reads the processes
    procmond      the collector
"""

from daemoneye.collectors.procmond.procmond import Procmond

__all__ = ["Procmond"]
