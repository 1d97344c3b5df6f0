"""Requests: calls that came to us, as events to reply to.

    with bus.serve("control.demo.echo") as requests:
        for request in requests:
            request.reply(request.payload)

A `Request` is for threads, an `AsyncRequest` for tasks.  What may be said when is decided in
`calling`.
"""

from __future__ import annotations

import time
from typing import Any, Protocol, Self, cast

from daemoneye.bus.client.calling import Served, Slot
from daemoneye.bus.envelope import Payload, encode_payload
from daemoneye.bus.frames import Reply


class Answering(Protocol):
    """Where replies go: the client's connection."""

    def reply(self, slot: Slot, said: Reply) -> None:
        """Say it.  Raises as `Request.reply`."""


class AsyncAnswering(Protocol):
    """The same for tasks."""

    async def reply(self, slot: Slot, said: Reply) -> None:
        """Say it.  Raises as `AsyncRequest.reply`."""


class _Asked(Served):
    """A call with the subscription that it came by behind its slot."""

    __slots__ = ()

    @classmethod
    def of(cls, event: object, calls: object) -> Self:
        """What came by this subscription."""
        assert isinstance(event, Served)  # a subscription that serves hears nothing else
        return cls((*event, calls))  # type: ignore[arg-type]  # a tuple, and one more

    @property
    def _source(self) -> Any:
        calls: Any = tuple.__getitem__(self, 6)
        return calls.source


def _reply(payload: Payload) -> Reply:
    content, content_type = encode_payload(payload)
    return Reply(content_type=content_type, payload=content, time=time.time_ns())


def _rejection(why: str) -> Reply:
    return Reply(rejected=str(why) or "no reason was given", time=time.time_ns())


class Request(_Asked):
    """A call that came to us, as an event to reply to."""

    __slots__ = ()

    def reply(self, payload: Payload = b"") -> None:
        """Answer it, once.

        Raises TooLarge for what does not fit into a frame, and LocalProtocolError when it can have
        no reply (any more): it had one, its caller waits no more, the connection or the service
        that brought it is gone; also for a payload that is none.
        """
        cast("Answering", self._source).reply(self.slot, _reply(payload))

    def reject(self, why: str) -> None:
        """Say no, once: its caller gets `Rejected` with these words.  Raises as `reply`."""
        cast("Answering", self._source).reply(self.slot, _rejection(why))


class AsyncRequest(_Asked):
    """A call that came to us, as an event to reply to."""

    __slots__ = ()

    async def reply(self, payload: Payload = b"") -> None:
        """Answer it, once.

        Raises TooLarge for what does not fit into a frame, and LocalProtocolError when it can have
        no reply (any more): it had one, its caller waits no more, the connection or the service
        that brought it is gone; also for a payload that is none, and in another event loop.
        """
        await cast("AsyncAnswering", self._source).reply(self.slot, _reply(payload))

    async def reject(self, why: str) -> None:
        """Say no, once: its caller gets `Rejected` with these words.  Raises as `reply`."""
        await cast("AsyncAnswering", self._source).reply(self.slot, _rejection(why))
