"""What a signal handler may fall into: every line of what a thread does, one after another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from types import CodeType, FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")


def fallen_into(
    codes: Container[CodeType],
    call: Callable[[], Result],
    step: int,
    handler: Callable[[], object],
) -> Result:
    """Call this; a handler runs before the `step`th line of functions with these codes."""
    left = step

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code not in codes:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                handler()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return call()
    finally:
        sys.settrace(before)
