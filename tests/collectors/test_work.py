"""What a collector yields is checked, published and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pytest

from daemoneye.collectors.collector import Collector, Event, describe, every
from daemoneye.collectors.work import Doing, Work
from daemoneye.errors import AccessDenied, CollectorError, ConfigError
from tests.collectors.fakes import FakeChild


class Demo(Collector):
    """Yields all sorts of things."""

    name = "demo"
    kind = "demo"
    settings: Mapping[str, object] = MappingProxyType({"word": "a"})
    seen: tuple[object, ...] = ()

    @every("1s")
    def good(self) -> Iterator[Event]:
        yield Event("events.demo.one", b"1", target="somebody")
        yield Event("events.demo.two", {"n": 2})

    @every("1s")
    def listed(self) -> list[Event]:
        return [Event("events.demo.one", b"1")]

    @every("1s")
    def silent(self) -> None: ...

    @every("1s")
    def elsewhere(self) -> Iterator[Event]:
        yield Event("events.process.lifecycle", b"")

    @every("1s")
    def bytes_(self) -> bytes:
        return b"payload"

    @every("1s")
    def dicts(self) -> Iterator[dict[str, int]]:
        yield {"n": 1}

    def reconfigure(self, settings: Mapping[str, object]) -> None:
        self.seen = (*self.seen, settings["word"])
        if settings["word"] == "bad":
            raise ValueError("half done")


def work() -> tuple[Work, FakeChild, Demo]:
    child, demo = FakeChild(), Demo()
    return Work(child, demo, describe(Demo)), child, demo


def test_events_are_published_in_order_with_what_they_carry() -> None:
    demo, child, _ = work()
    demo.do("good")
    assert [(each.topic, each.payload, each.target) for each in child.bus.published] == [
        ("events.demo.one", b"1", "somebody"),
        ("events.demo.two", {"n": 2}, ""),
    ]
    assert (demo.tally.events_total, demo.tally.collections_total) == (2, 1)
    assert demo.doing == Doing()


@pytest.mark.parametrize(("method", "events"), [("listed", 1), ("silent", 0)])
def test_a_method_may_return_a_list_or_nothing(method: str, events: int) -> None:
    demo, child, _ = work()
    demo.do(method)
    assert len(child.bus.published) == events


def test_a_topic_that_was_not_declared_is_refused_with_the_hint() -> None:
    demo, child, _ = work()
    with pytest.raises(AccessDenied, match=r"add it to `publishes`") as caught:
        demo.do("elsewhere")
    assert caught.value.rule == "publishes = events.demo.#"
    assert child.bus.published == []


@pytest.mark.parametrize("method", ["bytes_", "dicts"])
def test_what_is_no_event_is_refused_with_the_hint(method: str) -> None:
    demo, _, _ = work()
    with pytest.raises(CollectorError, match=r"yield Event\(topic, payload\)"):
        demo.do(method)
    assert demo.tally.collections_total == 1


def test_what_a_refused_change_half_did_is_put_back() -> None:
    demo, _, collector = work()
    with pytest.raises(ValueError, match="half done"):
        demo.reconfigure({"word": "bad"})
    assert collector.seen == ("bad", "a")
    assert collector.settings["word"] == "a"


def test_settings_that_cannot_be_never_reach_the_collector() -> None:
    demo, _, collector = work()
    with pytest.raises(ConfigError):
        demo.reconfigure({"wrod": "b"})
    assert collector.seen == ()


def test_events_without_a_bus_are_counted() -> None:
    demo, child, _ = work()
    child.bus.is_broken = True
    demo.do("good")
    assert (demo.tally.events_total, demo.tally.undelivered_total) == (0, 2)
