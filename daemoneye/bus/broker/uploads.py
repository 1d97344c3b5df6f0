"""Large payloads on their way in: what comes ahead of a publish, and room for it.  Pure.

When all the room for large payloads is taken it is made at the cost of whoever holds most.  What
waits for a client is dropped, and counted as `overflow` like any other loss.  What a client was
given and does not let go of for longer than a write may take, or what it has begun to send and
does not go on with or not finish, costs it its connection.  Only when that does not help a publish
is refused.  What a client has begun to send takes no more than its share, because it takes that by
a promise.
"""

from __future__ import annotations

from daemoneye.bus.broker.deliveries import Deliveries, Ending
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.parcels import NO_DESCRIPTOR, Parcel, Parcels
from daemoneye.bus.broker.session import Passed, Session
from daemoneye.bus.broker.shares import shed_large
from daemoneye.bus.broker.streams import OVERFLOW
from daemoneye.bus.frames import Chunk, OuterFrame
from daemoneye.errors import BackPressure, BusError, LocalProtocolError, RemoteProtocolError

HOARDING = "parcels"
"""Why a session is doomed that keeps large payloads while others need the room."""


class Uploads:
    """Takes in chunks and descriptors, and hands out what a publish claims of them."""

    __slots__ = ("_deliveries", "_directory")

    def __init__(self, directory: Directory, deliveries: Deliveries) -> None:
        self._directory = directory
        self._deliveries = deliveries

    @property
    def _parcels(self) -> Parcels:
        return self._directory.backlog.parcels

    def take(self, session: Session, chunk: Chunk, now_ns: int) -> None:
        """A chunk has come.  Raises RemoteProtocolError and TooLarge: the session is over."""
        arrivals, holding = session.arrivals, session.outbox.holding
        is_new = arrivals.begins(chunk)
        arrivals.add(chunk)
        holding.fed(now_ns)
        if is_new:
            holding.begin(chunk.parcel, chunk.size, now_ns)
            if holding.is_crowding or not self._make_room(0, 0, now_ns):
                holding.give_up(chunk.parcel)
                arrivals.discard(chunk.parcel)
        elif not chunk.size:
            holding.give_up(chunk.parcel)

    def claim(self, session: Session, frame: OuterFrame, now_ns: int) -> Parcel | BusError:
        """What came ahead of this publish, to be let go of by the caller; or why it is refused.

        Raises RemoteProtocolError when what it owns did not come.
        """
        if frame.descriptors > 1:
            raise RemoteProtocolError(f"a publish owns {frame.descriptors} descriptors")
        if frame.descriptors:
            return self._of_descriptor(session.arrivals.claim(), frame.large_bytes, now_ns)
        content = session.arrivals.collect(frame.parcel, frame.large_bytes)
        parcel = session.outbox.holding.arrived(frame.parcel)
        if content is None or parcel is None:
            return _no_room(frame.large_bytes)
        parcel.content = content
        return parcel

    def let_go(self, claimed: Parcel | BusError) -> None:
        """Whoever wants it has it by now."""
        if isinstance(claimed, Parcel):
            self._parcels.let_go(claimed)

    def forget(self, session: Session) -> None:
        """The connection is gone: nobody will claim what came on it; harmless when done before."""
        self._parcels.released += (
            passed.descriptor
            for passed in session.arrivals.left_over()
            if passed.descriptor != NO_DESCRIPTOR
        )

    def _of_descriptor(self, passed: Passed, size: int, now_ns: int) -> Parcel | BusError:
        error: BusError
        if passed.descriptor == NO_DESCRIPTOR:
            return BackPressure("the broker has no descriptor free", hint="try again later")
        if not 0 < size == passed.size:
            error = LocalProtocolError(f"what came is no sealed memory of {size} bytes")
        elif size > self._directory.limits.payload_bytes:
            error = LocalProtocolError(f"a payload of {size} bytes is too large")
        elif not self._make_room(size, 1, now_ns):
            error = _no_room(size)
        else:
            return self._parcels.add(size, passed.descriptor)
        self._parcels.released.append(passed.descriptor)
        return error

    def _make_room(self, size: int, descriptors: int, now_ns: int) -> bool:
        """Whether there is room for that, made if need be at the cost of the greediest."""
        parcels = self._parcels
        if parcels.has_room(size, descriptors):
            return True
        patience_ns = round(self._directory.limits.write_timeout * 1e9)
        holders = [each for each in self._directory if each.outbox.holding.bytes]
        for session in sorted(holders, key=lambda each: each.outbox.holding.bytes, reverse=True):
            holding = session.outbox.holding
            while not parcels.has_room(size, descriptors):
                cause = shed_large(session.outbox)
                if cause is None:
                    break
                self._deliveries.dirty.add(session)
                if cause:
                    self._deliveries.condemn(session, Ending(OVERFLOW, cause))
                    break
            if not parcels.has_room(size, descriptors) and holding.is_stale(now_ns, patience_ns):
                detail = f"it kept {holding.bytes} bytes of large payloads that others need"
                self._deliveries.condemn(session, Ending(HOARDING, detail))
                holding.leave()
            if parcels.has_room(size, descriptors):
                return True
        return False


def _no_room(size: int) -> BackPressure:
    return BackPressure(
        f"there is no room for another large payload ({size} bytes)",
        hint="subscribers have not let go of earlier ones; limits.large_bytes is the bound",
    )
