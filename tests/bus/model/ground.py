"""The ground under all steps: a bus with its promises, what becomes of it, and what has to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker.streams import DISCONNECTED
from daemoneye.bus.frames import Overflow, Replay
from tests.bus.model.accounts import Accounts
from tests.bus.model.copies import Copies
from tests.bus.model.reach import may_read
from tests.bus.model.seats import Called, Got, Job, OfCalls, Seat
from tests.bus.model.world import World

NAMES = "abcd"
TOPICS = (
    "events.process.lifecycle",
    "events.process.tree",
    "events.demo.tick",
    "control.demo.jobs",
)
FILTERS = (*TOPICS, "#", "events.#", "events.process.+", "events.+.tick", "control.#")
some_name = st.sampled_from(NAMES)
some_share = st.integers(0, 100).map(lambda percent: percent / 100)


class Ground(RuleBasedStateMachine):
    """A bus that some clients have come to, and nobody does anything."""

    steps: ClassVar[int] = 0
    totals: ClassVar[Counter[str]] = Counter()

    @initialize(
        wishes=st.lists(st.sampled_from(FILTERS), min_size=4, max_size=4),
        window=st.sampled_from((1, 1, 4, 1024)),
        room=st.sampled_from((6, 64)),
    )
    def begin(self, wishes: list[str], window: int, room: int) -> None:
        self.world = World(NAMES, window)
        self.prepare()
        for seat, text in zip(self.world.seats.values(), wishes, strict=True):
            self._come(seat)
            self.subscribe(seat, text, Overflow.DEFAULT, room, room)

    def prepare(self) -> None:
        """Nothing has happened yet: have the promises ready."""
        self.accounts = Accounts()
        self.copies = Copies()

    def subscribe(
        self,
        seat: Seat,
        text: str,
        policy: Overflow,
        room: int,
        credit: int,
        replay: Replay = Replay.IF_NEW,
    ) -> None:
        """It may be refused."""
        number = self.world.subscribe(seat, text, policy, room, credit, replay)
        if number:
            self.subscribed(seat, number)

    def subscribed(self, seat: Seat, number: int) -> None:
        """A new subscription holds."""

    def came(self, seat: Seat) -> None:
        """There is a connection, for a new session or for one that goes on."""

    def left(self, seat: Seat, cause: str) -> None:
        """There is none any more."""

    def change_rules(self, rules: tuple[AccessRule, ...]) -> None:
        """These hold from now on."""
        for name, numbers in self.world.set_rules(rules).items():
            for number in numbers:
                self.accounts.forget(self.world.seats[name], number)

    def pass_time(self, seconds: float) -> None:
        """So much later, what is due is done."""
        self.world.pass_time(seconds)

    # ---- what has to hold -----------------------------------------------------------------------

    @invariant()
    def every_message_is_accounted_for(self) -> None:
        type(self).steps += 1
        self.look_who_is_over()
        for seat in self.world.seats.values():
            if seat.client is not None:
                self.accounts.check(seat)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.wind_up()

    def wind_up(self) -> None:
        """Everybody reads all there is: then nothing is open."""
        for seat in self.world.seats.values():
            if not seat.is_here:
                continue
            for number in list(seat.wishes):
                self.world.grant(seat, number, 1 << 20)
            self._read_all(seat)
            assert not +self.accounts.open[seat.name]
        self.work_off()
        self.add(
            {
                "published": self.accounts.published,
                "heard": self.accounts.heard,
                "dropped": self.accounts.dropped,
            }
        )
        self.add({f"lost ({reason})": count for reason, count in self.accounts.lost.items()})

    def work_off(self) -> None:
        """Whoever has work does it."""

    def add(self, counted: Mapping[str, int]) -> None:
        """Count what was done in this world with what was done in others."""
        self.totals.update(counted)

    # ---- who is not there any more --------------------------------------------------------------

    def look_who_is_over(self) -> None:
        """The broker may end sessions by itself, or give them up."""
        for seat in self.world.over():
            self.end(seat)

    def end(self, seat: Seat) -> None:
        """Its session is over."""
        assert seat.client is not None
        ending = self.world.router.doomed.get(seat.client.session)
        self.left(seat, (ending.cause or ending.reason) if ending is not None else DISCONNECTED)
        self.accounts.end(seat)
        seat.clear()

    # ---- inside ---------------------------------------------------------------------------------

    def _come(self, seat: Seat, *, same: bool = False) -> None:
        self.world.come(seat, same=same)
        self.came(seat)
        self.accounts.begin(seat)
        self.copies.begin(seat)

    def _write(self, seat: Seat, at_once: int, share: float) -> None:
        """What is begun has to be finished; all else is what may be read now."""
        allowed = self._is_between_frames(seat)
        for frame in self.world.write(seat, at_once, share):
            for item in frame.items:
                if isinstance(item, Got):
                    assert not item.subscriptions & seat.unsaid.keys()
                if allowed and isinstance(item, Got | Called):
                    assert may_read(self.world.rules, seat.name, item.event.topic)

    def hear(self, seat: Seat, came: Got) -> None:
        """A message came, for itself or as what was kept."""
        self.copies.take(self.world, seat, came)

    def take_job(self, seat: Seat, job: Job) -> None:
        """A message of a group came."""

    def hear_of_call(self, seat: Seat, came: OfCalls) -> None:
        """It is called, or its call ended, or it is told of one."""

    def _read(self, seat: Seat, share: float) -> None:
        for came in self.world.read(seat, share):
            if isinstance(came, Job):
                self.take_job(seat, came)
                continue
            if isinstance(came, OfCalls):
                self.hear_of_call(seat, came)
                continue
            self.accounts.take(seat, came)
            if isinstance(came, Got):
                self.hear(seat, came)

    def _read_all(self, seat: Seat) -> None:
        assert seat.client is not None
        for _ in range(1000):
            if not (seat.client.session.pending or seat.coming):
                return
            self._write(seat, 1 << 16, 1.0)
            self._read(seat, 1.0)
        raise AssertionError("there is always something to read")

    def _is_between_frames(self, seat: Seat) -> bool:
        """Whether no run is begun: one that is has to be finished, whatever the rules are now."""
        assert seat.client is not None
        return not seat.client.session.outbox.sending.begun
