"""Rounds: every contest of every peer once, interleaved, and begun with another peer each time.

What else a machine does changes from minute to minute, so only ratios within one run mean
anything: in a round the peers follow one another in each contest, and each contest of each peer has
a relay and a directory of its own.  A peer that fails costs its own figures; the run goes on.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.bus import Contest
from benchmarks.measure import Figure, Pace, Results
from benchmarks.peers import Peer
from benchmarks.processes import Cannot, Failed


@dataclass(slots=True)
class Remarks:
    """What there is to say beside the figures, each once."""

    lines: dict[str, None] = field(default_factory=dict)

    def add(self, peer: str, text: str) -> None:
        """Something about one of those that compete."""
        self.lines[f"{peer}: {text}"] = None


def compete(
    peers: Sequence[Peer],
    contests: Callable[[], Iterator[Contest]],
    rounds: int,
    pace: Pace,
    results: Results,
    remarks: Remarks,
) -> None:
    """Let them compete in each contest, in each round."""
    for number in range(rounds):
        for turn, contest in enumerate(contests()):
            first = (number + turn) % len(peers)
            for peer in (*peers[first:], *peers[:first]):
                results.add(peer.name, once(contest, peer, pace, remarks))
                progress(f"round {number + 1} of {rounds}: {peer.name}")
    progress("")


def once(contest: Contest, peer: Peer, pace: Pace, remarks: Remarks) -> list[Figure]:
    """One contest of one peer, with a relay of its own; no figures when it fails."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="de-bench-") as directory,
            peer.relay(Path(directory)) as relay,
        ):
            return contest(peer, relay, pace)
    except Cannot as reason:
        remarks.add(peer.name, f"cannot carry {reason}")
    except (Failed, psutil.NoSuchProcess, OSError) as error:
        remarks.add(peer.name, f"failed: {error}")
    return []


def progress(text: str) -> None:
    """Say how far it is, to a person who waits."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
