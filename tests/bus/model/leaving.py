"""The steps of wills."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from daemoneye.bus.access import AccessRule
from daemoneye.bus.frames import Choice, Overflow
from tests.bus.model.ground import some_name
from tests.bus.model.last_words import LastWords
from tests.bus.model.reach import may_publish, wanting
from tests.bus.model.retaining import Retaining
from tests.bus.model.seats import Got, Message, Seat

WILL_TOPICS = ("control.last.word", "control.last.wish")


class Leaving(Retaining):
    """Clients leave wills and take them back, and processes end."""

    def prepare(self) -> None:
        super().prepare()
        self.last_words = LastWords()

    @rule(name=some_name, topic=st.sampled_from(("", *WILL_TOPICS, *WILL_TOPICS)))
    def somebody_leaves_a_will(self, name: str, topic: str) -> None:
        seat = self.world.seats[name]
        if not seat.is_here:
            return
        will = Message(self.world.number(), name, topic) if topic else None
        self.world.leave_will(seat, will)
        if will is None or may_publish(self.world.rules, name, topic):
            seat.will = will

    @rule(name=some_name, other=some_name, topic=st.sampled_from(WILL_TOPICS))
    def a_will_has_no_key_for_a_group(self, name: str, other: str, topic: str) -> None:
        seat = self.world.seats[other]
        if name != other and seat.is_here:
            self.world.join(seat, "keyed", "control.last.+", Choice.BY_KEY, 1)
            self.subscribe(seat, "control.#", Overflow.DEFAULT, 6, 6)
            self.somebody_leaves_a_will(name, topic)
            if self.world.seats[name].is_here:
                self.a_process_ends(name)
                self.pass_time(0.1)

    @rule(name=some_name)
    def a_process_ends(self, name: str) -> None:
        life = self.world.lives[name]
        self.world.router.end(name, life, "exit:1")
        self.look_who_is_over()
        self.last_words.ended(self.world, (name, life), "exit:1")

    @rule(name=some_name)
    def somebody_may_not_say_its_will(self, name: str) -> None:
        self.change_rules((AccessRule(name, "write-only", "control.last.+", deny=True),))

    @invariant()
    def the_broker_knows_these_wills(self) -> None:
        self.last_words.check(self.world)

    def pass_time(self, seconds: float) -> None:
        for last in self.last_words.due(self.world.router.clock.now + seconds):
            if may_publish(self.world.rules, last.will.publisher, last.will.topic):
                self.last_words.say(last)
                self.accounts.publish(wanting(self.world, last.will))
            else:
                self.last_words.counted["wills denied"] += 1
        super().pass_time(seconds)

    def came(self, seat: Seat) -> None:
        super().came(seat)
        self.last_words.came(seat)

    def left(self, seat: Seat, cause: str) -> None:
        super().left(seat, cause)
        self.last_words.left(self.world, seat, cause)

    def hear(self, seat: Seat, came: Got) -> None:
        if came.event.topic in WILL_TOPICS:
            self.last_words.take(seat, came)
        else:
            super().hear(seat, came)

    def wind_up(self) -> None:
        super().wind_up()
        assert not self.last_words.waiting
        self.add(self.last_words.counted)
