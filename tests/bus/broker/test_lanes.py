"""The lanes of one client: whose run is the oldest, and who is put aside without credit."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import Decision, Verdict
from daemoneye.bus.broker.lanes import SHARE, Lanes
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.streams import Backlog, Lane, Stream, StreamKey, Subscription
from daemoneye.bus.frames import Carriage, Overflow, Subscribe
from daemoneye.bus.topics import TopicFilter

GRANTED = Decision(Verdict.GRANTED, "a rule")


class Scene:
    """Lanes of streams with a subscription each."""

    def __init__(self) -> None:
        self.backlog = Backlog(Backlog())
        self.backlog.holding.carriage = Carriage(descriptors=True, max_payload_bytes=1000)
        self.lanes = Lanes(self.backlog.holding)

    def stream(self, *runs: int, credit: int = 100, lane: Lane = Lane.EVENTS) -> Stream:
        """One in which runs of these numbers wait."""
        wish = Subscribe(1, "a.#", Overflow.DEFAULT, 100, 1 << 20, credit, 1 << 20)
        subscription = Subscription(wish, TopicFilter("a.#"), GRANTED)
        key = StreamKey((1,), lane, Overflow.DROP_OLDEST)
        stream = Stream(key, (subscription,), self.backlog)
        for number in runs:
            stream.offer(Run(number, b"x", 1, 0, ("p", "a")))
        self.lanes.add(stream)
        return stream

    def exhausted(self, *runs: int) -> Stream:
        """One whose subscription has no credit left."""
        stream = self.stream(*runs, credit=1)
        stream.subscriptions[0].balance.charge(1, 1)
        return stream

    @property
    def oldest(self) -> Stream | None:
        return self.lanes.oldest(self.lanes.ready[Lane.EVENTS])


def test_the_run_that_came_first_goes_first_whichever_stream_it_waits_in() -> None:
    scene = Scene()
    streams = {number: scene.stream(number) for number in (3, 1, 2)}
    assert scene.oldest is streams[1]
    assert scene.lanes.remove(streams[1])
    assert not scene.lanes.remove(streams[1])
    assert scene.oldest is streams[2]


def test_losses_are_told_before_anything_waits_longer() -> None:
    scene = Scene()
    scene.stream(1)
    assert scene.oldest is not None
    nothing_but_losses = scene.stream()
    assert scene.oldest is nothing_but_losses


def test_who_has_no_credit_is_put_aside_until_there_may_be_some() -> None:
    scene = Scene()
    poor, rich = scene.exhausted(1), scene.stream(2)
    assert scene.oldest is rich
    assert list(scene.lanes.ready[Lane.EVENTS]) == [rich]
    poor.subscriptions[0].balance.granted_messages = 2
    assert scene.oldest is rich
    scene.lanes.credited()
    assert scene.oldest is poor


def test_without_credit_nothing_may_be_sent() -> None:
    scene = Scene()
    assert not scene.lanes.may_send
    scene.exhausted(1)
    assert not scene.lanes.may_send
    scene.stream(2, lane=Lane.CONTROL)
    assert scene.lanes.may_send


@pytest.mark.parametrize("descriptor", [True, False])
def test_who_was_given_enough_gets_no_more_descriptors_but_all_else(descriptor: bool) -> None:
    scene = Scene()
    holding, parcels = scene.backlog.holding, scene.backlog.parcels
    given = parcels.add(parcels.share_bytes, descriptor=7)
    holding.take(given)
    holding.send(given)
    holding.give(given)
    stream = scene.stream()
    parcel = parcels.add(1, descriptor=8) if descriptor else None
    if parcel is not None:
        holding.take(parcel)
    stream.offer(Run(1, b"x", 1, 0, ("p", "a"), parcel))
    assert (scene.oldest is None) is descriptor
    holding.release(given.number)
    scene.lanes.credited()
    assert scene.oldest is stream


def test_one_pick_in_so_many_begins_with_the_lowest_lane() -> None:
    lanes = Scene().lanes
    assert [lanes.picks_from_below() for _ in range(SHARE)] == [False] * (SHARE - 1) + [True]
    assert not lanes.picks_from_below()


def test_none_is_left_whether_put_aside_or_not() -> None:
    scene = Scene()
    scene.exhausted(1)
    assert scene.oldest is None
    scene.stream(2)
    scene.lanes.clear()
    scene.lanes.credited()
    assert scene.oldest is None
