"""The examples do what they say, and show only what is promised."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from daemoneye.bus.hierarchy import message_of
from daemoneye.collectors.collector import Collector, Event, describe
from daemoneye.config.plan import load
from tests.collectors.fakes import envelope

EXAMPLES = Path(__file__).parents[1] / "examples"
QUESTIONS = "control.health.diagnostics"


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory, where Python finds what is in it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield EXAMPLES
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def mocks(examples: Path) -> ModuleType:
    import mock_collectors  # type: ignore[import-not-found]  # it stands in the examples

    return mock_collectors  # type: ignore[no-any-return]  # as above


def begun(mock: type[Collector], **settings: object) -> Any:
    """A mock at the beginning of its story."""
    collector = mock()
    collector.settings = describe(mock, settings).settings
    collector.setup()
    return collector


def story(mock: type[Collector], collections: int, **settings: object) -> list[Event]:
    collector = begun(mock, **settings)
    return [event for _ in range(collections) for event in collector.collect()]


def test_the_first_collector_says_how_long_the_machine_is_up(examples: Path) -> None:
    from hello_collector import Uptime  # type: ignore[import-not-found]  # as above

    (event,) = Uptime().sample()
    assert event.topic == "events.performance.uptime"
    assert event.payload["seconds"] > 0


def test_there_is_a_mock_of_each_kind(mocks: ModuleType) -> None:
    kinds = [describe(mock).kind for mock in mocks.MOCKS]
    assert kinds == ["process", "network", "filesystem", "performance"]


@pytest.mark.parametrize("number", range(4))
def test_a_mock_publishes_declared_messages_of_its_kind(mocks: ModuleType, number: int) -> None:
    mock = mocks.MOCKS[number]
    events = story(mock, 200)
    assert len({event.topic for event in events}) == 2
    for event in events:
        assert describe(mock).may_publish(event.topic)
        assert event.payload.DESCRIPTOR.full_name == message_of(event.topic)  # type: ignore[union-attr]  # protobuf


def test_the_processes_of_the_mock_start_before_they_stop(mocks: ModuleType) -> None:
    alive: set[int] = set()
    for event in story(mocks.MockProcmond, 300):
        if event.topic == "events.process.lifecycle":
            action, pid = event.payload.action, event.payload.pid  # type: ignore[union-attr]  # protobuf
            if action == mocks.ProcessAction.PROCESS_ACTION_START:
                assert pid not in alive
                alive.add(pid)
            else:
                assert pid in alive
            if action == mocks.ProcessAction.PROCESS_ACTION_STOP:
                alive.remove(pid)


def test_mocks_of_one_seed_tell_the_same_story(mocks: ModuleType) -> None:
    def told(seed: int) -> list[tuple[str, str]]:
        events = story(mocks.MockFsmond, 50, seed=seed)
        return [(event.topic, getattr(event.payload, "path", "")) for event in events]

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_a_mock_floods_and_leaks_and_raises_until_it_is_told_to_be_calm(mocks: ModuleType) -> None:
    mock = begun(mocks.MockNetmond, flood=100)

    def tell(order: str) -> None:
        (answer,) = mock.asked(envelope(QUESTIONS, {"ask": order}))
        assert (answer.topic, answer.target) == (QUESTIONS, "operator")

    tell("flood")
    assert len(list(mock.collect())) >= 100
    tell("leak")
    list(mock.collect())
    assert sum(map(len, mock.leaked)) == mocks.LEAKED_BYTES
    tell("raise")
    with pytest.raises(ValueError, match="told to raise"):
        list(mock.collect())
    tell("calm")
    assert len(list(mock.collect())) <= 2
    assert mock.leaked == []


@pytest.mark.parametrize("payload", [{"ask": "threads"}, {"answer": "{}"}, b"", b"{}"])
def test_other_questions_are_left_to_the_runner(mocks: ModuleType, payload: Any) -> None:
    assert list(begun(mocks.MockPerfmond).asked(envelope(QUESTIONS, payload))) == []


def test_the_configuration_is_valid_and_names_what_runs(examples: Path) -> None:
    plan = load(examples / "daemoneye.toml", environ={}).plan
    assert {child.name for child in plan.children} >= {"procmond", "perfmond", "uptime", "greeter"}
