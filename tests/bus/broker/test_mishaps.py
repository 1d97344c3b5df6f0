"""Mishaps are all counted, and logged ever more rarely."""

from __future__ import annotations

import logging

import pytest

from daemoneye.bus.broker.mishaps import Mishaps


def test_each_is_counted_and_the_powers_of_two_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    mishaps = Mishaps()
    with caplog.at_level(logging.INFO, "daemoneye.broker"):
        for number in range(1, 1001):
            mishaps.note("protocol", f"refused process {number}")
        mishaps.note("timeout", "refused process 7", logging.WARNING)
    assert mishaps == {"protocol": 1000, "timeout": 1}
    assert len(caplog.messages) == 11
    assert caplog.messages[-2:] == [
        "refused process 512 (protocol: 512 so far)",
        "refused process 7 (timeout: 1 so far)",
    ]
