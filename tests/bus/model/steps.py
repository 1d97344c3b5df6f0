"""The steps of every day: who comes, goes, listens, speaks and reads; rules, and time."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker.streams import DISCONNECTED
from daemoneye.bus.frames import Overflow
from tests.bus.model.ground import FILTERS, TOPICS, Ground, some_name, some_share
from tests.bus.model.reach import wanting
from tests.bus.model.seats import Message, Seat

POLICIES = (
    Overflow.DEFAULT,
    Overflow.DROP_OLDEST,
    Overflow.DROP_NEWEST,
    Overflow.LATEST,
    Overflow.BLOCK,
    Overflow.DISCONNECT,
)

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


class Steps(Ground):
    """What clients, rules and time do to a bus every day."""

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

    def _grant(self, seat: Seat, messages: int, *, tells: bool) -> None:
        for number in seat.wishes.keys() - seat.unsaid.keys():
            self.world.grant(seat, number, messages, tells=tells)

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

    @rule(seconds=st.sampled_from((0.1, 1.0, 3.0, 31.0, 61.0)))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)
