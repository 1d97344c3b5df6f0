"""Calls at the broker: handed to one, replied to once, and each ends exactly once."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.deliveries import Ending
from daemoneye.bus.broker.session import Standing
from daemoneye.bus.frames import (
    Answer,
    Cancel,
    Envelope,
    Goodbye,
    Heading,
    Notice,
    Query,
    Reply,
    Subscribe,
    Unsubscribe,
    encode_call,
    parse,
)
from daemoneye.bus.limits import Limits
from tests.bus.support import NOW, Bus, Client

ECHO = "control.demo.echo"
SECOND = 1_000_000_000


def call(
    caller: Client, request: int, topic: str = ECHO, seconds: float = 2.0, **said: object
) -> None:
    """Say it in one turn; 0 seconds: without a deadline."""
    expires_at = NOW + round(seconds * SECOND) if seconds else 0
    heading = Heading(topic, expires_at=expires_at, **said)  # type: ignore[arg-type]  # fields by name
    raw = encode_call(heading, b"?%d" % request, NOW, request)
    caller.router.receive(caller.session, [raw], NOW)


def given(server: Client) -> list[int]:
    """The slots of the calls that have come."""
    slots = []
    while buffers := server.session.take(1 << 16, NOW):
        data = b"".join(buffers)
        server.session.written(len(data))
        slots += [frame.delivery for frame in map(parse, server.cutter.feed(data)) if frame.count]
    return slots


def told(caller: Client) -> list[tuple[int, str]]:
    """What became of which of its requests: an error, or the payload."""
    found = []
    for each in caller.read():
        if isinstance(each, Answer):
            found.append((each.request, each.error))
        elif isinstance(each, Reply):
            found.append((each.request, each.rejected or each.payload.decode()))
    return found


def pair(*rules: AccessRule, **limits: float) -> tuple[Bus, Client, Client]:
    """A caller, and somebody who serves ECHO."""
    bus = Bus(*rules, **limits)
    caller, server = bus.client("caller"), bus.client("server", incarnation=4)
    assert server.subscribe(ECHO, serve=True).error == ""
    return bus, caller, server


# ---- the straight way ---------------------------------------------------------------------------


def test_a_call_is_delivered_to_who_serves_and_the_reply_to_who_called() -> None:
    bus, caller, server = pair()
    call(caller, 7, content_type="text/plain")
    (asked,) = (each for each in server.read() if isinstance(each, Envelope))
    assert (asked.topic, asked.payload, asked.publisher.name) == (ECHO, b"?7", "caller")
    assert asked.header.expires_at == NOW + 2 * SECOND
    (slot,) = bus.router._calls._open
    server.say(Reply(slot, content_type="t", payload=b"!", time=9))
    (reply,) = (each for each in caller.read() if isinstance(each, Reply))
    assert (reply.request, reply.payload, reply.content_type, reply.time) == (7, b"!", "t", 9)
    assert tuple(reply.publisher) == ("server", "agent", 4242, 4)
    counters = bus.router.statistics().counters()
    assert (counters["calls_total"], counters["replies_total"]) == (1, 1)
    assert counters["failed_calls_total"] == 0


def test_a_rejection_is_a_reply() -> None:
    _, caller, server = pair()
    call(caller, 1)
    server.say(Reply(given(server)[0], rejected="not today"))
    assert told(caller) == [(1, "not today")]


def test_publishes_do_not_go_to_who_serves_nor_calls_to_who_listens() -> None:
    bus, caller, server = pair()
    listener = bus.client("listener")
    listener.subscribe("#")
    caller.publish(ECHO, b"published")
    call(caller, 1)
    assert server.events() == [b"?1"]
    assert listener.events() == [b"published"]


def test_the_one_with_the_fewest_in_hand_gets_it_and_equals_take_turns() -> None:
    bus, caller, first = pair()
    second = bus.client("second")
    second.subscribe(ECHO, serve=True)
    for request in range(1, 5):
        call(caller, request)
    ours, theirs = given(first), given(second)
    assert (len(ours), len(theirs)) == (2, 2)
    second.say(*map(Reply, theirs))
    call(caller, 5)
    call(caller, 6)
    assert (len(given(first)), len(given(second))) == (0, 2)


# ---- what cannot be -----------------------------------------------------------------------------


def test_b20_nobody_serves_is_an_answer_at_once() -> None:
    bus = Bus()
    caller = bus.client("caller")
    call(caller, 3)
    assert told(caller) == [(3, "NoResponder")]
    assert bus.router.statistics().refused == {"no-responder": 1}


@pytest.mark.parametrize("filter_text", ["control.demo.+", "control.#", "control.*"])
def test_only_a_topic_can_be_served(filter_text: str) -> None:
    answer = Bus().client("server").subscribe(filter_text, serve=True)
    assert answer.error == "InvalidTopic"
    assert answer.hint


def test_a_group_cannot_serve() -> None:
    answer = Bus().client("server").subscribe(ECHO, serve=True, group="g")
    assert answer.error == "LocalProtocolError"


def test_who_may_not_publish_may_not_call_and_who_may_not_read_may_not_serve() -> None:
    bus, _, _ = pair()
    watching = bus.client("watching", "observer")
    call(watching, 1)
    assert told(watching) == [(1, "AccessDenied")]
    assert watching.subscribe(ECHO, serve=True).error == "AccessDenied"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"target": "server"}, "LocalProtocolError"),
        ({"retain": True}, "LocalProtocolError"),
        ({"topic": "control.*"}, "InvalidTopic"),
        ({"seconds": -1.0}, "DeadlineExceeded"),
    ],
)
def test_a_call_that_makes_no_sense_is_answered(said: dict[str, object], error: str) -> None:
    bus, caller, server = pair()
    call(caller, 1, **said)  # type: ignore[arg-type]  # as they come
    assert told(caller) == [(1, error)]
    assert given(server) == []
    assert len(bus.router._calls) == 0


def test_a_call_with_a_payload_apart_is_too_large() -> None:
    bus, caller, _ = pair()
    raw = encode_call(Heading(ECHO), b"", NOW, 1) + b"\x80\x01\x80\x80\x10"  # large_bytes
    bus.router.receive(caller.session, [raw], NOW)
    assert told(caller) == [(1, "TooLarge")]


def test_without_a_request_number_a_notice_says_so() -> None:
    _, caller, _ = pair()
    call(caller, 0)
    (notice,) = caller.notices()
    assert (notice.code, notice.topic) == ("refused", ECHO)


def test_a_number_is_good_for_one_call_at_a_time() -> None:
    _, caller, server = pair()
    call(caller, 1)
    call(caller, 1)
    assert told(caller) == [(1, "LocalProtocolError")]
    assert len(given(server)) == 1


def test_in_flight_full_and_one_more() -> None:
    bus, caller, server = pair(in_flight=3)
    for request in range(1, 5):
        call(caller, request)
    assert told(caller) == [(4, "BackPressure")]
    server.say(Reply(given(server)[0]))
    call(caller, 5)
    assert told(caller) == [(1, "")]
    assert bus.router.statistics().calls == 4


def test_calls_full_and_one_more() -> None:
    bus, caller, _ = pair(calls=3)
    for request in range(1, 5):
        call(caller, request)
    assert told(caller) == [(4, "BackPressure")]
    caller.say(Cancel(1))
    call(caller, 5)
    assert told(caller) == []
    assert len(bus.router._calls) == 3


# ---- replies that come to nothing ---------------------------------------------------------------


def test_b20_a_second_reply_is_refused_and_counted() -> None:
    bus, caller, server = pair()
    call(caller, 1)
    (slot,) = given(server)
    server.say(Reply(slot, payload=b"first"), Reply(slot, payload=b"second"))
    (notice,) = server.notices()
    assert (notice.code, notice.delivery) == ("late-reply", slot)
    assert told(caller) == [(1, "first")]
    assert bus.router.statistics().refused == {"late-reply": 1}


def test_b20_a_reply_to_a_slot_that_is_not_yours_changes_nothing() -> None:
    bus, caller, server = pair()
    mallory = bus.client("mallory")
    call(caller, 1)
    (slot,) = given(server)
    for stranger in (mallory, caller):
        stranger.say(Reply(slot, payload=b"forged"))
        (notice,) = (each for each in stranger.read() if isinstance(each, Notice))
        assert (notice.code, notice.delivery) == ("refused", slot)
    server.say(Reply(slot, payload=b"true"))
    assert told(caller) == [(1, "true")]
    assert bus.router.statistics().refused == {"senseless": 2}


def test_a_reply_to_what_was_never_called_is_late() -> None:
    _, _, server = pair()
    server.say(Reply(999))
    assert [each.code for each in server.notices()] == ["late-reply"]


def test_who_may_publish_no_more_does_not_get_the_reply() -> None:
    bus, caller, server = pair()
    call(caller, 1)
    deny = AccessRule("identity:caller", "write-only", "control.demo.#", deny=True)
    bus.router.set_rules(Limits(), AccessList((deny,)))
    server.say(Reply(given(server)[0], payload=b"secret"))
    assert told(caller) == [(1, "AccessDenied")]
    assert bus.router.statistics().failed == {"denied": 1}


def test_a_call_that_many_serve_counts_as_more_work() -> None:
    bus = Bus(subscriptions=1024, in_flight=1024, calls=1024)
    server, caller = bus.client("server"), bus.client("caller")
    server.say(*(Subscribe(number, ECHO, serve=True) for number in range(1, 801)))
    frames = [encode_call(Heading(ECHO), b"?", NOW, number) for number in range(1, 101)]
    bus.router.receive(caller.session, frames, NOW)
    assert 0 < bus.router.statistics().calls < 20
    assert caller.session in bus.router.unfinished


def test_replies_that_are_not_read_are_bounded() -> None:
    bus, caller, server = pair(calls=2)
    for request in (1, 2, 3):
        call(caller, request)
        server.say(Reply(given(server)[0]))
    found = caller.read()
    assert [type(each) for each in found if not isinstance(each, Notice)].count(Reply) == 2
    assert [(each.request, each.error) for each in found if isinstance(each, Answer)] == [
        (3, "BackPressure")
    ]
    assert bus.router.statistics().failed == {"back-pressure": 1}


def test_a_reply_that_has_to_make_room_is_answered() -> None:
    bus, caller, server = pair()
    call(caller, 1)
    server.say(Reply(given(server)[0], payload=b"x" * 1000))
    caller.session.outbox.shed(1000)
    bus.router.tell(server.session, Notice("any"))
    assert told(caller) == [(1, "BackPressure")]


# ---- ends ---------------------------------------------------------------------------------------


def test_b20_the_end_of_who_serves_is_told_at_once_with_its_cause() -> None:
    bus, caller, server = pair()
    call(caller, 1)
    given(server)
    bus.router.end("server", 4, "signal:9")
    (answer,) = (each for each in caller.read() if isinstance(each, Answer))
    assert (answer.request, answer.error) == (1, "NoResponder")
    assert "server" in answer.detail
    assert "signal:9" in answer.detail


@pytest.mark.parametrize("how", ["hangs up", "says goodbye", "unsubscribes", "is cut off"])
def test_who_stops_serving_leaves_no_call_behind(how: str) -> None:
    bus, caller, server = pair()
    call(caller, 1)
    call(caller, 2)
    given(server)
    if how == "hangs up":
        bus.router.close(server.session)
    elif how == "says goodbye":
        server.say(Goodbye())
    elif how == "unsubscribes":
        server.say(Unsubscribe(1))
    else:
        bus.router.cut_off(server.session, Ending("heartbeat", "nothing came from it"))
    assert told(caller) == [(1, "NoResponder"), (2, "NoResponder")]
    assert bus.router.statistics().failed == {"no-responder": 2}
    call(caller, 3)
    assert told(caller) == [(3, "NoResponder")]


def test_who_may_serve_no_more_has_no_call_any_more() -> None:
    bus, caller, server = pair()
    call(caller, 1)
    given(server)
    deny = AccessRule("identity:server", "read-only", "control.demo.#", deny=True)
    bus.router.set_rules(Limits(), AccessList((deny,)))
    assert told(caller) == [(1, "NoResponder")]
    assert [each.code for each in server.notices()] == ["unsubscribed"]


def test_a_cancelled_call_is_told_to_who_has_it() -> None:
    bus, caller, server = pair()
    call(caller, 1)
    (slot,) = given(server)
    caller.say(Cancel(1), Cancel(1), Cancel(77))
    (notice,) = server.notices()
    assert (notice.code, notice.topic, notice.delivery) == ("cancelled", ECHO, slot)
    server.say(Reply(slot))
    assert [each.code for each in server.notices()] == ["late-reply"]
    assert told(caller) == []
    assert bus.router.statistics().failed == {"cancelled": 1}


def test_a_call_that_is_cancelled_before_it_is_written_never_comes() -> None:
    bus, caller, server = pair()
    bus.router.tell(server.session, Notice("any"))  # so that what comes next waits behind it
    call(caller, 1)
    call(caller, 2)
    caller.say(Cancel(2))
    heard = server.read()
    assert [each.payload for each in heard if isinstance(each, Envelope)] == [b"?1"]
    assert [each.code for each in heard if isinstance(each, Notice)] == ["any"]
    server.say(Reply(next(iter(bus.router._calls._open))))
    assert told(caller) == [(1, "")]


def test_the_end_of_who_called_is_told_to_who_has_it() -> None:
    bus, caller, server = pair()
    call(caller, 1)
    (slot,) = given(server)
    bus.router.close(caller.session)
    (notice,) = server.notices()
    assert (notice.code, notice.delivery) == ("cancelled", slot)
    assert bus.router.statistics().failed == {"caller-gone": 1}


def test_at_the_deadline_both_are_told() -> None:
    bus, caller, server = pair()
    call(caller, 1, seconds=2.0)
    call(caller, 2, seconds=0)
    first, second = given(server)
    bus.router.clock.pass_time(1.99)
    bus.router.keep_time(NOW)
    assert told(caller) == []
    bus.router.clock.pass_time(0.01)
    assert bus.router.clock.rings
    bus.router.keep_time(NOW)
    assert told(caller) == [(1, "DeadlineExceeded")]
    assert [(each.code, each.delivery) for each in server.notices()] == [("cancelled", first)]
    server.say(Reply(first), Reply(second))
    assert [each.code for each in server.notices()] == ["late-reply"]
    assert told(caller) == [(2, "")]


def test_b20_a_reply_behind_the_deadline_is_late_although_nobody_has_looked() -> None:
    bus, caller, server = pair()
    call(caller, 1, seconds=1.0)
    (slot,) = given(server)
    bus.router.clock.pass_time(1.0)
    server.say(Reply(slot))
    assert told(caller) == [(1, "DeadlineExceeded")]
    assert [each.code for each in server.notices()] == ["cancelled", "late-reply"]
    assert bus.router.statistics().refused == {"late-reply": 1}


def test_a_call_that_expires_before_it_is_written_is_answered() -> None:
    bus, caller, server = pair()
    bus.router.tell(server.session, Notice("any"))  # so that what comes next waits behind it
    call(caller, 1, seconds=1.0)
    call(caller, 2, seconds=9.0)
    heard = server.read(NOW + 3 * SECOND)
    assert [each.payload for each in heard if isinstance(each, Envelope)][-1:] == [b"?2"]
    bus.router.clock.pass_time(1.0)
    bus.router.keep_time(NOW + 3 * SECOND)
    assert (1, "DeadlineExceeded") in told(caller)


@pytest.mark.parametrize("first", ["a frame", "the clock", "a cancel"])
def test_who_serves_is_told_nothing_of_a_call_that_expired_before_it_was_written(
    first: str,
) -> None:
    bus, caller, server = pair()
    bus.router.tell(server.session, Notice("any"))  # so that what comes next waits behind it
    call(caller, 1, seconds=1.0)
    server.read(NOW + 3 * SECOND)
    bus.router.clock.pass_time(3.0)
    if first == "a frame":
        caller.publish("events.demo.tick", b"any")
    elif first == "the clock":
        bus.router.keep_time(NOW + 3 * SECOND)
    else:
        caller.say(Cancel(1))
    assert told(caller) == [(1, "DeadlineExceeded")]
    assert server.notices() == []
    assert bus.router.statistics().failed == {"expired": 1}


def test_a_call_that_has_to_make_room_is_answered() -> None:
    bus, caller, server = pair()
    bus.router.tell(server.session, Notice("any"))  # so that what comes next waits behind it
    call(caller, 1)
    server.session.outbox.shed(10_000)
    bus.router.tell(caller.session, Notice("any"))
    assert told(caller) == [(1, "BackPressure")]
    assert bus.router.statistics().failed == {"back-pressure": 1}


# ---- the life of a slot -------------------------------------------------------------------------


class LifeOfSlots(RuleBasedStateMachine):
    """Whatever clients do in whatever order, every call ends exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = Bus(in_flight=3, calls=4)
        self.callers = [self.bus.client(f"caller{n}") for n in range(2)]
        self.servers: list[Client] = []
        self.slots: list[int] = []
        self.made: set[tuple[str, int]] = set()
        self.over: list[tuple[str, int]] = []
        self.requests = 0

    @rule(who=st.integers(0, 1), seconds=st.sampled_from([0.0, 0.5, 2.0]))
    def calls(self, who: int, seconds: float) -> None:
        self.requests += 1
        caller = self.callers[who]
        self.made.add((caller.session.identity.name, self.requests))
        call(caller, self.requests, seconds=seconds)

    @precondition(lambda self: len(self.servers) < 3)
    @rule()
    def serves(self) -> None:
        server = self.bus.client("server")
        server.subscribe(ECHO, serve=True)
        self.servers.append(server)

    @precondition(lambda self: self.servers)
    @rule(data=st.data(), text=st.sampled_from([b"yes", b"no"]))
    def replies(self, data: st.DataObject, text: bytes) -> None:
        server = data.draw(st.sampled_from(self.servers))
        self.slots += given(server)
        if self.slots:
            slot = data.draw(st.sampled_from(self.slots))
            server.say(Reply(slot, payload=text))

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), who=st.integers(0, 1))
    def cancels(self, data: st.DataObject, who: int) -> None:
        caller = self.callers[who]
        request = data.draw(st.integers(1, self.requests))
        name = caller.session.identity.name
        if request in self.bus.router._calls._by_caller.get(caller.session, {}):
            self.over.append((name, request))  # nobody waits for it any more
        caller.say(Cancel(request))

    @precondition(lambda self: self.servers)
    @rule(data=st.data(), politely=st.booleans())
    def stops_serving(self, data: st.DataObject, politely: bool) -> None:
        server = data.draw(st.sampled_from(self.servers))
        self.servers.remove(server)
        if politely:
            server.say(Unsubscribe(1))
        else:
            self.bus.router.close(server.session)

    @rule(who=st.integers(0, 1))
    def goes(self, who: int) -> None:
        caller = self.callers[who]
        self.hear()
        name, calls = caller.session.identity.name, self.bus.router._calls
        self.over += [(name, each) for each in calls._by_caller.get(caller.session, {})]
        self.bus.router.close(caller.session)
        self.callers[who] = self.bus.client(name)

    @rule(seconds=st.sampled_from([0.1, 0.5, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.bus.router.clock.pass_time(seconds)
        if self.bus.router.clock.rings:
            self.bus.router.keep_time(NOW)

    def hear(self) -> None:
        for caller in self.callers:
            name = caller.session.identity.name
            self.over += [(name, request) for request, _ in told(caller)]

    @invariant()
    def each_ends_once(self) -> None:
        self.hear()
        calls = self.bus.router._calls
        still = {
            (session.identity.name, request)
            for session, mine in calls._by_caller.items()
            for request in mine
        }
        assert len(self.over) == len(set(self.over)), "a call ended twice"
        assert still | set(self.over) == self.made
        assert not still & set(self.over)
        statistics = self.bus.router.statistics()
        ended = statistics.replies + sum(statistics.failed.values())
        assert statistics.calls == ended + len(calls) == ended + len(still)
        in_hand = [len(each.in_hand) for each in self.bus.router.directory.servers.of(ECHO)]
        assert sum(in_hand) == len(calls)
        assert max(in_hand, default=0) <= 3


TestLifeOfSlots = LifeOfSlots.TestCase
TestLifeOfSlots.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_who_called_itself_and_is_away_is_counted_like_anybody() -> None:
    bus = Bus()
    session = bus.router.open(Identity("self", "agent", incarnation=1), Declared(), NOW, number=7)
    client = Client(bus.router, session)
    client.say(Subscribe(1, "events.#", request=1), Subscribe(2, ECHO, serve=True, request=2))
    call(client, 9)
    given(client)
    bus.router.park(session)
    assert session.standing is Standing.AWAY
    assert session.tallies().keys() == {1}
    assert bus.router.statistics().failed == {"no-responder": 1}
    asker = bus.client("asker")
    asker.say(Query("subscriptions", request=5))
    (answer,) = asker.read()
    assert isinstance(answer, Answer)
    assert not answer.error
