"""perfmond says what its samples show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemoneye.bus.hierarchy import message_of
from daemoneye.bus.proto.events_pb2 import PerformanceAnomaly, PerformanceMetadata
from daemoneye.collectors.collector import describe
from daemoneye.collectors.perfmond import Perfmond
from daemoneye.collectors.perfmond.perfmond import thresholds
from daemoneye.collectors.perfmond.readings import take_sample
from daemoneye.collectors.perfmond.sample import MemoryUse
from daemoneye.errors import ConfigError

READING = "daemoneye.collectors.perfmond.perfmond.take_sample"


@pytest.fixture
def perfmond() -> Perfmond:
    collector = Perfmond()
    collector.setup()
    return collector


def test_the_first_collection_has_shares_because_setup_took_a_sample(perfmond: Perfmond) -> None:
    payload = next(iter(perfmond.sample())).payload
    assert isinstance(payload, PerformanceMetadata)
    assert payload.HasField("cpu_percent")
    assert payload.interval_seconds > 0


def test_memory_that_stays_high_is_told_once_and_its_end_once(
    perfmond: Perfmond, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = take_sample()
    told = []
    for step, percent in enumerate([95.0] * 5 + [10.0] * 2, 1):
        memory = MemoryUse(100, 5, 95, percent)
        now = replace(calm, clock=calm.clock + step, memory=memory, volumes={}, load=())
        monkeypatch.setattr(READING, lambda now=now: now)
        for event in perfmond.sample():
            if isinstance(event.payload, PerformanceAnomaly):
                told.append((step, event.payload.subject, event.payload.finding.rule))
    assert told == [(3, "memory", "memory-high"), (6, "memory", "memory-high")]


def test_it_publishes_declared_messages_on_declared_topics(perfmond: Perfmond) -> None:
    described = describe(Perfmond)
    for event in (*perfmond.description(), *perfmond.sample()):
        assert described.may_publish(event.topic)
        assert message_of(event.topic) == event.payload.DESCRIPTOR.full_name  # type: ignore[union-attr]  # protobuf


def test_all_thresholds_that_cannot_be_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        thresholds(
            {**Perfmond.settings, "cpu_percent": "high", "patience": 0, "swap_percent": True}
        )
    assert [each.partition(":")[0] for each in caught.value.problems] == [
        "patience",
        "cpu_percent",
        "swap_percent",
    ]


def test_a_refused_threshold_leaves_the_watch_as_it_was(perfmond: Perfmond) -> None:
    before = perfmond._watch
    with pytest.raises(ConfigError):
        perfmond.reconfigure({**Perfmond.settings, "cpu_percent": -1})
    assert perfmond._watch is before
