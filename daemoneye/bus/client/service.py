"""What serves a topic: the calls of it one by one, each to reply to."""

from __future__ import annotations

import time
from collections.abc import Iterator

from daemoneye.bus.client.deadlines import after
from daemoneye.bus.client.ending import Ending
from daemoneye.bus.client.requests import Request
from daemoneye.bus.client.subscriber import Subscription


class Service(Ending):
    """The calls of one topic that came to this client, in the order they came.

    Iterating waits for the next call and ends after the `timeout` given to `serve` passes without
    one, or when the service or its client is closed; it raises AccessDenied when the right to read
    is taken away.  Calls that nobody waits for any more are left out.  Several threads may iterate:
    each call goes to one of them.  When its block is left, whoever still waits for a reply is told.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: Subscription) -> None:
        """Made by `BusClient.serve`."""
        self._calls = calls

    @property
    def topic(self) -> str:
        """What is served."""
        return self._calls.filters[0]

    def __iter__(self) -> Iterator[Request]:
        for event in self._calls:
            request = Request.of(event, self._calls)
            if not request.cancelled:
                yield request

    def get(self, timeout: float | None = None) -> Request | None:
        """The next call; None when there is none within `timeout` seconds (None: for ever).

        Raises BusClosed after `close`, AccessDenied when the right to read was taken away.
        """
        deadline = None if timeout is None else after(timeout, time.monotonic())
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            event = self._calls.get(left)
            if event is None:
                return None
            request = Request.of(event, self._calls)
            if not request.cancelled:
                return request

    def close(self) -> None:
        """Serve no more; harmless when done before."""
        self._calls.close()

    def __repr__(self) -> str:
        return f"<Service {self.topic}>"
