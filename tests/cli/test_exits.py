"""Which error means which exit code."""

from __future__ import annotations

import pytest

from daemoneye import errors
from daemoneye.bus.handshake import BAD_PROOF, BUSY, WRONG_PROCESS
from daemoneye.cli.exits import exit_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.DaemoneyeError(), 1),
        (ValueError(), 1),
        (errors.InvalidTopic(), 2),
        (errors.LocalProtocolError(), 2),
        (errors.NotRunning(), 3),
        (errors.UnknownChild(), 5),
        (errors.NoResponder(), 5),
        (errors.Rejected(), 1),
        (errors.BusBroken(), 69),
        (errors.Refused("", reason="key"), 69),
        (errors.Refused("", reason=BAD_PROOF), 77),
        (errors.Refused("", reason=WRONG_PROCESS), 77),
        (errors.Refused("", reason=BUSY), 69),
        (errors.GaveUp(), 70),
        (errors.AlreadyRunning("", pid=5), 75),
        (errors.DeadlineExceeded(), 75),
        (errors.BackPressure(), 75),
        (errors.AccessDenied(""), 77),
        (PermissionError(), 77),
        (errors.ConfigError(""), 78),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_means_its_code(error: BaseException, code: int) -> None:
    assert exit_of(error) == code
