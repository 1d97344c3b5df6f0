"""Both kinds of client with one face, so that each behaviour is written down once and held twice.

`Tasks` runs the client for tasks in an event loop of its own thread, and gives it the face of the
client for threads: each call there is a task here that is waited for.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from daemoneye.bus.client.async_bus_client import AsyncBusClient
from daemoneye.bus.client.async_service import AsyncService
from daemoneye.bus.client.async_subscriber import AsyncJobs, AsyncSubscription
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.counters import Counters
from daemoneye.bus.client.jobs import AsyncJob
from daemoneye.bus.client.requests import AsyncRequest
from daemoneye.bus.client.service import Service
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.envelope import Envelope
from daemoneye.bus.terms import Choice
from daemoneye.errors import BusClosed
from daemoneye.lifeline import Passport
from tests.support import scaled

Result = TypeVar("Result")

TICK = "events.demo.tick"


class Threads:
    """The client for threads."""

    connect = staticmethod(BusClient.connect)
    for_child = staticmethod(BusClient.for_child)

    def mishaps(self) -> list[str]:
        """Where no loop runs, none has any."""
        return []

    def close(self) -> None:
        """There is nothing to end."""


class Tasks:
    """The client for tasks, in a loop that runs in a thread until `close`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._mishaps: list[str] = []
        """What went wrong in the loop where nobody waited for it."""
        self.loop.set_exception_handler(lambda _, what: self._mishaps.append(f"{what}"))
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop")
        self._thread.start()
        self._pid = os.getpid()

    def connect(self, *address: object, **more: object) -> BusClient:
        opening = AsyncBusClient.connect(*address, **more)  # type: ignore[arg-type]  # as they come
        return cast("BusClient", _Client(self, self.run(_waited(opening))))

    def for_child(self, passport: Passport) -> BusClient:
        async def made() -> AsyncBusClient:
            return AsyncBusClient.for_child(passport)

        return cast("BusClient", _Client(self, self.run(made())))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What this gives, or raises, as a task of the loop."""
        if os.getpid() != self._pid:
            return _by_hand(work)
        task = asyncio.run_coroutine_threadsafe(work, self.loop)
        return task.result(scaled(30))

    def mishaps(self) -> list[str]:
        """What went wrong where nobody waited for it; whoever asks has expected it."""
        told, self._mishaps[:] = self._mishaps[:], []
        return told

    def close(self) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(scaled(5))
        self.loop.close()
        assert not self._mishaps, self._mishaps


class _Client:
    def __init__(self, tasks: Tasks, client: AsyncBusClient) -> None:
        self._tasks = tasks
        self._client = client

    @property
    def connected(self) -> bool:
        return self._client.connected

    @property
    def _connection(self) -> object:
        return self._client._connection

    def counters(self) -> Counters:
        return self._client.counters()

    def subscribe(self, *filters: str, **more: Any) -> Subscription:
        opening = self._client.subscribe(*filters, **more)
        return cast("Subscription", _Events(self._tasks, self._tasks.run(_waited(opening))))

    def serve(self, topic: str, **more: object) -> Service:
        opening = self._client.serve(topic, **more)  # type: ignore[arg-type]  # as they come
        return cast("Service", _Calls(self._tasks, self._tasks.run(_waited(opening))))

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._client, name)
        return lambda *given, **more: self._tasks.run(act(*given, **more))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tasks.run(self._client.close())


class _Job:
    def __init__(self, tasks: Tasks, job: AsyncJob) -> None:
        self._tasks = tasks
        self._job = job

    def __getattr__(self, name: str) -> Any:
        if name not in ("ack", "retry", "reject", "extend"):
            return getattr(self._job, name)
        say = getattr(self._job, name)
        return lambda *given, **more: self._tasks.run(say(*given, **more))


class _Events:
    def __init__(self, tasks: Tasks, events: AsyncSubscription) -> None:
        self._tasks = tasks
        self._events = events

    @property
    def narrowed(self) -> tuple[str, ...]:
        return self._events.narrowed

    @property
    def choice(self) -> Choice:
        return cast("AsyncJobs", self._events).choice

    @property
    def filters(self) -> tuple[str, ...]:
        return self._events.filters

    def get(self, timeout: float | None = None) -> Envelope | None:
        return self._alike(self._tasks.run(self._events.get(timeout)))

    def _alike(self, event: Envelope | None) -> Envelope | None:
        """A job whose words are said in the loop, and waited for."""
        if isinstance(event, AsyncJob):
            return cast("Envelope", _Job(self._tasks, event))
        return event

    def close(self) -> None:
        self._tasks.run(self._events.close())

    def __iter__(self) -> Iterator[Envelope]:
        events = aiter(self._events)
        while (event := self._alike(self._tasks.run(_next(events)))) is not None:
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Calls:
    def __init__(self, tasks: Tasks, service: AsyncService) -> None:
        self._tasks = tasks
        self._service = service

    @property
    def topic(self) -> str:
        return self._service.topic

    def get(self, timeout: float | None = None) -> _Request | None:
        request = self._tasks.run(self._service.get(timeout))
        return request and _Request(self._tasks, request)

    def close(self) -> None:
        self._tasks.run(self._service.close())

    def __iter__(self) -> Iterator[_Request]:
        requests = aiter(self._service)
        while (request := self._tasks.run(_next(requests))) is not None:
            yield _Request(self._tasks, request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Request:
    def __init__(self, tasks: Tasks, request: AsyncRequest) -> None:
        self._tasks = tasks
        self._request = request

    def reply(self, *given: Any) -> None:
        self._tasks.run(self._request.reply(*given))

    def reject(self, why: str) -> None:
        self._tasks.run(self._request.reject(why))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


# ---- what tests of both do ----------------------------------------------------------------------


def payloads(events: Subscription, count: int) -> list[bytes]:
    """The next so many payloads."""
    found = []
    while len(found) < count:
        event = events.get(scaled(5))
        assert event is not None, f"only {len(found)} of {count} came"
        found.append(bytes(event.payload))
    return found


def is_steady(seen: list[int], count: int) -> bool:
    """Whether the last looks at a count saw the same, and not nothing."""
    seen.append(count)
    return count > 0 and len(seen) > 2 and len(set(seen[-3:])) == 1


def flood_until_closed(bus: BusClient) -> None:
    try:
        while True:
            bus.publish(TICK, bytes(1000))
    except BusClosed:
        pass


# ---- inside -------------------------------------------------------------------------------------


async def _waited(opening: Any) -> Any:
    return await opening


async def _next(events: AsyncIterator[Result]) -> Result | None:
    """The next; None at the end, because a StopAsyncIteration does not get out of a task."""
    return await anext(events, None)


def _by_hand(work: Coroutine[Any, Any, Result]) -> Result:
    """In a forked process, whose loop is its parent's: as far as it goes without waiting."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("Result", done.value)
    work.close()
    raise AssertionError("it waits for a loop that does not run here")
