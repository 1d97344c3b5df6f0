"""Who pays when too much waits for all clients together."""

from __future__ import annotations

from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES
from daemoneye.bus.broker.shedding import OUTBOUND_SHARE, lack_of_share
from daemoneye.bus.frames import Answer, Overflow
from daemoneye.bus.limits import Limits
from tests.bus.support import NOW, Bus, Client

OF_ALL = 400_000
SHARE = OF_ALL // OUTBOUND_SHARE
DEEP = {"max_messages": 1 << 16, "credit_messages": 1}


def waiting(client: Client) -> int:
    return client.session.outbox.backlog.bytes


def crowd(bus: Bus, count: int = 6) -> list[Client]:
    """One identity's connections, to which all that may wait for all waits: with `block`."""
    source = bus.client("source")
    greedy = [bus.client("greedy", incarnation=number) for number in range(1, count + 1)]
    for each in greedy:
        each.subscribe("events.demo.greedy", overflow=Overflow.BLOCK, **DEEP)
    while bus.router.directory.backlog.bytes < OF_ALL - count * 10_000:
        source.publish("events.demo.greedy", bytes(9_000))
    return greedy


def test_who_has_more_than_its_share_pays_before_all_others() -> None:
    bus = Bus(outbound_bytes=OF_ALL)
    greedy = crowd(bus)
    source, modest, strict = bus.client("source"), bus.client("modest"), bus.client("strict")
    modest.subscribe("events.demo.tick", overflow=Overflow.DROP_OLDEST, **DEEP)
    strict.subscribe("events.demo.tick", overflow=Overflow.DISCONNECT, **DEEP)
    for _ in range(20):
        source.publish("events.demo.tick", bytes(2_000))
    assert bus.router.directory.backlog.bytes <= OF_ALL
    assert sum(each.session.outbox.tally().lost.total() for each in greedy) > 0
    for each in (modest, strict):
        assert not each.session.outbox.tally().lost
        assert each.session.outbox.tally().offered == 20
    assert not bus.router.doomed


def test_nobody_is_taken_more_than_what_it_has_beyond_its_share() -> None:
    bus = Bus(outbound_bytes=OF_ALL)
    greedy = crowd(bus)
    source = bus.client("source")
    for number in range(1, 5):  # each within its share, and there is room for that
        other = bus.client(f"other{number}")
        other.subscribe("events.demo.other", **DEEP)
    for _ in range(30):
        source.publish("events.demo.other", bytes(2_000))
    assert sum(map(waiting, greedy)) >= SHARE - 10_000
    assert bus.router.directory.backlog.bytes <= OF_ALL


def test_a_confirmed_publish_finds_the_room_that_another_identity_has_too_much_of() -> None:
    bus = Bus(outbound_bytes=OF_ALL)
    crowd(bus)
    source, careful = bus.client("source"), bus.client("careful")
    careful.subscribe("events.demo.tick", overflow=Overflow.BLOCK, **DEEP)
    for number in range(1, 40):
        source.publish("events.demo.tick", bytes(2_000), request=number)
        (answer,) = (each for each in source.read() if isinstance(each, Answer))
        assert not answer.error
    assert not careful.session.outbox.tally().lost


def test_a_confirmed_publish_past_the_share_of_its_reader_is_refused() -> None:
    bus = Bus(outbound_bytes=OF_ALL)
    source = bus.client("source")
    readers = [bus.client("reader", incarnation=number) for number in (1, 2)]
    for each in readers:
        each.subscribe("events.demo.tick", overflow=Overflow.BLOCK, **DEEP)
    answer = Answer(1)
    while not answer.error:
        source.publish("events.demo.tick", bytes(2_000), request=1)
        (answer,) = (each for each in source.read() if isinstance(each, Answer))
    assert answer.error == "BackPressure"
    assert "bytes wait for all its connections" in answer.detail
    assert sum(map(waiting, readers)) <= SHARE + 2_400  # each of them may overrun it by a run
    assert not any(each.session.outbox.tally().lost for each in readers)


def test_a_share_is_held_to_the_byte() -> None:
    bus = Bus(outbound_bytes=OF_ALL)
    client = bus.client("a")
    client.subscribe("events.#", **DEEP)
    room = SHARE - waiting(client) - RUN_OVERHEAD_BYTES
    limits = Limits(outbound_bytes=OF_ALL)
    assert lack_of_share([client.session], room, limits) == ""
    assert f"{SHARE} may" in lack_of_share([client.session], room + 1, limits)
    assert client.session.take(1 << 16, NOW) == []
