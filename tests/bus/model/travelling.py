"""The steps of sessions that change connections."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from daemoneye.bus.broker.streams import DISCONNECTED
from tests.bus.model.ground import some_name, some_share
from tests.bus.model.seats import Seat
from tests.bus.model.travels import Travels
from tests.bus.model.working import Working


class Travelling(Working):
    """Connections break anywhere, and clients come back or do not."""

    def prepare(self) -> None:
        super().prepare()
        self.travels = Travels()

    @rule(
        name=some_name,
        at_once=st.sampled_from((300, 1 << 16)),
        share=some_share,
        comes=some_share,
    )
    def a_connection_breaks(self, name: str, at_once: int, share: float, comes: float) -> None:
        seat = self.world.seats[name]
        if seat.is_here:
            self._write(seat, at_once, share)
            self._read(seat, comes)
            self._lose(seat)

    @rule(
        name=some_name,
        drops=st.sampled_from((0, 0, 0, 1)),
        says_all=st.sampled_from((True, True, False)),
        repeats=st.booleans(),
    )
    def somebody_comes_back(self, name: str, drops: int, says_all: bool, repeats: bool) -> None:
        seat = self.world.seats[name]
        if seat.client is None:
            return
        if seat.is_here:  # the broker learns of the other connection first
            self._lose(seat)
        if seat.client is not None:
            self._come_back(seat, drops)
            if repeats:
                self.world.publish_again(seat)
            if says_all:
                self._say_again(seat)

    @rule(name=some_name)
    def somebody_says_what_it_wants_again(self, name: str) -> None:
        seat = self.world.seats[name]
        if seat.is_here and seat.unsaid:
            self._say_again(seat)

    @invariant()
    def who_is_away_is_waited_for(self) -> None:
        self.travels.check(self.world)

    def wind_up(self) -> None:
        for seat in self.world.seats.values():
            if seat.waited_until is not None:
                self._come_back(seat, drops=0)
            if seat.client is not None:
                self._say_again(seat)
        super().wind_up()
        self.add(self.travels.counted)

    # ---- inside ---------------------------------------------------------------------------------

    def end(self, seat: Seat) -> None:
        self.travels.ended(self.world, seat)
        super().end(seat)

    def _lose(self, seat: Seat) -> None:
        self.world.lose(seat)
        self.left(seat, DISCONNECTED)
        self.travels.lost(self.world, seat)
        self.look_who_is_over()

    def _come_back(self, seat: Seat, drops: int) -> None:
        dropped = list(seat.wishes)[:drops]
        kept = (seat.wishes.keys() | seat.unsaid.keys()) - set(dropped)
        found = self.world.come_back(seat, kept)
        self.came(seat)
        for number in dropped:
            del seat.wishes[number]
            self.accounts.forget(seat, number)
        self.travels.resumed(self.world, seat, found, self.accounts)

    def _say_again(self, seat: Seat) -> None:
        for number in list(seat.unsaid):
            goes_on = number in seat.wishes
            is_new = self.world.say_again(seat, number)
            assert not (goes_on and is_new)
            if is_new and number in seat.wishes:
                self.subscribed(seat, number)
