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
import secrets
import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, cast

from daemoneye.bus.client.answers import Receipt, receipt_of
from daemoneye.bus.client.connection import Connection
from daemoneye.bus.client.counters import Counters, counters
from daemoneye.bus.client.dialler import Connected, introduce
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.client.wishes import batches, heading_of, options_of
from daemoneye.bus.envelope import Correlation, Payload, encode_payload
from daemoneye.bus.frames import Answer, ClientRow, SubscriptionRow
from daemoneye.bus.handshake import Claim
from daemoneye.bus.topics import Topic
from daemoneye.errors import BusClosed, BusError, LocalProtocolError
from daemoneye.lifeline import Passport
from daemoneye.rundir import RunDir

OPERATOR = "operator"
CONNECT_TIMEOUT = 5.0

_ATTEMPT_TIMEOUT = 3.0  # s; one second more than the broker gives the handshake


class BusClient:
    """A client of the bus."""

    __slots__ = ("__weakref__", "_connection")

    def __init__(self, connection: Connection) -> None:
        """Use `connect` or `for_child`."""
        self._connection = connection
        _living.add(self)

    @classmethod
    def connect(
        cls,
        address: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        key: bytes | None = None,
        run_dir: str | os.PathLike[str] | None = None,
    ) -> BusClient:
        """A client of the running instance, found as the command line finds it.

        Or of the broker at `address`, or in `run_dir`.  Without `name` and `key` it is the
        operator, proven by `operator.key` in the run directory.  Raises NotRunning, ConfigError
        when the place cannot be trusted, Refused when the broker says no, BusBroken when it is not
        there.
        """
        if (name is None) != (key is None):
            raise LocalProtocolError("a name needs its key", hint="give both, or none of them")
        place = RunDir.find(run_dir) if address is None else RunDir(Path(address).absolute().parent)
        path = place.bus_path if address is None else Path(address)
        if key is None:
            place.check()
        incarnation = secrets.randbits(63) | 1

        def claim() -> Claim:
            # Read anew for each attempt: a restarted instance has a new key.
            return Claim(name or OPERATOR, incarnation, key or place.read_operator_key())

        client = cls(Connection(lambda: _dial(path, claim())))
        client._connection.start(now=True)
        return client

    @classmethod
    def for_child(
        cls,
        passport: Passport,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> BusClient:
        """The client of a supervised child.

        Returns at once and connects in the background, so that a child lives although the broker
        does not.  Whoever waits for events does so inside of `waiting()`.
        """
        path = Path(passport.bus_address)
        claim = Claim(passport.name, passport.incarnation, passport.key)
        client = cls(Connection(lambda: _dial(path, claim), waiting))
        client._connection.start(now=False)
        return client

    # ---- publishing -----------------------------------------------------------------------------

    def publish(
        self,
        topic: str | Topic[object],
        payload: Payload,
        *,
        target: str = "",
        correlation: Correlation | None = None,
        expires_at: float = 0.0,
    ) -> None:
        """Publish and count, without waiting for anybody.

        `payload` is bytes, a protobuf message, or what JSON knows.  With a `target` only that
        identity receives it; after `expires_at` (Unix time) nobody needs it.  A burst is joined
        into frames, whose tail leaves within a few milliseconds, or with `flush`.  Without a
        connection it waits in a bounded box, where the oldest goes first: that is counted in
        `counters().dropped` and logged here, and subscribers are not told.  A signal handler may
        publish too; one that falls into another publish of its thread is written right after it.
        An exception out of a handler (a Ctrl-C) while this waits for room costs the connection;
        what was being written goes first on the next.

        Raises InvalidTopic, TooLarge, BusClosed, LocalProtocolError for a payload of another kind
        and an `expires_at` that is no point in time.
        A denied publish is told later: logged, and counted in `counters().denied`.
        """
        if type(payload) is bytes:
            data, content_type = payload, ""
        else:
            data, content_type = encode_payload(payload)
        if correlation is None and not expires_at:
            self._connection.writer.publish(str(topic), data, content_type, target)
        else:
            heading = heading_of(str(topic), target, content_type, correlation, expires_at)
            self._connection.writer.publish_heading(heading, data)

    def publish_many(
        self, topic: str | Topic[object], payloads: Iterable[Payload], *, target: str = ""
    ) -> None:
        """Publish these in order, in full frames; several times faster than one by one.

        Raises as `publish`, before any of them is published.
        """
        writer = self._connection.writer
        for each in batches(payloads):
            writer.publish_many(str(topic), each.payloads, each.content_type, target)

    def publish_confirmed(
        self,
        topic: str | Topic[object],
        payload: Payload,
        *,
        target: str = "",
        correlation: Correlation | None = None,
        timeout: float = 5.0,
    ) -> Receipt:
        """Publish and wait for what the broker says became of it.

        Raises as `publish`, LocalProtocolError in a signal handler that fell into a publish,
        AccessDenied, BackPressure, DeadlineExceeded after `timeout`
        seconds, and BusBroken when there is no connection or it was lost before the answer.
        """
        data, content_type = encode_payload(payload)
        heading = heading_of(str(topic), target, content_type, correlation)
        connection = self._connection
        answer = connection.ask(
            lambda request, until: connection.writer.request(heading, data, request, until),
            timeout,
        )
        return receipt_of(answer)

    def flush(self) -> None:
        """Write what was published up to now, instead of leaving it to the next moment."""
        self._connection.writer.flush()

    # ---- subscribing ----------------------------------------------------------------------------

    def subscribe(
        self,
        *filters: str,
        overflow: str = "default",
        timeout: float | None = None,
        max_messages: int = 0,
        max_bytes: int = 0,
    ) -> Subscription:
        """Listen to what matches one of these filters; use it as a context manager.

        `overflow` names what happens when we are too slow: "drop-oldest", "drop-newest", "latest",
        "disconnect", or the default of the topic.  `max_messages` and `max_bytes` bound what waits
        at the broker, and separately what waits here.  `timeout` ends an iteration that has waited
        so many seconds for the next event.

        Raises InvalidTopic, AccessDenied, LocalProtocolError for an unknown overflow, for a bound
        that is none, and in a signal handler that fell into a publish.
        """
        options = options_of(filters, overflow, max_messages, max_bytes)
        return self._connection.subscribe(filters, options, timeout)

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

    def explain(self, action: str, topic: str, *, who: str = "") -> Answer:
        """Whether `who` (or we) may "publish" or "subscribe" there, in `.detail`, `.rule`.

        Raises BusError when we may not ask.
        """
        return self._connection.query("access", who, action, topic)

    def counters(self) -> Counters:
        """What this client has counted so far."""
        connection = self._connection
        writer, told = connection.writer, connection.dialogue.notices.counts
        return counters(writer.tally, told, writer.waiting, writer.dropped)

    # ---- ending ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what waits, say goodbye and end, within 2 s; harmless when done before."""
        connection = self._connection
        if isinstance(connection, Connection):
            self._connection = _gone(
                BusClosed("this client was closed", hint="make another with BusClient.connect()")
            )
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Gone:
    """Stands where a connection was: whatever is wanted of it raises why it is gone."""

    def __init__(self, error: BusError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> NoReturn:
        raise self._error


def _gone(error: BusError) -> Connection:
    return cast("Connection", _Gone(error))


def _dial(path: Path, claim: Claim) -> Connected:
    return introduce(path, claim, _ATTEMPT_TIMEOUT)


_living: weakref.WeakSet[BusClient] = weakref.WeakSet()


def _leave_behind() -> None:
    """After a fork the socket is the parent's: two processes would mix their frames on it."""
    error = BusClosed(
        "this client belongs to the process that was forked",
        hint="make a client in the new process; better still, start processes with spawn",
    )
    for client in list(_living):
        connection = client._connection
        if isinstance(connection, Connection):
            client._connection = _gone(error)
            connection.abandon(_gone(error))
    _living.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_behind)
