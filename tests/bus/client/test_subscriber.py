"""A subscription by itself: runs in, events out, credit back; with a source the test owns."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from daemoneye.bus.client.interests import Interest, Options
from daemoneye.bus.client.jobs import Job
from daemoneye.bus.client.link import Delivery
from daemoneye.bus.client.reader import Reader, Sorted
from daemoneye.bus.client.subscriber import Run, Subscription
from daemoneye.bus.client.work import Hold
from daemoneye.bus.envelope import NO_LOSS, Envelope, Header, Publisher
from daemoneye.bus.frames import Credit, Release, Settling
from daemoneye.errors import AccessDenied, BusClosed

HEADER = Header("events.demo.tick", Publisher("me", "agent", 1, 1), "", "", None, 0, 0)


class Source:
    """Where runs come from: the test puts them into the inbox."""

    def __init__(self) -> None:
        self.reader = Reader(self._read, self._recover)
        self.waiting: Callable[[], AbstractContextManager[None]] | None = nullcontext
        self.granted: list[Credit | Release] = []
        self.subscription = Subscription(self, None)
        self.interest = Interest(1, "events.#", Options(max_messages=4), self.subscription)
        self.interest.subscribe(1)
        self.subscription.interests.append(self.interest)

    def grant(self, credit: Credit | Release) -> None:
        self.granted.append(credit)

    def end(self, subscription: Subscription) -> None:
        self.reader.end_inbox(subscription.inbox, BusClosed("closed"))

    def pass_over(self, job: Job) -> None:
        """No event here is of a group."""

    def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """No event here is of a group."""

    def deliver(self, *payloads: bytes, messages: int | None = None) -> None:
        events = [Envelope((each, 0, 1, HEADER, NO_LOSS)) for each in payloads]
        run: Run = Delivery((self.interest,), events, messages or len(events), 100)
        self.interest.arrived(run.messages, run.bytes)
        self.subscription.inbox.items.append(run)

    def _read(self, sock: socket.socket) -> Sorted:
        return []

    def _recover(self, cause: BaseException | None) -> socket.socket:
        raise BusClosed("never used")


def taken(source: Source, count: int) -> list[bytes]:
    found = [source.subscription.get(0) for _ in range(count)]
    return [bytes(each.payload) for each in found if each is not None]


def test_events_come_one_by_one_out_of_runs() -> None:
    source = Source()
    source.deliver(b"1", b"2")
    source.deliver(b"3")
    assert taken(source, 4) == [b"1", b"2", b"3"]


def test_a_run_is_paid_when_it_has_been_gone_through_and_before_waiting() -> None:
    source = Source()
    source.deliver(b"1", b"2")
    assert taken(source, 2) == [b"1", b"2"]
    assert source.granted == []
    assert taken(source, 1) == []
    assert source.granted == [Credit(1, 6, (8 << 20) + 100)]


def test_a_run_that_could_not_be_read_is_paid_and_passed_over() -> None:
    source = Source()
    source.deliver(messages=3)
    source.deliver(b"1")
    assert taken(source, 1) == [b"1"]
    assert [each.messages for each in source.granted if isinstance(each, Credit)] == [7]


def test_leaving_a_loop_keeps_the_rest_of_the_run() -> None:
    source = Source()
    source.deliver(b"1", b"2", b"3")
    first = next(iter(source.subscription))
    assert (first.payload, taken(source, 3)) == (b"1", [b"2", b"3"])


def test_after_its_end_it_gives_what_it_has_and_then_says_why() -> None:
    source = Source()
    source.deliver(b"1")
    source.reader.end_inbox(source.subscription.inbox, AccessDenied("no", rule="deny"))
    assert taken(source, 1) == [b"1"]
    with pytest.raises(AccessDenied):
        source.subscription.get()
    with pytest.raises(AccessDenied):
        list(source.subscription)


def test_closing_ends_an_iteration_and_refuses_a_get() -> None:
    source = Source()
    with source.subscription as events:
        pass
    assert list(events) == []
    with pytest.raises(BusClosed):
        events.get(0)


def test_threads_share_its_events_and_lose_none() -> None:
    source = Source()
    found: list[bytes] = []

    def consume() -> None:
        found.extend(bytes(event.payload) for event in source.subscription)

    threads = [threading.Thread(target=consume) for _ in range(4)]
    for number in range(0, 3000, 3):
        source.deliver(*(b"%d" % each for each in range(number, number + 3)))
    source.subscription.close()
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert sorted(map(int, found)) == list(range(3000))
