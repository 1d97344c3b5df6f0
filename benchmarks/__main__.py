"""Run the benchmarks: `python -m benchmarks [NAME …]`; README.md says what each one does."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks import bus, call, control, failover, growth, large, life, routing, rules
from benchmarks.bus import Contest
from benchmarks.measure import Figure, Pace, Results
from benchmarks.peers import (
    INSTALL_CLIENTS,
    Peer,
    floor,
    mosquitto,
    naive,
    nats,
    ours,
    raw,
    redis,
    zeromq,
)
from benchmarks.processes import Failed
from benchmarks.report import (
    print_endured,
    print_goals,
    print_remarks,
    print_results,
    report,
)
from benchmarks.rounds import Remarks, compete, progress
from benchmarks.sustained import Endured, sustained

PEERS = (
    floor.PEER,
    raw.PEER,
    naive.PEER,
    ours.PEER,
    *zeromq.PEERS,
    nats.PEER,
    redis.PEER,
    *mosquitto.PEERS,
)

CONTESTS: dict[str, Callable[[], Iterator[Contest]]] = {
    "bus": bus.contests,
    "sizes": growth.sizes,
    "control": control.contests,
    "fanout": growth.fanout,
}
"""Where everybody competes, interleaved."""

ALONE: dict[str, Callable[[Pace], list[Figure]]] = {
    each.__name__: each
    for each in (
        large.large,
        call.calls,
        failover.failover,
        *rules.BENCHMARKS,
        *routing.BENCHMARKS,
        *life.BENCHMARKS,
    )
}

SUSTAINED = "sustained"
NAMES = (*CONTESTS, SUSTAINED, *ALONE)
SHARE = {"sizes": 1 / 3, "fanout": 1 / 3}
"""Of the rounds: these have many figures each, which show a shape."""

NOT_BY_DEFAULT = {"fanout"}
"""It starts 64 processes for each peer; a picture wants it, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named, or everything; print tables, and write JSON and a picture when asked."""
    options = parsed(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that everything is ended in order
    results, remarks = Results(), Remarks()
    try:
        endured = run(options, results, remarks)
    except KeyboardInterrupt:
        print("benchmark: interrupted", file=sys.stderr)
        return 130
    present(options, results, remarks, endured)
    return 0


def run(options: argparse.Namespace, results: Results, remarks: Remarks) -> Endured | None:
    """Everything that was chosen, the interleaved contests first."""
    peers = [each for each in options.peers if not each.missing]
    chosen, pace = options.names, options.pace
    for name in (name for name in CONTESTS if name in chosen):
        able = [each for each in peers if each.has_topics or name != "control"]
        rounds = max(1, round(pace.rounds * SHARE.get(name, 1)))
        compete(able, CONTESTS[name], rounds, pace, results, remarks)
    for name in (name for name in ALONE if name in chosen):
        progress(name)
        try:
            results.add(ours.PEER.name, ALONE[name](pace))
        except Failed as error:
            remarks.add(name, f"failed: {error}")
    endured = None
    if SUSTAINED in chosen:
        progress(f"{SUSTAINED}: {pace.sustained_seconds:g} s")
        try:
            endured = sustained(pace.sustained_seconds, pace.sustained_rate)
            results.add(ours.PEER.name, endured.figures)
        except Failed as error:
            remarks.add(SUSTAINED, f"failed: {error}")
    progress("")
    return endured


def present(
    options: argparse.Namespace, results: Results, remarks: Remarks, endured: Endured | None
) -> None:
    """Print it, and write what was asked for."""
    print_results(results, options.peers)
    print_endured(endured)
    print_goals(results)
    print_remarks(remarks, options.peers)
    if options.json:
        told = report(results, endured, remarks, options.peers, options.pace.rounds)
        options.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    if options.plot:
        import_module("benchmarks.plot").draw(results, endured, options.plot)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, help="of everything that is interleaved (3)")
    parser.add_argument("--seconds", type=float, help="of the sustained run (20)")
    parser.add_argument(
        "--rate", type=float, help="messages a second of the sustained run (as fast as it goes)"
    )
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    parser.add_argument(
        "--peers", metavar="A,B", help=f"some of {', '.join(each.key for each in PEERS)}; we always"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw how cost grows")
    options = parser.parse_args(arguments)
    options.names = chosen_of(options.names, options.plot, parser)
    options.peers = peers_of(options.peers, parser)
    options.pace = pace_of(options)
    if options.plot and find_spec("matplotlib") is None:
        parser.error(f"a picture needs matplotlib, which is not installed: {INSTALL_CLIENTS}")
    return options


def chosen_of(
    names: Sequence[str], plot: Path | None, parser: argparse.ArgumentParser
) -> frozenset[str]:
    """What to run."""
    if unknown := set(names) - set(NAMES):
        parser.error(
            f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        )
    return frozenset(names or set(NAMES) - (set() if plot else NOT_BY_DEFAULT))


def peers_of(keys: str | None, parser: argparse.ArgumentParser) -> list[Peer]:
    """Who competes: those that are named and we, or everybody."""
    if keys is None:
        return list(PEERS)
    wanted = {key for key in keys.split(",") if key} | {ours.PEER.key}
    known = {each.key for each in PEERS} | {each.key.partition("-")[0] for each in PEERS}
    if unknown := wanted - known:
        parser.error(
            f"no peer named {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
        )
    return [each for each in PEERS if {each.key, each.key.partition("-")[0]} & wanted]


def pace_of(options: argparse.Namespace) -> Pace:
    """How long everything goes on."""
    pace = Pace.quick() if options.quick else Pace()
    if options.rounds is not None:
        pace = replace(pace, rounds=max(1, options.rounds))
    if options.seconds is not None:
        pace = replace(pace, sustained_seconds=options.seconds)
    if options.rate is not None:
        pace = replace(pace, sustained_rate=options.rate)
    return pace


if __name__ == "__main__":
    sys.exit(main())
