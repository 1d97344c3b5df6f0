"""AsyncBusClient: the bus for programs with an event loop.

    async with AsyncBusClient.connect() as bus:
        await bus.publish("events.demo.tick", b"1")
        async with bus.subscribe("events.#") as events:
            async for event in events:
                print(event.topic, event.publisher.name, event.lost)

It is `BusClient` with `await`: the same options, receipts, errors and reconnects, over the same
rules.  Safe to share between the tasks of the loop it was made in, and refused in any other.  There
is no thread.  A task that is cancelled loses no event and leaves the client good: what it was
waiting to publish is not published, what it was waiting for goes to the next who waits.

The loop has to come round now and then: while a program keeps it busy nothing is read, nor is the
broker answered, which gives up a client that has been silent for 15 s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, Unpack, cast, overload

from daemoneye.bus.client.answers import (
    REQUEST_TIMEOUT,
    Explanation,
    Receipt,
    explanation_of,
    no_receipt,
    receipt_of,
)
from daemoneye.bus.client.async_connection import AsyncConnection
from daemoneye.bus.client.async_dialler import introduce
from daemoneye.bus.client.async_service import AsyncService
from daemoneye.bus.client.async_subscriber import AsyncJobs, AsyncSubscription
from daemoneye.bus.client.calling import call_heading
from daemoneye.bus.client.counters import Counters
from daemoneye.bus.client.destination import Destination
from daemoneye.bus.client.ending import AsyncEnding
from daemoneye.bus.client.gone import Gone, closed, remember
from daemoneye.bus.client.opening import Opening
from daemoneye.bus.client.wishes import (
    Asked,
    Listening,
    Said,
    Sent,
    Sharing,
    batches,
    heading_of,
    in_bytes,
    options_of,
    selection_of,
    serving_of,
    topic_of,
    will_of,
)
from daemoneye.bus.envelope import Carried, Correlation, Envelope, Payload
from daemoneye.bus.frames import (
    Answer,
    Clear,
    ClientRow,
    RetainedRow,
    SubscriptionRow,
    TopicRow,
    Will,
)
from daemoneye.bus.memory import own_carriage
from daemoneye.bus.topics import Topic, check_topic
from daemoneye.errors import BusClosed
from daemoneye.lifeline import Passport


class AsyncBusClient(AsyncEnding):
    """A client of the bus, for tasks."""

    __slots__ = ("__weakref__", "_connection", "_counted")

    def __init__(self, connection: AsyncConnection) -> None:
        """Use `connect` or `for_child`."""
        self._connection = connection
        self._counted: Counters | None = None  # when there is nothing left to count
        remember(self, _leave)

    @classmethod
    def connect(
        cls,
        address: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        key: bytes | None = None,
        run_dir: str | os.PathLike[str] | None = None,
        pass_memory: bool = True,
    ) -> Opening[AsyncBusClient]:
        """A client of the running instance, found as the command line finds it.

        Or of the broker at `address`, or in `run_dir`.  Await it, or use it with `async with`;
        before that nothing is done.  Without `name` and `key` it is the operator, with a `name`
        alone the client of that name in the configuration; either is proven by a key in the run
        directory.  Raises NotRunning, ConfigError when the place cannot be trusted or has no
        client of that name, Refused when the broker says no, BusBroken when it is not there.

        Payloads of 256 KiB and more are passed on as memory where the platform can, else sent in
        chunks; without `pass_memory` always in chunks.
        """

        async def connected() -> AsyncBusClient:
            destination = Destination.find(address, name, key, run_dir)
            client = cls(_connection(destination, pass_memory))
            await client._connection.connect()
            return client

        return Opening(connected)

    @classmethod
    def for_child(cls, passport: Passport) -> AsyncBusClient:
        """The client of a supervised child, made in its running loop from `child.passport`.

        Returns at once and connects in the background, so that a child lives although the broker
        does not.  Use it instead of `child.bus`, not beside it: each would give numbers of its own
        to what the child publishes on a topic.
        """
        client = cls(_connection(Destination.of_child(passport)))
        client._connection.connect_later()
        return client

    # ---- publishing -----------------------------------------------------------------------------

    @overload
    async def publish(self, topic: str, payload: Payload, **said: Unpack[Said]) -> None: ...

    @overload
    async def publish(
        self, topic: Topic[Carried], payload: Carried, **said: Unpack[Said]
    ) -> None: ...

    async def publish(
        self,
        topic: str | Topic[Any],
        payload: Any,
        *,
        target: str = "",
        correlation: Correlation | None = None,
        expires_at: float = 0.0,
        retain: bool = False,
        guarantee: str = "",
        key: str = "",
    ) -> None:
        """Publish and count.

        Waits for nobody but the kernel, when that has no room, and gives the loop a turn now and
        then.  `payload` is bytes, a protobuf message, or what JSON knows.  With a `target` only
        that identity receives it; after `expires_at` (Unix time) nobody needs it.  A burst is
        joined into frames, whose tail leaves within a few milliseconds, or with `flush`.  Without
        a connection it waits in a bounded box, where the oldest goes first: that is counted in
        `counters().dropped` and logged here, and subscribers are not told.

        With `retain` the broker keeps it for who subscribes later, instead of what was kept of the
        topic before: until something takes its place, it expires, or `clear_retained`.  A broker
        that is started anew is told it again.

        `guarantee` is "at-least-once" (so is what is published below `control`) or "best-effort"
        (all else): the first waits in a group that has no member just now.  Of equal `key`s a group
        by key handles one after the other.

        Raises InvalidTopic, TooLarge, BusClosed, LocalProtocolError for a payload of another kind,
        an `expires_at` that is no point in time and in another event loop.
        A denied publish is told later: logged, and counted in `counters().denied`.
        """
        text: str
        data: bytes
        if type(topic) is str and type(payload) is bytes:
            text, data, content_type = topic, payload, ""
        else:
            text, data, content_type = in_bytes(topic, payload)
        connection = self._connection
        connection.here()
        writer = connection.writer
        if writer.outlet.crowded:
            await writer.outlet.room()
        if correlation is None and not (expires_at or retain or guarantee or key):
            writer.publish(text, data, content_type, target)
        else:
            heading = heading_of(
                text,
                target,
                content_type,
                correlation,
                expires_at,
                retain,
                guarantee=guarantee,
                key=key,
            )
            writer.publish_on(writer.course(heading, data), data)

    @overload
    async def publish_many(
        self, topic: str, payloads: Iterable[Payload], **said: Unpack[Sent]
    ) -> None: ...

    @overload
    async def publish_many(
        self, topic: Topic[Carried], payloads: Iterable[Carried], **said: Unpack[Sent]
    ) -> None: ...

    async def publish_many(
        self,
        topic: str | Topic[Any],
        payloads: Iterable[Any],
        *,
        target: str = "",
        guarantee: str = "",
        key: str = "",
    ) -> None:
        """Publish these in order, in full frames; several times faster than one by one.

        Raises as `publish`, before any of them is published.  Cancelled, it may have published the
        first of them.
        """
        connection = self._connection
        connection.here()
        text, every = topic_of(topic), batches(payloads, topic)
        if not (guarantee or key):
            await connection.writer.publish_many(text, every, target)
            return
        headings = [
            heading_of(text, target, each.content_type, guarantee=guarantee, key=key)
            for each in every
        ]
        await connection.writer.publish_many_with(headings, every)

    @overload
    async def publish_confirmed(
        self, topic: str, payload: Payload, **said: Unpack[Asked]
    ) -> Receipt: ...

    @overload
    async def publish_confirmed(
        self, topic: Topic[Carried], payload: Carried, **said: Unpack[Asked]
    ) -> Receipt: ...

    async def publish_confirmed(
        self,
        topic: str | Topic[Any],
        payload: Any,
        *,
        target: str = "",
        correlation: Correlation | None = None,
        retain: bool = False,
        guarantee: str = "",
        key: str = "",
        until: str = "",
        timeout: float = 5.0,
    ) -> Receipt:
        """Publish and wait for what the broker says became of it.

        With `until="handled"` that is when every group that took it has acknowledged it: it raises
        Rejected when one did not, and NoResponder when there is none.  When `timeout` is over
        first, the message is not taken back.

        Raises as `publish`, AccessDenied, BackPressure when somebody who may lose nothing had no
        room for a second (or for `timeout`) and so nobody was sent it, DeadlineExceeded after
        `timeout` seconds, and BusBroken when there is no connection or it was lost before the
        answer.
        """
        text, data, content_type = in_bytes(topic, payload)
        connection = self._connection
        connection.here()
        writer = connection.writer
        heading = heading_of(
            text,
            target,
            content_type,
            correlation,
            retain=retain,
            guarantee=guarantee,
            key=key,
            until=until,
        )
        course = writer.course(heading, data)
        with writer.retaining.asking() if retain else nullcontext(int) as under:
            answer = await connection.insist(
                lambda request: writer.publish_on(course, data, under(request)),
                timeout,
                partial(no_receipt, heading, timeout),
            )
        return receipt_of(answer, until_handled=bool(until))

    async def call(
        self,
        topic: str | Topic[Any],
        payload: Any = b"",
        *,
        timeout: float = 2.0,
        correlation: Correlation | None = None,
    ) -> Envelope:
        """Ask whoever serves a topic, and wait for the reply: an event, with `.payload`, `.json()`,
        `.unpack()`, and in `.publisher` who replied, proven to the broker.

        Payload and reply have to fit into a frame.  Whoever serves is told the deadline, and that
        nobody waits any more when we give up.

        Raises NoResponder at once when nobody serves the topic, or when whoever had the call in
        hand is gone; Rejected with their words when they say no; DeadlineExceeded after `timeout`
        seconds; AccessDenied without the right to publish there; BackPressure when all who serve
        it have enough in hand; TooLarge, InvalidTopic, LocalProtocolError; and BusBroken when there
        is no connection or it was lost before the reply.
        """
        text, data, content_type = in_bytes(topic, payload)
        check_topic(text)
        connection = self._connection
        connection.here()
        heading = call_heading(text, content_type, correlation, timeout, time.time_ns())
        return await connection.call(heading, data, timeout)

    async def flush(self) -> None:
        """Write what was published up to now, and wait until the kernel has it."""
        connection = self._connection
        connection.here()
        connection.writer.write_draft()
        if connection.writer.outlet.crowded:
            await connection.writer.outlet.room()

    async def clear_retained(self, topic: str | Topic[object]) -> None:
        """Have the broker forget what is retained on this topic; harmless when nothing is.

        Who may publish there may do so.  Raises InvalidTopic, AccessDenied, DeadlineExceeded, and
        BusBroken when there is no connection: then only a broker started anew is not told it.
        """
        text = topic_of(topic)
        check_topic(text)
        connection = self._connection
        connection.here()
        connection.writer.retaining.forget(text)
        await connection.ask(
            lambda request: connection.writer.send(Clear(text, request)), REQUEST_TIMEOUT
        )

    async def set_will(
        self, topic: str | Topic[Any], payload: Any, *, retain: bool = False
    ) -> None:
        """Have the broker publish this as ours when we end without `close`, instead of any before.

        So when this process is killed or crashes, and when it is cut off and does not come back
        within 2 s.  Its correlation has the stage "will", and tells the `cause`: "exit:1",
        "signal:9", "heartbeat", "disconnected" …  Without a connection it holds when there is one.

        Raises InvalidTopic, TooLarge for more than 64 KiB, AccessDenied, LocalProtocolError.
        """
        self._connection.here()
        await self._connection.leave_will(will_of(topic, payload, retain))

    async def clear_will(self) -> None:
        """Have nothing said when we end; harmless when there is no will."""
        self._connection.here()
        await self._connection.leave_will(Will())

    # ---- subscribing ----------------------------------------------------------------------------

    @overload
    def subscribe(
        self, *filters: str | Topic[Any], **wanted: Unpack[Listening]
    ) -> Opening[AsyncSubscription]: ...

    @overload
    def subscribe(
        self, *filters: str | Topic[Any], group: str, **wanted: Unpack[Sharing]
    ) -> Opening[AsyncJobs]: ...

    def subscribe(
        self,
        *filters: str | Topic[Any],
        overflow: str = "default",
        timeout: float | None = None,
        max_messages: int = 0,
        max_bytes: int = 0,
        correlation_id: str = "",
        stage: str = "",
        tags: Mapping[str, str] | None = None,
        replay: str = "if-new",
        group: str = "",
        choice: str = "",
    ) -> Opening[AsyncSubscription] | Opening[AsyncJobs]:
        """Listen to what matches one of these filters; use it with `async with`, or await it.

        `overflow` names what happens when we are too slow, and what waits for us at the broker
        reaches its bound: with "drop-oldest" and "drop-newest" messages at that end of it are lost;
        with "latest" what waits is replaced by what comes after it from the same publisher on the
        same topic.  The next event tells how many as `lost["overflow"]`.  With "block" a confirmed
        publish that finds no room reaches nobody, and its publisher is told so; of others the
        newest are lost and told.  With "disconnect" nothing
        is missed in part: the broker ends the connection, which is logged, the client makes
        another, the subscription and those who iterate over it go on, and the next event tells the
        gap as `lost["disconnected"]`; until it comes an iteration may end by its `timeout`.
        "default" goes by the topic: "latest" for heartbeats, status and `$bus.stats`, "disconnect"
        for other control, else "drop-oldest".

        `max_messages` and `max_bytes` bound what waits at the broker, and separately what waits
        here.  Of what is retained on its topics a subscription begins with those values that it
        has not heard; with `replay="all"` with all of them, also after a reconnect, with "none"
        with none.  `timeout` ends an iteration that has waited so many seconds for the next event.

        With `correlation_id`, `stage` or `tags` only those events come whose correlation has that
        id (or has it at its root), that stage, and all of these tags.

        With a `group` the subscription shares its messages with all others of this filter in the
        same group: each goes to one of them, who gets an `AsyncJob` and settles it.  `choice` is
        who gets the next one: "least-in-flight" (the default), "round-robin", "by-key" (equal keys
        in order, to the same member) or "standby" (one has all until it is gone).
        A member is given one message, and the next when it asks for it; for throughput
        `max_messages` gives it up to so many ahead, 64 at most, whose time runs while they wait.

        Raises InvalidTopic, AccessDenied, DeadlineExceeded when the broker reads nothing for 5 s,
        LocalProtocolError for an unknown overflow, for a bound that is none, and in another event
        loop.
        """

        async def subscribed() -> AsyncSubscription:
            connection = self._connection
            connection.here()
            options = options_of(
                filters,
                overflow,
                max_messages,
                max_bytes,
                selection_of(correlation_id, stage, tags),
                replay,
                group=group,
                choice=choice,
            )
            return await connection.subscribe(tuple(map(str, filters)), options, timeout)

        return Opening(subscribed)

    def serve(
        self, topic: str | Topic[Any], *, timeout: float | None = None
    ) -> Opening[AsyncService]:
        """Answer calls of this topic; use it with `async with`, and iterate over the calls.

        Each is an event with `reply(payload)` and `reject(why)`, one of which is done once, and
        with `cancelled` and `deadline`.  Several processes may serve a topic: a call goes to the
        one with the fewest in hand.  `timeout` ends an iteration that has waited so many seconds
        for the next call.  Leaving the block ends the service: who still waits for a reply is told.

        Raises InvalidTopic for what is no topic, a filter for example, AccessDenied, and what
        `subscribe` does.
        """

        async def serving() -> AsyncService:
            connection = self._connection
            connection.here()
            text = topic_of(topic)
            return AsyncService(await connection.subscribe((text,), serving_of(text), timeout))

        return Opening(serving)

    # ---- looking around -------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment; a closed client has none."""
        try:
            return self._connection.writer.connected
        except BusClosed:
            return False

    async def clients(self) -> tuple[ClientRow, ...]:
        """The sessions of the broker, as far as one may know.  Raises BusError."""
        return (await self._query("clients")).clients

    async def subscriptions(self) -> tuple[SubscriptionRow, ...]:
        """The subscriptions at the broker, as far as one may know.  Raises BusError."""
        return (await self._query("subscriptions")).subscriptions

    async def retained(self, filter_text: str | Topic[Any] = "") -> tuple[RetainedRow, ...]:
        """The values retained on the topics of this filter (or all), as far as one may read them.

        Raises InvalidTopic, BusError.
        """
        return (await self._query("retained", topic=str(filter_text))).retained

    async def topics(self, filter_text: str | Topic[Any] = "") -> tuple[TopicRow, ...]:
        """The topics of this filter (or all) that are in use, as far as one may know.

        In use is what a connected client has published on, or has subscribed to by name.
        Raises InvalidTopic, BusError.
        """
        return (await self._query("topics", topic=str(filter_text))).topics

    async def explain(self, action: str, topic: str | Topic[Any], *, who: str = "") -> Explanation:
        """Whether `who` (or we) may "publish" or "subscribe" there, and by which rule.

        Raises BusError when we may not ask.
        """
        return explanation_of(await self._query("access", who, action, str(topic)))

    def counters(self) -> Counters:
        """What this client has counted so far; after `close` what it had counted by then."""
        return self._counted or self._connection.counters()

    # ---- ending ---------------------------------------------------------------------------------

    async def close(self) -> None:
        """Write what waits, say goodbye and end, within 2 s; harmless when done before.

        What could not be sent is logged, and stays in `counters().waiting`.  Without this a program
        that ends writes the tail of its last burst, for a second at most, and says no goodbye.
        """
        connection = self._connection
        if isinstance(connection, AsyncConnection):
            connection.here()
            self._counted = connection.counters()
            self._connection = cast("AsyncConnection", closed("AsyncBusClient.connect()"))
            try:
                await connection.close()
            finally:
                self._counted = connection.counters()

    async def _query(self, what: str, who: str = "", action: str = "", topic: str = "") -> Answer:
        connection = self._connection
        connection.here()
        return await connection.query(what, who, action, topic)


def _connection(destination: Destination, pass_memory: bool = True) -> AsyncConnection:
    return AsyncConnection(
        lambda wanted: introduce(destination, carriage=own_carriage(pass_memory), wanted=wanted)
    )


def _leave(client: AsyncBusClient, gone: Gone) -> None:
    connection = client._connection
    if isinstance(connection, AsyncConnection):
        client._connection = cast("AsyncConnection", gone)
        connection.abandon(cast("AsyncConnection", gone))
