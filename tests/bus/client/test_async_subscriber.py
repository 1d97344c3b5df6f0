"""A subscription of tasks by itself: runs in, events out, credit back; with a source of our own."""

from __future__ import annotations

import asyncio

import pytest

from daemoneye.bus.client.async_subscriber import AsyncSubscription, Run
from daemoneye.bus.client.async_waiting import home
from daemoneye.bus.client.interests import Interest, Options
from daemoneye.bus.client.jobs import AsyncJob
from daemoneye.bus.client.link import Delivery
from daemoneye.bus.client.work import Hold
from daemoneye.bus.envelope import NO_LOSS, Envelope, Header, Publisher
from daemoneye.bus.frames import Credit, Release, Settling
from daemoneye.errors import AccessDenied, BusClosed
from tests.bus.client.loops import in_a_loop, settle

HEADER = Header("events.demo.tick", Publisher("me", "agent", 1, 1), "", "", None, 0, 0)


class Source:
    """Where runs come from: the test delivers them."""

    def __init__(self, timeout: float | None = None) -> None:
        self.granted: list[Credit | Release] = []
        self.subscription = AsyncSubscription(self, timeout)
        self.interest = Interest(1, "events.#", Options(max_messages=4), self.subscription)
        self.interest.subscribe(1)
        self.subscription.interests.append(self.interest)

    def here(self) -> asyncio.AbstractEventLoop:
        return home()

    def grant(self, credit: Credit | Release) -> None:
        self.granted.append(credit)

    def end(self, subscription: AsyncSubscription) -> None:
        subscription.discard()
        subscription.finish(BusClosed("closed"))

    def pass_over(self, job: AsyncJob) -> None:
        """No event here is of a group."""

    async def settle(
        self, hold: Hold, what: Settling, seconds: float, reason: str, timeout: float | None
    ) -> None:
        """No event here is of a group."""

    def deliver(self, *payloads: bytes, messages: int | None = None) -> None:
        events = [Envelope((each, 0, 1, HEADER, NO_LOSS)) for each in payloads]
        run: Run = Delivery((self.interest,), events, messages or len(events), 100)
        self.interest.arrived(run.messages, run.bytes)
        self.subscription.deliver(run)


async def taken(source: Source, count: int) -> list[bytes]:
    found = [await source.subscription.get(0) for _ in range(count)]
    return [bytes(each.payload) for each in found if each is not None]


@in_a_loop
async def test_events_come_one_by_one_out_of_runs() -> None:
    source = Source()
    source.deliver(b"1", b"2")
    source.deliver(b"3")
    assert await taken(source, 4) == [b"1", b"2", b"3"]


@in_a_loop
async def test_a_run_is_paid_when_it_has_been_gone_through_and_before_waiting() -> None:
    source = Source()
    source.deliver(b"1", b"2")
    assert await taken(source, 2) == [b"1", b"2"]
    assert source.granted == []
    assert await taken(source, 1) == []
    assert source.granted == [Credit(1, 6, (8 << 20) + 100)]


@in_a_loop
async def test_a_run_that_could_not_be_read_is_paid_and_passed_over() -> None:
    source = Source()
    source.deliver(messages=3)
    source.deliver(b"1")
    assert await taken(source, 1) == [b"1"]
    assert [each.messages for each in source.granted if isinstance(each, Credit)] == [7]


@in_a_loop
async def test_leaving_a_loop_keeps_the_rest_of_the_run() -> None:
    source = Source()
    source.deliver(b"1", b"2", b"3")
    async for event in source.subscription:
        assert event.payload == b"1"
        break
    assert await taken(source, 3) == [b"2", b"3"]


@in_a_loop
async def test_iterating_ends_after_its_timeout_and_goes_on_when_asked_again() -> None:
    source = Source(timeout=0.01)
    assert [event async for event in source.subscription] == []
    source.deliver(b"1", b"2")
    assert [event.payload async for event in source.subscription] == [b"1", b"2"]


@in_a_loop
async def test_after_its_end_it_gives_what_it_has_and_then_says_why() -> None:
    source = Source()
    source.deliver(b"1")
    source.subscription.finish(AccessDenied("no", rule="deny"))
    source.subscription.finish(BusClosed("too late to matter"))
    assert await taken(source, 1) == [b"1"]
    with pytest.raises(AccessDenied):
        await source.subscription.get()
    with pytest.raises(AccessDenied):
        [event async for event in source.subscription]


@in_a_loop
async def test_closing_ends_an_iteration_and_refuses_a_get() -> None:
    source = Source()
    source.deliver(b"never seen")
    async with source.subscription as events:
        pass
    assert [event async for event in events] == []
    with pytest.raises(BusClosed):
        await events.get(0)


@in_a_loop
async def test_the_end_reaches_everybody_who_waits() -> None:
    source = Source()

    async def iterate() -> list[Envelope]:
        return [event async for event in source.subscription]

    waiting = [asyncio.create_task(iterate()) for _ in range(3)]
    await settle()
    await source.subscription.close()
    assert await asyncio.gather(*waiting) == [[]] * 3


@in_a_loop
async def test_tasks_share_its_events_and_lose_none() -> None:
    source, found = Source(), list[bytes]()

    async def consume() -> None:
        async for event in source.subscription:
            found.append(bytes(event.payload))
            if len(found) % 3 == 0:
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(consume())
        for number in range(0, 3000, 3):
            source.deliver(*(b"%d" % each for each in range(number, number + 3)))
            if number % 7 == 0:
                await asyncio.sleep(0)
        while len(found) < 3000:
            await asyncio.sleep(0)
        await source.subscription.close()
    assert sorted(map(int, found)) == list(range(3000))


@in_a_loop
async def test_a_run_is_enough_for_all_who_wait() -> None:
    source = Source()
    waiting = [asyncio.create_task(source.subscription.get()) for _ in range(3)]
    await settle()
    source.deliver(b"1", b"2", b"3")
    found = await asyncio.gather(*waiting)
    assert [each.payload for each in found if each] == [b"1", b"2", b"3"]


@in_a_loop
async def test_who_is_cancelled_when_the_event_has_come_leaves_it_to_the_next() -> None:
    source = Source()
    first, second = (asyncio.create_task(source.subscription.get()) for _ in range(2))
    await settle()
    source.deliver(b"1")
    first.cancel()
    event = await second
    assert event is not None
    assert event.payload == b"1"
    assert first.cancelled()


@in_a_loop
async def test_who_is_cancelled_alone_leaves_the_event_for_later() -> None:
    source = Source()
    waiting = asyncio.create_task(source.subscription.get())
    await settle()
    source.deliver(b"1")
    waiting.cancel()
    await settle()
    assert waiting.cancelled()
    assert await taken(source, 1) == [b"1"]


@in_a_loop
async def test_after_a_fork_nothing_is_left_of_what_the_parent_received() -> None:
    source, other = Source(), Source()
    source.deliver(b"1", b"2")
    source.deliver(b"3")
    assert await taken(source, 1) == [b"1"]
    source.subscription.abandon(other)
    assert await taken(source, 1) == []
    assert source.subscription.source is other
