"""The writer for tasks: what is written when, what waits for a connection, what goes again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemoneye.bus.arrivals import CHUNK_BYTES
from daemoneye.bus.client.async_waiting import home
from daemoneye.bus.client.async_writer import AsyncWriter
from daemoneye.bus.client.wishes import batches
from daemoneye.bus.frames import Carriage, Chunk, Envelope, Goodbye, Heading, Ping, Value, decode
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.errors import BusBroken, BusClosed, InvalidTopic, TooLarge
from daemoneye.framing import FrameCutter
from tests.bus.client.loops import in_a_loop, settle, until_true

TICK = "events.demo.tick"
LIMITS = Limits(subscription_messages=5, write_timeout=0.2)
LARGE = bytes(500_000)


ACTS = st.sampled_from(["publish", "burst", "large", "flush", "cut", "connect", "connect small"])


@dataclass
class Wire:
    """A writer, and what arrives at the other end of its socket."""

    writer: AsyncWriter = field(default_factory=lambda: AsyncWriter(home(), LIMITS))

    def connect(self, *first: Value, carriage: Carriage = NO_CARRIAGE) -> None:
        self.cutter = FrameCutter(1 << 20)
        self.ours, self.theirs = socket.socketpair()
        for each in (self.ours, self.theirs):
            each.setblocking(False)
        self.writer.attach(self.ours, first, 1 << 20, carriage)

    def disconnect(self) -> None:
        self.writer.detach()
        self.ours.close()
        self.theirs.close()

    def publish(self, *payloads: bytes) -> None:
        for each in payloads:
            self.writer.publish(TICK, each, "", "")

    async def heard(self, count: int) -> list[Value | Envelope]:
        """The next so many values and messages."""
        found: list[Value | Envelope] = []
        while len(found) < count:
            data = await home().sock_recv(self.theirs, 1 << 16)
            assert data, f"the end came after {found}"
            for each in map(decode, self.cutter.feed(data)):
                found += each if isinstance(each, list) else [each]  # type: ignore[list-item]  # no bad bodies here
        return found

    async def payloads(self, count: int) -> list[bytes]:
        heard = await self.heard(count)
        return [bytes(each.payload) for each in heard if isinstance(each, Envelope)]


@asynccontextmanager
async def wired(*first: Value) -> AsyncIterator[Wire]:
    wire = Wire()
    wire.connect(*first)
    try:
        yield wire
    finally:
        wire.disconnect()


@in_a_loop
async def test_one_publish_is_written_at_once() -> None:
    async with wired() as wire:
        wire.publish(b"1")
        assert wire.theirs.recv(1 << 16)


@in_a_loop
async def test_the_tail_of_a_burst_is_written_by_the_loop() -> None:
    async with wired() as wire:
        sent = [b"%d" % number for number in range(100)]
        wire.publish(*sent)
        assert await wire.payloads(100) == sent


@in_a_loop
async def test_full_frames_are_written_without_waiting_for_the_loop() -> None:
    async with wired() as wire:
        wire.publish(*[b""] * 600)
        assert wire.writer.tally.sent > 600 - 256


@in_a_loop
async def test_what_shares_its_frame_with_no_other_stands_behind_what_came_before() -> None:
    async with wired() as wire:
        wire.publish(b"1", b"2", b"3")
        wire.writer.publish_on(wire.writer.course(Heading(TICK), b"4"), b"4", request=9)
        assert await wire.payloads(4) == [b"1", b"2", b"3", b"4"]


@in_a_loop
async def test_without_a_connection_publishes_wait_and_requests_do_not() -> None:
    wire = Wire()
    wire.publish(b"1")
    wire.writer.tell(Ping())
    with pytest.raises(BusBroken):
        wire.writer.send(Ping())
    with pytest.raises(BusBroken):
        wire.writer.publish_on(wire.writer.course(Heading(TICK), b"2"), b"2", request=9)
    assert wire.writer.waiting == 1
    wire.connect(Ping(7))
    assert (await wire.heard(2))[0] == Ping(7)
    assert wire.writer.waiting == 0
    wire.disconnect()


@in_a_loop
async def test_while_there_is_no_connection_the_oldest_goes() -> None:
    wire = Wire()
    for number in range(8):
        wire.publish(b"%d" % number)
        wire.writer.write_draft()
    assert (wire.writer.waiting, wire.writer.dropped) == (5, 3)
    wire.connect()
    assert await wire.payloads(5) == [b"3", b"4", b"5", b"6", b"7"]
    wire.disconnect()


@in_a_loop
async def test_many_are_written_in_order_as_there_is_room() -> None:
    async with wired() as wire:
        sent = [b"%05d" % number * 1000 for number in range(500)]
        writing = asyncio.create_task(wire.writer.publish_many(TICK, batches(sent), ""))
        assert await wire.payloads(500) == sent
        await writing


@in_a_loop
async def test_one_that_is_too_large_refuses_many_before_any_is_written() -> None:
    async with wired() as wire:
        given = batches([b"1", {"a": "x" * (1 << 20)}])
        with pytest.raises(TooLarge):
            await wire.writer.publish_many(TICK, given, "")
        with pytest.raises(InvalidTopic):
            await wire.writer.publish_many("events.+", batches([b"1"]), "")
        assert wire.writer.tally.sent == 0


@in_a_loop
async def test_a_frame_that_was_cut_off_goes_again_as_a_whole_before_what_came_later() -> None:
    wire = Wire()
    wire.connect()
    wire.publish(LARGE, b"2")
    wire.writer.write_draft()
    wire.theirs.recv(1000)
    wire.disconnect()
    wire.publish(b"3")
    wire.writer.write_draft()
    assert wire.writer.waiting == 3
    wire.connect()
    assert await wire.payloads(3) == [LARGE, b"2", b"3"]
    await until_true(lambda: wire.writer.tally.sent == 3, "all to be counted")
    wire.disconnect()


@in_a_loop
async def test_a_connection_that_breaks_while_it_is_taken_over_keeps_what_waits_in_order() -> None:
    wire = Wire()
    wire.publish(b"1")
    wire.writer.write_draft()
    wire.publish(b"2")
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(BusBroken):
        wire.writer.attach(ours, (), 1 << 20)
    ours.close()
    wire.writer.write_draft()
    wire.connect()
    assert await wire.payloads(2) == [b"1", b"2"]
    wire.disconnect()


@in_a_loop
async def test_what_was_sent_and_not_confirmed_is_known_when_the_connection_is_lost() -> None:
    wire = Wire()
    wire.connect()
    await wire.writer.publish_many(TICK, batches([b""] * 10), "")
    wire.writer.tally.confirmed = 4
    wire.disconnect()
    tally = wire.writer.tally
    assert (tally.published, tally.unconfirmed, tally.sent) == (10, 6, 0)


@in_a_loop
async def test_the_end_writes_what_waits_and_then_the_last_word_and_then_nothing() -> None:
    async with wired() as wire:
        wire.publish(b"1", b"2", b"3")
        await wire.writer.end(Goodbye(), BusClosed("closed"), 1.0)
        assert [type(each) for each in await wire.heard(4)] == [Envelope] * 3 + [Goodbye]
        with pytest.raises(BusClosed):
            await wire.writer.outlet.room()


@in_a_loop
async def test_the_end_does_not_wait_longer_than_it_may() -> None:
    async with wired() as wire:
        wire.publish(LARGE)
        waiting = asyncio.create_task(wire.writer.outlet.room())
        await settle()
        began = home().time()
        await wire.writer.end(Goodbye(), BusClosed("closed"), 0.05)
        assert home().time() - began < 1.0
        with pytest.raises(BusClosed):
            await waiting


# ---- large payloads -----------------------------------------------------------------------------

IN_CHUNKS = Carriage(False, 64 << 20, 1 << 18)


@in_a_loop
async def test_a_large_payload_goes_in_its_place_and_others_wait_behind_it() -> None:
    wire = Wire()
    wire.connect(carriage=IN_CHUNKS)
    wire.publish(b"1", LARGE, b"3")
    wire.writer.write_draft()
    assert wire.writer.outlet.is_stuck
    heard = await wire.heard(3 + -(-len(LARGE) // CHUNK_BYTES))
    assert b"".join(each.content for each in heard if isinstance(each, Chunk)) == LARGE
    publishes = [each for each in heard if isinstance(each, Envelope)]
    assert [heard.index(each) for each in publishes] == [0, len(heard) - 2, len(heard) - 1]
    assert [(each.sequence, each.payload) for each in publishes] == [(1, b"1"), (2, b""), (3, b"3")]
    await until_true(lambda: wire.writer.tally.sent == 3, "all to be counted")
    wire.disconnect()


@in_a_loop
async def test_a_large_payload_that_was_cut_off_goes_again_as_a_whole() -> None:
    wire = Wire()
    wire.connect(carriage=IN_CHUNKS)
    wire.publish(LARGE)
    wire.theirs.recv(1000)
    wire.disconnect()
    assert wire.writer.waiting == 1
    wire.connect(carriage=IN_CHUNKS)
    heard = await wire.heard(1 + -(-len(LARGE) // CHUNK_BYTES))
    assert b"".join(each.content for each in heard if isinstance(each, Chunk)) == LARGE
    assert isinstance(heard[-1], Envelope)
    wire.disconnect()


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(st.tuples(ACTS, st.integers(1, 12)), max_size=20))
def test_what_was_published_is_written_or_waits_or_is_dropped(acts: list[tuple[str, int]]) -> None:
    asyncio.run(_sums_are_right(acts))


async def _sums_are_right(acts: list[tuple[str, int]]) -> None:
    wire = Wire(AsyncWriter(home(), replace(LIMITS, large_from_bytes=1000)))
    writer, published = wire.writer, 0
    wire.connect()
    for act, number in acts:
        match act:
            case "publish":
                published += number
                wire.publish(*[bytes(number)] * number)
            case "burst":
                published += number
                await writer.publish_many(TICK, batches([bytes(number)] * number), "")
            case "large":
                published += 1
                wire.publish(bytes(20_000 * number))
            case "flush":
                writer.write_draft()
            case "cut":
                wire.theirs.close()
            case _:
                wire.disconnect()
                most = 1 << 20 if act == "connect" else 0
                wire.connect(carriage=Carriage(False, most, 1000))
        tally = writer.tally
        assert tally.published + tally.sent + writer.waiting + writer.dropped == published
    wire.disconnect()
