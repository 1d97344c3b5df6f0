"""What serves a topic, as tasks have it: what `service` is for threads."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from daemoneye.bus.client.async_subscriber import AsyncSubscription
from daemoneye.bus.client.deadlines import after
from daemoneye.bus.client.ending import AsyncEnding
from daemoneye.bus.client.requests import AsyncRequest


class AsyncService(AsyncEnding):
    """The calls of one topic that came to this client, in the order they came.

    Iterating waits for the next call and ends after the `timeout` given to `serve` passes without
    one, or when the service or its client is closed; it raises AccessDenied when the right to read
    is taken away.  Calls that nobody waits for any more are left out.  Several tasks may iterate:
    each call goes to one of them.  When its block is left, whoever still waits for a reply is told.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: AsyncSubscription) -> None:
        """Made by `AsyncBusClient.serve`."""
        self._calls = calls

    @property
    def topic(self) -> str:
        """What is served."""
        return self._calls.filters[0]

    async def __aiter__(self) -> AsyncIterator[AsyncRequest]:
        async for event in self._calls:
            request = AsyncRequest.of(event, self._calls)
            if not request.cancelled:
                yield request

    async def get(self, timeout: float | None = None) -> AsyncRequest | None:
        """The next call; None when there is none within `timeout` seconds (None: for ever).

        Raises BusClosed after `close`, AccessDenied when the right to read was taken away.
        """
        deadline = None if timeout is None else after(timeout, time.monotonic())
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            event = await self._calls.get(left)
            if event is None:
                return None
            request = AsyncRequest.of(event, self._calls)
            if not request.cancelled:
                return request

    async def close(self) -> None:
        """Serve no more; harmless when done before."""
        await self._calls.close()

    def __repr__(self) -> str:
        return f"<AsyncService {self.topic}>"
