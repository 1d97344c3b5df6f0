"""Contests between us, the floor and the peers: round trips, publishing, fan-out.

256-byte payloads; publisher, relay and subscribers are processes of their own.  The rounds of all
peers are interleaved, because only ratios within one run count: what else the machine does changes
from minute to minute.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Figure, over_rounds, percentile
from benchmarks.peers import Peer, floor, naive, ours, zeromq
from benchmarks.processes import Worker, running

OURS = ours.PEER.name
PEERS = (floor.PEER, naive.PEER, ours.PEER, zeromq.PEER)

LATER = {
    "NATS": "no client for the contest yet",
    "Redis": "no client for the contest yet",
    "mosquitto": "no client for the contest yet",
}
"""Peers that the goals name and nobody has brought to the contest."""

ROUND_TRIPS = 3000
WARM_UP = 200
SECONDS = 1.0

Contest = Callable[[Peer, str], list[Figure]]


def round_trip(peer: Peer, address: str) -> list[Figure]:
    """One message there and one back, one at a time."""
    with (
        running(peer.client("echo", address)),
        running(peer.client(f"ping {ROUND_TRIPS}", address)) as pinger,
    ):
        pinger.go()
        took = [int(pinger.line()) / 1000 for _ in range(ROUND_TRIPS)][WARM_UP:]
    return [
        Figure("round trip p50", percentile(took, 0.5), "µs"),
        Figure("round trip p99", percentile(took, 0.99), "µs"),
    ]


def publish_one_to_one(peer: Peer, address: str) -> list[Figure]:
    """One publisher, one subscriber, a call for each message."""
    return flood(peer, address, "publish", 1)


def publish_many_one_to_one(peer: Peer, address: str) -> list[Figure]:
    """One publisher, one subscriber, 256 messages with each call."""
    return flood(peer, address, "publish_many", 1)


def publish_many_one_to_eight(peer: Peer, address: str) -> list[Figure]:
    """One publisher, eight subscribers: what all of them receive together."""
    return flood(peer, address, "publish_many", 8)


def flood(peer: Peer, address: str, role: str, subscribers: int) -> list[Figure]:
    """Publish as fast as it goes; counts what arrives until the last subscriber has the end."""
    with ExitStack() as stack:
        hear = [Worker(peer.client("subscribe", address)) for _ in range(subscribers)]
        for subscriber in map(stack.enter_context, hear):
            subscriber.wait_ready()
        publisher = stack.enter_context(running(peer.client(f"{role} {SECONDS}", address)))
        for subscriber in hear:
            subscriber.go()
        publisher.go()
        start, sent = publisher.numbers()
        ends, counts = zip(*(subscriber.numbers() for subscriber in hear), strict=True)
    rate = sum(counts) / ((max(ends) - start) / 1e9)
    lost = 100 * (1 - sum(counts) / (sent * subscribers))
    name = f"{role} 1→{subscribers}"
    return [Figure(name, rate, "/s", better="more"), Figure(f"{name} lost", max(lost, 0.0), "%")]


CONTESTS: tuple[Contest, ...] = (
    round_trip,
    publish_one_to_one,
    publish_many_one_to_one,
    publish_many_one_to_eight,
)


def compete(rounds: int) -> dict[str, list[Figure]]:
    """The figures of every peer that can run here, by its name."""
    here = [peer for peer in PEERS if not peer.missing]
    seen: dict[str, list[list[Figure]]] = {peer.name: [] for peer in here}
    for _ in range(rounds):
        for peer in here:
            seen[peer.name].append([figure for each in CONTESTS for figure in one(each, peer)])
    return {name: over_rounds(figures) for name, figures in seen.items()}


def one(contest: Contest, peer: Peer) -> list[Figure]:
    """One contest of one peer, with a relay of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="de-bench-") as directory,
        peer.relay(Path(directory)) as address,
    ):
        return contest(peer, address)


def skipped() -> dict[str, str]:
    """Peers that do not run here, with the reason."""
    return {peer.name: peer.missing for peer in PEERS if peer.missing} | LATER
