"""The promise that each message of a group is one member's at a time."""

from __future__ import annotations

from collections import Counter

from tests.bus.model.seats import Job, Seat
from tests.bus.model.world import World


class Groups:
    """Each message to one member: in one pair of hands, until somebody is done with it."""

    def __init__(self) -> None:
        self.held: dict[tuple[tuple[str, str], int], tuple[str, int]] = {}
        """Of each group and message: whose hands, and under which delivery."""
        self.done: set[tuple[tuple[str, str], int]] = set()
        self.given = self.acknowledged = self.stale = 0

    def take(self, world: World, seat: Seat, job: Job) -> None:
        """It was given to this member: whoever had it before has it no more, and nobody is done."""
        key, in_flight = (job.membership.key, job.number), world.router.directory.groups.in_flight
        if job.delivery not in in_flight:
            self.stale += 1  # written before its time was up, and read after that
            return
        assert key not in self.done, "handled, and given again"
        if key in self.held:
            _, delivery = self.held[key]
            assert delivery not in in_flight, "in two pairs of hands"
        self.held[key] = (seat.name, job.delivery)
        self.given += 1

    def settled(self, job: Job) -> None:
        """It is acknowledged, or nobody can handle it."""
        self.done.add((job.membership.key, job.number))
        self.acknowledged += 1

    def check(self, world: World) -> None:
        """Offered = handled + lost (by reason) + waiting + in flight; and so in bytes."""
        groups, held = world.router.directory.groups, Counter[str]()
        for group in groups:
            work = group.work
            waits = group.waiting + group.in_flight
            assert work.offered == work.handled + work.lost.total() + waits, (group, work)
            assert not group.members or not group.delayed or group.waiting
            held[group.founder] += group.bytes
        assert groups.room.bytes == held.total()
        assert all(groups.room.held(name) == size for name, size in held.items())
