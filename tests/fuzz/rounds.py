"""Rounds of a fuzzing run: each has a seed of its own, so the one that fails can be had again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

Round = Callable[[random.Random], None]
"""One attempt to break something; the dice are all it takes its chances from."""


class Broken(AssertionError):
    """A round has found something; the cause is what it found."""


def run(target: Round, seed: int, seconds: float) -> int:
    """Rounds of `target` with the seeds from `seed` on, for so long; how many there were.

    There is always one, so a seed that failed can be tried by itself: `make fuzz SEED=… SECONDS=0`.
    Raises Broken.
    """
    until = time.monotonic() + seconds
    rounds = 0
    while rounds == 0 or time.monotonic() < until:
        try:
            target(random.Random(seed + rounds))
        except Exception as error:  # whatever it is, it is what we look for
            name = f"{target.__module__}.{target.__name__}"
            raise Broken(f"{name} is broken by make fuzz SEED={seed + rounds} SECONDS=0") from error
        rounds += 1
    return rounds
