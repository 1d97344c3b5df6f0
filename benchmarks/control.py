"""How long a control message takes while somebody floods the bus with events.

Three processes beside the relay: one floods events as fast as it can, one publishes a control
message every 5 ms, one hears those.  The last one either hears nothing else (and a fourth takes
the flood), or listens to the flood as well and is slow with it.  With us that is the same
connection; every other peer gets a second one for it, which is its best way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from benchmarks.bus import BYTES, Contest
from benchmarks.floods import UNBOUNDED
from benchmarks.measure import Figure, Pace, percentile
from benchmarks.peers import Peer, Relay
from benchmarks.processes import Worker, running

TABLE = "control messages during a flood of events"
SLOW_MS = 1  # with each event
HEAD_START = 0.2  # s of flood before the first control message


def control(slow: bool, peer: Peer, relay: Relay, pace: Pace) -> list[Figure]:
    """Times from publishing to hearing, and what was not heard at all."""
    flood = f"publish_many {pace.control_seconds + HEAD_START} {BYTES} {UNBOUNDED} 0"
    with ExitStack() as stack:

        def client(role: str) -> Worker:
            return stack.enter_context(running(peer.client(role, relay.address)))

        if not slow:
            client(f"subscribe 1 {BYTES}").go()
        hearer = client(f"hear_control {SLOW_MS if slow else 0}")
        ticker, publisher = client(f"tick {pace.control_seconds}"), client(flood)
        hearer.go()
        publisher.go()
        time.sleep(HEAD_START)
        ticker.go()
        (sent,) = ticker.numbers()
        took = [each / 1e6 for each in hearer.numbers()]
    name = "to a slow consumer" if slow else "to another client"
    lost = Figure(f"{name} lost", 100 * (1 - len(took) / sent), "%", "less", TABLE)
    if not took:
        return [lost]
    return [
        Figure(f"{name} p50", percentile(took, 0.5), "ms", "less", TABLE),
        Figure(f"{name} p99", percentile(took, 0.99), "ms", "less", TABLE),
        lost,
    ]


def contests() -> Iterator[Contest]:
    """To a client that has nothing to do with the flood, and to one that is slow with it."""
    for slow in (False, True):
        yield partial(control, slow)
