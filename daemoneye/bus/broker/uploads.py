"""Large payloads on their way in: what comes ahead of a publish, and room for it.  Pure.

When all the room for large payloads is taken it is made at the cost of whoever holds most.  What
waits for a client is dropped, and counted as `overflow` like any other loss.  What a client was
given and does not let go of for longer than a write may take, or what it has begun to send and
does not go on with or not finish, costs it its connection.  Only when that does not help a publish
is refused.  What the connections of one identity have begun to send is no more than a share, and
takes the room of what has come of it: a promise alone takes none from anybody.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from daemoneye.bus.broker.deliveries import Deliveries, Ending
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.parcels import NO_DESCRIPTOR, Parcel, Parcels
from daemoneye.bus.broker.session import Passed, Session
from daemoneye.bus.broker.shares import drop_large, shed_large
from daemoneye.bus.broker.streams import OVERFLOW
from daemoneye.bus.frames import Chunk, OuterFrame
from daemoneye.errors import BackPressure, LocalProtocolError, RemoteProtocolError

HOARDING = "parcels"
"""Why a session is doomed that keeps large payloads while others need the room."""

UNCLAIMED = "unclaimed"
"""Why one is doomed whose descriptor waits for its publish for too long."""


class Uploads:
    """Takes in chunks and descriptors, and hands out what a publish claims of them."""

    __slots__ = ("_deliveries", "_directory", "expecting")

    def __init__(self, directory: Directory, deliveries: Deliveries) -> None:
        self._directory = directory
        self._deliveries = deliveries
        self.expecting: dict[Session, None] = {}
        """Sessions whose descriptors have come and wait for their publish."""

    @property
    def _parcels(self) -> Parcels:
        return self._directory.backlog.parcels

    def take(self, session: Session, chunk: Chunk) -> None:
        """A chunk has come.  Raises RemoteProtocolError and TooLarge: the session is over."""
        arrivals, holding = session.arrivals, session.outbox.holding
        is_new, number = arrivals.begins(chunk), chunk.parcel
        arrivals.add(chunk)
        if not chunk.size:
            holding.give_up(number)
            return
        if is_new:
            holding.begin(number, chunk.size)
        holding.fed(number, len(chunk.content))
        if number in holding.coming and ((is_new and holding.is_crowding) or not self._make_room()):
            holding.give_up(number)
            arrivals.discard(number)

    # ---- descriptors ----------------------------------------------------------------------------

    def came(self, session: Session, passed: Iterable[Passed]) -> None:
        """Descriptors have come, which are in flight from now on.

        Raises RemoteProtocolError when too many wait for their publish: the session is over.
        """
        things, parcels = list(passed), self._parcels
        parcels.descriptors += sum(each.descriptor != NO_DESCRIPTOR for each in things)
        holding = session.outbox.holding
        holding.expect(len(things))
        self.expecting[session] = None
        session.arrivals.came(things)
        if holding.is_littering:
            raise RemoteProtocolError(
                f"{holding.owner.unclaimed} descriptors came on connections of"
                f" {session.identity.name} that no frame owns"
            )

    def seconds_left(self) -> float | None:
        """Until the first of them has waited for too long; None when none waits."""
        if not self.expecting:
            return None
        oldest = min(each.outbox.holding.unclaimed[0] for each in self.expecting)
        return oldest + self._directory.limits.write_timeout - self._parcels.clock.now

    def give_up_overdue(self, spared: Container[Session]) -> None:
        """Cut off whose descriptors have waited for too long.

        Their publish may be here and have to wait for its turn: such sessions are spared.
        """
        patience = self._directory.limits.write_timeout
        for session in self.expecting:
            waited = self._parcels.clock.now - session.outbox.holding.unclaimed[0]
            if waited >= patience and session not in spared:
                detail = f"a descriptor came and no publish that owns it in {waited:.0f} s"
                self._deliveries.condemn(session, Ending(UNCLAIMED, detail))
        self._deliveries.settle()

    # ---- publishes ------------------------------------------------------------------------------

    def claim(self, session: Session, frame: OuterFrame) -> Parcel | None:
        """What came ahead of this publish, to be let go of; None when there was no room for it.

        It costs nobody anything yet: first it has to be known whether the publish is allowed.
        Raises RemoteProtocolError when what it owns did not come.
        """
        if frame.descriptors > 1:
            raise RemoteProtocolError(f"a publish owns {frame.descriptors} descriptors")
        if frame.descriptors:
            passed = session.arrivals.claim()
            self._count_off(session)
            if passed.descriptor == NO_DESCRIPTOR:
                return None
            self._parcels.descriptors -= 1
            return self._parcels.add(passed.size, passed.descriptor)
        content = session.arrivals.collect(frame.parcel, frame.large_bytes)
        parcel = session.outbox.holding.arrived(frame.parcel)
        if parcel is not None:
            parcel.content = content
        return parcel

    def admit(self, parcel: Parcel | None, frame: OuterFrame) -> Parcel:
        """What a publish that is allowed has claimed, with room for it.

        Raises BackPressure when there is none, and LocalProtocolError when it is something else.
        """
        if parcel is None:
            if frame.descriptors:
                raise BackPressure("the broker has no descriptor free", hint="try again later")
            raise _no_room(frame.large_bytes)
        if frame.descriptors:
            if not 0 < frame.large_bytes == parcel.size:
                raise LocalProtocolError(
                    f"what came is no sealed memory of {frame.large_bytes} bytes"
                )
            if not self._make_room():
                raise _no_room(parcel.size)
        return parcel

    def let_go(self, parcel: Parcel | None) -> None:
        """Whoever wants it has it by now."""
        if parcel is not None:
            self._parcels.let_go(parcel)

    def forget(self, session: Session) -> None:
        """The connection is gone: nobody will claim what came on it; harmless when done before."""
        parcels = self._parcels
        for passed in session.arrivals.left_over():
            self._count_off(session)
            if passed.descriptor != NO_DESCRIPTOR:
                parcels.descriptors -= 1
                parcels.released.append(passed.descriptor)

    def _count_off(self, session: Session) -> None:
        """What came first does not wait for its publish any more."""
        holding = session.outbox.holding
        holding.claimed()
        if not holding.unclaimed:
            del self.expecting[session]

    # ---- room -----------------------------------------------------------------------------------

    def _make_room(self) -> bool:
        """Whether there is room for all, made if need be at the cost of the greediest."""
        parcels = self._parcels
        if parcels.has_room():
            return True
        patience = self._directory.limits.write_timeout
        holders = [each for each in self._directory if each.outbox.holding.bytes]
        for session in sorted(holders, key=lambda each: each.outbox.holding.bytes, reverse=True):
            self._have_pay(session, patience)
            if parcels.has_room():
                return True
        return False

    def _have_pay(self, session: Session, patience: float) -> None:
        """Make room at the cost of this one: no more of it than is needed."""
        holding, has_room = session.outbox.holding, self._parcels.has_room
        while not has_room():
            cause = shed_large(session.outbox)
            if cause is None:
                break
            self._deliveries.dirty.add(session)
            if cause:
                self._expel(session, Ending(OVERFLOW, cause))
        if not has_room() and holding.is_stale(patience):
            detail = f"it kept {holding.bytes} bytes of large payloads that others need"
            self._expel(session, Ending(HOARDING, detail))

    def _expel(self, session: Session, ending: Ending) -> None:
        """It has to go, and all that it holds is free at once: so nobody else pays for it."""
        self._deliveries.condemn(session, ending)
        drop_large(session.outbox)


def _no_room(size: int) -> BackPressure:
    return BackPressure(
        f"there is no room for another large payload ({size} bytes)",
        hint="subscribers have not let go of earlier ones; limits.large_bytes is the bound",
    )
