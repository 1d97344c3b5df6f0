"""The steps of groups: who joins and parts, and what becomes of the work."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from daemoneye.bus.frames import Choice, Settling
from tests.bus.model.ground import some_name
from tests.bus.model.groups import Groups
from tests.bus.model.seats import Job, Seat
from tests.bus.model.steps import Steps


class Working(Steps):
    """Groups share what is published, and settle it or do not."""

    def prepare(self) -> None:
        super().prepare()
        self.groups = Groups()

    @rule(
        name=some_name,
        group=st.sampled_from(("g", "h")),
        text=st.sampled_from(("control.demo.jobs", "events.demo.tick", "events.#")),
        choice=st.sampled_from(Choice),
        credit=st.integers(1, 6),
    )
    def somebody_joins(self, name: str, group: str, text: str, choice: Choice, credit: int) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self.world.join(seat, group, text, choice, credit)

    @rule(name=some_name, which=st.integers(0, 3))
    def somebody_parts(self, name: str, which: int) -> None:
        seat = self.world.seats[name]
        if seat.memberships:
            self.world.part(seat, list(seat.memberships)[which % len(seat.memberships)])

    @rule(
        name=some_name,
        what=st.sampled_from((Settling.ACK, Settling.ACK, *Settling)),
        seconds=st.sampled_from((0.0, 2.0)),
    )
    def somebody_settles(self, name: str, what: Settling, seconds: float) -> None:
        seat = self.world.seats[name]
        if seat.in_hand:
            self._settle(seat, seat.in_hand[0], what, seconds)

    @invariant()
    def every_job_is_accounted_for(self) -> None:
        self.groups.check(self.world)

    def take_job(self, seat: Seat, job: Job) -> None:
        self.groups.take(self.world, seat, job)

    def work_off(self) -> None:
        """Whoever has work does it; what is left then is what no member may take."""
        for _ in range(400):
            self.pass_time(3.0)
            for seat in self.world.seats.values():
                if seat.is_here:
                    self._read_all(seat)
                    for job in list(seat.in_hand):
                        self._settle(seat, job, Settling.ACK, 0.0)
        self.groups.check(self.world)
        for group in self.world.router.directory.groups:
            assert not group.members or not (group.waiting or group.in_flight), group
        self.add(
            {
                "jobs given": self.groups.given,
                "jobs done": self.groups.acknowledged,
                "jobs stale": self.groups.stale,
            }
        )

    def _settle(self, seat: Seat, job: Job, what: Settling, seconds: float) -> None:
        taken = self.world.settle(seat, job, what, seconds)
        if taken and what in (Settling.ACK, Settling.REJECT):
            self.groups.settled(job)
        elif taken and what is Settling.EXTEND:
            seat.in_hand.append(job)
