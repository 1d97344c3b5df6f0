"""A thread hears what the bus delivers, and survives a bus that is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemoneye.collectors import hearing
from daemoneye.collectors.hearing import Hearing
from daemoneye.collectors.sides import Subscription
from daemoneye.errors import AccessDenied
from tests.collectors.fakes import FakeChild, FakeSubscription
from tests.support import wait_for


class Scene:
    """A child, and what its thread has heard."""

    def __init__(self, *filters: str) -> None:
        self.child = FakeChild()
        self.heard: list[bytes] = []
        self.failures: list[Exception] = []
        self.hearing = Hearing(self.child, filters, self.hear, self.failures.append)

    def hear(self, events: Subscription) -> None:
        while (event := events.get()) is not None:
            if event.payload == b"bug":
                raise KeyError("a bug")
            self.heard.append(bytes(event.payload))


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene("events.#")
    yield scene
    scene.hearing.close()
    scene.child.bus.close()


def test_who_waited_for_it_is_heard(scene: Scene) -> None:
    scene.hearing.start("hearing")
    scene.hearing.wait_listening()
    assert len(scene.child.bus.subscriptions) == 1
    scene.child.bus.say("events.demo.x", b"1")
    wait_for(lambda: scene.heard == [b"1"], "an event")


def test_without_filters_nothing_is_begun_and_nothing_waited_for() -> None:
    scene = Scene()
    scene.hearing.start("hearing")
    scene.hearing.wait_listening()
    assert scene.child.bus.subscriptions == []


def test_without_a_broker_it_is_not_waited_for_long_and_listens_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "CONNECT_PATIENCE", 0.01)
    monkeypatch.setattr(hearing, "_RETRY_INTERVAL", 0.01)
    scene.child.bus.is_broken = True
    scene.hearing.start("hearing")
    scene.hearing.wait_listening()
    assert scene.child.bus.subscriptions == []
    scene.child.bus.is_broken = False
    wait_for(lambda: scene.child.bus.subscriptions, "a subscription")


def test_a_subscription_that_is_not_allowed_is_not_asked_for_again(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(*filters: str) -> FakeSubscription:
        asked.append(filters)
        raise AccessDenied("no rule allows it")

    monkeypatch.setattr(scene.child.bus, "subscribe", refuse)
    scene.hearing.start("hearing")
    scene.hearing.wait_listening()
    assert asked == [("events.#",)]
    assert "no rule allows it" in caplog.text


def test_a_bug_in_the_thread_is_told_and_not_left_to_it(scene: Scene) -> None:
    scene.hearing.start("hearing")
    scene.hearing.wait_listening()
    scene.child.bus.say("events.a", b"bug")
    wait_for(lambda: scene.failures, "the bug")
    assert isinstance(scene.failures[0], KeyError)
