"""What is made by waiting for it, and ended by leaving its `async with` block.

bus = await AsyncBusClient.connect()
async with AsyncBusClient.connect() as bus: ...
async with await AsyncBusClient.connect() as bus: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar


class Closable(Protocol):
    """What has an end."""

    async def close(self) -> None:
        """End it; harmless when done before."""


Opened = TypeVar("Opened", bound=Closable)


class Opening(Generic[Opened]):
    """Something that is not open yet; nothing is done before it is waited for."""

    __slots__ = ("_open", "_opened")

    def __init__(self, open_it: Callable[[], Awaitable[Opened]]) -> None:
        self._open = open_it

    def __await__(self) -> Generator[object, None, Opened]:
        return self._open().__await__()

    async def __aenter__(self) -> Opened:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.close()


class Ending(ABC):
    """The end of a block for what is open already."""

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
