"""The broker under peers that are silent, slow, broken, many, or gone; its orders and its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.broker.agenda import WORK_IN_A_TURN
from daemoneye.bus.broker.broker import Broker
from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.endpoint import dial
from daemoneye.bus.frames import (
    Chunk,
    Goodbye,
    Notice,
    Subscribe,
    Value,
    encode,
)
from daemoneye.bus.handshake import Claim, Introduction
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Credential, Ended, Rules, Say
from daemoneye.bus.proto.events_pb2 import BusStatistics
from daemoneye.framing import pack
from daemoneye.lifeline import Passport
from daemoneye.rundir import RunDir
from tests.bus.brokers import (
    Running,
    assert_well,
    broker_in_thread,
    broker_process,
    raw_session,
    read_all,
)
from tests.support import scaled, wait_for

TICK = "events.demo.tick"


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy, authentication_timeout=0.3) as running:
        yield running


# ---- peers that break the protocol --------------------------------------------------------------


def test_rubbish_costs_only_its_session_and_says_why(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events:
        with raw_session(broker) as sock:
            sock.send(pack(b"\xff\xff\xff"))
            *_, notice = read_all(sock)
            assert isinstance(notice, Notice)
            assert notice.code == "protocol"
            assert "no frame" in notice.detail
        bus.publish(TICK, b"unharmed")
        event = events.get(scaled(5))
        assert event is not None
        assert event.payload == b"unharmed"


def test_a_frame_past_the_limit_ends_its_session(broker: Running) -> None:
    with raw_session(broker) as sock:
        sock.send(((1 << 20) + 1).to_bytes(4, "big"))
        (notice,) = read_all(sock)
        assert isinstance(notice, Notice)
        assert "past the limit of 1048576" in notice.detail


def recorded_session(broker: Running) -> bytes:
    """What a client says after its proof, in all kinds of frames."""
    values: list[Value] = [Subscribe(1, "events.#", request=1), Goodbye()]
    return b"".join(pack(encode(each)) for each in values)


def test_a_session_cut_at_every_byte_leaves_the_broker_well(broker: Running) -> None:
    said = recorded_session(broker)
    for end in range(len(said)):
        with raw_session(broker) as sock:
            sock.send(said[:end])
    router = broker.broker.router
    wait_for(lambda: len(router.directory) == len(router.directory.away), "all to be gone")
    broker.obey(Ended("raw", 1, "test"))
    wait_for(lambda: len(router.directory) == 0, "nobody to be waited for")
    assert_well(broker)


def test_a_handshake_cut_at_every_byte_leaves_the_broker_well(broker: Running) -> None:
    hello = pack(encode(Introduction(Claim("raw", 1, broker.admit("raw")), bytes(32)).hello()))
    for end in range(len(hello) + 1):
        with dial(broker.path, 1.0) as sock:
            sock.send(hello[:end])
    assert_well(broker)


def test_a_parcel_past_the_limit_costs_only_its_session_whenever_it_is_looked_at(
    broker: Running,
) -> None:
    """At once, and in a later turn because there was much to do before it."""
    too_large = Chunk(1, broker.broker.router.limits.payload_bytes + 1, 0, b"x")
    for before in (1, 2 * WORK_IN_A_TURN):
        with raw_session(broker) as sock:
            said: list[Value] = [*[Subscribe(1, "events.#")] * before, too_large]
            sock.setblocking(True)
            sock.sendall(b"".join(pack(encode(each)) for each in said))
            *_, notice = read_all(sock)
            assert isinstance(notice, Notice)
            assert (notice.code, "past the limit" in notice.detail) == ("protocol", True)
        assert_well(broker)


# ---- orders -------------------------------------------------------------------------------------


def test_what_the_supervisor_says_is_published_as_the_supervisor(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("control.#") as events:
        broker.obey(Say("control.health.status", b"{}", "application/json"))
        event = events.get(scaled(5))
        assert event is not None
        assert (event.publisher.name, event.json()) == ("supervisor", {})
        broker.obey(Say("no such topic", b""))
        assert bus.clients()


def test_new_rules_that_cannot_be_used_leave_the_old_ones(broker: Running) -> None:
    with broker.client() as bus:
        broker.obey(Rules((), {"no_such_limit": 1}))
        assert bus.publish_confirmed(TICK, b"").subscribers == 0


def test_an_incarnation_that_has_ended_is_closed_and_stays_out(broker: Running) -> None:
    key = broker.admit("procmond", "collector", kind="process", incarnation=3)
    passport = Passport("procmond", "collector", "process", 3, key, str(broker.path), "")
    with BusClient.for_child(passport) as bus:
        wait_for(lambda: bus.connected, "the collector to come in")
        broker.obey(Ended("procmond", 3, "signal:9"))
        wait_for(lambda: not bus.connected, "the session to be cut off")
        wait_for(lambda: broker.broker.door.counted["unknown-identity"] > 1, "it to be turned away")


def test_a_killed_broker_is_followed_by_another_at_the_same_place(short_dir: Path) -> None:
    with broker_process(short_dir) as process:
        process.kill()
        process.start()
        with process.client() as bus:
            assert bus.connected
        process.signal(signal.SIGSTOP)
        process.kill()


def test_rules_of_the_plan_hold(tidy: Path) -> None:
    deny = AccessRule("operator", "write-only", "events.#", deny=True)
    with broker_in_thread(tidy, deny) as broker, broker.client() as bus:
        bus.publish(TICK, b"")
        bus.publish_confirmed("control.health.status", b"")
        assert bus.counters().denied == 1


# ---- statistics ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "counts"), [(0, True), (50, False)], ids=["served", "stopped"])
def test_time_in_which_nobody_was_served_does_not_count_against_who_keeps_something(
    tidy: Path, late: float, counts: bool
) -> None:
    mailbox = Mailbox()
    broker = Broker(RunDir(tidy).bus_path, Limits(), AccessList(()), mailbox)
    try:
        broker._now -= 100
        broker._due_at = time.monotonic() - late
        broker.turn([])
        assert (broker.router.parcels.clock.now >= 100) is counts
    finally:
        broker.close()
        mailbox.close()


def test_statistics_are_told_again_and_again_while_somebody_listens(tidy: Path) -> None:
    with (
        broker_in_thread(tidy, statistics_interval=scaled(0.1)) as broker,
        broker.client() as bus,
    ):
        with bus.subscribe("$bus.stats") as stats:
            bus.publish_many(TICK, [b""] * 5)
            first, second = (stats.get(scaled(5)) for _ in range(2))
            assert first is not None
            assert second is not None
            assert second.sequence == first.sequence + 1
            assert second.unpack(BusStatistics).clients == 1
            assert second.unpack(BusStatistics).published_total >= 5
        wait_for(lambda: not bus.subscriptions(), "it to be over")
        told = broker.broker.statistics().published
        time.sleep(scaled(0.3))
        assert broker.broker.statistics().published == told


# ---- named clients ------------------------------------------------------------------------------


def test_a_client_that_is_configured_no_more_goes_with_a_notice_and_stays_out(
    broker: Running,
) -> None:
    keys = {name: os.urandom(32) for name in ("stays", "goes")}
    stays, goes = (Credential(name, "observer", key) for name, key in keys.items())
    broker.obey(Rules(clients=(stays, goes)))
    with (
        BusClient.connect(broker.path, name="stays", key=keys["stays"]) as kept,
        BusClient.connect(broker.path, name="goes", key=keys["goes"]) as lost,
    ):
        since = kept.clients()[0].connected_at
        broker.obey(Rules(clients=(stays,)))
        wait_for(lambda: broker.broker.door.counted["unknown-identity"], "it to be turned away")
        assert not lost.connected
        assert lost._connection.dialogue.notices.counts == {"cut-off": 1}
        assert broker.broker.cut_off == {"ended": 1}
        assert kept.clients()[0].connected_at == since
        broker.obey(Rules(clients=(stays, goes)))
        wait_for(lambda: lost.connected, "it to be let in again")


def test_rules_that_cannot_be_used_leave_the_clients_too(broker: Running) -> None:
    key = os.urandom(32)
    broker.obey(Rules(clients=(Credential("a", "observer", key),)))
    broker.obey(Rules((), {"no_such_limit": 1}))
    with BusClient.connect(broker.path, name="a", key=key) as bus:
        assert bus.clients()[0].identity == "a"
