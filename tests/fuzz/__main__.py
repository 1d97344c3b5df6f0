"""Fuzzing by hand: `make fuzz SEED=… SECONDS=…`; each target has that long."""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

from tests.bus.brokers import broker_in_thread
from tests.fuzz.ambush import Ambush
from tests.fuzz.fuzz_decoder import fuzz_decoder
from tests.fuzz.fuzz_handshake import Siege, fuzz_handshake
from tests.fuzz.rounds import run


def main() -> None:
    """Run both targets; the first thing that breaks ends it, with the seed to have it again."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() >> 20)
    parser.add_argument("--seconds", type=float, default=300.0)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)  # what is refused is as it should be
    print(f"seed {asked.seed}, {asked.seconds:g} s for each target")
    seed, seconds = asked.seed, asked.seconds
    print(f"decoder: {run(fuzz_decoder, seed, seconds * 2 / 3)} rounds")
    with tempfile.TemporaryDirectory(prefix="de-") as directory:
        ambush = Ambush(Path(directory))
        print(f"ambush: {run(ambush.lie_in_wait, seed, seconds / 3)} rounds")
        ambush.close()
    print(f"handshake: {run(fuzz_handshake, seed, seconds / 2)} rounds")
    with tempfile.TemporaryDirectory(prefix="de-") as directory:
        with broker_in_thread(Path(directory)) as broker:
            siege = Siege(broker)
            print(f"siege: {run(siege.assault, seed, seconds / 2)} rounds")
            siege.close()


if __name__ == "__main__":
    main()
