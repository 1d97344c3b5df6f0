"""The steps: who may do what at random, and what is checked after each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker.streams import DISCONNECTED
from daemoneye.bus.frames import Choice, Overflow, Replay, Settling
from tests.bus.model.accounts import Accounts
from tests.bus.model.copies import Copies
from tests.bus.model.groups import Groups
from tests.bus.model.reach import may_read, wanting
from tests.bus.model.seats import Called, Got, Job, Message, OfCalls, Seat
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
some_share = st.integers(0, 100).map(lambda percent: percent / 100)
some_topics = st.lists(st.sampled_from(TOPICS), min_size=1, max_size=12)
some_denials = st.builds(
    AccessRule,
    some_name,
    st.just("read-only"),
    st.sampled_from(("events.process.+", "events.demo.tick", "control.#")),
    st.just(True),
) | st.builds(
    AccessRule, some_name, st.just("write-only"), st.just("control.last.+"), st.just(True)
)
some_rules = st.lists(some_denials, max_size=2).map(tuple)


class Steps(RuleBasedStateMachine):
    """What clients, rules and time do to a bus every day."""

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
        self.groups = Groups()

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

    # ---- who is there ---------------------------------------------------------------------------

    @rule(name=some_name, texts=st.lists(st.sampled_from(FILTERS), max_size=3), same=st.booleans())
    def somebody_comes(self, name: str, texts: list[str], same: bool) -> None:
        seat = self.world.seats[name]
        if seat.client is None:
            self._come(seat, same=same)
            for text in texts:
                self.subscribe(seat, text, Overflow.DEFAULT, 6, 6)

    @rule(name=some_name, cleanly=st.booleans())
    def somebody_goes(self, name: str, cleanly: bool) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self.left(seat, "goodbye" if cleanly else DISCONNECTED)
            self.world.go(seat, cleanly=cleanly)
            self.accounts.end(seat)

    # ---- what they want -------------------------------------------------------------------------

    @rule(
        name=some_name,
        text=st.sampled_from(FILTERS),
        policy=st.sampled_from(POLICIES),
        room=st.integers(1, 6) | st.sampled_from((16, 64)),
        credit=st.integers(1, 6),
    )
    def somebody_subscribes(
        self, name: str, text: str, policy: Overflow, room: int, credit: int
    ) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self.subscribe(seat, text, policy, room, credit)

    @rule(name=some_name, which=st.integers(0, 7))
    def somebody_unsubscribes(self, name: str, which: int) -> None:
        seat = self.world.seats[name]
        if seat.is_here and seat.wishes:
            number = list(seat.wishes)[which % len(seat.wishes)]
            self.world.unsubscribe(seat, number)
            self.accounts.forget(seat, number)

    @rule(name=some_name, messages=st.integers(1, 8), tells=st.booleans())
    def somebody_has_room(self, name: str, messages: int, tells: bool) -> None:
        seat = self.world.seats[name]
        if not seat.is_here:
            return
        self._grant(seat, messages, tells=tells)

    @rule(messages=st.sampled_from((8, 80)), tells=st.booleans())
    def everybody_has_room(self, messages: int, tells: bool) -> None:
        for seat in self.world.seats.values():
            if seat.is_here:
                self._grant(seat, messages, tells=tells)

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

    # ---- what is said ---------------------------------------------------------------------------

    @rule(
        name=some_name,
        topics=some_topics,
        only=st.sampled_from(("", "", "", "a")),
        joins=st.booleans(),
    )
    def somebody_publishes(self, name: str, topics: list[str], only: str, joins: bool) -> None:
        seat = self.world.seats[name]
        if not seat.is_here:
            return
        self._publish(seat, topics, only, joins=joins)

    @rule(
        name=some_name,
        topic=st.sampled_from(TOPICS),
        count=st.sampled_from((5, 12, 40)),
        joins=st.booleans(),
    )
    def somebody_publishes_much(self, name: str, topic: str, count: int, joins: bool) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self._publish(seat, [topic] * count, joins=joins)

    def _publish(self, seat: Seat, topics: list[str], only: str = "", *, joins: bool) -> None:
        messages = [Message(self.world.number(), seat.name, topic, only) for topic in topics]
        wanted = [wanting(self.world, each) for each in messages]
        taken = self.world.publish(seat, messages, joins=joins)
        for message, by in list(zip(messages, wanted, strict=True))[:taken]:
            self.copies.publish(message)
            self.accounts.publish(by)

    @rule(
        name=some_name,
        at_once=st.sampled_from((1, 300, 1 << 16, 1 << 16)),
        share=st.just(1.0) | some_share,
        comes=st.just(1.0) | some_share,
    )
    def somebody_reads(self, name: str, at_once: int, share: float, comes: float) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self._write(seat, at_once, share)
            self._read(seat, comes)

    @rule(at_once=st.sampled_from((300, 1 << 16)), share=some_share, comes=some_share)
    def everybody_reads(self, at_once: int, share: float, comes: float) -> None:
        for seat in self.world.seats.values():
            if seat.is_here:
                self._write(seat, at_once, share)
                self._read(seat, comes)

    # ---- rights and time ------------------------------------------------------------------------

    @rule(rules=some_rules)
    def rules_change(self, rules: tuple[AccessRule, ...]) -> None:
        self.change_rules(rules)

    def change_rules(self, rules: tuple[AccessRule, ...]) -> None:
        """These hold from now on."""
        for name, numbers in self.world.set_rules(rules).items():
            for number in numbers:
                self.accounts.forget(self.world.seats[name], number)

    @rule(seconds=st.sampled_from((0.1, 1.0, 3.0, 31.0, 61.0)))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

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
        self.groups.check(self.world)

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
        self._do_all_work()
        self.add(
            {
                "published": self.accounts.published,
                "heard": self.accounts.heard,
                "dropped": self.accounts.dropped,
                "jobs given": self.groups.given,
                "jobs done": self.groups.acknowledged,
                "jobs stale": self.groups.stale,
            }
        )
        self.add({f"lost ({reason})": count for reason, count in self.accounts.lost.items()})

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

    def hear_of_call(self, seat: Seat, came: OfCalls) -> None:
        """It is called, or its call ended, or it is told of one."""

    def _read(self, seat: Seat, share: float) -> None:
        for came in self.world.read(seat, share):
            if isinstance(came, Job):
                self.groups.take(self.world, seat, came)
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

    def _grant(self, seat: Seat, messages: int, *, tells: bool) -> None:
        for number in seat.wishes.keys() - seat.unsaid.keys():
            self.world.grant(seat, number, messages, tells=tells)

    def _settle(self, seat: Seat, job: Job, what: Settling, seconds: float) -> None:
        taken = self.world.settle(seat, job, what, seconds)
        if taken and what in (Settling.ACK, Settling.REJECT):
            self.groups.settled(job)
        elif taken and what is Settling.EXTEND:
            seat.in_hand.append(job)

    def _do_all_work(self) -> None:
        """Whoever has work does it: what is left then is what no member may take."""
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

    def _is_between_frames(self, seat: Seat) -> bool:
        """Whether no run is begun: one that is has to be finished, whatever the rules are now."""
        assert seat.client is not None
        return not seat.client.session.outbox.sending.begun
