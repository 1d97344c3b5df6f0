"""What ends with its block, for threads and for tasks.

with bus.subscribe("events.#") as events: ...
async with bus.subscribe("events.#") as events: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Ending(ABC):
    """What is open, until its `with` block is left."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """End it; harmless when done before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncEnding(ABC):
    """What is open, until its `async with` block is left."""

    __slots__ = ()

    @abstractmethod
    async def close(self) -> None:
        """End it; harmless when done before."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
