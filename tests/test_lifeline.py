"""The pipe between child and supervisor: what is said arrives whole, and nobody ever blocks."""

from __future__ import annotations

import multiprocessing
import struct
from collections.abc import Iterator
from time import monotonic

import pytest

from daemoneye import lifeline as line
from daemoneye.errors import RemoteProtocolError, TooLarge

ORDERS = [
    line.Drain(5.0),
    line.Pause(True),
    line.Pause(False),
    line.Configure(7, '{"a": 1}'),
    line.Dump(1),
    line.Tell("broker", b"\x00\xff"),
    line.Verdict(3, False, "no such child"),
]
REPORTS = [
    line.Ready(),
    line.Beat(),
    line.Beat(9, 1.5, "scan", {"seen": 4, "lost": -1}, True, True, True),
    line.Extend(30.0),
    line.Condition(""),
    line.Condition("disk nearly full"),
    line.Failure("builtins.ValueError", "bad", "Traceback …"),
    line.Dumped(1, "thread main"),
    line.Wish(2, "restart", "netmond", "", "operator"),
    line.Tell("status", b"x"),
    line.Configured(7, "no such key"),
]

Ends = tuple[line.SupervisorEnd, line.ChildEnd]


@pytest.fixture
def ends() -> Iterator[Ends]:
    here, there = multiprocessing.Pipe()
    both = line.SupervisorEnd(here), line.ChildEnd(there)
    yield both
    for end in both:
        end.close()


@pytest.mark.parametrize("order", ORDERS, ids=repr)
def test_every_order_arrives_as_it_was_given(ends: Ends, order: line.Order) -> None:
    supervisor, child = ends
    assert supervisor.send(order)
    assert child.read() == [order]


@pytest.mark.parametrize("report", REPORTS, ids=repr)
def test_every_report_arrives_as_it_was_made(ends: Ends, report: line.Report) -> None:
    supervisor, child = ends
    assert child.send(report)
    assert supervisor.read() == [report]


def test_reading_an_empty_lifeline_returns_at_once(ends: Ends) -> None:
    assert ends[0].read() == []


def test_what_was_said_before_the_end_is_read_before_the_end(ends: Ends) -> None:
    supervisor, child = ends
    child.send(line.Failure("E", "last words", ""))
    child.close()
    assert supervisor.read() == [line.Failure("E", "last words", "")]
    with pytest.raises(EOFError):
        supervisor.read()


def test_a_child_that_left_orders_unread_is_an_end_of_file_too(ends: Ends) -> None:
    supervisor, child = ends
    supervisor.send(line.Dump(1))
    child.close()  # unread data makes this a reset on the other side
    with pytest.raises(EOFError):
        supervisor.read()
        supervisor.read()


def test_saying_something_to_the_dead_is_no_error(ends: Ends) -> None:
    supervisor, child = ends
    child.close()
    assert supervisor.send(line.Dump(1))
    assert not supervisor.wants_write


def test_a_child_that_does_not_read_fills_a_bounded_outbox_and_blocks_nobody(ends: Ends) -> None:
    supervisor, _ = ends
    began = monotonic()
    body = bytes(100_000)
    accepted = 0
    while supervisor.send(line.Tell("x", body)):
        accepted += 1
    assert supervisor.wants_write
    assert accepted * len(body) <= line.OUTBOX_LIMIT_BYTES + (1 << 20)
    assert monotonic() - began < 2.0


def test_what_waited_in_the_outbox_arrives_whole_and_in_order(ends: Ends) -> None:
    supervisor, child = ends
    orders = [line.Tell(str(number), bytes(50_000)) for number in range(40)]
    assert all(supervisor.send(order) for order in orders)
    heard: list[line.Order] = []
    while len(heard) < len(orders):
        heard += child.read()
        supervisor.flush()
    assert heard == orders
    assert not supervisor.wants_write


def test_one_saying_past_the_limit_is_refused(ends: Ends) -> None:
    with pytest.raises(TooLarge):
        ends[0].send(line.Tell("x", bytes(line.FRAME_LIMIT_BYTES)))


def test_long_text_is_cut_in_the_middle_and_broken_text_is_escaped(ends: Ends) -> None:
    supervisor, child = ends
    child.send(line.Failure("E", "\udcff", "a" * 500_000 + "end"))
    heard = next(each[0] for each in iter(supervisor.read, None) if each)  # several bulk reads
    assert isinstance(heard, line.Failure)
    assert heard.message == "\\udcff"
    assert len(heard.traceback) < line.TEXT_LIMIT_CHARACTERS + 100
    assert heard.traceback.endswith("end")


def test_a_word_of_a_later_version_is_passed_over() -> None:
    here, there = multiprocessing.Pipe()
    end = line.SupervisorEnd(here)
    there.send_bytes(b"\xfa\x07\x00")  # field 127, length-delimited, empty
    there.send_bytes(b"\x0a\x00")  # Ready
    assert end.read() == [line.Ready()]
    end.close()
    there.close()


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (struct.pack("!i", 2) + b"\xff\xff", RemoteProtocolError),
        (struct.pack("!i", -1), RemoteProtocolError),
        (struct.pack("!i", line.FRAME_LIMIT_BYTES + 1), TooLarge),
    ],
)
def test_rubbish_is_refused_before_anything_is_allocated(
    raw: bytes, error: type[Exception]
) -> None:
    here, there = multiprocessing.Pipe()
    end = line.SupervisorEnd(here)
    with open(there.fileno(), "wb", closefd=False) as file:
        file.write(raw)
    with pytest.raises(error):
        end.read()
    end.close()
    there.close()


def test_a_passport_does_not_show_its_key() -> None:
    passport = line.Passport("p", "worker", "", 1, b"secret-secret", "/b", "/r")
    assert "secret" not in repr(passport)
