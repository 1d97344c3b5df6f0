"""The writer: what is written when, what waits for a connection, and when it gives one up."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from types import FunctionType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemoneye.bus.client.outlet import Outlet
from daemoneye.bus.client.turn import MOST_ASIDE
from daemoneye.bus.client.writer import Writer
from daemoneye.bus.frames import Carriage, Envelope, Goodbye, Heading, Ping, Value, decode, encode
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.errors import BusBroken, DeadlineExceeded, InvalidTopic, LocalProtocolError, TooLarge
from daemoneye.framing import FrameCutter, pack
from daemoneye.waiting import WRITABLE, Watch
from tests.bus.client.steps import fallen_into
from tests.support import scaled, wait_for

TICK = "events.demo.tick"
LIMITS = Limits(subscription_messages=5, write_timeout=0.2)


@dataclass
class Wire:
    """A writer, and what arrives at the other end of its socket."""

    writer: Writer = field(default_factory=lambda: Writer(LIMITS))
    cutter: FrameCutter = field(default_factory=lambda: FrameCutter(1 << 20))

    def connect(self, *first: Value, carriage: Carriage = NO_CARRIAGE) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)  # as the dialler leaves it
        self.theirs.settimeout(scaled(2))
        self.writer.attach(self.ours, first, 1 << 20, carriage)

    def cut(self) -> None:
        """The other end is gone, which we find when we write."""
        if hasattr(self, "theirs"):
            self.theirs.close()

    def leave(self) -> None:
        """It is found that the connection is gone."""
        self.writer.detach()
        if hasattr(self, "ours"):
            self.ours.close()

    def heard(self, count: int) -> list[Value | Envelope]:
        """The next so many values and messages."""
        found: list[Value | Envelope] = []
        while len(found) < count:
            data = self.theirs.recv(1 << 16)
            assert data, f"the end came after {found}"
            for each in map(decode, self.cutter.feed(data)):
                found += each if isinstance(each, list) else [each]  # type: ignore[list-item]  # no bad bodies here
        return found

    def payloads(self, count: int) -> list[bytes]:
        return [bytes(each.payload) for each in self.heard(count) if isinstance(each, Envelope)]

    def publish(self, *payloads: bytes) -> None:
        for each in payloads:
            self.writer.publish(TICK, each, "", "")

    def publish_interrupted(self, by: Callable[[], None], count: int) -> list[bytes]:
        """Publish what has to wait for room; a signal handler falls into it, then it is read.

        Returns the next `count` payloads.
        """
        interrupted, found = threading.Event(), list[bytes]()

        def interrupt(*_: object) -> None:
            interrupted.set()
            by()

        def read() -> None:
            interrupted.wait(scaled(5))
            found.extend(self.payloads(count))

        self.writer.outlet.patience = scaled(5)
        reading = threading.Thread(target=read)
        reading.start()
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            self.publish(bytes(1_000_000))
        finally:
            signal.signal(signal.SIGALRM, before)
            reading.join()
        return found

    def close(self) -> None:
        self.writer.end(Goodbye(), 0.2)
        if hasattr(self, "ours"):
            self.ours.close()
            self.theirs.close()


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def test_one_publish_is_written_at_once(wire: Wire) -> None:
    wire.connect()
    wire.publish(b"1")
    assert wire.payloads(1) == [b"1"]


def test_the_tail_of_a_burst_is_written_by_the_flusher(wire: Wire) -> None:
    wire.connect()
    sent = [b"%d" % number for number in range(100)]
    wire.publish(*sent)
    assert wire.payloads(100) == sent


def test_requests_stand_behind_what_was_published_before(wire: Wire) -> None:
    wire.connect()
    wire.publish(b"1", b"2", b"3")
    wire.writer.request(Heading(TICK), b"4", 9, soon())
    assert wire.payloads(4) == [b"1", b"2", b"3", b"4"]


def test_without_a_connection_publishes_wait_and_requests_do_not(wire: Wire) -> None:
    wire.publish(b"1")
    with pytest.raises(BusBroken):
        wire.writer.send(Ping())
    with pytest.raises(BusBroken):
        wire.writer.request(Heading(TICK), b"2", 9, soon())
    assert wire.writer.waiting == 1
    wire.connect(Ping(7))
    assert wire.heard(2)[0] == Ping(7)
    assert wire.writer.waiting == 0


ACTS = st.sampled_from(["publish", "burst", "large", "flush", "cut", "connect", "connect small"])


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(st.tuples(ACTS, st.integers(1, 12)), max_size=20))
def test_what_was_published_is_written_or_waits_or_is_dropped(acts: list[tuple[str, int]]) -> None:
    wire = Wire(Writer(replace(LIMITS, large_from_bytes=1000)))
    writer, published = wire.writer, 0
    try:
        for act, number in acts:
            match act:
                case "publish":
                    published += number
                    wire.publish(*[bytes(number)] * number)
                case "burst":
                    published += number
                    writer.publish_many(TICK, [bytes(number)] * number, "", "")
                case "large":
                    published += 1
                    writer.publish(TICK, bytes(1000 * number), "", "")
                case "flush":
                    writer.flush()
                case "cut":
                    wire.cut()
                case "connect" | "connect small":
                    wire.cut()
                    wire.leave()
                    wire.connect(carriage=Carriage(False, 1 << 20 if act == "connect" else 0, 1000))
            with writer._turn.taken():  # or the flusher may have it just now
                tally = writer.tally
                counted = tally.published + tally.sent + writer.waiting + writer.dropped
            assert counted == published
    finally:
        wire.close()


def test_while_there_is_no_connection_the_oldest_goes(wire: Wire) -> None:
    for number in range(8):
        wire.publish(b"%d" % number)
        wire.writer.flush()
    assert (wire.writer.waiting, wire.writer.dropped) == (5, 3)
    wire.connect()
    assert wire.payloads(5) == [b"3", b"4", b"5", b"6", b"7"]


def test_a_peer_that_reads_nothing_is_given_up(wire: Wire) -> None:
    wire.connect()
    began = time.monotonic()
    while wire.writer.connected:
        wire.writer.publish_many(TICK, [bytes(50_000)] * 4, "", "")
    assert 0.2 <= time.monotonic() - began < scaled(5)
    assert wire.writer.waiting > 0


def test_a_frame_that_was_cut_off_goes_again_as_a_whole(wire: Wire) -> None:
    wire.connect()
    large = bytes(500_000)
    writing = threading.Thread(target=wire.publish, args=(large,))
    writing.start()
    wire.theirs.recv(1000)
    wire.theirs.close()
    writing.join(scaled(5))
    wire.ours.close()
    wire.writer.detach()
    again = threading.Thread(target=wire.connect)
    again.start()
    wait_for(lambda: wire.theirs.fileno() >= 0, "the new connection")
    assert wire.payloads(1) == [large]
    again.join(scaled(5))


def test_what_was_sent_and_not_confirmed_is_known_when_the_connection_is_lost(wire: Wire) -> None:
    wire.connect()
    wire.writer.publish_many(TICK, [b""] * 10, "", "")
    wire.writer.tally.confirmed = 4
    wire.writer.detach()
    tally = wire.writer.tally
    assert (tally.published, tally.unconfirmed, tally.sent) == (10, 6, 0)


def test_the_end_writes_what_waits_and_then_the_last_word(wire: Wire) -> None:
    wire.connect()
    wire.publish(b"1", b"2", b"3")
    wire.writer.end(Goodbye(), 1.0)
    assert [type(each) for each in wire.heard(4)] == [Envelope] * 3 + [Goodbye]


# ---- deadlines ----------------------------------------------------------------------------------


def test_a_request_waits_for_a_stuck_thread_no_longer_than_its_deadline(wire: Wire) -> None:
    wire.connect()
    wire.writer.outlet.patience = 10.0
    stuck = threading.Thread(target=wire.publish, args=(bytes(1_000_000),))
    stuck.start()
    wait_for(lambda: wire.writer._turn.busy, "the thread to be stuck")
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="another thread"):
        wire.writer.request(Heading(TICK), b"", 9, soon(0.1))
    assert 0.1 <= time.monotonic() - began < scaled(1)
    assert wire.payloads(1) == [bytes(1_000_000)]
    stuck.join(scaled(5))


def test_a_request_that_finds_no_room_costs_nothing_but_its_time(wire: Wire) -> None:
    wire.connect()
    wire.publish(b"1")
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += wire.ours.send(pack(encode(Ping())), socket.MSG_DONTWAIT)
    began = time.monotonic()
    for ask in (
        lambda: wire.writer.request(Heading(TICK), b"2", 9, soon(0.1)),
        lambda: wire.writer.send(Ping(7), soon(0.1)),
    ):
        with pytest.raises(DeadlineExceeded, match="reads nothing"):
            ask()
    assert 0.2 <= time.monotonic() - began < scaled(1)
    assert (wire.writer.connected, wire.writer.waiting) == (True, 0)
    pings = filled // len(pack(encode(Ping())))
    assert len(wire.heard(1 + pings)) == 1 + pings
    wire.writer.send(Ping(8), soon())
    assert wire.heard(1) == [Ping(8)]


def test_a_request_that_is_cut_off_by_its_deadline_costs_the_connection_and_is_not_kept(
    wire: Wire,
) -> None:
    wire.connect()
    wire.writer.outlet.patience = 10.0
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="reads nothing"):
        wire.writer.request(Heading(TICK), bytes(1_000_000), 9, soon(0.1))
    assert 0.1 <= time.monotonic() - began < scaled(1)
    assert (wire.writer.connected, wire.writer.waiting) == (False, 0)


def test_what_is_asked_together_is_asked_only_when_there_is_room(wire: Wire) -> None:
    wire.connect()
    with contextlib.suppress(BlockingIOError):
        while True:
            wire.ours.send(bytes(1000), socket.MSG_DONTWAIT)
    with pytest.raises(DeadlineExceeded):
        wire.writer.send_all(lambda: pytest.fail("it was asked"), soon(0.1))
    assert wire.writer.connected


def test_the_end_comes_in_time_although_the_other_end_reads_little_by_little(wire: Wire) -> None:
    wire.connect()
    wire.writer.outlet.patience = scaled(5)
    wire.writer._draft.add(wire.writer._courses.find(TICK, "", ""), bytes(4 << 20), 0)
    wire.writer._draft.add(wire.writer._courses.find(TICK, "", ""), bytes(4 << 20), 1)
    ended = threading.Event()

    def trickle() -> None:
        while not ended.wait(0.02):
            wire.theirs.recv(1 << 14)

    reading = threading.Thread(target=trickle)
    reading.start()
    began = time.monotonic()
    wire.writer.end(Goodbye(), 0.3)
    took = time.monotonic() - began
    ended.set()
    reading.join()
    assert took < scaled(0.6)
    assert not wire.writer.connected


# ---- signal handlers ----------------------------------------------------------------------------


def test_b16_what_a_signal_handler_publishes_within_a_publish_follows_it(wire: Wire) -> None:
    def publish() -> None:
        wire.publish(b"1", b"2")
        wire.writer.publish_many(TICK, [b"3", b"4"], "", "")
        wire.writer.flush()

    wire.connect()
    assert wire.publish_interrupted(publish, 5) == [bytes(1_000_000), b"1", b"2", b"3", b"4"]
    wire.publish(b"5")
    wire.writer.flush()
    assert wire.payloads(1) == [b"5"]


def test_what_a_signal_handler_gets_wrong_is_its_own_error(wire: Wire) -> None:
    refused: list[Exception] = []

    def publish() -> None:
        wrong = (("events.+", b"", ""), (TICK, bytes(1 << 20), ""), (TICK, b"", "No Name"))
        for topic, payload, target in wrong:
            try:
                wire.writer.publish(topic, payload, "", target)
            except (InvalidTopic, TooLarge, LocalProtocolError) as error:
                refused.append(error)

    wire.connect()
    assert wire.publish_interrupted(publish, 1) == [bytes(1_000_000)]
    assert [type(each) for each in refused] == [InvalidTopic, TooLarge, LocalProtocolError]


def test_a_question_within_a_publish_of_the_same_thread_is_refused(wire: Wire) -> None:
    refused: list[Exception] = []

    def ask() -> None:
        for act in (
            lambda: wire.writer.request(Heading(TICK), b"", 9, soon()),
            lambda: wire.writer.send(Ping()),
        ):
            try:
                act()
            except LocalProtocolError as error:
                refused.append(error)

    wire.connect()
    assert wire.publish_interrupted(ask, 1) == [bytes(1_000_000)]
    assert len(refused) == 2


def test_what_needs_no_answer_is_told_after_the_publish_it_fell_into(wire: Wire) -> None:
    wire.connect()
    # Both come, and one of them is the large one.
    assert wire.publish_interrupted(lambda: wire.writer.tell(Ping(7)), 2) == [bytes(1_000_000)]


def test_ending_within_a_publish_of_the_same_thread_does_not_write_into_it(wire: Wire) -> None:
    wire.connect()
    began = time.monotonic()
    wire.publish_interrupted(lambda: wire.writer.end(Goodbye(), 0.5), 1)
    assert time.monotonic() - began < scaled(3)


def test_ending_within_a_publish_at_any_step_leaves_it_written_or_waiting() -> None:
    every = [*vars(Writer).values(), *vars(Outlet).values()]
    codes = {each.__code__ for each in every if isinstance(each, FunctionType)}
    for step in count(1):
        wire, fell = Wire(), list[int]()
        wire.connect()
        wire.publish(b"draft")

        def end(wire: Wire = wire, fell: list[int] = fell) -> None:
            fell.append(1)
            wire.writer.end(Goodbye(), 0.01)

        publish = partial(wire.writer.publish_many, TICK, [b"1"], "", "")
        fallen_into(codes, publish, step, end)
        left = wire.writer.waiting
        wire.writer.detach()
        assert wire.writer.tally.published + left == 2, step
        wire.close()
        if not fell:
            assert step > 10
            return


def test_more_than_a_turn_can_take_along_costs_the_connection(wire: Wire) -> None:
    def tell() -> None:
        for _ in range(MOST_ASIDE + 1):
            wire.writer.tell(Ping())

    wire.connect()
    wire.publish_interrupted(tell, 0)
    assert (wire.writer.connected, wire.writer.waiting) == (False, 1)


def test_a_ctrl_c_within_a_frame_gives_the_connection_up_and_the_frame_goes_again(
    wire: Wire,
) -> None:
    def ctrl_c() -> None:
        raise KeyboardInterrupt

    wire.connect()
    with pytest.raises(KeyboardInterrupt):
        wire.publish_interrupted(ctrl_c, 0)
    assert (wire.writer.connected, wire.writer.waiting) == (False, 1)
    wire.publish(b"2")
    wire.ours.close()
    wire.theirs.close()
    wire.writer.detach()
    wire.cutter = FrameCutter(1 << 20)
    again = threading.Thread(target=wire.connect)
    again.start()
    wait_for(lambda: wire.theirs.fileno() >= 0, "the new connection")
    assert wire.payloads(2) == [bytes(1_000_000), b"2"]
    again.join(scaled(5))


def test_what_may_not_wait_is_written_only_where_there_is_room(wire: Wire) -> None:
    assert not wire.writer.tell_nowait(Ping())  # there is no connection: nobody to tell
    wire.connect()
    assert wire.writer.tell_nowait(Ping(7))
    assert wire.heard(1) == [Ping(7)]
    while Watch(wire.ours.fileno(), WRITABLE).wait(0.0):
        wire.ours.send(pack(encode(Ping(8))) * 100, socket.MSG_DONTWAIT)
    began = time.monotonic()
    assert not wire.writer.tell_nowait(Ping(9))
    assert time.monotonic() - began < scaled(0.1)
    assert wire.writer.connected
