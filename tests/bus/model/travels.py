"""The promise that a session outlives its connection."""

from __future__ import annotations

from collections import Counter

from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.streams import OVERFLOW
from daemoneye.bus.frames import Resumption
from tests.bus.model.accounts import Accounts, on_the_way
from tests.bus.model.seats import Missed, Seat
from tests.bus.model.world import World


class Travels:
    """Who comes back within the window goes on, and is told the truth about what is missing."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def lost(self, world: World, seat: Seat) -> None:
        """It is waited for if it has something to go on with, and its groups go on without it."""
        session = _session(seat)
        directory = world.router.directory
        assert not directory.groups.memberships(session)
        if seat.wishes or session.publishing.messages:
            assert session.standing is Standing.AWAY
        elif session.standing is Standing.OVER:
            seat.waited_until = world.router.clock.now

    def resumed(self, world: World, seat: Seat, found: Resumption, accounts: Accounts) -> None:
        """COMPLETE is exact; PARTIAL is said only when more was written than is kept."""
        untold, gone = _since(seat), on_the_way(seat)
        messages = sum(frame.messages for frame in seat.coming)
        marks = len(seat.since) + sum(
            isinstance(item, Missed) for frame in seat.coming for item in frame.items
        )
        self.counted["told again"] += untold.total()
        self.counted["gone with a connection"] += gone.total()
        accounts.untell(seat)
        seat.coming.clear()
        assert found is not Resumption.NONE
        if found is Resumption.COMPLETE:
            accounts.check(seat)
        else:
            window = world.limits["resume_messages"] - world.largest_run
            assert messages + marks > window
            missed = accounts.miss(seat, gone + untold)
            self.counted["missed"] += missed
            assert marks or missed <= messages - window
        self.counted[f"resumed ({found})"] += 1

    def ended(self, world: World, seat: Seat) -> None:
        """Who is away is given up in time, or its process has ended, or it may miss nothing."""
        if seat.waited_until is not None:
            ending = world.router.doomed.get(_session(seat))
            assert ending is not None or seat.waited_until <= world.router.clock.now
            assert ending is None or ending.reason in (OVERFLOW, "ended")
            self.counted["given up"] += 1

    def check(self, world: World) -> None:
        """Of every session, away or not: offered = delivered + lost (by reason) + waiting."""
        for seat in world.seats.values():
            if seat.waited_until is not None:
                assert _session(seat).standing is Standing.AWAY
                assert world.router.clock.now < seat.waited_until
        for session in world.router.directory:
            assert session.tallies().keys() == session.subscriptions.keys()
            tally = session.outbox.tally()
            waiting = sum(stream.messages for stream in session.outbox.streams.values())
            assert tally.offered == tally.delivered + tally.lost.total() + waiting


def _session(seat: Seat) -> Session:
    assert seat.client is not None
    return seat.client.session


def _since(seat: Seat) -> Counter[frozenset[int]]:
    found: Counter[frozenset[int]] = Counter()
    for missed in seat.since:
        if numbers := seat.live(missed.subscriptions):
            found[numbers] += sum(missed.lost.values())
    return found
