"""A worker that leaves a will, for tests that end it in one way or another."""

from __future__ import annotations

import sys

from daemoneye.supervisor.child import Child

GONE = "events.demo.gone"
END = "events.demo.end"


def live(child: Child) -> None:
    """Live until asked to stop, or end by itself when that is published."""
    bus = child.bus
    bus.set_will(GONE, b"gone")
    with bus.subscribe(END) as asked:
        child.ready()
        while not child.stopping.is_set():
            if asked.get(timeout=0.05) is not None:
                sys.exit(3)
