"""What a client says in the log, and what is left when its process ends."""

from __future__ import annotations

import logging

import pytest

from daemoneye.bus.client.notices import Remark, Weight
from daemoneye.bus.client.remarks import leave, remark


class Writer:
    """One that writes some of what waits."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.left: list[float] = []

    def leave(self, timeout: float) -> None:
        self.left.append(timeout)
        self.waiting = max(0, self.waiting - 2)


def test_a_remark_is_logged_with_its_weight(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "daemoneye.bus"):
        remark(None)
        remark(Remark("100 % of it", Weight.INFO))
        remark(Remark("it is gone"))
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.INFO, "100 % of it"),
        (logging.WARNING, "it is gone"),
    ]


def test_leaving_says_only_what_could_not_be_written(caplog: pytest.LogCaptureFixture) -> None:
    done, stuck = Writer(2), Writer(5)
    leave(done, 0.5)
    assert caplog.records == []
    leave(stuck, 0.5)
    assert done.left == stuck.left == [0.5]
    (record,) = caplog.records
    assert "3" in record.getMessage()
