"""What is made by waiting for it, and ended by leaving its `async with` block.

bus = await AsyncBusClient.connect()
async with AsyncBusClient.connect() as bus: ...
async with await AsyncBusClient.connect() as bus: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar


class Closable(Protocol):
    """What has an end."""

    async def close(self) -> None:
        """End it; harmless when done before."""


Opened = TypeVar("Opened", bound=Closable)


_FORGOTTEN = "it is not open before it is waited for, with `await` or `async with`"


class Opening(Generic[Opened]):
    """Something that is not open yet; nothing is done before it is waited for."""

    __slots__ = ("_open", "_opened")

    def __init__(self, open_it: Callable[[], Awaitable[Opened]]) -> None:
        self._open = open_it

    def __await__(self) -> Generator[object, None, Opened]:
        return self._open().__await__()

    if not TYPE_CHECKING:  # a type checker finds the forgotten `await` by itself

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"there is no {name} yet: {_FORGOTTEN}")

        def __aiter__(self) -> NoReturn:
            raise TypeError(f"there is nothing to iterate over yet: {_FORGOTTEN}")

        def __enter__(self) -> NoReturn:
            raise TypeError(f"there is nothing to enter yet: {_FORGOTTEN}")

        def __exit__(self, *error: object) -> None:
            """Never reached; without it `with` would not even ask for the other."""

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
