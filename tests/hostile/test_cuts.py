"""Connections cut at every byte: of what a client says to a broker, and of what a broker says."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.frames import (
    Challenge,
    Correlation,
    Credit,
    Envelope,
    Goodbye,
    Guarantee,
    Heading,
    Overflow,
    Ping,
    Proof,
    Query,
    Subscribe,
    Unsubscribe,
    Value,
    Welcome,
    encode,
    encode_publish,
)
from daemoneye.bus.handshake import Claim, Introduction
from daemoneye.bus.limits import Limits
from daemoneye.bus.memory import own_carriage
from daemoneye.bus.orders import Ended
from daemoneye.errors import BusBroken
from daemoneye.framing import pack
from tests.bus.brokers import TICK, BrokerProcess, Running, broker_in_thread, broker_process
from tests.bus.client.alike import Tasks, Threads
from tests.hostile.support import Bystander, Caller, Relay, descriptors_of
from tests.support import scaled, wait_for

T = TypeVar("T")


@pytest.fixture
def broker(short_dir: Path) -> Iterator[BrokerProcess]:
    with broker_process(short_dir) as running:
        yield running


def framed(*words: Value | bytes) -> bytes:
    return b"".join(pack(each if isinstance(each, bytes) else encode(each)) for each in words)


EVERY_OPTION = Heading(
    TICK,
    target="operator",
    content_type="text/plain",
    correlation=Correlation("i", "p", "r", "s", (("k", "v"),), "t"),
    expires_at=1 << 62,
    guarantee=Guarantee.BEST_EFFORT,
    deduplication_id="d",
    partition_key="k",
)

SESSION = framed(
    Subscribe(1, "events.demo.#", Overflow.DROP_OLDEST, 10, 10_000, 5, 5_000, request=1),
    Subscribe(2, "control.#", request=2),
    encode_publish(Heading(TICK), [b"one"], [1], 1),
    encode_publish(Heading(TICK), [b"two", b"", b"x" * 50], [1, 2, 3], 2),
    encode_publish(EVERY_OPTION, [b"five"], [1], 5, request=3),
    encode_publish(Heading(TICK, retain=True), [b"no"], [1], 6),
    encode_publish(Heading("$bus.x"), [b"no"], [1], 1, request=4),
    Credit(1, 100, 1 << 20),
    Ping(5),
    Query("clients", request=6),
    Query("access", "operator", "publish", TICK, 7),
    Unsubscribe(2, 8),
    Goodbye(),
)
"""What a client says once it is in: every kind of frame, and publishes with every option."""


def test_b24_a_client_cut_at_every_byte_is_noticed_by_nobody(broker: BrokerProcess) -> None:
    path, key = broker.run_dir.bus_path, broker.run_dir.read_key()
    claim = Claim("operator", 7, key)
    hello, proof = framed(Introduction(claim, bytes(32)).hello()), framed(Proof(bytes(32)))
    with broker.client() as bus:
        before = descriptors_of(broker.pid), len(bus.clients())
        with broker.client() as other, Bystander(other).undisturbed(within=1.0, at_least=20):
            for end in range(len(hello) + len(proof) + len(SESSION) + 1):
                with Caller(path) as caller:
                    say_until(caller, claim, end)
        wait_for(lambda: connected(bus) == before[1], "no connection to be left")
        away = len(bus.clients()) - before[1]
        assert 0 < away <= Limits().identity_connections  # whose goodbye did not come
        wait_for(lambda: descriptors_of(broker.pid) == before[0], "no descriptor to be left")


def connected(bus: BusClient) -> int:
    """How many clients have a connection."""
    return sum(not each.away for each in bus.clients())


def say_until(caller: Caller, claim: Claim, end: int) -> None:
    """The first `end` bytes of the whole; every other time with all answers unread."""
    introduction = Introduction(claim, bytes(32))
    hello = framed(introduction.hello())
    caller.say(hello[:end])
    if end <= len(hello):
        return
    challenge = caller.hear()
    assert isinstance(challenge, Challenge)
    proof = framed(introduction.receive(challenge))
    rest = proof + SESSION
    caller.say(rest[: end - len(hello)])
    if end % 2 and end > len(hello) + len(proof):
        assert isinstance(caller.hear(), Welcome)
        caller.sock.shutdown(socket.SHUT_WR)
        caller.hear_all()


# ---- the other direction ------------------------------------------------------------------------


class Cut:
    """Of the first connection, the first `end` bytes of what the broker says; the others whole."""

    def __init__(self, end: int) -> None:
        self.left = end
        self.said = 0

    def __call__(self, number: int, said_by_broker: bool, data: bytes) -> tuple[bytes, bool]:
        if number > 1 or not said_by_broker:
            return data, True
        self.said += len(data)
        passed, self.left = data[: self.left], max(0, self.left - len(data))
        return passed, self.left > 0


@pytest.fixture(params=[Threads, Tasks])
def kind(request: pytest.FixtureRequest) -> Iterator[Threads | Tasks]:
    """Either kind of client."""
    kind: Threads | Tasks = request.param()
    yield kind
    kind.close()


def test_b24_a_broker_cut_at_every_byte_is_come_back_to(tidy: Path, kind: Threads | Tasks) -> None:
    with broker_in_thread(tidy) as broker:
        broker.admit("raw")
        whole = Cut(1 << 30)
        assert talk(broker, kind, whole) == 1
        assert whole.said > 300
        until_welcome = welcome_bytes(broker)
        with ThreadPoolExecutor(8) as pool:  # most of the time they wait before they come again
            connections = list(
                pool.map(lambda end: talk(broker, kind, Cut(end)), range(whole.said + 1))
            )
        assert connections[:until_welcome] == [0] * until_welcome
        later = connections[until_welcome:]
        assert set(later) <= {1, 2}  # a cut behind all that was wanted costs no connection more
        assert later.count(2) > len(later) / 2
        router = broker.broker.router
        wait_for(lambda: len(router.directory) == len(router.directory.away), "all to be gone")
        # A relay that cannot pass on an answer hangs up, and may take a goodbye along.
        assert len(router.directory.away) <= Limits().identity_connections
        broker.obey(Ended("raw", 0, "test"))
        wait_for(lambda: not len(router.directory), "no session to be left")


def welcome_bytes(broker: Running) -> int:
    """How much a broker says until a client is in."""
    with Caller(broker.path) as caller:
        welcome = caller.prove(Claim("raw", 1, broker.keys["raw"]), own_carriage())
    return len(framed(Challenge(bytes(32), broker.broker.door.terms.epoch), welcome))


def talk(broker: Running, kind: Threads | Tasks, cut: Cut) -> int:
    """Subscribe, publish, receive, ask, leave, whatever happens.

    How many connections that took; 0 when there was none at all.
    """
    with Relay(broker.path.with_name(f"r{cut.left}"), broker.path, cut) as relay:
        try:
            bus = kind.connect(relay.path, name="raw", key=broker.keys["raw"])
        except BusBroken:
            return 0
        with bus, bus.subscribe("events.#") as events:
            persistently(lambda: bus.publish_confirmed(TICK, b"x"))
            assert persistently(lambda: next_event(bus, events)).topic == TICK
            assert {each.identity for each in persistently(bus.clients)} == {"raw"}
        return relay.accepted


def next_event(bus: BusClient, events: Subscription) -> Envelope | None:
    bus.publish(TICK, b"again")
    return events.get(0.05)


def persistently(ask: Callable[[], T | None]) -> T:
    """The first answer of `ask` that is one; what a lost connection is told as is BusBroken."""
    until = time.monotonic() + scaled(5)
    while time.monotonic() < until:
        try:
            if (answer := ask()) is not None:
                return answer
        except BusBroken:
            time.sleep(0.001)
    raise AssertionError("no answer in time")
