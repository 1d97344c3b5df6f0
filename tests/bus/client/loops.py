"""Tests that are tasks: each in an event loop of its own, which ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from tests.support import scaled

Given = ParamSpec("Given")


def in_a_loop(test: Callable[Given, Coroutine[Any, Any, None]]) -> Callable[Given, None]:
    """Run this test as the main task of a loop, for a limited time."""

    @wraps(test)
    def run(*given: Given.args, **more: Given.kwargs) -> None:
        async def limited() -> None:
            async with asyncio.timeout(scaled(30)):
                await test(*given, **more)

        asyncio.run(limited())

    return run


async def settle(turns: int = 5) -> None:
    """Let everybody go on who can go on without waiting for anything."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until_true(condition: Callable[[], object], what: str) -> None:
    """Wait until this is true, for a limited time."""
    deadline = asyncio.get_running_loop().time() + scaled(5)
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited for {what}"
        await asyncio.sleep(0.005)
