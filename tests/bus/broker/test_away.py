"""Sessions whose connection is lost: what is sent again, what is told, who may go on with one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.agenda import WORK_IN_A_TURN
from daemoneye.bus.broker.session import Standing
from daemoneye.bus.broker.streams import DENIED, DISCONNECTED, Tally
from daemoneye.bus.frames import (
    Answer,
    Carriage,
    Credit,
    Envelope,
    Goodbye,
    Heading,
    Notice,
    Overflow,
    Query,
    Reply,
    Resumption,
    StreamMark,
    Subscribe,
    Will,
    decode,
    encode_call,
    parse,
    read_outer,
)
from daemoneye.bus.handshake import Return
from daemoneye.bus.limits import Limits
from daemoneye.framing import FrameCutter
from tests.bus.carriers import DESCRIPTORS, Yard
from tests.bus.support import NOW, Bus, Client

TOPICS = ("events.demo.a", "events.demo.b")
PLENTY = {"credit_messages": 1 << 20, "credit_bytes": 1 << 40}


@dataclass
class Traveller(Client):
    """A client that loses connections, and counts what came."""

    number: int = 0
    received: int = 0
    got: list[Envelope] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    subscribed: dict[int, Subscribe] = field(default_factory=dict)
    since: Counter[str] = field(default_factory=Counter)
    """What marks told behind the last delivery."""

    def listen(self, filter_text: str, number: int = 1, **options: object) -> None:
        wish = Subscribe(number, filter_text, request=number, **{**PLENTY, **options})  # type: ignore[arg-type]  # fields by name
        self.subscribed[number] = wish
        self.say(wish)

    def hear(self, written: int = 1 << 30, lost: int = 0, at_once: int = 1 << 16) -> None:
        """The kernel takes so much of one write, and the last `lost` bytes do not come."""
        data = b"".join(self.session.take(at_once, NOW))[:written]
        self.session.written(len(data))
        for raw in self.cutter.feed(data[: max(0, len(data) - lost)]):
            self._count(raw)

    def hear_all(self) -> None:
        while self.session.pending:
            self.hear()

    def _count(self, raw: bytes) -> None:
        self.received += read_outer(raw).count
        found = decode(raw)
        if isinstance(found, list):
            self.got += found
            self.told += self.since
            self.since.clear()
        elif isinstance(found, StreamMark):
            self.since.update(found.lost)

    def lose(self) -> None:
        self.router.park(self.session)
        self.cutter = FrameCutter(4 << 20)
        self.since.clear()

    def come_back(self, **more: object) -> Resumption:
        """Go on with what was subscribed to, and subscribe again."""
        wanted = Return(self.number, self.received, tuple(self.subscribed))
        resumption = self.router.go_on(self.session, wanted, Carriage())
        self.say(*self.subscribed.values())
        return resumption

    @property
    def tally(self) -> Tally:
        return self.session.outbox.tally()


class Station(Bus):
    """A router whose clients travel."""

    def traveller(self, name: str = "operator", number: int = 77, **more: object) -> Traveller:
        identity = Identity(name, "agent", incarnation=1, pid=4242)
        session = self.router.open(identity, Declared(), NOW, number=number)
        return Traveller(self.router, session, number=number)

    def standing(self, traveller: Traveller) -> Standing:
        return traveller.session.standing

    def find(self, number: int, name: str = "operator", incarnation: int = 1) -> object:
        identity = Identity(name, "agent", incarnation=incarnation, pid=4242)
        return self.router.find(Return(number), identity, Declared())


def payloads(traveller: Traveller) -> list[bytes]:
    return [bytes(each.payload) for each in traveller.got]


def holds_the_law(traveller: Traveller) -> None:
    tally, outbox = traveller.tally, traveller.session.outbox
    waiting = sum(stream.messages for stream in outbox.streams.values())
    assert tally.offered == tally.delivered + tally.lost.total() + waiting


# ---- every message once, in order, or told ------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_cut_every_message_comes_once_and_in_order(data: st.DataObject) -> None:
    station = Station()
    one, two = station.client("one"), station.client("two")
    traveller = station.traveller()
    for number, filter_text in enumerate(("events.demo.+", "events.demo.a", "control.#"), start=1):
        if data.draw(st.booleans()) or number == 1:
            traveller.listen(filter_text, number)
    sent: Counter[tuple[str, str]] = Counter()
    for _ in range(data.draw(st.integers(1, 5))):
        for _ in range(data.draw(st.integers(0, 8))):
            client = data.draw(st.sampled_from((one, two)))
            topic = data.draw(st.sampled_from(TOPICS))
            frames = [
                client.frame(topic, *[b"x" * data.draw(st.integers(0, 9))] * count)
                for count in data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
            ]
            station.router.receive(client.session, frames, NOW)
            if data.draw(st.booleans()):
                traveller.hear(data.draw(st.integers(0, 400)), at_once=1 << 12)
        rest = b"".join(traveller.session.take(1 << 16, NOW))
        taken = data.draw(st.integers(0, len(rest)))
        traveller.hear(taken, lost=data.draw(st.integers(0, taken)))
        holds_the_law(traveller)
        traveller.lose()
        one.publish(TOPICS[0], b"while it was away")
        holds_the_law(traveller)
        assert traveller.come_back() is Resumption.COMPLETE
        holds_the_law(traveller)
        if data.draw(st.booleans()):
            traveller.say(Credit(1, 0, 0, data.draw(st.integers(0, traveller.received + 3))))
    traveller.hear_all()
    assert not traveller.told
    heard: dict[tuple[str, str], list[int]] = {}
    for event in traveller.got:
        heard.setdefault((event.publisher.name, event.topic), []).append(event.sequence)
    for client in (one, two):
        for topic, last in client.sequences.items():
            name = client.session.identity.name
            assert heard.pop((name, topic)) == list(range(1, last + 1))
            sent[name, topic] = last
    assert not heard
    assert traveller.tally.delivered == traveller.received == sent.total()
    assert traveller.session.outbox.backlog.bytes == 0


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_does_not_come_is_told_exactly_wherever_the_cut_is(data: st.DataObject) -> None:
    """Small outboxes that overflow before, between and after connections."""
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    policy = data.draw(st.sampled_from((Overflow.DROP_OLDEST, Overflow.DROP_NEWEST)))
    traveller.listen("events.demo.a", 1, overflow=policy, max_messages=4)
    traveller.listen("events.demo.b", 2, overflow=policy, max_messages=4)
    for _ in range(data.draw(st.integers(1, 4))):
        for topic in TOPICS:
            for _ in range(data.draw(st.integers(0, 9))):
                publisher.publish(topic, b"x")
            rest = b"".join(traveller.session.take(data.draw(st.integers(1, 300)), NOW))
            taken = data.draw(st.integers(0, len(rest)))
            traveller.hear(
                taken, lost=data.draw(st.integers(0, taken)) if topic == TOPICS[1] else 0
            )
        traveller.lose()
        publisher.publish(data.draw(st.sampled_from(TOPICS)), b"away")
        assert traveller.come_back() is Resumption.COMPLETE
        holds_the_law(traveller)
    traveller.hear_all()
    told = traveller.told + traveller.since
    sequences = [(each.topic, each.sequence) for each in traveller.got]
    assert len(set(sequences)) == len(sequences)
    assert len(sequences) + told.total() == sum(publisher.sequences.values())
    assert set(told) <= {"overflow"}


def test_more_than_was_kept_is_partial_and_the_rest_comes() -> None:
    station = Station(resume_messages=3)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    for number in range(5):
        publisher.publish(TOPICS[0], b"%d" % number)
        traveller.hear(lost=1 << 20)
    traveller.lose()
    assert traveller.come_back() is Resumption.PARTIAL
    traveller.hear_all()
    assert payloads(traveller) == [b"2", b"3", b"4"]
    holds_the_law(traveller)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_complete_is_said_only_when_nothing_is_missing(data: st.DataObject) -> None:
    """A window that is smaller than what is written, with and without word of what came."""
    window = data.draw(st.integers(1, 12))
    station = Station(resume_messages=window)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.+")
    traveller.hear_all()
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(0, 20))):
            publisher.publish(
                data.draw(st.sampled_from(TOPICS)), *[b"x"] * data.draw(st.integers(1, 3))
            )
            traveller.hear_all()
            if data.draw(st.booleans()):
                traveller.say(Credit(1, 0, 0, traveller.received))
        before, written = traveller.received, data.draw(st.integers(0, 3 * window))
        for _ in range(written):
            publisher.publish(TOPICS[0], b"x")
            traveller.hear(lost=1 << 20)
        heard = len(traveller.got)
        traveller.lose()
        found = traveller.come_back()
        assert found is (Resumption.COMPLETE if written <= window else Resumption.PARTIAL)
        traveller.hear_all()
        assert len(traveller.got) - heard == min(written, window)
        assert traveller.received == before + min(written, window)
        holds_the_law(traveller)


def test_a_full_block_stream_holds_up_nobody_while_its_connection_is_lost() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()

    def confirmed(payload: bytes) -> str:
        publisher.publish(TOPICS[0], payload, request=9)
        answer = publisher.read()[-1]
        assert isinstance(answer, Answer)
        return answer.error

    traveller.listen("events.demo.a", overflow=Overflow.BLOCK, max_messages=2, credit_messages=1)
    traveller.hear_all()
    assert confirmed(b"0") == ""
    traveller.hear_all()
    assert [confirmed(b"1"), confirmed(b"2"), confirmed(b"refused")] == ["", "", "BackPressure"]
    publisher.sequences[TOPICS[0]] -= 1  # its number was not used
    traveller.lose()
    publisher.publish(TOPICS[0], b"lost", request=9)
    assert publisher.read()[-1] == Answer(9, subscribers=0)
    assert traveller.come_back() is Resumption.COMPLETE
    traveller.say(Credit(1, 9, 1 << 20, traveller.received))
    traveller.hear_all()
    assert payloads(traveller) == [b"0", b"1", b"2"]
    assert traveller.told + traveller.since == Counter({"overflow": 1})
    holds_the_law(traveller)


@pytest.mark.parametrize(("count", "found"), [(3, Resumption.COMPLETE), (4, Resumption.PARTIAL)])
def test_resume_messages_at_the_limit_and_one_past_it(count: int, found: Resumption) -> None:
    station = Station(resume_messages=3)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    for _ in range(count):
        publisher.publish(TOPICS[0], b"x")
        traveller.hear(lost=1 << 20)
    traveller.lose()
    assert traveller.come_back() is found


@pytest.mark.parametrize("more", [0, 1])
def test_resume_bytes_at_the_limit_and_one_past_it(more: int) -> None:
    size = len(_run_of(b"x"))
    station = Station(resume_bytes=2 * size - more)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    for _ in range(2):
        publisher.publish(TOPICS[0], b"x")
        traveller.hear(lost=1 << 20)
    traveller.lose()
    assert traveller.come_back() is (Resumption.PARTIAL if more else Resumption.COMPLETE)


def _run_of(payload: bytes) -> bytes:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    publisher.publish(TOPICS[0], payload)
    return b"".join(traveller.session.take(1 << 16, NOW)[1:])


def test_much_that_is_known_to_have_come_is_not_kept() -> None:
    station = Station(resume_messages=8, resume_bytes=500)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    for _ in range(3):
        publisher.publish(TOPICS[0], b"x")
    traveller.hear_all()
    unreceived = traveller.session.outbox.sending.unreceived
    assert (unreceived.written, unreceived.messages, len(unreceived.entries)) == (3, 3, 3)
    traveller.say(Credit(1, 0, 0, received=2))
    assert (unreceived.messages, len(unreceived.entries)) == (1, 1)
    traveller.say(Credit(1, 0, 0, received=1 << 60))
    assert unreceived.messages == 1
    traveller.say(Credit(1, 0, 0, received=3))
    assert (unreceived.messages, unreceived.bytes) == (0, 0)


def test_little_that_is_known_to_have_come_is_pushed_out_by_what_follows() -> None:
    station = Station(resume_messages=8)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    for _ in range(3):
        publisher.publish(TOPICS[0], b"x")
    traveller.hear_all()
    unreceived = traveller.session.outbox.sending.unreceived
    traveller.say(Credit(1, 0, 0, received=3))
    assert len(unreceived.entries) == 3
    for _ in range(9):
        publisher.publish(TOPICS[0], b"x")
    traveller.hear_all()
    assert len(unreceived.entries) == 9  # one more than may be says that there were more
    traveller.lose()
    assert traveller.come_back() is Resumption.COMPLETE
    assert traveller.tally.delivered == 12


def test_looking_at_all_that_is_kept_is_more_work_than_a_frame() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    for _ in range(1024):
        publisher.publish(TOPICS[0], bytes(2000))
    traveller.hear_all()
    entries = traveller.session.outbox.sending.unreceived.entries
    assert len(entries) == 1024
    credits = [Credit(9, 0, 0, received=128), *[Credit(9, 0, 0)] * (WORK_IN_A_TURN - 8)]
    traveller.say(*credits)
    assert (len(entries), station.router.unfinished.postponed) == (1024, 1)
    left = traveller.session.outbox.sending.unreceived.entries
    assert len(left) == 1024 - 128


def test_with_very_many_clients_each_keeps_less() -> None:
    station = Station(outbound_bytes=4000)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    for _ in range(2):
        publisher.publish(TOPICS[0], bytes(100))
    traveller.hear_all()
    unreceived = traveller.session.outbox.sending.unreceived
    assert (unreceived.written, unreceived.messages) == (2, 2)
    for number in range(3):
        station.client(f"more{number}")
    assert unreceived.messages == 1
    assert unreceived.bytes <= 4000 // 4 // 5


# ---- rights, policies, payloads -----------------------------------------------------------------


def test_a_subscription_goes_on_though_the_defaults_are_others_by_now() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    traveller.lose()
    station.router.set_rules(Limits(subscription_messages=2048), AccessList(()))
    publisher.publish(TOPICS[0], b"meanwhile")
    assert traveller.come_back() is Resumption.COMPLETE
    data = b"".join(traveller.session.take(1 << 16, NOW))
    said = [decode(raw) for raw in traveller.cutter.feed(data)]
    assert [each.error for each in said if isinstance(each, Answer)] == [""]
    assert [each[0].payload for each in said if isinstance(each, list)] == [b"meanwhile"]


def test_rights_that_go_and_come_again_meanwhile_end_nothing() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    traveller.lose()
    rule = AccessRule("operator", "read-only", "events.demo.#", deny=True)
    station.router.set_rules(Limits(), AccessList((rule,)))
    station.router.set_rules(Limits(), AccessList(()))
    assert traveller.come_back() is Resumption.COMPLETE
    said = [
        decode(raw) for raw in traveller.cutter.feed(b"".join(traveller.session.take(1 << 16, NOW)))
    ]
    assert not [each for each in said if isinstance(each, Notice)]
    assert [each.error for each in said if isinstance(each, Answer)] == [""]
    publisher.publish(TOPICS[0], b"x")
    assert traveller.tally.offered == 1


def test_b8_what_may_not_be_received_any_more_is_denied_to_who_comes_back() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.#")
    traveller.hear_all()
    frames = [publisher.frame(topic, b"x") for topic in (*TOPICS, TOPICS[0])]
    station.router.receive(publisher.session, frames, NOW)
    traveller.hear(lost=1 << 20)
    traveller.lose()
    rule = AccessRule("operator", "read-only", TOPICS[0], deny=True)
    station.router.set_rules(Limits(), AccessList((rule,)))
    assert traveller.come_back() is Resumption.COMPLETE
    traveller.hear_all()
    assert [each.topic for each in traveller.got] == [TOPICS[1]]
    assert traveller.told == {DENIED: 2}
    holds_the_law(traveller)


def test_a_subscription_that_may_miss_nothing_ends_with_its_session_when_it_overflows() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a", overflow=Overflow.DISCONNECT, max_messages=2)
    traveller.hear_all()
    traveller.lose()
    for _ in range(2):
        publisher.publish(TOPICS[0], b"x")
    assert station.standing(traveller) is Standing.AWAY
    publisher.publish(TOPICS[0], b"x")
    assert station.standing(traveller) is Standing.OVER
    assert station.find(77) is None


def test_large_payloads_are_lost_with_the_connection_and_counted() -> None:
    yard = Yard()
    publisher = yard.carrier("p")
    identity = Identity("operator", "agent", incarnation=1, pid=4242)
    session = yard.router.open(identity, Declared(), NOW, DESCRIPTORS, number=77)
    traveller = Traveller(yard.router, session, number=77)
    traveller.listen("events.demo.a")
    traveller.hear_all()
    publisher.pass_on(TOPICS[0], bytes(100))
    publisher.pass_on(TOPICS[0], bytes(100))
    session.written(sum(map(len, session.take(1 << 16, NOW))))
    traveller.lose()
    publisher.pass_on(TOPICS[0], bytes(100))
    assert yard.in_flight == (0, 0)
    assert traveller.come_back() is Resumption.COMPLETE
    publisher.publish(TOPICS[0], b"small")
    traveller.hear_all()
    assert payloads(traveller) == [b"small"]
    assert traveller.told == {DISCONNECTED: 3}
    holds_the_law(traveller)


# ---- subscriptions ------------------------------------------------------------------------------


def test_nothing_is_sent_of_a_subscription_before_it_is_asked_for_again() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    traveller.lose()
    publisher.publish(TOPICS[0], b"x")
    wanted = Return(77, 0, (1,))
    assert station.router.go_on(traveller.session, wanted, Carriage()) is Resumption.COMPLETE
    assert not traveller.session.pending
    traveller.say(*traveller.subscribed.values())
    traveller.hear_all()
    assert payloads(traveller) == [b"x"]


def test_nor_of_one_of_which_nothing_had_been_published_before() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.hear_all()
    traveller.lose()
    station.router.go_on(traveller.session, Return(77, 0, (1,)), Carriage())
    publisher.publish(TOPICS[0], b"x")
    traveller.hear_all()
    assert payloads(traveller) == []
    traveller.say(*traveller.subscribed.values())
    traveller.hear_all()
    assert payloads(traveller) == [b"x"]


def test_credit_begins_anew() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a", credit_messages=2)
    for _ in range(5):
        publisher.publish(TOPICS[0], b"x")
    traveller.hear_all()
    assert traveller.received == 2
    traveller.lose()
    traveller.come_back()
    traveller.hear_all()
    assert traveller.received == 4


def test_what_is_not_kept_ends_and_what_is_another_is_refused() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a", 1)
    traveller.listen("events.demo.b", 2)
    traveller.hear_all()
    for topic in TOPICS:
        publisher.publish(topic, b"x")
    traveller.lose()
    traveller.subscribed.pop(1)
    assert traveller.come_back() is Resumption.COMPLETE
    traveller.hear_all()
    assert [each.topic for each in traveller.got] == [TOPICS[1]]
    assert list(traveller.session.subscriptions) == [2]
    traveller.say(Subscribe(2, "events.demo.a", request=5))
    answer = traveller.read()[-1]
    assert isinstance(answer, Answer)
    assert answer.error == "LocalProtocolError"


def test_the_broker_asks_for_the_same_filter_and_options_again() -> None:
    station = Station()
    traveller = station.traveller()
    traveller.listen("events.demo.a", 1)
    traveller.lose()
    station.router.go_on(traveller.session, Return(77, 0, (1,)), Carriage())
    traveller.say(Subscribe(1, "events.demo.b", request=9))
    *_, answer = traveller.read()
    assert isinstance(answer, Answer)
    assert answer.error == "LocalProtocolError"


# ---- publishing ---------------------------------------------------------------------------------


def test_what_was_taken_is_never_taken_twice() -> None:
    station = Station()
    listener, traveller = station.client("l"), station.traveller()
    listener.subscribe("events.demo.a")
    frame = traveller.frame(TOPICS[0], b"x")
    station.router.receive(traveller.session, [frame], NOW)
    traveller.lose()
    assert traveller.come_back() is Resumption.COMPLETE
    assert traveller.session.publishing.messages == 1
    station.router.receive(traveller.session, [frame], NOW)
    assert listener.events() == [b"x"]


# ---- who is waited for, and how long ------------------------------------------------------------


def test_it_is_waited_for_so_long_and_no_longer() -> None:
    station = Station(resume_timeout=5)
    publisher, traveller = station.client("p"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.lose()
    publisher.publish(TOPICS[0], b"x")
    clock = station.router.clock
    clock.pass_time(4.9)
    station.router.keep_time(NOW)
    assert station.standing(traveller) is Standing.AWAY
    assert station.find(77) is traveller.session
    assert station.router.statistics().away == 1
    clock.pass_time(0.1)
    assert clock.rings
    station.router.keep_time(NOW)
    assert station.standing(traveller) is Standing.OVER
    assert station.find(77) is None
    found = station.router.statistics()
    assert (found.away, found.clients, found.lost) == (0, 1, {DISCONNECTED: 1})


def test_who_has_nothing_to_go_on_with_is_not_waited_for() -> None:
    station = Station()
    traveller, nameless = station.traveller(), station.client("nameless")
    nameless.subscribe("events.#")
    for client in (traveller, nameless):
        station.router.park(client.session)
        assert client.session.standing is Standing.OVER
    assert len(station.router.directory) == 0


@pytest.mark.parametrize("ending", ["goodbye", "ended", "closed"])
def test_a_session_that_is_over_cannot_go_on(ending: str) -> None:
    station = Station()
    traveller = station.traveller()
    traveller.listen("events.demo.a")
    if ending == "goodbye":
        traveller.say(Goodbye())
    elif ending == "ended":
        traveller.lose()
        station.router.end("operator", 1, "exit:1")
    else:
        station.router.close(traveller.session)
    traveller.lose()
    assert station.standing(traveller) is Standing.OVER
    assert station.find(77) is None


def test_of_one_identity_only_so_many_are_waited_for() -> None:
    station = Station(identity_connections=2)
    travellers = [station.traveller(number=number) for number in (1, 2, 3)]
    for each in travellers:
        each.listen("events.demo.a")
        each.lose()
    standing = [each.session.standing for each in travellers]
    assert standing == [Standing.OVER, Standing.AWAY, Standing.AWAY]


def test_in_all_only_so_many_are_waited_for() -> None:
    station = Station(connections=2)
    travellers = [station.traveller(f"t{number}", number) for number in (1, 2, 3)]
    for each in travellers:
        each.listen("events.demo.a")
        each.lose()
    standing = [each.session.standing for each in travellers]
    assert standing == [Standing.OVER, Standing.AWAY, Standing.AWAY]


@pytest.mark.parametrize(
    ("number", "name", "incarnation"),
    [(78, "operator", 1), (0, "operator", 1), (77, "somebody", 1), (77, "operator", 2)],
)
def test_only_the_same_life_of_the_same_identity_finds_it(
    number: int, name: str, incarnation: int
) -> None:
    station = Station()
    traveller = station.traveller()
    traveller.listen("events.demo.a")
    traveller.lose()
    assert station.find(number, name, incarnation) is None
    assert station.find(77) is traveller.session


def test_who_says_that_more_came_than_was_written_begins_anew() -> None:
    station = Station()
    traveller = station.traveller()
    traveller.listen("events.demo.a")
    traveller.lose()
    wanted = Return(77, 1 << 63, (1,))
    assert station.router.go_on(traveller.session, wanted, Carriage()) is Resumption.NONE
    assert station.standing(traveller) is Standing.OVER


def test_it_is_shown_as_away() -> None:
    station = Station()
    asking, traveller = station.client("asking"), station.traveller()
    traveller.listen("events.demo.a")
    traveller.lose()
    asking.say(Query("clients", request=3))
    answer = asking.read()[-1]
    assert isinstance(answer, Answer)
    assert {row.identity: row.away for row in answer.clients} == {"asking": False, "operator": True}
    assert not [each for each in asking.read() if isinstance(each, Notice)]


# ---- wills, presence, groups --------------------------------------------------------------------


def test_a_will_waits_for_a_session_to_go_on_and_is_set_again_by_its_client() -> None:
    station = Station(will_timeout=2)
    listener, traveller = station.client("l"), station.traveller()
    listener.subscribe(TOPICS[0])
    traveller.listen("events.demo.b")
    traveller.say(Will(TOPICS[0], b"gone"))
    traveller.lose()
    station.router.clock.pass_time(1.9)
    assert traveller.come_back() is Resumption.COMPLETE
    station.router.clock.pass_time(10)
    station.router.keep_time(NOW)
    assert listener.events() == []


def test_a_will_is_sent_in_time_and_costs_who_comes_back_later_no_sequence() -> None:
    station = Station(will_timeout=2)
    listener, traveller = station.client("l"), station.traveller()
    listener.subscribe(TOPICS[0])
    traveller.publish(TOPICS[0], b"1")
    traveller.say(Will(TOPICS[0], b"gone"))
    traveller.lose()
    station.router.clock.pass_time(2)
    station.router.keep_time(NOW)
    assert traveller.come_back() is Resumption.COMPLETE
    traveller.publish(TOPICS[0], b"2")
    assert listener.events() == [b"1", b"gone", b"2"]


def test_who_is_away_has_no_connection_as_far_as_others_are_told() -> None:
    station = Station()
    traveller = station.traveller()
    traveller.listen("events.demo.a")
    presence = station.router.directory.presence
    presence.news(0)
    traveller.lose()
    assert [(each.connected, each.cause) for each in presence.news(0)] == [(False, DISCONNECTED)]
    traveller.come_back()
    assert [each.connected for each in presence.news(0)] == [True]


def test_the_work_of_a_group_does_not_wait_for_who_is_away() -> None:
    station = Station()
    publisher, other, traveller = station.client("p"), station.client("o"), station.traveller()
    traveller.listen(TOPICS[0], group="workers")
    publisher.publish(TOPICS[0], b"x")
    traveller.hear(lost=1 << 20)
    other.subscribe(TOPICS[0], group="workers")
    traveller.lose()
    station.router.keep_time(NOW)
    assert other.events() == [b"x"]
    traveller.subscribed[2] = Subscribe(2, TOPICS[1], request=2)
    traveller.come_back()
    traveller.hear_all()
    assert payloads(traveller) == []
    assert traveller.session.subscriptions.keys() == {1, 2}


def test_what_is_retained_is_not_said_again_to_who_goes_on() -> None:
    station = Station()
    publisher, traveller = station.client("p"), station.traveller()
    publisher.publish(TOPICS[0], b"kept", retain=True)
    traveller.listen("events.#")
    traveller.hear_all()
    assert payloads(traveller) == [b"kept"]
    traveller.lose()
    assert traveller.come_back() is Resumption.COMPLETE
    traveller.hear_all()
    assert payloads(traveller) == [b"kept"]


# ---- calls --------------------------------------------------------------------------------------

ECHO = "control.demo.echo"


def ask(caller: Client, request: int) -> None:
    raw = encode_call(Heading(ECHO), b"?", NOW, request)
    caller.router.receive(caller.session, [raw], NOW)


def asked(server: Client) -> list[int]:
    """The slots of the calls that have come."""
    data = b"".join(server.session.take(1 << 16, NOW))
    server.session.written(len(data))
    return [frame.delivery for frame in map(parse, server.cutter.feed(data)) if frame.delivery]


@pytest.mark.parametrize("reply", ["waits", "was written", "has come"])
def test_a_lost_connection_ends_its_calls_and_the_session_goes_on(reply: str) -> None:
    station = Station()
    server, source = station.client("server"), station.client("source")
    server.subscribe(ECHO, serve=True)
    caller = station.traveller()
    caller.listen("events.#")
    caller.hear_all()
    ask(caller, 11)
    ask(caller, 12)
    first, second = asked(server)
    source.publish("events.demo.a", b"1")
    server.say(Reply(first, payload=b"in time"))
    if reply != "waits":
        caller.hear(lost=0 if reply == "has come" else 1 << 16)
    caller.lose()
    assert [(each.code, each.delivery) for each in server.notices()] == [("cancelled", second)]
    server.say(Reply(second, payload=b"late"))
    assert [each.code for each in server.notices()] == ["late-reply"]
    assert station.router.statistics().failed == {"caller-gone": 1}
    source.publish("events.demo.a", b"2")
    assert caller.come_back() is Resumption.COMPLETE
    caller.hear_all()
    assert (payloads(caller), caller.told) == ([b"1", b"2"], Counter())
    holds_the_law(caller)
    ask(caller, 13)
    server.say(Reply(asked(server)[0], payload=b"again"))
    caller.hear_all()
    assert station.router.statistics().replies == 2


def test_a_lost_connection_ends_what_it_served_at_once() -> None:
    station = Station()
    caller, server = station.client("caller"), station.traveller("server")
    server.listen(ECHO, serve=True)
    server.listen("events.#", 2)
    server.hear_all()
    ask(caller, 1)
    server.hear_all()
    server.lose()
    (answer,) = (each for each in caller.read() if isinstance(each, Answer))
    assert (answer.request, answer.error) == (1, "NoResponder")
    assert "its connection is gone" in answer.detail
    ask(caller, 2)
    (answer,) = (each for each in caller.read() if isinstance(each, Answer))
    assert answer.error == "NoResponder"
    assert server.come_back() is Resumption.COMPLETE
    server.hear_all()
    ask(caller, 3)
    server.say(Reply(asked(server)[0], payload=b"here"))
    assert [each.payload for each in caller.read() if isinstance(each, Reply)] == [b"here"]
