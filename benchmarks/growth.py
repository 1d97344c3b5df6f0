"""How cost grows: with the size of the payloads, and with the number of subscribers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.bus import BYTES, Contest
from benchmarks.floods import Flood, figures_of, flood
from benchmarks.measure import Figure, Pace, shown_bytes
from benchmarks.peers import Peer, Relay

SIZES_TABLE = "payload sizes, publish_many 1→1"
FANOUT_TABLE = "subscribers, publish_many 1→n, received by all together"

SIZES = (0, 64, 256, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 4 << 20)
MOST_BYTES = 96 << 20
"""So much is published in one size at most: some peers keep in memory what nobody reads yet."""

SUBSCRIBERS = (1, 2, 4, 8, 16, 32, 64)


def one_size(size: int, peer: Peer, relay: Relay, pace: Pace) -> list[Figure]:
    """A short flood of payloads of that size, in messages and in bytes."""
    name = shown_bytes(size)
    most = MOST_BYTES // max(size, BYTES)
    what = Flood(name, SIZES_TABLE, "publish_many", pace.size_seconds, size=size, most=most)
    came = flood(peer, relay, what)
    figures = figures_of(what, came)
    if size:
        megabytes = came.rate * size / 1e6
        figures.insert(1, Figure(f"{name} in bytes", megabytes, "MB/s", "more", SIZES_TABLE))
    return figures


def sizes() -> Iterator[Contest]:
    """From nothing to 4 MiB."""
    for size in SIZES:
        yield partial(one_size, size)


def one_fanout(subscribers: int, peer: Peer, relay: Relay, pace: Pace) -> list[Figure]:
    """A flood to so many."""
    name = f"1→{subscribers}"
    what = Flood(name, FANOUT_TABLE, "publish_many", pace.flood_seconds, 1, subscribers, BYTES)
    return figures_of(what, flood(peer, relay, what))


def fanout() -> Iterator[Contest]:
    """From one subscriber to 64."""
    for subscribers in SUBSCRIBERS:
        yield partial(one_fanout, subscribers)
