"""Who is connected, and how it left."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import Identity
from daemoneye.bus.broker import presence
from daemoneye.bus.broker.deliveries import Ending
from daemoneye.bus.frames import Envelope, Goodbye, Subscribe
from daemoneye.bus.proto.events_pb2 import ClientPresence
from tests.bus.support import NOW, Bus, Client


def told(bus: Bus, watching: Client) -> list[tuple[str, bool, int, str]]:
    """What there is to hear of clients; the clock rings first."""
    assert bus.router.clock.rings or not bus.router.directory.presence._changed
    bus.router.keep_time(NOW)
    found = []
    for event in watching.read():
        if isinstance(event, Envelope):
            said = event.unpack(ClientPresence)
            assert event.topic == f"$bus.clients.{said.identity}"
            assert (event.publisher.name, said.changed_at) == ("broker", NOW / 1e9)
            found.append((said.identity, said.connected, said.connections, said.cause))
    return found


def test_connections_of_an_identity_are_told_as_they_come_and_go() -> None:
    bus = Bus()
    watching = bus.client("watching")
    watching.subscribe("$bus.clients.+")
    assert told(bus, watching) == [("watching", True, 1, "")]
    first, second = bus.client("worker"), bus.client("worker")
    assert told(bus, watching) == [("worker", True, 2, "")]
    bus.router.close(first.session)
    assert told(bus, watching) == [("worker", True, 1, "")]
    second.say(Goodbye())
    assert told(bus, watching) == [("worker", False, 0, "goodbye")]
    bus.router.close(second.session)
    assert told(bus, watching) == []


def test_who_comes_later_hears_who_is_there_and_who_was() -> None:
    bus = Bus()
    bus.router.close(bus.client("gone").session)
    procmond = bus.procmond()
    bus.router.keep_time(NOW)
    watching = bus.client("watching")
    watching.say(Subscribe(1, "$bus.clients.#"))
    events = [each for each in watching.read() if isinstance(each, Envelope)]
    assert all(each.retained for each in events)
    said = {each.topic: each.unpack(ClientPresence) for each in events}
    there = said["$bus.clients.procmond"]
    who = procmond.session.identity
    assert (there.role, there.pid, there.incarnation) == (who.role, who.pid, who.incarnation)
    assert (there.connected, said["$bus.clients.gone"].cause) == (True, "disconnected")


def test_a_broker_that_cut_somebody_off_says_for_which_reason() -> None:
    bus = Bus()
    watching, worker = bus.client("watching"), bus.client("worker")
    watching.subscribe("$bus.clients.worker")
    bus.router.cut_off(worker.session, Ending("heartbeat", "nothing came"))
    assert told(bus, watching) == [("worker", False, 0, "heartbeat")]
    bus.router.close(bus.client("worker").session, "stuck")
    assert told(bus, watching) == [("worker", False, 0, "stuck")]


@pytest.mark.parametrize("connection_first", [True, False])
def test_the_true_cause_is_told_whatever_came_first(connection_first: bool) -> None:
    bus = Bus()
    watching, procmond = bus.client("watching"), bus.procmond()
    watching.subscribe("$bus.clients.procmond")
    assert told(bus, watching) == [("procmond", True, 1, "")]
    if connection_first:
        bus.router.close(procmond.session)
        assert told(bus, watching) == [("procmond", False, 0, "disconnected")]
    bus.router.end("procmond", 1, "signal:9")
    assert told(bus, watching) == [("procmond", False, 0, "signal:9")]
    bus.router.end("procmond", 1, "signal:9")
    bus.router.end("procmond", 2, "exit:1")
    bus.router.end("nobody", 1, "exit:1")
    assert told(bus, watching) == []


def test_those_who_left_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "GONE_KEPT", 2)
    bus = Bus()
    for name in ("a", "b", "c"):
        bus.router.close(bus.client(name).session)
    bus.router.keep_time(NOW)
    retained = bus.router.directory.retained
    assert [each.topic for each in retained.values()] == ["$bus.clients.b", "$bus.clients.c"]
    bus.client("b")
    bus.router.close(bus.client("d").session)
    bus.router.keep_time(NOW)
    assert len(retained) == 3
    bus.router.close(bus.client("e").session)
    bus.router.keep_time(NOW)
    topics = {each.topic for each in retained.values()}
    assert topics == {"$bus.clients.b", "$bus.clients.d", "$bus.clients.e"}


def test_what_is_known_of_an_identity_is_of_the_one_that_changed_last() -> None:
    bus = Bus()
    old, new = bus.client("a", incarnation=1), bus.client("a", incarnation=2)
    known = bus.router.directory.presence
    assert known.news(0.0)[0].incarnation == 2
    bus.router.close(old.session)
    assert [(each.incarnation, each.connections) for each in known.news(0.0)] == [(1, 1)]
    assert isinstance(new.session.identity, Identity)
