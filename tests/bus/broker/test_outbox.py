"""The outbox: lanes, order, what is begun, expiry, shedding, and subscriptions that end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.access import Decision, Verdict
from daemoneye.bus.broker.lanes import SHARE
from daemoneye.bus.broker.outbox import MAX_BUFFERS, Outbox
from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES, Run
from daemoneye.bus.broker.streams import Backlog, Lane, Stream, Subscription
from daemoneye.bus.frames import Overflow, StreamMark, Subscribe, decode
from daemoneye.bus.limits import Limits
from daemoneye.bus.topics import TopicFilter
from daemoneye.framing import pack

NOW = 1000
LIMITS = Limits()
ENOUGH = 1 << 40


class Box:
    """An outbox whose runs are single letters, framed."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.whole = Backlog()
        self.outbox = Outbox(self.whole)
        self.limits = limits
        self.runs = 0

    def stream(
        self, *numbers: int, lane: Lane = Lane.EVENTS, credit: int = ENOUGH, messages: int = 1000
    ) -> Stream:
        decision = Decision(Verdict.GRANTED, "a rule")
        wishes = [
            Subscribe(n, f"a{n}.#", Overflow.DEFAULT, messages, ENOUGH, credit, ENOUGH)
            for n in numbers
        ]
        subscriptions = tuple(
            Subscription(wish, TopicFilter(wish.filter), decision) for wish in wishes
        )
        return self.outbox.stream_for(subscriptions, lane, Overflow.DROP_OLDEST)

    def offer(self, stream: Stream, data: bytes, expires_at: int = 0) -> str:
        self.runs += 1
        run = Run(self.runs, pack(data), 1, expires_at, ("p", "a"))
        return self.outbox.offer(stream, run, self.limits)

    def written(self, max_bytes: int = 1 << 16) -> list[bytes]:
        """What one write takes, without headers."""
        buffers = [bytes(each) for each in self.outbox.take(max_bytes, NOW)]
        self.outbox.sending.written(sum(map(len, buffers)))
        return [each[4:] for each in buffers]

    def runs_written(self) -> bytes:
        """All letters that may be written now, in order; marks left out."""
        letters = b""
        while batch := self.written():
            letters += b"".join(each for each in batch if len(each) == 1)
        return letters


def test_a_stream_whose_losses_are_on_their_way_is_not_let_go_of() -> None:
    box = Box()
    stream = box.stream(1)
    box.offer(stream, b"a", expires_at=NOW - 1)
    assert box.outbox.take(1000, NOW)
    assert (stream.untold, stream.messages) == ({}, 0)
    assert not box.outbox.prune()
    box.written()
    assert box.outbox.prune()


def test_nothing_waits_in_a_new_outbox() -> None:
    box = Box()
    assert not box.outbox.pending
    assert box.outbox.take(1000, NOW) == []


def announced(stream: Stream, box: Box) -> Stream:
    """The stream that was written last, with nothing left to write."""
    box.offer(stream, b"0")
    assert box.runs_written() == b"0"
    return stream


def test_a_run_that_meets_an_idle_outbox_waits_in_no_queue() -> None:
    box = Box()
    stream = announced(box.stream(1), box)
    box.offer(stream, b"a")
    assert (len(stream.queue), stream.messages) == (0, 1)
    box.offer(stream, b"b")
    assert (len(stream.queue), stream.messages) == (1, 2)
    assert box.runs_written() == b"ab"
    assert (stream.tally.offered, stream.tally.delivered, box.whole.bytes) == (3, 3, 0)


@pytest.mark.parametrize("why", ["expires", "no credit", "another stream", "something waits"])
def test_a_run_that_may_have_to_wait_is_queued(why: str) -> None:
    box = Box()
    stream = announced(box.stream(1, credit=1 if why == "no credit" else ENOUGH), box)
    if why == "another stream":
        announced(box.stream(2), box)
    elif why == "something waits":
        box.offer(box.stream(2), b"b")
    box.offer(stream, b"a", expires_at=NOW + 1 if why == "expires" else 0)
    assert (len(stream.queue), stream.messages) == (1, 1)


def test_a_run_too_large_for_its_outbox_is_lost_though_nothing_waits() -> None:
    box = Box()
    stream = announced(box.stream(1), box)
    stream.max_bytes = 4
    box.offer(stream, b"a")
    assert (stream.tally.lost, stream.messages) == ({"oversize": 1}, 0)


def test_control_goes_before_events_and_the_broker_before_both() -> None:
    box = Box()
    events, control = box.stream(1), box.stream(2, lane=Lane.CONTROL)
    box.offer(events, b"e")
    box.offer(control, b"c")
    box.outbox.say(pack(b"!"), box.limits)
    assert box.runs_written() == b"!ce"


def test_a_flood_of_control_does_not_starve_events() -> None:
    box = Box()
    events, control = box.stream(1), box.stream(2, lane=Lane.CONTROL)
    for _ in range(3 * SHARE):
        box.offer(control, b"c")
    box.offer(events, b"e")
    assert box.runs_written().index(b"e") < SHARE


def test_a_flood_of_events_delays_control_by_one_turn_at_most() -> None:
    box = Box()
    events, control = box.stream(1), box.stream(2, lane=Lane.CONTROL)
    for _ in range(5 * MAX_BUFFERS):
        box.offer(events, b"e")
    first = box.written()
    box.offer(control, b"c")
    second = box.written()
    assert b"c" not in first
    assert b"c" in second[: 2 + SHARE]


def test_arrival_order_holds_across_the_streams_of_a_lane() -> None:
    box = Box()
    one, other = box.stream(1), box.stream(1, 2)
    for stream, letter in [(one, b"a"), (other, b"b"), (one, b"c"), (other, b"d")]:
        box.offer(stream, letter)
    assert box.runs_written() == b"abcd"


def test_a_stream_without_credit_waits_and_others_do_not() -> None:
    box = Box()
    slow, quick = box.stream(1, credit=1), box.stream(2)
    for letter in (b"a", b"b"):
        box.offer(slow, letter)
    box.offer(quick, b"q")
    assert box.runs_written() == b"aq"
    pending = [box.outbox.pending]
    slow.subscriptions[0].balance.granted_messages = 2
    box.outbox.credited()
    pending.append(box.outbox.pending)
    assert pending == [False, True]
    assert box.runs_written() == b"b"


def test_a_write_gathers_no_more_than_asked_for_but_always_one_run() -> None:
    box = Box()
    stream = box.stream(1)
    for _ in range(4):
        box.offer(stream, b"x" * 96)
    mark, first, second = box.outbox.take(150, NOW)
    assert (len(mark), len(first), len(second)) == (len(mark), 100, 100)


def test_a_write_gathers_a_bounded_number_of_buffers() -> None:
    box = Box()
    stream = box.stream(1)
    for _ in range(3 * MAX_BUFFERS):
        box.offer(stream, b"x")
    assert len(box.outbox.take(1 << 20, NOW)) <= MAX_BUFFERS + 1


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.data())
def test_however_little_is_written_at_once_the_stream_is_whole(
    sizes: list[int], data: st.DataObject
) -> None:
    box = Box()
    stream = box.stream(1)
    for size in sizes:
        box.offer(stream, b"x" * size)
    sent = b""
    while buffers := box.outbox.take(64, NOW):
        waiting = b"".join(buffers)
        count = data.draw(st.integers(1, len(waiting)))
        sent += waiting[:count]
        box.outbox.sending.written(count)
    expected = b"".join(pack(b"x" * size) for size in sizes)
    assert sent.endswith(expected)
    assert stream.tally.delivered == len(sizes)
    assert box.whole.bytes == 0


def test_what_has_expired_is_told_and_not_sent() -> None:
    box = Box()
    stream = box.stream(1)
    box.offer(stream, b"a", expires_at=NOW)
    box.offer(stream, b"b", expires_at=NOW + 1)
    mark, run = box.written()
    assert decode(mark) == StreamMark((1,), {"expired": 1})
    assert run == b"b"


def test_losses_are_told_even_when_nothing_follows() -> None:
    box = Box()
    box.offer(box.stream(1), b"a", expires_at=NOW)
    assert box.outbox.pending
    (mark,) = box.written()
    assert decode(mark) == StreamMark((1,), {"expired": 1})
    assert not box.outbox.pending


def test_a_client_has_no_more_waiting_than_it_may_at_the_cost_of_its_greediest_stream() -> None:
    box = Box(Limits(client_bytes=10 * (100 + RUN_OVERHEAD_BYTES)))
    modest, greedy = box.stream(1), box.stream(2)
    box.offer(modest, b"m" * 96)
    for _ in range(9):
        box.offer(greedy, b"g" * 96)
    assert greedy.untold == {}
    box.offer(modest, b"m" * 96)
    assert box.outbox.backlog.bytes == box.limits.client_bytes
    assert (greedy.untold, modest.untold) == ({"overflow": 1}, {})


def test_a_client_that_reads_no_answers_has_to_go() -> None:
    box = Box(Limits(urgent_bytes=100))
    assert box.outbox.say(b"x" * 100, box.limits) == ""
    assert "not read" in box.outbox.say(b"x", box.limits)


def test_what_waits_for_an_ended_subscription_alone_is_dropped_and_the_rest_stays() -> None:
    box = Box()
    shared = box.stream(1, 2)
    one, two = shared.subscriptions
    alone = box.outbox.stream_for((two,), Lane.EVENTS, Overflow.DROP_OLDEST)
    box.offer(shared, b"s")
    box.offer(alone, b"t")
    box.outbox.release(two)
    assert box.runs_written() == b"s"
    assert [key.numbers for key in box.outbox.streams] == [(1,)]
    assert box.outbox.streams.popitem()[1].subscriptions == (one,)
    assert box.whole.bytes == 0


@pytest.mark.parametrize("begun", [0, 1])
def test_a_stream_is_merged_into_the_one_of_those_that_are_left(begun: int) -> None:
    box = Box()
    shared = box.stream(1, 2)
    one, two = shared.subscriptions
    alone = box.outbox.stream_for((one,), Lane.EVENTS, Overflow.DROP_OLDEST)
    for stream, letter in [(shared, b"a"), (alone, b"b"), (shared, b"c")]:
        box.offer(stream, letter)
    sent = b""
    if begun:
        sent = b"".join(bytes(each) for each in box.outbox.take(1, NOW))
    box.outbox.release(two)
    if begun:
        box.outbox.sending.written(len(sent))
    assert box.runs_written() == (b"bc" if begun else b"abc")
    assert box.outbox.streams == {alone.key: alone}
    assert (alone.tally.offered, alone.tally.queued, box.whole.bytes) == (3, 0, 0)


@pytest.mark.parametrize("ends", ["release", "purge"])
def test_what_is_to_be_written_is_taken_back_behind_the_frame_that_is_begun(ends: str) -> None:
    box = Box()
    stream, other = box.stream(1), box.stream(2)
    (subscription,) = stream.subscriptions
    for each, letter in [(stream, b"a"), (stream, b"b"), (other, b"c"), (stream, b"d")]:
        box.offer(each, letter)
    mark, *_ = box.outbox.take(1 << 16, NOW)
    box.outbox.sending.written(len(mark) + 1)
    box.outbox.say(pack(b"!"), box.limits)
    if ends == "release":
        box.outbox.release(subscription)
    else:
        box.outbox.purge(subscription)
    rest = [bytes(each) for each in box.outbox.take(1 << 16, NOW)]
    box.outbox.sending.written(sum(map(len, rest)))
    assert rest[0] == pack(b"a")[1:]
    letters = b"".join(each[4:] for each in rest[1:] if len(each) == 5)
    assert letters == b"c!"
    lost = {"denied": 2} if ends == "purge" else {}
    tally = box.outbox.tally()
    assert (tally.delivered, tally.lost, tally.queued) == (2, lost, 0)
    assert subscription.balance.sent_messages == (1 if ends == "purge" else 3)
    assert box.whole.bytes == 0
    assert not box.outbox.pending


def test_a_stream_that_is_merged_takes_what_is_to_be_written_along() -> None:
    box = Box()
    shared = box.stream(1, 2)
    one, two = shared.subscriptions
    alone = box.outbox.stream_for((one,), Lane.EVENTS, Overflow.DROP_OLDEST)
    box.offer(shared, b"a")
    box.outbox.take(1, NOW)
    box.outbox.release(two)
    assert (alone.messages, alone.tally.delivered) == (1, 0)
    box.outbox.purge(one)
    assert box.runs_written() == b""
    assert (alone.messages, alone.tally.lost) == (0, {"denied": 1})


def test_empty_streams_are_let_go_of_and_their_counts_kept() -> None:
    box = Box()
    empty, full = box.stream(1), box.stream(2)
    box.offer(empty, b"a")
    box.runs_written()
    box.offer(full, b"b")
    assert [box.outbox.prune(), box.outbox.prune()] == [True, False]
    assert list(box.outbox.streams) == [full.key]
    assert empty.subscriptions[0].past.delivered == 1
    assert box.outbox.tally().delivered == 1
    assert box.runs_written() == b"b"


def test_last_words_follow_a_whole_frame() -> None:
    box = Box()
    stream = box.stream(1)
    for letter in (b"a", b"b"):
        box.offer(stream, letter)
    box.written(1)
    box.offer(stream, b"c")
    (buffer,) = box.outbox.take(1, NOW)
    box.outbox.sending.written(2)
    box.outbox.say(pack(b"!"), box.limits)
    box.outbox.close()
    rest = b"".join(bytes(each) for each in box.outbox.take(1000, NOW))
    assert rest == bytes(buffer)[2:] + pack(b"!")
    assert box.whole.bytes == 0
    assert not box.outbox.streams


def test_what_waits_counts_with_the_memory_that_each_run_takes() -> None:
    box = Box(Limits(client_bytes=10 * (RUN_OVERHEAD_BYTES + 4)))
    stream = box.stream(1)
    for _ in range(50):
        box.offer(stream, b"")
    assert (len(stream.queue), stream.tally.lost) == (10, {"overflow": 40})
    assert box.whole.bytes == box.limits.client_bytes
    while batch := box.outbox.take(1 << 16, NOW):
        box.outbox.sending.written(sum(map(len, batch)))
    assert box.whole.bytes == 0


def test_streams_without_credit_cost_nothing_until_there_is_some() -> None:
    box = Box()
    blocked = [box.stream(number, credit=1) for number in range(1, 51)]
    for letter in (b"a", b"b"):
        for stream in blocked:
            box.offer(stream, letter)
    assert box.runs_written() == b"a" * 50
    assert not box.outbox.pending
    looked_at = [len(streams) for streams in box.outbox._lanes.ready]
    assert looked_at == [0, 0]
    blocked[7].subscriptions[0].balance.granted_messages = 2
    box.outbox.credited()
    assert box.runs_written() == b"b"
    box.outbox.close()
    assert box.whole.bytes == 0


def test_what_is_lost_without_credit_is_told_when_nothing_is_left_to_wait_for() -> None:
    box = Box()
    stream = box.stream(1, credit=1)
    for letter in (b"a", b"b"):
        box.offer(stream, letter)
    assert box.runs_written() == b"a"
    assert not box.outbox.pending
    box.outbox.purge(stream.subscriptions[0])
    (mark,) = box.written()
    assert decode(mark) == StreamMark((1,), {"denied": 1})
