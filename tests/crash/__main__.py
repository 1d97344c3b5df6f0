"""Wreck a bus for a while and print the account: `python -m tests.crash [--seconds 60]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.wreck import Stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="de-") as directory:
        stage = Stage(Path(directory) / "run", options.seed)
        try:
            stage.begin()
            stage.wreck(options.seconds)
            stage.end()
        finally:
            stage.close()
        for what, count in sorted(stage.done.items()):
            print(f"{what:28}{count:12}")
        account = stage.account()
        print("\n".join(account.lines()))
        problems = account.problems()
    for each in problems:
        print(f"BROKEN: {each}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
