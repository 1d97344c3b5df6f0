"""Which retained values go to a new subscription; the rest of it is in test_retained.py."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule, Decision, Declared, Identity
from daemoneye.bus.broker import replay
from daemoneye.bus.broker.replay import VALUES_IN_A_TURN
from daemoneye.bus.broker.requests import Requests
from daemoneye.bus.frames import Answer, Clear, Envelope, Ping, Pong, Subscribe, encode
from daemoneye.bus.limits import Limits
from tests.bus.support import NOW, Bus, Client


def test_a_replay_counts_as_work_so_the_next_of_it_waits_for_another_turn() -> None:
    bus = Bus()
    source, agent = bus.client("source"), bus.client("agent")
    for number in range(300):
        source.publish(f"events.demo.t{number}", b"x", retain=True)
    requests: Requests = bus.router._requests
    requests.obey(agent.session, Subscribe(1, "events.#"), NOW)
    assert requests.extra_work == 300
    agent.say(*(Subscribe(number, "events.#") for number in range(2, 5)))
    assert bus.router.unfinished.postponed == 1
    assert len(agent.session.subscriptions) == 4


class Asked(AccessList):
    """Rights, and how often it was asked who may receive what."""

    times = 0

    def may_receive(self, identity: Identity, declared: Declared, topic: str) -> Decision:
        self.times += 1
        return super().may_receive(identity, declared, topic)


@pytest.mark.parametrize(("denied", "lost"), [("events.other.#", 290), ("events.demo.t299", 289)])
def test_what_finds_no_room_costs_next_to_nothing_and_is_counted(denied: str, lost: int) -> None:
    bus = Bus()
    source, reader = bus.client("source"), bus.client("reader")
    for number in range(300):
        source.publish(f"events.demo.t{number}", b"%d" % number, retain=True)
    asked = Asked([AccessRule("reader", "read-only", denied, deny=True)])
    bus.router.set_rules(Limits(), asked)
    reader.say(Subscribe(1, "events.demo.#", max_messages=10))
    assert len(reader.events()) == 10
    (tally,) = reader.session.tallies().values()
    assert tally.lost == {"overflow": lost}
    # Only who may not read all of its filter has to be asked for each of the others.
    assert asked.times <= (20 if lost == 290 else 320)


# ---- over several turns -------------------------------------------------------------------------

MANY = 2 * VALUES_IN_A_TURN + 100


def many(**limits: float) -> tuple[Bus, Client, Client]:
    """Very many values (`t0`, `t1` …), their publisher, and a reader that has had the first."""
    bus = Bus(retained_topics=MANY, routes=MANY, **limits)
    source, reader = bus.client("source"), bus.client("reader")
    for number in range(MANY):
        frame = source.frame(f"events.demo.t{number}", b"%d" % number, retain=True)
        bus.router.receive(source.session, [frame], NOW + number)
    wish = Subscribe(1, "events.#", max_messages=4096, credit_messages=4096, request=1)
    bus.router.receive(reader.session, [encode(wish), encode(Ping(2))], NOW)
    return bus, source, reader


def go_on(bus: Bus) -> None:
    """One turn more."""
    for session in bus.router.next_turn():
        bus.router.resume(session, NOW)


def heard(reader: Client) -> list[tuple[str, bytes]]:
    return [
        (each.topic, bytes(each.payload)) for each in reader.read() if isinstance(each, Envelope)
    ]


def values(*numbers: int) -> list[tuple[str, bytes]]:
    return [(f"events.demo.t{number}", b"%d" % number) for number in numbers]


def test_very_many_go_over_several_turns_and_what_was_said_behind_waits() -> None:
    bus, _, reader = many()
    said = reader.read()
    assert isinstance(said[0], Answer)  # it holds from now on
    assert sum(isinstance(each, Envelope) for each in said) == VALUES_IN_A_TURN
    go_on(bus)
    assert heard(reader) == values(*range(VALUES_IN_A_TURN, 2 * VALUES_IN_A_TURN))
    assert reader.session in bus.router.unfinished
    go_on(bus)
    last = reader.read()
    assert sum(isinstance(each, Envelope) for each in last) == 100
    assert Pong(2) in last
    assert not bus.router.unfinished
    assert not bus.router.directory.replays


def test_a_value_goes_before_what_is_published_meanwhile_and_once() -> None:
    bus, source, reader = many()
    other = bus.client("other")
    source.publish("events.demo.t0", b"new")  # it had its turn
    source.publish("events.demo.t1000", b"new", retain=True)
    other.publish("events.demo.t1001", b"new")
    source.publish("events.demo.t1001", b"newer")
    bus.router.say("events.demo.t1002", b"new", NOW)
    while bus.router.unfinished:
        go_on(bus)
    found = heard(reader)
    assert len(found) == len(set(found)) == MANY + 5
    assert set(values(*range(MANY))) <= set(found)
    for number, payloads in {
        0: [b"0", b"new"],
        1000: [b"1000", b"new"],
        1001: [b"1001", b"new", b"newer"],
        1002: [b"1002", b"new"],
    }.items():
        assert [said for topic, said in found if topic == f"events.demo.t{number}"] == payloads


def test_what_is_cleared_or_denied_meanwhile_does_not_go() -> None:
    bus, source, reader = many()
    found = heard(reader)
    source.say(Clear("events.demo.t1000", request=1))
    denial = AccessRule("reader", "read-only", "events.demo.t1001", deny=True)
    bus.router.set_rules(Limits(), AccessList([denial]))
    while bus.router.unfinished:
        go_on(bus)
    found += heard(reader)
    assert len(found) == MANY - 2
    assert not set(values(1000, 1001)) & set(found)


def test_the_end_of_a_subscription_or_its_session_is_the_end_of_it() -> None:
    bus, _, reader = many()
    bus.router.set_rules(
        Limits(), AccessList([AccessRule("reader", "read-only", "events.#", deny=True)])
    )
    assert not bus.router.directory.replays
    go_on(bus)
    assert not bus.router.unfinished
    bus, _, reader = many()
    bus.router.close(reader.session)
    assert not bus.router.directory.replays
    go_on(bus)
    assert not bus.router.unfinished


def test_one_subscription_more_and_one_client_more_than_may_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "REPLAYS_AT_ONCE", 1)
    bus, _, reader = many()
    another = bus.client("another")
    wish = Subscribe(1, "events.#", max_messages=4096, credit_messages=4096)
    bus.router.receive(another.session, [encode(wish)], NOW)
    assert heard(another) == values(*range(MANY))
    assert list(bus.router.directory.replays) == [reader.session]
