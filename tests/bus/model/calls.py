"""The promise that every call ends exactly once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf

from daemoneye.bus.broker.servers import ReplyStream
from daemoneye.bus.broker.session import Session
from tests.bus.model.reach import may_publish, may_read
from tests.bus.model.seats import Answered, Called, Noticed, Seat
from tests.bus.model.world import IN_FLIGHT, OPEN_CALLS, World

LEFT = ("no-responder", "caller-gone")
"""Who goes as both is counted as either."""


@dataclass(frozen=True)
class Open:
    """A call that was handed to somebody."""

    caller: Session
    caller_name: str
    request: int
    topic: str
    server: Session
    subscription: int
    """By which the server serves."""
    slot: int
    deadline: float = field(compare=False)


class Calls:
    """A reply or one error to each call, for its caller only; all that comes later is nothing."""

    def __init__(self) -> None:
        self.open: dict[int, Open] = {}
        """By slot."""
        self.slots: dict[int, Open] = {}
        """All that there were."""
        self.made: set[int] = set()
        self.due: dict[tuple[Session, int], tuple[str, str]] = {}
        """By caller and request: how it ended and by whom, while that has not been heard."""
        self.came: set[tuple[Session, int]] = set()
        self.told: set[tuple[Session, int]] = set()
        self.taken_back: set[tuple[Session, int]] = set()
        """By server and slot: calls that came, that it was told are over, and that are."""
        self.failed: Counter[str] = Counter()
        self.replied = 0
        self.counted: Counter[str] = Counter()

    # ---- how one begins -------------------------------------------------------------------------

    def refusal(self, world: World, caller: Seat, topic: str, seconds: float) -> str:
        """The error that a call has to end with at once; empty: somebody gets it."""
        assert caller.client is not None
        if not may_publish(world.rules, caller.name, topic):
            return "AccessDenied"
        if sum(each.caller is caller.client.session for each in self.open.values()) >= OPEN_CALLS:
            return "BackPressure"
        if seconds < 0:
            return "DeadlineExceeded"
        serving = self._in_hand(world, topic)
        if not serving:
            return "NoResponder"
        return "BackPressure" if min(serving.values()) >= IN_FLIGHT else ""

    def call(self, world: World, caller: Seat, request: int, refused: str, seconds: float) -> None:
        """It was said: it is refused, or one of those gets it who have least to do."""
        assert caller.client is not None
        session = caller.client.session
        self.made.add(request)
        self.counted["calls made"] += 1
        call = world.router._calls._by_caller.get(session, {}).get(request)
        if refused:
            assert call is None
            self.due[session, request] = refused, ""
            self.counted["calls refused"] += 1
            return
        assert call is not None, "it is in no hands, and was not refused"
        server = call.server
        number = server.subscription.number
        serving = self._in_hand(world, call.topic)
        assert serving[server.session, number] == min(serving.values())
        deadline = world.router.clock.now + seconds if seconds else inf
        assert call.slot not in self.slots
        self.open[call.slot] = self.slots[call.slot] = Open(
            session, caller.name, request, call.topic, server.session, number, call.slot, deadline
        )

    def _in_hand(self, world: World, topic: str) -> dict[tuple[Session, int], int]:
        """Who may be asked, and how many calls they have."""
        hands = Counter((each.server, each.subscription) for each in self.open.values())
        return {
            (seat.client.session, number): hands[seat.client.session, number]
            for seat in world.seats.values()
            for number, served in seat.serving.items()
            if seat.client is not None
            and served == topic
            and may_read(world.rules, seat.name, topic)
        }

    # ---- how one ends ---------------------------------------------------------------------------

    def reply(self, world: World, seat: Seat, slot: int, said: str) -> str:
        """What is counted when this is said: nothing, if it ends the call."""
        assert seat.client is not None
        call = self.open.get(slot)
        if call is None:
            self.counted["replies too late"] += 1
            return "late-reply"
        if call.server is not seat.client.session:
            self.counted["replies to slots of others"] += 1
            return "senseless"
        stream = call.caller.outbox.streams.get(ReplyStream.KEY)
        if not may_publish(world.rules, call.caller_name, call.topic):
            self._end(call, "denied", "AccessDenied")
        elif stream is not None and stream.messages >= OPEN_CALLS:
            self._end(call, "back-pressure", "BackPressure")
        else:
            del self.open[slot]
            self.due[call.caller, call.request] = said, seat.name
            self.replied += 1
        return ""

    def cancel(self, call: Open) -> None:
        """Its caller waits no more, and hears nothing of it."""
        self._end(call, "cancelled")
        self.taken_back.add((call.server, call.slot))

    def keep_time(self, now: float) -> None:
        """The time of these is up."""
        for call in [each for each in self.open.values() if each.deadline <= now]:
            self._end(call, "expired", "DeadlineExceeded")
            self.taken_back.add((call.server, call.slot))

    def part(self, session: Session, number: int) -> None:
        """It serves no more by that: whoever called it hears so, and it hears nothing."""
        for call in [each for each in self.slots.values() if each.server is session]:
            if call.subscription == number:
                self._forget(session, call.slot)
                if call.slot in self.open:
                    self._end(call, "no-responder", "NoResponder")

    def left(self, session: Session) -> None:
        """Its connection is gone, with all that was on its way."""
        for call in [each for each in self.open.values() if each.caller is session]:
            self._end(call, "caller-gone")
            self.taken_back.add((call.server, call.slot))
        for number in {each.subscription for each in self.slots.values()}:
            self.part(session, number)
        self.due = {key: how for key, how in self.due.items() if key[0] is not session}

    def _end(self, call: Open, reason: str, error: str = "") -> None:
        del self.open[call.slot]
        self.failed[reason] += 1
        if error:
            self.due[call.caller, call.request] = error, ""

    def _forget(self, session: Session, slot: int) -> None:
        for known in (self.came, self.told, self.taken_back):
            known.discard((session, slot))

    # ---- what is heard of it --------------------------------------------------------------------

    def take(self, session: Session, came: Called) -> None:
        """It came: once, to whoever has it in hand."""
        call = self.slots[came.slot]
        assert (call.server, call.subscription) == (session, came.subscription)
        assert (call.request, call.topic) == (came.number, came.event.topic)
        assert call.caller_name == came.event.publisher.name
        assert (session, came.slot) not in self.came, "called twice"
        self.came.add((session, came.slot))

    def hear(self, session: Session, heard: Answered) -> None:
        """Its call ended as it had to, and for the first time."""
        if heard.request in self.made:
            assert self.due.pop((session, heard.request), None) == (heard.outcome, heard.by)

    def notice(self, session: Session, heard: Noticed) -> None:
        """Whoever has it in hand is told once, and only when it is over."""
        key = session, heard.slot
        if heard.code == "cancelled" and key in self.taken_back:
            assert key not in self.told
            self.told.add(key)

    # ---- what has to hold -----------------------------------------------------------------------

    def check(self, world: World) -> None:
        """The broker has these calls in these hands, and counts how all others ended."""
        calls = world.router._calls
        there = {
            (slot, each.caller, each.request, each.server.session, each.server.subscription.number)
            for slot, each in calls._open.items()
        }
        assert there == {
            (slot, each.caller, each.request, each.server, each.subscription)
            for slot, each in self.open.items()
        }
        hands = Counter((each.server, each.subscription) for each in self.open.values())
        assert max(hands.values(), default=0) <= IN_FLIGHT
        assert calls.taken == calls.replies + calls.failed.total() + len(calls)
        assert calls.replies == self.replied
        assert _joined(calls.failed) == _joined(self.failed)

    def check_all_is_heard(self) -> None:
        """When everybody has read all there is."""
        assert not self.due
        assert self.told == self.came & self.taken_back

    def check_nothing_stays(self, world: World) -> None:
        """When everybody has left."""
        calls, servers = world.router._calls, world.router.directory.servers
        assert not self.open
        assert (len(calls._open), len(calls._by_caller)) == (0, 0)
        assert (len(servers), len(servers.happened)) == (0, 0)


def _joined(failed: Counter[str]) -> Counter[str]:
    joined = Counter(failed)
    joined["left"] = sum(joined.pop(reason, 0) for reason in LEFT)
    return +joined
