"""What a bus has to stand, against real brokers: rights that go, readers that sleep, floods."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from daemoneye.bus.access import AccessRule
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.frames import (
    Answer,
    Envelope,
    Notice,
    Subscribe,
    decode,
    encode,
)
from daemoneye.bus.orders import Rules
from daemoneye.errors import AccessDenied, BusClosed
from daemoneye.framing import FrameCutter, pack
from daemoneye.system import FEATURES
from tests.bus.brokers import broker_in_thread, broker_process, raw_session
from tests.support import scaled, wait_for

TICK = "events.demo.tick"
BATCH = 500


class Reading:
    """A thread that reads a subscription to its end, and what it has counted."""

    def __init__(self, events: Subscription) -> None:
        self.events = events
        self.got = 0
        self.lost: Counter[str] = Counter()
        self.last = -1
        self.first_lost: dict[str, int] | None = None
        """What the first event said that came after it began."""
        self.ended: Exception | None = None
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        try:
            for event in self.events:
                if self.first_lost is None:
                    self.first_lost = dict(event.lost)
                self.got += 1
                if event.lost:
                    self.lost.update(event.lost)
                self.last = event.sequence
        except AccessDenied as error:
            self.ended = error

    @contextmanager
    def running(self) -> Iterator[Reading]:
        self._thread.start()
        try:
            yield self
        finally:
            self.events.close()
            self._thread.join(scaled(10))
            assert not self._thread.is_alive()

    @property
    def accounted(self) -> int:
        return self.got + self.lost.total()


# ---- B6 -----------------------------------------------------------------------------------------


def test_b6_a_right_taken_away_under_load_ends_the_subscription_and_not_the_connection(
    tidy: Path,
) -> None:
    deny = AccessRule("reader", "read-only", "events.demo.#", deny=True)
    with broker_in_thread(tidy) as broker, broker.client("source") as source:
        flooding = threading.Event()

        def flood() -> None:
            while not flooding.is_set():
                source.publish_many(TICK, [b"x"] * 50)
                source.publish("events.open.tick", b"y")

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            with (
                broker.client("reader") as bus,
                bus.subscribe("events.open.#") as stays,
                Reading(bus.subscribe("events.demo.#")).running() as ends,
            ):
                wait_for(lambda: ends.got > 1000, "the flood")
                broker.obey(Rules((deny,)))
                wait_for(lambda: ends.ended, "the end of the subscription")
                assert isinstance(ends.ended, AccessDenied)
                assert ends.ended.rule == f"{deny} (access list)"
                assert "the access list has changed" in str(ends.ended)
                for _ in range(5):
                    assert stays.get(scaled(5)) is not None
                assert bus.counters().unconfirmed == 0  # no connection was lost
                with pytest.raises(AccessDenied):
                    bus.subscribe("events.demo.#")
        finally:
            flooding.set()
            thread.join(scaled(5))


def test_b6_nothing_denied_comes_behind_the_notice(tidy: Path) -> None:
    deny = AccessRule("raw", "read-only", "events.demo.#", deny=True)
    with (
        broker_in_thread(tidy) as broker,
        broker.client("source") as source,
        raw_session(broker) as sock,
    ):
        sock.setblocking(True)
        sock.settimeout(scaled(5))
        cutter, heard = FrameCutter(1 << 21), []
        both = ((1, "events.demo.#"), (2, "events.open.#"))
        for number, text in both:
            wish = Subscribe(number, text, credit_messages=1 << 30, request=number)
            sock.sendall(pack(encode(wish)))

        def hear() -> None:
            for raw in cutter.feed(sock.recv(1 << 12)):
                found = decode(raw)
                heard.extend(found if isinstance(found, list) else [found])

        while sum(isinstance(each, Answer) for each in heard) < 2:
            hear()
        for _ in range(40):  # more than the sockets take: some of it has to wait
            source.publish_many(TICK, [bytes(1024)] * 50)
        source.publish_confirmed(TICK, b"")
        broker.obey(Rules((deny,)))
        assert source.publish_confirmed(TICK, b"denied").subscribers == 0
        assert source.publish_confirmed("events.open.tick", b"open").subscribers == 1
        while not any(isinstance(each, Envelope) and each.payload == b"open" for each in heard):
            hear()
        (place,) = (n for n, each in enumerate(heard) if isinstance(each, Notice))
        assert (heard[place].code, heard[place].subscription) == ("unsubscribed", 1)
        assert heard[place].rule == f"{deny} (access list)"
        before = sum(isinstance(each, Envelope) for each in heard[:place])
        assert 0 < before < 2001
        behind = [each for each in heard[place:] if isinstance(each, Envelope)]
        assert [each.payload for each in behind] == [b"open"]


# ---- B10, B11 -----------------------------------------------------------------------------------


def feed(bus: BusClient, total: int, fast: Reading, began: int = 0) -> None:
    """Publish so many as fast as `fast` follows, who is to lose nothing."""
    payloads = [b"%4d" % number for number in range(BATCH)]
    for sent in range(began, began + total, BATCH):
        bus.publish_many(TICK, payloads)
        bus.flush()
        wait_for(lambda sent=sent: fast.got >= sent, "the fast one", every=0.0002)  # type: ignore[misc]  # bound at once
    wait_for(lambda: fast.got >= began + total, "the last of it", within=20)


def test_b10_who_never_reads_costs_the_others_nothing_and_is_told_the_sum(tidy: Path) -> None:
    total = 40 * BATCH
    with (
        broker_process(tidy) as process,
        process.client() as source,
        process.client() as sleeper,
        process.client() as reader,
        Reading(reader.subscribe("events.#")).running() as fast,
    ):
        began = time.monotonic()
        feed(source, total, fast)
        alone = time.monotonic() - began
        slow = Reading(sleeper.subscribe("events.#"))
        began = time.monotonic()
        feed(source, total, fast, began=total)
        beside = time.monotonic() - began
        assert (fast.got, fast.lost) == (2 * total, {})
        assert beside < 3 * alone + scaled(1), "the sleeper slows the others down"
        rows = [row for row in source.subscriptions() if row.queued]
        assert len(rows) == 1
        assert rows[0].queued <= 1024  # its outbox, full
        with slow.running():
            wait_for(lambda: slow.last == 2 * total, "what waited", within=20)
            source.publish_confirmed(TICK, b"the end")
            wait_for(lambda: slow.last == 2 * total + 1, "the end")
        assert set(slow.lost) == {"overflow"}
        assert slow.accounted == total + 1


def test_b11_two_million_events_leave_the_broker_as_small_as_it_was(tidy: Path) -> None:
    total = 2_000_000
    with (
        broker_process(tidy) as process,
        process.client() as source,
        process.client() as sleeper,
        process.client() as reader,
        Reading(reader.subscribe("events.#")).running() as fast,
        Reading(sleeper.subscribe("events.#", max_messages=2000)).running() as slow,
    ):
        memory = psutil.Process(process.pid).memory_info
        payloads = [b"%8d" % number for number in range(10_000)]
        most = 0
        for _ in range(total // len(payloads)):
            source.publish_many(TICK, payloads)
            most = max(most, memory().rss)
        source.flush()
        # Until both have what is left for them, so that the last one tells all that was lost.
        wait_for(lambda: not any(row.queued for row in source.subscriptions()), "both", within=60)
        source.publish_confirmed(TICK, b"the end")
        wait_for(lambda: fast.last == slow.last == total + 1, "the end", within=60)
        assert fast.accounted == slow.accounted == total + 1
        assert {*fast.lost, *slow.lost} <= {"overflow"}
        assert most < 60 << 20


# ---- B16 ----------------------------------------------------------------------------------------

ROUNDS = 1000


def test_b16_a_thousand_rounds_of_everything_at_once_end(tidy: Path) -> None:
    """Ten threads, a signal handler, a `finally` in each round: nobody waits for ever."""
    rounds: Counter[str] = Counter()
    with (
        broker_process(tidy) as process,
        process.client() as bus,
        bus.subscribe("events.demo.#", overflow="drop-oldest") as heard,
    ):

        def publish(name: str) -> None:
            for number in range(ROUNDS):
                try:
                    bus.publish(f"events.demo.{name}", b"%d" % number)
                    if number % 100 == 0:
                        bus.publish_confirmed("events.demo.asked", b"", timeout=scaled(20))
                        bus.subscribe(f"events.other.{name}").close()
                finally:
                    bus.publish("events.demo.finally", b"")
                    rounds[name] += 1

        def handle(number: int, frame: object) -> None:
            bus.publish("events.demo.handler", b"")
            rounds["handler"] += 1

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        threads = [threading.Thread(target=publish, args=(f"t{n}",)) for n in range(10)]
        try:
            for each in threads:
                each.start()
            with Reading(heard).running():
                publish("main")
                for each in threads:
                    each.join(scaled(30))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert not any(each.is_alive() for each in threads)
        assert rounds.pop("handler") > 0
        assert rounds == {**{f"t{n}": ROUNDS for n in range(10)}, "main": ROUNDS}
        bus.flush()
        assert bus.counters().dropped == 0
    with pytest.raises(BusClosed) as caught:
        bus.publish(TICK, b"after close")
    assert caught.value.hint


# ---- connections that are lost ------------------------------------------------------------------

LISTENER = """
import sys
from daemoneye import BusClient

with BusClient.connect(run_dir=sys.argv[1]) as bus, bus.subscribe("events.demo.tick"):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not FEATURES.pidfd, reason="nobody tells here that a process has ended")
def test_a_session_whose_process_has_ended_is_not_waited_for(tidy: Path) -> None:
    with broker_process(tidy) as process, process.client() as bus:
        command = [sys.executable, "-W", "error", "-c", LISTENER, str(process.run_dir.path)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as listener:
            assert listener.stdout is not None
            assert listener.stdout.readline() == b"ready\n"
            assert bus.publish_confirmed(TICK, b"x").subscribers == 1
            listener.kill()
            wait_for(lambda: len(bus.clients()) == 1, "its session to be over")
            assert bus.publish_confirmed(TICK, b"x").subscribers == 0


OWNER = """
import sys
from daemoneye import BusClient

with BusClient.connect(run_dir=sys.argv[1]) as bus:
    bus.publish("events.demo.state", b"up", retain=True)
    bus.set_will("events.demo.state", b"down", retain=True)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not FEATURES.pidfd, reason="nobody tells here that a process has ended")
def test_a_will_of_a_process_that_has_ended_comes_before_who_takes_its_place(tidy: Path) -> None:
    with broker_process(tidy, will_timeout=600) as process, process.client() as bus:
        command = [sys.executable, "-W", "error", "-c", OWNER, str(process.run_dir.path)]
        pipe = subprocess.PIPE
        with bus.subscribe("events.demo.state") as states:
            for _ in range(2):
                with subprocess.Popen(command, stdin=pipe, stdout=pipe) as owner:
                    assert owner.stdout is not None
                    assert owner.stdout.readline() == b"ready\n"
                    owner.kill()
                    said = [states.get(scaled(10)) for _ in range(2)]
                    assert [each and each.payload for each in said] == [b"up", b"down"]
