"""The steps: who may do what at random, and what is checked after each of them."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemoneye.bus.access import AccessRule
from daemoneye.bus.frames import Choice, Overflow, Settling
from tests.bus.model.accounts import Accounts
from tests.bus.model.copies import Copies
from tests.bus.model.groups import Groups
from tests.bus.model.reach import may_read, wanting
from tests.bus.model.seats import Got, Job, Message, Seat
from tests.bus.model.world import World

NAMES = "abcd"
TOPICS = (
    "events.process.lifecycle",
    "events.process.tree",
    "events.demo.tick",
    "control.demo.jobs",
)
FILTERS = (*TOPICS, "#", "events.#", "events.process.+", "events.+.tick", "control.#")
POLICIES = (
    Overflow.DEFAULT,
    Overflow.DROP_OLDEST,
    Overflow.DROP_NEWEST,
    Overflow.LATEST,
    Overflow.BLOCK,
    Overflow.DISCONNECT,
)

some_name = st.sampled_from(NAMES)
some_topics = st.lists(st.sampled_from(TOPICS), min_size=1, max_size=12)
some_rules = st.lists(
    st.builds(
        AccessRule,
        some_name,
        st.just("read-only"),
        st.sampled_from(("events.process.+", "events.demo.tick", "control.#")),
        st.just(True),
    ),
    max_size=2,
).map(tuple)


class Steps(RuleBasedStateMachine):
    """What clients, rules and time do to a bus every day."""

    steps: ClassVar[int] = 0
    totals: ClassVar[Counter[str]] = Counter()

    @initialize(wishes=st.lists(st.sampled_from(FILTERS), min_size=4, max_size=4))
    def begin(self, wishes: list[str]) -> None:
        self.world = World(NAMES)
        self.accounts = Accounts()
        self.copies = Copies()
        self.groups = Groups()
        for seat, text in zip(self.world.seats.values(), wishes, strict=True):
            self._come(seat)
            self.world.subscribe(seat, text, Overflow.DEFAULT, 6, 6)

    # ---- who is there ---------------------------------------------------------------------------

    @rule(name=some_name, texts=st.lists(st.sampled_from(FILTERS), max_size=3))
    def somebody_comes(self, name: str, texts: list[str]) -> None:
        seat = self.world.seats[name]
        if seat.client is None:
            self._come(seat)
            for text in texts:
                self.world.subscribe(seat, text, Overflow.DEFAULT, 6, 6)

    @rule(name=some_name, cleanly=st.booleans())
    def somebody_goes(self, name: str, cleanly: bool) -> None:
        seat = self.world.seats[name]
        if seat.client is not None:
            self.world.go(seat, cleanly=cleanly)
            self.accounts.end(seat)

    # ---- what they want -------------------------------------------------------------------------

    @rule(
        name=some_name,
        text=st.sampled_from(FILTERS),
        policy=st.sampled_from(POLICIES),
        room=st.integers(1, 6),
        credit=st.integers(1, 6),
    )
    def somebody_subscribes(
        self, name: str, text: str, policy: Overflow, room: int, credit: int
    ) -> None:
        seat = self.world.seats[name]
        if seat.client is not None:
            self.world.subscribe(seat, text, policy, room, credit)

    @rule(name=some_name, which=st.integers(0, 7))
    def somebody_unsubscribes(self, name: str, which: int) -> None:
        seat = self.world.seats[name]
        if seat.wishes:
            number = list(seat.wishes)[which % len(seat.wishes)]
            self.world.unsubscribe(seat, number)
            self.accounts.forget(seat, number)

    @rule(name=some_name, messages=st.integers(1, 8))
    def somebody_has_room(self, name: str, messages: int) -> None:
        seat = self.world.seats[name]
        for number in list(seat.wishes):
            self.world.grant(seat, number, messages)

    # ---- groups ---------------------------------------------------------------------------------

    @rule(
        name=some_name,
        group=st.sampled_from(("g", "h")),
        text=st.sampled_from(("control.demo.jobs", "events.demo.tick", "events.#")),
        choice=st.sampled_from(Choice),
        credit=st.integers(1, 6),
    )
    def somebody_joins(self, name: str, group: str, text: str, choice: Choice, credit: int) -> None:
        seat = self.world.seats[name]
        if seat.client is not None:
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

    # ---- what is said ---------------------------------------------------------------------------

    @rule(name=some_name, topics=some_topics, only=st.sampled_from(("", "", "", "a")))
    def somebody_publishes(self, name: str, topics: list[str], only: str) -> None:
        seat = self.world.seats[name]
        if seat.client is None:
            return
        messages = [Message(self.world.number(), name, topic, only) for topic in topics]
        wanted = [wanting(self.world, each) for each in messages]
        taken = self.world.publish(seat, messages)
        for message, by in list(zip(messages, wanted, strict=True))[:taken]:
            self.copies.publish(message)
            self.accounts.publish(by)

    @rule(
        name=some_name,
        at_once=st.sampled_from((1, 300, 1 << 16, 1 << 16)),
        share=st.just(1.0) | st.floats(0, 1),
    )
    def somebody_reads(self, name: str, at_once: int, share: float) -> None:
        seat = self.world.seats[name]
        if seat.client is not None:
            self._read(seat, at_once, share)

    # ---- rights and time ------------------------------------------------------------------------

    @rule(rules=some_rules)
    def rules_change(self, rules: tuple[AccessRule, ...]) -> None:
        for name, numbers in self.world.set_rules(rules).items():
            for number in numbers:
                self.accounts.forget(self.world.seats[name], number)

    @rule(seconds=st.sampled_from((0.1, 1.0, 3.0, 31.0, 61.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # ---- what has to hold -----------------------------------------------------------------------

    @invariant()
    def every_message_is_accounted_for(self) -> None:
        type(self).steps += 1
        for seat in self.world.cut_off():
            self.accounts.end(seat)
        for seat in self.world.seats.values():
            if seat.client is not None:
                self.accounts.check(seat)
        self.groups.check(self.world)

    def teardown(self) -> None:
        """Everybody reads all there is: then nothing is open."""
        if not hasattr(self, "world"):
            return
        for seat in self.world.seats.values():
            if seat.client is None:
                continue
            for number in list(seat.wishes):
                self.world.grant(seat, number, 1 << 20)
            for _ in range(1000):
                if not seat.client.session.pending:
                    break
                self._read(seat, 1 << 16, 1.0)
            assert not seat.client.session.pending
            assert not +self.accounts.open[seat.name]
        self._do_all_work()
        self._add(
            published=self.accounts.published,
            heard=self.accounts.heard,
            dropped=self.accounts.dropped,
            jobs_given=self.groups.given,
            jobs_done=self.groups.acknowledged,
            jobs_stale=self.groups.stale,
            **{f"lost ({reason})": count for reason, count in self.accounts.lost.items()},
        )

    # ---- inside ---------------------------------------------------------------------------------

    def _come(self, seat: Seat) -> None:
        self.world.come(seat)
        self.accounts.begin(seat)
        self.copies.begin(seat)

    def _read(self, seat: Seat, at_once: int, share: float) -> None:
        allowed = self._is_between_frames(seat)
        for came in self.world.read(seat, at_once, share):
            if isinstance(came, Job):
                self.groups.take(self.world, seat, came)
                continue
            self.accounts.take(seat, came)
            if isinstance(came, Got):
                self.copies.take(self.world, seat, came)
                if allowed:
                    assert may_read(self.world.rules, seat.name, came.event.topic)

    def _settle(self, seat: Seat, job: Job, what: Settling, seconds: float) -> None:
        taken = self.world.settle(seat, job, what, seconds)
        if taken and what in (Settling.ACK, Settling.REJECT):
            self.groups.settled(job)
        elif taken and what is Settling.EXTEND:
            seat.in_hand.append(job)

    def _do_all_work(self) -> None:
        """Whoever has work does it: what is left then is what no member may take."""
        for _ in range(400):
            self.world.pass_time(3.0)
            for seat in self.world.seats.values():
                if seat.client is not None:
                    self._read(seat, 1 << 16, 1.0)
                    for job in list(seat.in_hand):
                        self._settle(seat, job, Settling.ACK, 0.0)
        self.groups.check(self.world)
        for group in self.world.router.directory.groups:
            assert not group.members or not (group.waiting or group.in_flight), group

    def _is_between_frames(self, seat: Seat) -> bool:
        """Whether no run is begun: one that is has to be finished, whatever the rules are now."""
        assert seat.client is not None
        return not seat.client.session.outbox.sending.begun

    def _add(self, **counted: int) -> None:
        self.totals.update(counted)
