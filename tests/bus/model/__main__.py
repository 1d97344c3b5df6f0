"""Take many steps and say how many, and what became of every message."""

from __future__ import annotations

import argparse
import random

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.bus.model.machine import Bus

STEPS_IN_A_WORLD = 60


def main() -> None:
    """Raises AssertionError with the steps that lead to it, as few as could be found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bus.model", description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="how many, about")
    parser.add_argument("--seed", type=int, help="take these steps again; else any")
    options = parser.parse_args()
    chosen = random.getrandbits(32) if options.seed is None else options.seed
    print(f"seed {chosen}", flush=True)
    run_state_machine_as_test(
        seed(chosen)(Bus),
        settings=settings(
            max_examples=max(1, options.steps // STEPS_IN_A_WORLD),
            stateful_step_count=STEPS_IN_A_WORLD,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    print(f"{Bus.steps} steps")
    for name, count in sorted(Bus.totals.items()):
        print(f"{name:24}{count:12}")


if __name__ == "__main__":
    main()
