"""The broker as a child: ready when it can serve, its counters, wishes that go up, its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from daemoneye.bus.broker.serving import TOLD_AS, serve
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.orders import Admit, Credential, Order, Rules, encode_order
from daemoneye.lifeline import Passport
from tests.support import scaled, wait_for

TICK = "events.demo.tick"


class FakeChild:
    """What the supervisor's child is to the broker: words go in, what it does is looked at."""

    def __init__(self, directory: Path) -> None:
        self.passport = Passport(
            "broker", "agent", "", 1, b"", str(directory / "bus"), str(directory)
        )
        self.is_ready = threading.Event()
        self.counters: dict[str, int] = {}
        self.wishes: list[tuple[str, str, object, str]] = []
        self.stop: Callable[[], None] = lambda: None
        self.told: Callable[[str, bytes], None] | None = None

    def ready(self) -> None:
        self.is_ready.set()

    def working(self, doing: str) -> AbstractContextManager[None]:
        return nullcontext()

    def count(self, name: str, value: int) -> None:
        self.counters[name] = value

    def on_tell(self, callback: Callable[[str, bytes], None]) -> None:
        self.told = callback

    def when_stopping(self, callback: Callable[[], None]) -> None:
        self.stop = callback

    def wish(
        self,
        verb: str,
        child: str,
        settings: Mapping[str, object] | None = None,
        asked_by: str = "",
        timeout: float = 5.0,
    ) -> tuple[bool, str]:
        assert timeout == 0
        self.wishes.append((verb, child, settings, asked_by))
        return True, ""

    def order(self, *orders: Order) -> None:
        for each in orders:
            self.tell(TOLD_AS, encode_order(each))

    def tell(self, name: str, body: bytes) -> None:
        assert self.told is not None
        self.told(name, body)


@pytest.fixture
def child(tidy: Path) -> Iterator[FakeChild]:
    made = FakeChild(tidy)
    serving = threading.Thread(target=serve, args=(made,))
    serving.start()
    wait_for(lambda: made.told, "it to listen")
    yield made
    made.stop()
    serving.join(scaled(5))
    assert not serving.is_alive()


OPERATOR = Credential("operator", "agent", bytes(32))


def operator(child: FakeChild) -> BusClient:
    return BusClient.connect(child.passport.bus_address, name="operator", key=bytes(32))


def test_it_is_ready_when_it_has_rules_and_listens(child: FakeChild) -> None:
    assert not child.is_ready.wait(0.05)
    assert not Path(child.passport.bus_address).exists()
    child.order(Rules(), Admit(OPERATOR))
    assert child.is_ready.wait(scaled(5))
    with operator(child) as bus:
        assert bus.connected


def test_words_for_others_are_not_its_own(child: FakeChild) -> None:
    child.tell("somebody", b"\xff")
    child.order(Rules())
    assert child.is_ready.wait(scaled(5))


def test_its_counters_say_what_it_did(child: FakeChild) -> None:
    child.order(Rules(), Admit(OPERATOR))
    assert child.is_ready.wait(scaled(5))
    with operator(child) as bus, bus.subscribe("events.#") as events:
        bus.publish_many(TICK, [b""] * 10)
        assert events.get(scaled(5)) is not None
        wait_for(lambda: child.counters.get("delivered_total") == 10, "the counters")
        assert child.counters["clients"] == child.counters["subscriptions"] == 1
        assert child.counters["published_total"] == 10


def test_a_wish_for_who_is_not_there_goes_up(child: FakeChild) -> None:
    child.order(Rules(), Admit(OPERATOR))
    assert child.is_ready.wait(scaled(5))
    with operator(child) as bus:
        bus.publish("control.collector.lifecycle", {"verb": "start"}, target="procmond")
        bus.publish("control.collector.config", {"settings": {"interval": "1s"}}, target="procmond")
        bus.publish_confirmed("control.collector.lifecycle", b"\xff", target="netmond")
        wait_for(lambda: len(child.wishes) == 2, "the wishes")
    assert child.wishes == [
        ("start", "procmond", None, "operator"),
        ("configure", "procmond", {"interval": "1s"}, "operator"),
    ]
    assert json.dumps(child.wishes)


def test_it_ends_in_two_steps(child: FakeChild) -> None:
    child.order(Rules(), Admit(OPERATOR))
    assert child.is_ready.wait(scaled(5))
    with operator(child) as bus:
        child.stop()
        wait_for(lambda: bus._connection.dialogue.notices.counts.get("going-down"), "to be told")
        wait_for(lambda: not bus.connected, "the end")
    assert not Path(child.passport.bus_address).exists()


def test_it_ends_although_no_rules_ever_came(child: FakeChild) -> None:
    child.stop()


def test_named_clients_of_its_first_rules_may_come(child: FakeChild) -> None:
    child.order(Rules(clients=(Credential("dashboard", "observer", bytes(32)),)))
    assert child.is_ready.wait(scaled(5))
    address = child.passport.bus_address
    with BusClient.connect(address, name="dashboard", key=bytes(32)) as bus:
        assert bus.clients()[0].role == "observer"
