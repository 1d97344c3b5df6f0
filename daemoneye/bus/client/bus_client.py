"""BusClient: the bus for programs with threads.

    with BusClient.connect() as bus:
        bus.publish("events.demo.tick", b"1")
        with bus.subscribe("events.#") as events:
            for event in events:
                print(event.topic, event.publisher.name, event.lost)

Safe to share between threads.  Nothing here calls the user's code, so no lock can be held over it.
What happens when the broker goes away is told in `connection`; who reads the socket, in `reader`;
how publishes become frames, in `writer`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
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
from daemoneye.bus.client.calling import call_heading
from daemoneye.bus.client.connection import Connection
from daemoneye.bus.client.counters import Counters
from daemoneye.bus.client.destination import Destination
from daemoneye.bus.client.dialler import ATTEMPT_TIMEOUT, Connected, introduce
from daemoneye.bus.client.ending import Ending
from daemoneye.bus.client.gone import Gone, closed, remember
from daemoneye.bus.client.service import Service
from daemoneye.bus.client.subscriber import Jobs, Subscription
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
    written,
)
from daemoneye.bus.envelope import Carried, Correlation, Envelope, Payload
from daemoneye.bus.frames import Clear, ClientRow, RetainedRow, SubscriptionRow, TopicRow, Will
from daemoneye.bus.handshake import Return
from daemoneye.bus.memory import own_carriage
from daemoneye.bus.topics import Topic, check_topic
from daemoneye.errors import BusClosed
from daemoneye.lifeline import Passport


class BusClient(Ending):
    """A client of the bus."""

    __slots__ = ("__weakref__", "_connection", "_counted")

    def __init__(self, connection: Connection) -> None:
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
    ) -> BusClient:
        """A client of the running instance, found as the command line finds it.

        Or of the broker at `address`, or in `run_dir`.  Without `name` and `key` it is the
        operator, with a `name` alone the client of that name in the configuration; either is
        proven by a key in the run directory.  Raises NotRunning, ConfigError when the place cannot
        be trusted or has no client of that name, Refused when the broker says no, BusBroken when
        it is not there.

        Payloads of 256 KiB and more are passed on as memory where the platform can, else sent in
        chunks; without `pass_memory` always in chunks.
        """
        destination = Destination.find(address, name, key, run_dir)
        client = cls(_connection(destination, pass_memory=pass_memory))
        client._connection.start(now=True)
        return client

    @classmethod
    def for_child(
        cls,
        passport: Passport,
        waiting: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> BusClient:
        """The client of a supervised child.

        Returns at once and connects in the background, so that a child lives although the broker
        does not.  Whoever waits for events does so inside of `waiting()`.
        """
        client = cls(_connection(Destination.of_child(passport), waiting))
        client._connection.start(now=False)
        return client

    # ---- publishing -----------------------------------------------------------------------------

    @overload
    def publish(self, topic: str, payload: Payload, **said: Unpack[Said]) -> None: ...

    @overload
    def publish(self, topic: Topic[Carried], payload: Carried, **said: Unpack[Said]) -> None: ...

    def publish(
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
        """Publish and count, without waiting for anybody.

        `payload` is bytes, a protobuf message, or what JSON knows; of 256 KiB to 64 MiB it goes
        apart from its frame, and is read where it lies.  With a `target` only that
        identity receives it; after `expires_at` (Unix time) nobody needs it.  A burst is joined
        into frames, whose tail leaves within a few milliseconds, or with `flush`.  Without a
        connection it waits in a bounded box, where the oldest goes first: that is counted in
        `counters().dropped` and logged here, and subscribers are not told.  A signal handler may
        publish too; one that falls into another publish of its thread is written right after it.
        An exception out of a handler (a Ctrl-C) while this waits for room costs the connection;
        what was being written goes first on the next.

        With `retain` the broker keeps it for who subscribes later, instead of what was kept of the
        topic before: until something takes its place, it expires, or `clear_retained`.  A broker
        that is started anew is told it again.

        `guarantee` is "at-least-once" (so is what is published below `control`) or "best-effort"
        (all else): the first waits in a group that has no member just now.  Of equal `key`s a group
        by key handles one after the other.

        Raises InvalidTopic, TooLarge, BusClosed, LocalProtocolError for a payload of another kind
        and an `expires_at` that is no point in time.
        A denied publish is told later: logged, and counted in `counters().denied`.
        """
        plain = not (correlation or expires_at or retain or guarantee or key)
        if plain and type(topic) is str and type(payload) is bytes:  # as it mostly is
            self._connection.writer.publish(topic, payload, "", target)
            return
        text, data, content_type = written(topic, payload)
        if plain and type(data) is bytes:
            self._connection.writer.publish(text, data, content_type, target)
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
            self._connection.writer.publish_heading(heading, data)

    @overload
    def publish_many(
        self, topic: str, payloads: Iterable[Payload], **said: Unpack[Sent]
    ) -> None: ...

    @overload
    def publish_many(
        self, topic: Topic[Carried], payloads: Iterable[Carried], **said: Unpack[Sent]
    ) -> None: ...

    def publish_many(
        self,
        topic: str | Topic[Any],
        payloads: Iterable[Any],
        *,
        target: str = "",
        guarantee: str = "",
        key: str = "",
    ) -> None:
        """Publish these in order, in full frames; several times faster than one by one.

        Raises as `publish`, before any of them is published.
        """
        writer = self._connection.writer
        text = topic_of(topic)
        for each in batches(payloads, topic):
            if guarantee or key:
                heading = heading_of(text, target, each.content_type, guarantee=guarantee, key=key)
                writer.publish_all_with(heading, each.payloads)
            else:
                writer.publish_many(text, each.payloads, each.content_type, target)

    @overload
    def publish_confirmed(self, topic: str, payload: Payload, **said: Unpack[Asked]) -> Receipt: ...

    @overload
    def publish_confirmed(
        self, topic: Topic[Carried], payload: Carried, **said: Unpack[Asked]
    ) -> Receipt: ...

    def publish_confirmed(
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

        Raises as `publish`, LocalProtocolError in a signal handler that fell into this client while
        it writes or reads, AccessDenied, BackPressure when somebody who may lose nothing had no
        room for a second (or for `timeout`) and so nobody was sent it, DeadlineExceeded after
        `timeout` seconds, and BusBroken when there is no connection or it was lost before the
        answer.
        """
        text, data, content_type = written(topic, payload)
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
        connection = self._connection
        writer = connection.writer
        with writer.retaining.asking() if retain else nullcontext(int) as under:
            answer = connection.insist(
                lambda request, until: writer.request(heading, data, under(request), until),
                timeout,
                partial(no_receipt, heading, timeout),
            )
        return receipt_of(answer, until_handled=bool(until))

    def call(
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
        nobody waits any more when we give up.  It may be made while serving, by the
        same thread too.

        Raises NoResponder at once when nobody serves the topic, or when whoever had the call in
        hand is gone; Rejected with their words when they say no; DeadlineExceeded after `timeout`
        seconds; AccessDenied without the right to publish there; BackPressure when all who serve
        it have enough in hand; TooLarge, InvalidTopic, LocalProtocolError, so in a signal handler
        that fell into this client while it writes or reads; and BusBroken when there is no
        connection or it was lost before the reply.
        """
        text, data, content_type = in_bytes(topic, payload)
        check_topic(text)
        heading = call_heading(text, content_type, correlation, timeout, time.time_ns())
        return self._connection.call(heading, data, timeout)

    def flush(self) -> None:
        """Write what was published up to now, instead of leaving it to the next moment."""
        self._connection.writer.flush()

    def clear_retained(self, topic: str | Topic[object]) -> None:
        """Have the broker forget what is retained on this topic; harmless when nothing is.

        Who may publish there may do so.  Raises InvalidTopic, AccessDenied, DeadlineExceeded, and
        BusBroken when there is no connection: then only a broker started anew is not told it.
        """
        text = topic_of(topic)
        check_topic(text)
        connection = self._connection
        connection.writer.retaining.forget(text)
        connection.ask(
            lambda request, until: connection.writer.send(Clear(text, request), until),
            REQUEST_TIMEOUT,
        )

    def set_will(self, topic: str | Topic[Any], payload: Any, *, retain: bool = False) -> None:
        """Have the broker publish this as ours when we end without `close`, instead of any before.

        So when this process is killed or crashes, and when it is cut off and does not come back
        within 2 s.  Its correlation has the stage "will", and tells the `cause`: "exit:1",
        "signal:9", "heartbeat", "disconnected" …  Without a connection it holds when there is one.

        Raises InvalidTopic, TooLarge for more than 64 KiB, AccessDenied, LocalProtocolError.
        """
        self._connection.leave_will(will_of(topic, payload, retain))

    def clear_will(self) -> None:
        """Have nothing said when we end; harmless when there is no will."""
        self._connection.leave_will(Will())

    # ---- subscribing ----------------------------------------------------------------------------

    @overload
    def subscribe(
        self, *filters: str | Topic[Any], **wanted: Unpack[Listening]
    ) -> Subscription: ...

    @overload
    def subscribe(
        self, *filters: str | Topic[Any], group: str, **wanted: Unpack[Sharing]
    ) -> Jobs: ...

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
    ) -> Subscription:
        """Listen to what matches one of these filters; use it as a context manager.

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
        same group: each goes to one of them, who gets a `Job` and settles it.  `choice` is who gets
        the next one: "least-in-flight" (the default), "round-robin", "by-key" (equal keys in order,
        to the same member) or "standby" (one has all until it is gone).
        A member is given one message, and the next when it asks for it; for throughput
        `max_messages` gives it up to so many ahead, 64 at most, whose time runs while they wait.

        Raises InvalidTopic, AccessDenied, DeadlineExceeded when the broker reads nothing for 5 s,
        LocalProtocolError for an unknown overflow, for a bound that is none, and in a signal
        handler that fell into this client while it writes or reads.
        """
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
        return self._connection.subscribe(tuple(map(str, filters)), options, timeout)

    def serve(self, topic: str | Topic[Any], *, timeout: float | None = None) -> Service:
        """Answer calls of this topic; use it as a context manager, and iterate over the calls.

        Each is an event with `reply(payload)` and `reject(why)`, one of which is done once, and
        with `cancelled` and `deadline`.  Several processes may serve a topic: a call goes to the
        one with the fewest in hand.  `timeout` ends an iteration that has waited so many seconds
        for the next call.  Leaving the block ends the service: who still waits for a reply is told.

        Raises InvalidTopic for what is no topic, a filter for example, AccessDenied, and what
        `subscribe` does.
        """
        text = topic_of(topic)
        return Service(self._connection.subscribe((text,), serving_of(text), timeout))

    # ---- looking around -------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment; a closed client has none."""
        try:
            return self._connection.writer.connected
        except BusClosed:
            return False

    def clients(self) -> tuple[ClientRow, ...]:
        """The sessions of the broker, as far as one may know.  Raises BusError."""
        return self._connection.query("clients").clients

    def subscriptions(self) -> tuple[SubscriptionRow, ...]:
        """The subscriptions at the broker, as far as one may know.  Raises BusError."""
        return self._connection.query("subscriptions").subscriptions

    def retained(self, filter_text: str | Topic[Any] = "") -> tuple[RetainedRow, ...]:
        """The values retained on the topics of this filter (or all), as far as one may read them.

        Raises InvalidTopic, BusError.
        """
        return self._connection.query("retained", topic=str(filter_text)).retained

    def topics(self, filter_text: str | Topic[Any] = "") -> tuple[TopicRow, ...]:
        """The topics of this filter (or all) that are in use, as far as one may know.

        In use is what a connected client has published on, or has subscribed to by name.
        Raises InvalidTopic, BusError.
        """
        return (self._connection.query("topics", topic=str(filter_text))).topics

    def explain(self, action: str, topic: str | Topic[Any], *, who: str = "") -> Explanation:
        """Whether `who` (or we) may "publish" or "subscribe" there, and by which rule.

        Raises BusError when we may not ask.
        """
        return explanation_of(self._connection.query("access", who, action, str(topic)))

    def counters(self) -> Counters:
        """What this client has counted so far; after `close` what it had counted by then."""
        return self._counted or self._connection.counters()

    # ---- ending ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what waits, say goodbye and end, within 2 s; harmless when done before.

        What could not be sent is logged, and stays in `counters().waiting`.  Without this a program
        that ends writes the tail of its last burst, for a second at most, and says no goodbye.
        """
        connection = self._connection
        if isinstance(connection, Connection):
            self._counted = connection.counters()
            self._connection = cast("Connection", closed("BusClient.connect()"))
            try:
                connection.close()
            finally:
                self._counted = connection.counters()


def _connection(
    destination: Destination,
    waiting: Callable[[], AbstractContextManager[None]] | None = None,
    *,
    pass_memory: bool = True,
) -> Connection:
    def dial(wanted: Return) -> Connected:
        carriage = own_carriage(pass_memory)
        return introduce(destination.path, destination.claim(), ATTEMPT_TIMEOUT, carriage, wanted)

    return Connection(dial, waiting)


def _leave(client: BusClient, gone: Gone) -> None:
    connection = client._connection
    if isinstance(connection, Connection):
        client._connection = cast("Connection", gone)
        connection.abandon(cast("Connection", gone))
