"""A collector's process, between a supervisor and a bus that are the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import pytest

from daemoneye.bus.envelope import Envelope
from daemoneye.bus.proto.events_pb2 import ChildStatus, Health
from daemoneye.collectors.collector import Collector, Event, every, on
from daemoneye.collectors.conduct import DEGRADED_AFTER, ENDED_AFTER
from daemoneye.collectors.inbox import Inbox
from daemoneye.collectors.runner import resolve, run
from daemoneye.errors import CollectorError, ConfigError
from tests.collectors.fakes import FakeChild
from tests.support import wait_for

TICK = "events.demo.tick"


class Ticker(Collector):
    """Publishes what it was told to publish."""

    name = "ticker"
    kind = "demo"
    settings: Mapping[str, object] = MappingProxyType({"interval": "20ms", "word": "tick"})
    heard: list[str]
    thread: int

    def setup(self) -> None:
        self.heard = []
        self.thread = threading.get_ident()

    @every(setting="interval")
    def tick(self) -> Iterator[Event]:
        assert threading.get_ident() == self.thread
        yield Event(TICK, {"word": self.settings["word"]})

    @on("control.collector.config")
    def changed(self, event: Envelope) -> Iterator[Event]:
        assert threading.get_ident() == self.thread
        yield Event("events.demo.heard", {"from": event.publisher.name})

    def reconfigure(self, settings: Mapping[str, object]) -> None:
        if settings["word"] == "bad":
            raise ConfigError("no such word")
        self.log.info("word %s", settings["word"])

    def teardown(self) -> None:
        self.log.info("ends")


class Running:
    """A runner in a thread, and its fake child."""

    def __init__(self, collector: type[Collector] | str, **settings: object) -> None:
        self.child = FakeChild("ticker", settings)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(collector,))
        self._thread.start()

    def _run(self, collector: type[Collector] | str) -> None:
        try:
            run(self.child, collector)
        except Exception as error:  # what ends a collector is what a test looks at
            self.error = error

    def wait_end(self) -> Exception | None:
        """What it ended with."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.error

    def stop(self) -> Exception | None:
        """Ask it to end, and wait."""
        if self._thread.is_alive():
            wait_for(lambda: hasattr(self.child, "_stop"), "a runner that listens")
            self.child.stop()
        return self.wait_end()


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Running] = []

    def start(collector: type[Collector] | str, **settings: object) -> Running:
        running.append(Running(collector, **settings))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def test_it_is_ready_after_setup_collects_and_ends_with_teardown(start: Start) -> None:
    running = start(Ticker)
    running.child.bus.wait_for(TICK, 3)
    assert running.stop() is None
    said = [each for each in running.child.said if each[-1] in ("ready", "setup", "teardown")]
    assert said == [
        ("begins", "setup"),
        ("ends", "setup"),
        ("ready",),
        ("begins", "teardown"),
        ("ends", "teardown"),
    ]


def test_each_collection_is_work_in_hand_and_is_flushed(start: Start) -> None:
    running = start(Ticker)
    running.child.bus.wait_for(TICK, 3)
    running.stop()
    assert running.child.said.count(("begins", "tick")) == len(running.child.bus.on(TICK))
    assert running.child.bus.flushes >= len(running.child.bus.on(TICK))


def test_a_collector_is_found_by_its_name_in_a_module(start: Start) -> None:
    running = start("tests.collectors.test_runner:Ticker")
    running.child.bus.wait_for(TICK)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tests.collectors.test_runner:Nothing", "cannot be imported"),
        ("no_such_module:Class", "cannot be imported"),
        ("tests.collectors.test_runner:TICK", "no subclass of daemoneye.Collector"),
        (":Ticker", "cannot be imported"),
    ],
)
def test_what_is_no_collector_is_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        resolve(name)


def test_settings_it_cannot_have_end_it_before_anything_else(start: Start) -> None:
    running = start(Ticker, wrod="x")
    assert isinstance(running.wait_end(), ConfigError)
    assert running.child.said == []


def test_an_event_reaches_the_methods_that_listen_in_the_main_thread(start: Start) -> None:
    running = start(Ticker)
    running.child.wait_said("ready")
    running.child.bus.say("control.collector.config", {"validate_only": True})
    assert running.child.bus.wait_for("events.demo.heard")[0].payload == {"from": "operator"}


def test_a_pause_stops_collecting_and_a_resume_begins_anew(start: Start) -> None:
    running = start(Ticker)
    running.child.bus.wait_for(TICK)
    assert running.child.orders is not None
    running.child.orders.paused(True)
    running.child.orders.configure(1, '{"word": "tock"}')
    running.child.wait_said("configured", 1, "")
    before = len(running.child.bus.on(TICK))
    running.child.orders.configure(2, '{"word": "tock"}')
    running.child.wait_said("configured", 2, "")
    assert len(running.child.bus.on(TICK)) == before
    running.child.orders.paused(False)
    words = [each.payload for each in running.child.bus.wait_for(TICK, before + 1)]
    assert words[before] == {"word": "tock"}


def test_settings_it_accepts_are_in_force_from_the_next_collection_on(start: Start) -> None:
    running = start(Ticker)
    running.child.bus.wait_for(TICK)
    assert running.child.orders is not None
    running.child.orders.configure(5, '{"word": "tock", "interval": "10ms"}')
    running.child.wait_said("configured", 5, "")
    before = len(running.child.bus.on(TICK))
    assert running.child.bus.wait_for(TICK, before + 1)[-1].payload == {"word": "tock"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ('{"word": "bad"}', "no such word"),
        ('{"wrod": "x"}', "there is no such setting"),
        ('{"interval": "never"}', "settings.interval"),
        ("[]", "not a JSON object"),
    ],
)
def test_settings_it_refuses_leave_the_old_ones_in_force(
    start: Start, settings: str, why: str
) -> None:
    running = start(Ticker)
    running.child.bus.wait_for(TICK)
    assert running.child.orders is not None
    running.child.orders.configure(5, settings)
    wait_for(
        lambda: [e for e in list(running.child.said) if e[:2] == ("configured", 5)], "an answer"
    )
    answer = next(each for each in running.child.said if each[0] == "configured")
    assert why in str(answer[2])
    before = len(running.child.bus.on(TICK))
    assert running.child.bus.wait_for(TICK, before + 1)[-1].payload == {"word": "tick"}


class Failing(Collector):
    """Fails as often as its settings say, then works."""

    name = "failing"
    kind = "demo"
    settings: Mapping[str, object] = MappingProxyType({"failures": 0, "error": "ValueError"})
    failed = 0

    @every("10ms")
    def sample(self) -> Iterator[Event]:
        self.failed += 1
        yield Event(TICK, {"n": self.failed})
        if self.failed <= int(str(self.settings["failures"])):
            known = {"ValueError": ValueError, "CollectorError": CollectorError}
            raise known[str(self.settings["error"])]("broken sensor")
        yield Event("events.demo.worked", b"")


def test_one_exception_is_told_and_does_not_end_it(start: Start) -> None:
    running = start(Failing, failures=1)
    running.child.bus.wait_for("events.demo.worked")
    status = running.child.bus.wait_for("control.health.status.ticker")[0].payload
    assert isinstance(status, ChildStatus)
    assert "sample failed: ValueError: broken sensor" in status.reason
    assert not [each for each in running.child.said if each[0] == "degraded"]


def test_exceptions_in_a_row_make_it_degraded_until_it_works_again(start: Start) -> None:
    running = start(Failing, failures=DEGRADED_AFTER)
    running.child.wait_said("well")
    degraded = [each for each in running.child.said if each[0] == "degraded"]
    assert degraded == [
        ("degraded", f"sample failed {DEGRADED_AFTER} times in a row: ValueError: broken sensor")
    ]
    healths = [
        each.payload.health
        for each in running.child.bus.wait_for("control.health.status.ticker", DEGRADED_AFTER + 1)
        if isinstance(each.payload, ChildStatus)
    ]
    assert healths[-2:] == [Health.HEALTH_DEGRADED, Health.HEALTH_HEALTHY]


def test_too_many_exceptions_in_a_row_end_it_with_the_last(start: Start) -> None:
    running = start(Failing, failures=10**6)
    error = running.wait_end()
    assert isinstance(error, ValueError)
    assert len(running.child.bus.on(TICK)) == ENDED_AFTER


def test_a_bug_in_a_thread_of_ours_ends_it_instead_of_leaving_it_deaf(start: Start) -> None:
    running = start(Ticker)
    running.child.bus.wait_for(TICK)
    bug = KeyError("a bug")
    assert isinstance(running.child.orders, Inbox)
    running.child.orders.broken(bug)
    assert running.wait_end() is bug


def test_a_collector_error_is_counted_and_nothing_more(start: Start) -> None:
    running = start(Failing, failures=ENDED_AFTER * 2, error="CollectorError")
    running.child.bus.wait_for("events.demo.worked")
    running.child.beat()
    assert running.child.counters["failures_total"] == ENDED_AFTER * 2
    assert not [each for each in running.child.said if each[0] == "degraded"]


def test_a_listener_that_raises_is_told_like_a_collection_that_does(start: Start) -> None:
    class Deaf(Ticker):
        name = "deaf"

        @on("control.health.diagnostics")
        def asked(self, event: Envelope) -> None:
            raise KeyError("no such question")

    running = start(Deaf)
    running.child.wait_said("ready")
    running.child.bus.say("control.health.diagnostics", {"ask": "anything"})
    status = running.child.bus.wait_for("control.health.status.ticker")[0].payload
    assert isinstance(status, ChildStatus)
    assert "asked failed: KeyError" in status.reason


def test_a_missing_bus_stops_no_collection(start: Start) -> None:
    running = start(Ticker)
    running.child.bus.wait_for(TICK)
    running.child.bus.is_broken = True

    def undelivered() -> bool:
        running.child.beat()
        return running.child.counters["undelivered_total"] >= 3

    wait_for(undelivered, "undelivered events")
    running.child.bus.dropped = 5
    running.child.beat()
    assert running.child.counters["events_dropped_total"] == 5
    running.child.bus.is_broken = False
    before = len(running.child.bus.on(TICK))
    running.child.bus.wait_for(TICK, before + 1)


def test_a_setup_that_fails_ends_it_before_it_is_ready(start: Start) -> None:
    class Broken(Ticker):
        name = "broken"

        def setup(self) -> None:
            raise OSError("no such device")

    running = start(Broken)
    assert isinstance(running.wait_end(), OSError)
    assert ("ready",) not in running.child.said
