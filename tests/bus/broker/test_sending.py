"""What is being written: its order, what the kernel took, and what is taken back."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.access import Decision, Verdict
from daemoneye.bus.broker.parcels import Parcel
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.sending import Sending
from daemoneye.bus.broker.streams import Backlog, Lane, Stream, StreamKey, Subscription
from daemoneye.bus.frames import Carriage, Chunk, Overflow, StreamMark, Subscribe, decode
from daemoneye.bus.topics import TopicFilter

GRANTED = Decision(Verdict.GRANTED, "a rule")


class Scene:
    """What one client is being sent, of streams with a subscription each."""

    def __init__(self) -> None:
        self.backlog = Backlog(Backlog())
        self.backlog.holding.carriage = Carriage(descriptors=True, max_payload_bytes=1000)
        self.sending = Sending(self.backlog.holding)
        self.runs = 0

    def stream(self, number: int = 1) -> Stream:
        wish = Subscribe(number, "a.#", Overflow.DEFAULT, 100, 1 << 20, 100, 1 << 20)
        subscription = Subscription(wish, TopicFilter("a.#"), GRANTED)
        key = StreamKey((number,), Lane.EVENTS, Overflow.DROP_OLDEST)
        return Stream(key, (subscription,), self.backlog)

    def send(self, stream: Stream, data: bytes, parcel: Parcel | None = None) -> Run:
        """Have a run of this stream written."""
        self.runs += 1
        run = Run(self.runs, data, 1, 0, ("p", "a"), parcel)
        stream.offer(run)
        self.sending.append(data, stream, stream.begin_oldest())
        return run

    def parcel(self) -> Parcel:
        """A large payload that waits for this client and for nobody else."""
        parcel = self.backlog.parcels.add(100, descriptor=7)
        self.backlog.holding.take(parcel)
        self.backlog.parcels.let_go(parcel)
        return parcel

    def pass_on(self, stream: Stream, data: bytes) -> Parcel:
        """Have a descriptor go with what is written next."""
        parcel = self.parcel()
        self.send(stream, data, parcel)
        self.sending.passing = parcel
        return parcel

    @property
    def rest(self) -> bytes:
        return b"".join(self.sending.buffers())


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=9), st.data())
def test_what_the_kernel_takes_is_gone_and_a_run_counts_when_it_took_all(
    parts: list[bytes], data: st.DataObject
) -> None:
    scene = Scene()
    stream = scene.stream()
    for part in parts:
        scene.send(stream, part)
    left, ends = b"".join(parts), list(accumulate(map(len, parts)))
    taken = 0
    while left:
        assert (scene.rest, scene.sending.bytes) == (left, len(left))
        count = data.draw(st.integers(1, len(left)))
        scene.sending.written(count)
        taken, left = taken + count, left[count:]
        assert stream.tally.delivered == sum(end <= taken for end in ends)
    assert (scene.sending.buffers(), scene.sending.bytes, scene.backlog.bytes) == ([], 0, 0)


def test_a_stream_is_announced_once_and_again_when_there_is_news() -> None:
    scene = Scene()
    one, other = scene.stream(1), scene.stream(2)
    for each in (one, one, other, one):
        scene.sending.announce(each)
    one.untold["overflow"] = 3
    scene.sending.announce(one)
    scene.sending.forget(other)
    scene.sending.announce(one)
    scene.sending.forget(one)
    scene.sending.announce(one)
    marks = [decode(bytes(each)[4:]) for each in scene.sending.buffers()]
    expected = [(1, {}), (2, {}), (1, {}), (1, {"overflow": 3}), (1, {})]
    assert marks == [StreamMark((number,), lost) for number, lost in expected]


def test_a_descriptor_is_given_with_the_first_byte() -> None:
    scene = Scene()
    parcel = scene.pass_on(scene.stream(), b"frame")
    scene.sending.written(1)
    assert scene.sending.passing is None
    assert list(scene.backlog.holding.given) == [parcel.number]
    scene.sending.written(4)
    assert list(scene.backlog.holding.given) == [parcel.number]


def test_what_cannot_be_passed_leaves_what_is_before_it() -> None:
    scene = Scene()
    stream = scene.stream()
    scene.send(stream, b"before")
    parcel = scene.pass_on(stream, b"frame")
    owner, run = scene.sending.pass_nothing()
    assert (owner, run.parcel) == (stream, parcel)
    assert (scene.rest, scene.sending.bytes, scene.sending.passing) == (b"before", 6, None)
    assert parcel.holders == 1


@pytest.mark.parametrize(
    ("written", "taken", "left"),
    [(0, [b"aaa", b"bb"], b"yy"), (1, [b"bb"], b"aayy"), (3, [b"bb"], b"yy"), (4, [b"bb"], b"y")],
)
def test_behind_the_frame_that_is_begun_all_of_a_stream_is_taken_back(
    written: int, taken: list[bytes], left: bytes
) -> None:
    scene = Scene()
    stream, other = scene.stream(1), scene.stream(2)
    for each, data in [(stream, b"aaa"), (other, b"yy"), (stream, b"bb")]:
        scene.send(each, data)
    scene.sending.append(b"chunk", stream, None)
    scene.sending.written(written)
    assert [run.data for run in scene.sending.take_back(stream)] == taken
    assert (scene.rest, scene.sending.bytes) == (left, len(left))


def test_what_is_passed_is_taken_back_and_what_was_passed_is_not() -> None:
    scene = Scene()
    stream = scene.stream()
    scene.send(stream, b"before")
    scene.pass_on(stream, b"first")
    scene.sending.written(6 + 1)
    scene.sending.written(4)
    scene.send(stream, b"between")
    scene.pass_on(stream, b"second")
    taken = scene.sending.take_back(stream)
    assert [run.data for run in taken] == [b"between", b"second"]
    assert (scene.rest, scene.sending.passing) == (b"", None)
    scene.send(stream, b"before")
    scene.pass_on(stream, b"third")
    scene.sending.written(1)
    assert scene.sending.take_back(stream) == []
    assert scene.rest == b"eforethird"


def test_a_publish_whose_chunks_went_ahead_is_taken_back_with_a_word() -> None:
    scene = Scene()
    stream, parcel = scene.stream(), scene.parcel()
    run = scene.send(stream, b"frame", parcel)
    assert scene.sending.take_back(stream) == [run]
    assert decode(scene.rest[4:]) == Chunk(parcel.number, 0)
    assert scene.sending.bytes == len(scene.rest)


def test_what_has_to_be_finished_is_settled_or_handed_over() -> None:
    scene = Scene()
    stream, heir = scene.stream(1), scene.stream(2)
    scene.send(stream, b"a")
    scene.sending.settle(stream)
    scene.sending.written(1)
    assert (stream.tally.delivered, stream.messages) == (1, 0)
    scene.send(stream, b"b")
    scene.sending.hand_over({stream: heir})
    heir.absorb(stream)
    scene.sending.written(1)
    assert (heir.tally.delivered, heir.messages) == (2, 0)


def test_the_end_keeps_the_rest_of_what_is_begun_and_nothing_else() -> None:
    scene = Scene()
    stream = scene.stream()
    scene.send(stream, b"first")
    scene.send(stream, b"second")
    scene.sending.written(2)
    scene.pass_on(stream, b"third")
    scene.sending.close()
    assert (scene.rest, scene.sending.bytes, scene.sending.passing) == (b"rst", 3, None)
    assert (stream.tally.lost, scene.backlog.bytes) == ({"disconnected": 3}, 0)
