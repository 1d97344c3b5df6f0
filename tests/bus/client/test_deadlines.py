"""Deadlines: seconds that a caller gives, and what is none."""

from __future__ import annotations

from datetime import timedelta
from math import inf, isnan, nan

import pytest

from daemoneye.bus.client.deadlines import after, patience
from daemoneye.errors import LocalProtocolError


def test_a_timeout_is_seconds_from_now() -> None:
    assert after(2.5, 10.0) == 12.5
    assert after(0, 10.0) == 10.0
    assert after(inf, 10.0) == inf
    assert isnan(after(nan, 10.0))


def test_patience_is_what_was_given() -> None:
    assert patience(None) is None
    assert patience(2.5) == 2.5


@pytest.mark.parametrize("timeout", ["5", b"5", [5], timedelta(seconds=5), 10**400])
def test_bad_input_what_is_no_number_of_seconds(timeout: float) -> None:
    for refused in (lambda: after(timeout, 1.0), lambda: patience(timeout)):
        with pytest.raises(LocalProtocolError, match="a timeout is a number of seconds") as found:
            refused()
        assert found.value.hint
    with pytest.raises(LocalProtocolError, match="not str: '5'"):
        after("5", 1.0)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(LocalProtocolError, match="not NoneType"):
        after(None, 1.0)  # type: ignore[arg-type]  # where no wait may be for ever
