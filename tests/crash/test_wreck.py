"""A few seconds of damage: every message is heard, or told as lost.  A minute: `make crash`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.wreck import Stage
from tests.support import scaled


@pytest.mark.timeout(180)
def test_b23_after_kills_stops_and_cuts_every_message_is_accounted_for(tidy: Path) -> None:
    stage = Stage(tidy / "run", seed=7)
    try:
        stage.begin()
        stage.wreck(scaled(6.0))
        stage.end()
    finally:
        stage.close()
    account = stage.account()
    assert stage.done["killed the broker"]
    assert sum(each.heard for each in account.hearings) > 1000
    assert account.labour.ordered
    assert account.problems() == [], "\n".join(account.lines())
