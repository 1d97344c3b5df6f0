"""The steps of retained values."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from daemoneye.bus.frames import Overflow, Replay
from tests.bus.model.ground import FILTERS, TOPICS, some_name
from tests.bus.model.reach import wanting
from tests.bus.model.seats import Got, Message, Seat
from tests.bus.model.travelling import Travelling
from tests.bus.model.values import Values
from tests.bus.model.world import SECOND


class Retaining(Travelling):
    """Last values are kept, replaced and cleared, expire, and are said to who subscribes."""

    def prepare(self) -> None:
        super().prepare()
        self.values = Values()

    @rule(
        name=some_name,
        topic=st.sampled_from(TOPICS),
        only=st.sampled_from(("", "", "a")),
        seconds=st.sampled_from((0, 0, 2, 40)),
    )
    def somebody_leaves_a_value(self, name: str, topic: str, only: str, seconds: int) -> None:
        seat = self.world.seats[name]
        if not seat.is_here:
            return
        expires_at = self.world.now_ns + seconds * SECOND if seconds else 0
        message = Message(self.world.number(), name, topic, only, expires_at)
        self.values.forget_expired(self.world)
        wanted = wanting(self.world, message)
        if self.values.has_room(message):
            self.values.kept[topic] = message
            self.copies.publish(message)
            self.accounts.publish(wanted)
            self.values.counted["values kept"] += 1
        else:
            self.values.counted["values refused"] += 1
        self.world.retain(seat, message)

    @rule(name=some_name, topic=st.sampled_from(TOPICS))
    def somebody_clears_a_value(self, name: str, topic: str) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self.world.clear(seat, topic)
            self.values.kept.pop(topic, None)

    @rule(
        name=some_name,
        text=st.sampled_from(FILTERS),
        policy=st.sampled_from((Overflow.DEFAULT, Overflow.DROP_NEWEST)),
        room=st.integers(1, 6),
        replay=st.sampled_from(Replay),
    )
    def somebody_asks_for_values(
        self, name: str, text: str, policy: Overflow, room: int, replay: Replay
    ) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self.subscribe(seat, text, policy, room, 6, replay)

    @invariant()
    def the_broker_keeps_these_values(self) -> None:
        self.values.check(self.world)

    def subscribed(self, seat: Seat, number: int) -> None:
        super().subscribed(seat, number)
        due = self.values.subscribed(self.world, seat, number)
        self.accounts.publish([(seat.name, frozenset((number,)))] * due)

    def hear(self, seat: Seat, came: Got) -> None:
        if came.event.retained:
            self.values.take(came)
        else:
            super().hear(seat, came)

    def wind_up(self) -> None:
        super().wind_up()
        self.add(self.values.counted)
