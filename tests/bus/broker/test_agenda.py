"""The agenda: a turn is bounded in work, and what is too much for it keeps its order."""

from __future__ import annotations

import pytest

from daemoneye.bus.broker.agenda import WORK_IN_A_TURN
from daemoneye.bus.frames import (
    Answer,
    Goodbye,
    Ping,
    Pong,
    Query,
    Settle,
    Settling,
    Subscribe,
    Unsubscribe,
    Value,
    encode,
)
from daemoneye.errors import RemoteProtocolError
from tests.bus.support import NOW, Bus, Client

MY_SUBSCRIPTIONS = Query("subscriptions", request=7)


def one_turn(client: Client, *values: Value) -> None:
    """What the shell does with one read."""
    client.router.receive(client.session, [encode(value) for value in values], NOW)


def next_turn(bus: Bus) -> list[str]:
    """What the shell does first; who had something left."""
    left = bus.router.next_turn()
    for session in left:
        bus.router.resume(session, NOW)
    return [each.identity.name for each in left]


def answers(client: Client) -> int:
    return sum(isinstance(each, Answer) for each in client.read())


def test_the_subscriptions_of_one_read_hold_before_the_next_client_has_its_turn() -> None:
    bus = Bus()
    reader, publisher = bus.client("reader"), bus.client("publisher")
    one_turn(reader, *(Subscribe(n, f"events.n{n}", request=n) for n in range(1, 257)))
    publisher.publish("events.n256", b"x")
    assert not bus.router.unfinished
    assert reader.events() == [b"x"]


def test_a_word_about_many_deliveries_costs_as_much_as_many_words() -> None:
    bus = Bus()
    client = bus.client("a")
    said = Settle(Settling.ACK, tuple(range(1, WORK_IN_A_TURN)))
    one_turn(client, said, said)
    assert len(bus.router.unfinished[client.session]) == 1
    assert next_turn(bus) == ["a"]
    assert not bus.router.unfinished


@pytest.mark.parametrize(("frames", "left"), [(WORK_IN_A_TURN, []), (WORK_IN_A_TURN + 1, ["a"])])
def test_a_turn_is_full_at_its_bound_and_one_frame_more_waits(frames: int, left: list[str]) -> None:
    bus = Bus()
    client = bus.client("a")
    one_turn(client, *[Ping(n) for n in range(1, frames + 1)])
    assert next_turn(bus) == left
    assert client.read() == [Pong(n) for n in range(1, frames + 1)]
    assert not bus.router.unfinished


def test_ending_a_subscription_is_more_work_than_beginning_one() -> None:
    bus = Bus()
    client = bus.client("a")
    one_turn(client, *[Unsubscribe(n, request=n) for n in range(1, 101)])
    assert answers(client) == WORK_IN_A_TURN // 32


def test_one_question_is_answered_in_a_turn_whoever_asks_and_all_have_theirs() -> None:
    bus = Bus()
    greedy, modest = bus.client("greedy"), bus.client("modest")
    one_turn(greedy, *[MY_SUBSCRIPTIONS] * 50)
    one_turn(modest, MY_SUBSCRIPTIONS)
    seen = [(answers(greedy), answers(modest))]
    for _ in range(3):
        next_turn(bus)
        seen.append((answers(greedy), answers(modest)))
    assert seen == [(1, 0), (0, 1), (1, 0), (1, 0)]


def test_what_stands_behind_a_question_that_waits_keeps_its_order() -> None:
    bus = Bus()
    client = bus.client("a")
    client.subscribe("events.#", 9)
    frames = [encode(MY_SUBSCRIPTIONS), encode(MY_SUBSCRIPTIONS), client.frame("events.a", b"x")]
    bus.router.receive(client.session, frames, NOW)
    assert client.events() == []
    next_turn(bus)
    assert client.events() == [b"x"]


def test_a_session_that_reads_no_answers_is_not_obeyed_any_more_once_it_is_too_late() -> None:
    bus = Bus(urgent_bytes=100)
    client = bus.client("a")
    one_turn(client, *[Ping(n) for n in range(1, 500)])
    assert "not read" in bus.router.doomed[client.session].detail
    assert client.session.outbox.urgent_bytes < 300
    assert not bus.router.unfinished


def test_what_stands_behind_goodbye_is_not_obeyed() -> None:
    bus = Bus()
    reader, leaving = bus.client("reader"), bus.client("leaving")
    reader.subscribe("events.#")
    frames = [encode(Goodbye()), leaving.frame("events.a", b"late")]
    bus.router.receive(leaving.session, frames, NOW)
    bus.router.receive(leaving.session, [leaving.frame("events.a", b"later")], NOW)
    assert reader.events() == []


def test_what_waits_of_a_session_that_is_gone_is_forgotten() -> None:
    bus = Bus()
    client = bus.client("a")
    one_turn(client, MY_SUBSCRIPTIONS, MY_SUBSCRIPTIONS)
    bus.router.close(client.session)
    assert next_turn(bus) == []
    assert not bus.router.unfinished


def test_what_breaks_the_protocol_does_so_in_its_turn() -> None:
    bus = Bus()
    client = bus.client("a")
    one_turn(client, MY_SUBSCRIPTIONS, MY_SUBSCRIPTIONS, Answer(1))
    with pytest.raises(RemoteProtocolError, match="does not say"):
        next_turn(bus)
