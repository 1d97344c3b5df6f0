"""The steps of calls."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from daemoneye.bus.access import AccessRule
from daemoneye.bus.frames import Cancel, Credit, Heading, Reply, Subscribe, Unsubscribe, encode_call
from tests.bus.model.calls import Calls
from tests.bus.model.ground import some_name
from tests.bus.model.leaving import Leaving
from tests.bus.model.seats import Answered, Called, Noticed, OfCalls, Seat
from tests.bus.model.world import SECOND

CALLED = ("control.last.call", "events.demo.tick")
DUTIFUL = "d"
"""Whoever has this name serves whenever it has a connection."""

some_topic = st.sampled_from(CALLED)


class Calling(Leaving):
    """Clients serve topics, call, reply as they should and as they should not, and give up."""

    def prepare(self) -> None:
        super().prepare()
        self.calls = Calls()

    # ---- who serves -----------------------------------------------------------------------------

    @rule(name=some_name, topic=some_topic, credit=st.integers(1, 4))
    def somebody_serves(self, name: str, topic: str, credit: int) -> None:
        seat = self.world.seats[name]
        if seat.client is None:
            self._come(seat)
        if seat.is_here:
            self._serve(seat, topic, credit)

    @rule(name=some_name, which=st.integers(0, 3))
    def somebody_serves_no_more(self, name: str, which: int) -> None:
        seat = self.world.seats[name]
        if seat.serving:
            assert seat.client is not None
            number = list(seat.serving)[which % len(seat.serving)]
            seat.client.say(Unsubscribe(number, request=1))
            del seat.serving[number]
            self.calls.part(seat.client.session, number)

    # ---- who calls ------------------------------------------------------------------------------

    @rule(
        name=some_name,
        by=st.none() | some_name,
        topic=some_topic,
        seconds=st.sampled_from((0.0, 0.55, 2.05, 9.05, -1.0)),
        count=st.sampled_from((1, 1, 3)),
        replied=st.sampled_from((False, False, True)),
    )
    def somebody_calls(
        self, name: str, by: str | None, topic: str, seconds: float, count: int, replied: bool
    ) -> None:
        """No sum of the times that pass is one of these, so that both clocks find the same."""
        if by is not None and topic not in self.world.seats[by].serving.values():
            self.somebody_serves(by, topic, 2)
        seat = self.world.seats[name]
        if seat.client is None:
            self._come(seat)
        if seat.is_here:
            for _ in range(count):
                self._call(seat, topic, seconds)
        if replied:
            self.somebody_replies(by, 0, rejects=False, reads=True, twice=False)

    @rule(name=some_name, which=st.integers(0, 3))
    def somebody_waits_no_more(self, name: str, which: int) -> None:
        seat = self.world.seats[name]
        if not seat.is_here:
            return
        assert seat.client is not None
        mine = [each for each in self.calls.open.values() if each.caller is seat.client.session]
        if mine:
            call = mine[which % len(mine)]
            seat.client.say(Cancel(call.request), Cancel(call.request))
            self.calls.cancel(call)

    @rule(name=some_name)
    def somebody_may_not_call(self, name: str) -> None:
        self.change_rules((AccessRule(name, "write-only", CALLED[0], deny=True),))

    @rule(name=some_name, seconds=st.sampled_from((1.0, 3.0)))
    def somebody_reads_before_the_broker_looks_at_its_clock(
        self, name: str, seconds: float
    ) -> None:
        self.world.now_ns += round(seconds * SECOND)
        self.world.router.clock.pass_time(seconds)
        seat = self.world.seats[name]
        if seat.is_here:
            self._write(seat, 1 << 16, 1.0)
        self.pass_time(0.0)

    # ---- who replies ----------------------------------------------------------------------------

    @rule(
        who=st.none() | some_name,
        which=st.integers(0, 3),
        rejects=st.booleans(),
        reads=st.booleans(),
        twice=st.booleans(),
    )
    def somebody_replies(
        self, who: str | None, which: int, rejects: bool, reads: bool, twice: bool
    ) -> None:
        """None: everybody replies to a call."""
        for seat in self.world.seats.values():
            if who in (None, seat.name):
                if seat.is_here and reads:
                    self._read_all(seat)
                if seat.called:
                    slot = seat.called.pop(which % len(seat.called))
                    self._reply(seat, slot, rejects=rejects)
                    if twice and seat.is_here:
                        self._reply(seat, slot)

    @rule(name=some_name, back=st.integers(0, 9))
    def somebody_replies_to_anything(self, name: str, back: int) -> None:
        """It was replied to, or is over, or somebody else's, or has not come."""
        seat = self.world.seats[name]
        if seat.is_here and self.calls.slots:
            slots = list(self.calls.slots)[-10:]
            self._reply(seat, slots[back % len(slots)])

    # ---- what has to hold -----------------------------------------------------------------------

    @invariant()
    def the_broker_has_these_calls(self) -> None:
        self.calls.check(self.world)

    def hear_of_call(self, seat: Seat, came: OfCalls) -> None:
        assert seat.client is not None
        session = seat.client.session
        match came:
            case Called():
                self.calls.take(session, came)
                seat.called.append(came.slot)
                seat.credit[came.subscription] += 1
                seat.client.say(Credit(came.subscription, seat.credit[came.subscription], 1 << 40))
            case Answered():
                self.calls.hear(session, came)
            case Noticed():
                self.calls.notice(session, came)

    def change_rules(self, rules: tuple[AccessRule, ...]) -> None:
        before = {name: list(seat.serving) for name, seat in self.world.seats.items()}
        super().change_rules(rules)
        for name, numbers in before.items():
            seat = self.world.seats[name]
            for number in numbers:
                if seat.client is not None and number not in seat.serving:
                    self.calls.part(seat.client.session, number)

    def pass_time(self, seconds: float) -> None:
        super().pass_time(seconds)
        self.calls.keep_time(self.world.router.clock.now)

    def came(self, seat: Seat) -> None:
        super().came(seat)
        if seat.name == DUTIFUL:
            self._serve(seat, CALLED[0], 4)

    def left(self, seat: Seat, cause: str) -> None:
        super().left(seat, cause)
        assert seat.client is not None
        self.calls.left(seat.client.session)

    def wind_up(self) -> None:
        """Whoever is left hears how the calls to those end who leave; then nothing is left."""
        super().wind_up()
        for leaving in self.world.seats.values():
            self.look_who_is_over()
            for seat in self.world.seats.values():
                if seat.is_here:
                    self._read_all(seat)
            self.calls.check(self.world)
            self.calls.check_all_is_heard()
            if leaving.is_here:
                self.somebody_goes(leaving.name, cleanly=True)
        self.calls.check_nothing_stays(self.world)
        self.add(self.calls.counted)
        self.add({"calls replied to": self.calls.replied})
        self.add({f"calls ended ({why})": count for why, count in self.calls.failed.items()})

    # ---- inside ---------------------------------------------------------------------------------

    def _serve(self, seat: Seat, topic: str, credit: int) -> None:
        assert seat.client is not None
        number = self.world.number()
        wish = Subscribe(
            number,
            topic,
            serve=True,
            credit_messages=credit,
            credit_bytes=1 << 40,
            request=number,
        )
        seat.client.say(wish)
        if number in seat.client.session.subscriptions:
            seat.serving[number] = topic
            seat.credit[number] = credit

    def _call(self, seat: Seat, topic: str, seconds: float) -> None:
        assert seat.client is not None
        request, now_ns = self.world.number(), self.world.now_ns
        expires_at = now_ns + round(seconds * SECOND) if seconds else 0
        heading = Heading(topic, expires_at=expires_at)
        raw = encode_call(heading, str(request).encode(), now_ns, request)
        refused = self.calls.refusal(self.world, seat, topic, seconds)
        self.world.router.receive(seat.client.session, [raw], now_ns)
        self.calls.call(self.world, seat, request, refused, seconds)

    def _reply(self, seat: Seat, slot: int, *, rejects: bool = False) -> None:
        assert seat.client is not None
        said = str(self.world.number())
        reply = Reply(slot, rejected=said) if rejects else Reply(slot, payload=said.encode())
        refusals = self.world.router._deliveries.refusals
        before = refusals.copy()
        refused = self.calls.reply(self.world, seat, slot, said)
        seat.client.say(reply, now_ns=self.world.now_ns)
        before[refused] += bool(refused)
        assert +refusals == +before
