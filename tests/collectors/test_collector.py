"""What a user writes is described, or refused with all problems at once."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import pytest

from daemoneye.bus.envelope import Envelope
from daemoneye.bus.topics import TopicFilter
from daemoneye.collectors.collector import (
    Collection,
    Collector,
    Event,
    collector,
    describe,
    every,
    on,
)
from daemoneye.errors import ConfigError, InvalidTopic


class Uptime(Collector):
    """A collector as a user writes it."""

    name = "uptime"
    kind = "performance"
    publishes = ("events.performance.uptime",)

    @every("5s")
    def sample(self) -> Iterator[Event]:
        yield Event("events.performance.uptime", {"seconds": 1})

    @on("control.collector.config")
    def changed(self, event: Envelope) -> None:
        self.log.info("new settings")


class Adjustable(Collector):
    """A collector whose interval is a setting."""

    name = "adjustable"
    kind = "weather"
    settings = MappingProxyType({"interval": "1s", "place": "here"})

    @every(setting="interval")
    def look(self) -> None: ...

    @every("1 min")
    @every("1 h")
    def look_closely(self) -> None: ...


def test_a_class_is_described_by_what_it_declares() -> None:
    found = describe(Uptime)
    assert (found.name, found.kind) == ("uptime", "performance")
    assert found.publishes == (TopicFilter("events.performance.uptime"),)
    assert found.collections == (Collection("sample", 5.0),)
    assert [(each.method, str(each.filter)) for each in found.listeners] == [
        ("changed", "control.collector.config")
    ]


def test_a_class_that_names_no_topics_may_publish_events_of_its_kind() -> None:
    found = describe(Adjustable)
    assert found.may_publish("events.weather.rain")
    assert not found.may_publish("events.process.lifecycle")


def test_an_interval_follows_its_setting() -> None:
    assert describe(Adjustable).collections[0] == Collection("look", 1.0)
    assert describe(Adjustable, {"interval": "2 min"}).collections[0] == Collection("look", 120.0)


def test_given_settings_stand_over_the_defaults() -> None:
    assert describe(Adjustable, {"place": "there"}).settings == {"interval": "1s", "place": "there"}


def test_a_method_may_have_several_marks() -> None:
    intervals = [each.interval for each in describe(Adjustable).collections[1:]]
    assert sorted(intervals) == [60.0, 3600.0]


def test_a_class_that_declares_no_settings_takes_any() -> None:
    assert describe(Uptime, {"anything": 1}).settings == {"anything": 1}


def test_all_problems_of_settings_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        describe(Adjustable, {"interval": "soon", "plaec": "there"})
    assert len(caught.value.problems) == 2
    assert "settings.plaec: there is no such setting; there are interval, place" in str(
        caught.value
    )
    assert "settings.interval: 'soon'" in str(caught.value)


def test_all_problems_of_a_class_come_at_once_when_it_is_made() -> None:
    with pytest.raises(ConfigError) as caught:

        class Wrong(Collector):
            name = "Not A Name"
            kind = "proc/ess"
            publishes = ("events.*", "$bus.denied")

            @every("5 parsecs")
            def sample(self) -> None: ...

            @every(setting="pace")
            def other(self) -> None: ...

            @every("1s")
            def greedy(self, what: object) -> None: ...

            @on("events.#.x")
            def hear(self, event: Envelope) -> None: ...

    told = [problem.partition(":")[0] for problem in caught.value.problems]
    assert told == [
        "name",
        "kind",
        "publishes",
        "publishes",
        "@every of sample",
        "settings.pace",
        "greedy",
        "@on of hear",
    ]


def test_one_text_where_filters_belong_is_told_as_such() -> None:
    with pytest.raises(ConfigError, match="expected a tuple of filters"):

        class Wrong(Collector):
            name = "wrong"
            kind = "process"
            publishes = "events.process.lifecycle"

            @every("1s")
            def sample(self) -> None: ...


def test_a_collector_without_collections_is_refused() -> None:
    with pytest.raises(ConfigError, match="would never do a thing"):

        class Idle(Collector):
            name = "idle"
            kind = "process"


def test_a_listener_the_broker_would_refuse_is_refused_here() -> None:
    with pytest.raises(ConfigError, match=r"events\.process\.# is not heard by collectors"):

        class Curious(Collector):
            name = "curious"
            kind = "process"

            @on("events.process.#")
            def hear(self, event: Envelope) -> None: ...


def test_a_class_without_a_name_is_a_base_and_its_marks_are_inherited() -> None:
    class Base(Collector):
        kind = "process"

        @every("1s")
        def sample(self) -> None: ...

    class Child(Base):
        name = "child"

    assert describe(Child).collections == (Collection("sample", 1.0),)
    with pytest.raises(ConfigError, match="name: ''"):
        describe(Base)


def test_an_interval_below_a_hundredth_of_a_second_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter than 10 ms"):
        describe(Adjustable, {"interval": 0})


def test_a_generator_function_becomes_a_collector() -> None:
    @collector(name="uptime", kind="performance", interval="5s")
    def uptime(self: Collector) -> Iterator[Event]:
        """How long."""
        yield Event("events.performance.uptime", {"by": self.name})

    assert issubclass(uptime, Collector)
    assert uptime.__doc__ == "How long."
    assert describe(uptime).collections == (Collection("collect", 5.0),)


def test_an_event_on_no_topic_is_refused_where_it_is_made() -> None:
    with pytest.raises(InvalidTopic, match="level 2"):
        Event("events.*", b"")


def test_a_collector_can_be_called_without_any_runner() -> None:
    assert [event.payload for event in Uptime().sample()] == [{"seconds": 1}]
