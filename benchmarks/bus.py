"""Contests between us, the floors and the peers: round trips, publishing, fan-in, fan-out.

256-byte payloads; publishers, relay and subscribers are processes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.floods import Flood, figures_of, flood
from benchmarks.measure import Figure, Pace, percentile
from benchmarks.peers import Peer, Relay
from benchmarks.processes import running

Contest = Callable[[Peer, Relay, Pace], list[Figure]]

TABLE = "256-byte payloads"
BYTES = 256
WARM_UP = 0.04  # of the round trips, which do not count

SHAPES = (
    ("publish", 1, 1),
    ("publish_many", 1, 1),
    ("publish_many", 4, 1),
    ("publish_many", 1, 8),
)
"""Role, publishers, subscribers."""


def round_trip(peer: Peer, relay: Relay, pace: Pace) -> list[Figure]:
    """One message to a second client and one back, one at a time."""
    role = f"ping {pace.round_trips} {pace.round_trip_seconds} {BYTES}"
    with (
        running(peer.client("echo", relay.address)),
        running(peer.client(role, relay.address)) as pinger,
    ):
        pinger.go()
        took = [each / 1000 for each in pinger.numbers()]
    took = took[int(len(took) * WARM_UP) :]
    return [
        Figure(f"round trip {name}", percentile(took, fraction), "µs", "less", TABLE)
        for name, fraction in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
    ]


def publishing(
    role: str, publishers: int, subscribers: int, peer: Peer, relay: Relay, pace: Pace
) -> list[Figure]:
    """A flood of 256-byte messages."""
    name = f"{role} {publishers}→{subscribers}"
    what = Flood(name, TABLE, role, pace.flood_seconds, publishers, subscribers, BYTES)
    return figures_of(what, flood(peer, relay, what))


def contests() -> Iterator[Contest]:
    """The round trip, then the floods."""
    yield round_trip
    for shape in SHAPES:
        yield partial(publishing, *shape)
