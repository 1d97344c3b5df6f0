"""AsyncBusClient: what is particular to tasks; the rest is in the `test_*_alike`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye.bus.client.async_bus_client import AsyncBusClient
from daemoneye.bus.client.async_subscriber import AsyncSubscription
from daemoneye.bus.client.opening import Opening
from daemoneye.errors import BusBroken, BusClosed, LocalProtocolError
from daemoneye.lifeline import Passport
from tests.bus.brokers import TICK, Running, broker_in_thread, broker_process
from tests.bus.client.loops import in_a_loop, settle, until_true
from tests.support import scaled


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


def operator(broker: Running) -> Opening[AsyncBusClient]:
    key = broker.keys.get("operator") or broker.admit("operator")
    return AsyncBusClient.connect(broker.path, name="operator", key=key)


async def payloads(events: AsyncSubscription, count: int) -> list[bytes]:
    """The next so many payloads."""
    found = []
    while len(found) < count:
        event = await events.get(scaled(5))
        assert event is not None, f"only {len(found)} of {count} came"
        found.append(bytes(event.payload))
    return found


# ---- as it is written ---------------------------------------------------------------------------


@in_a_loop
async def test_it_reads_as_the_client_for_threads_does(broker: Running) -> None:
    async with operator(broker) as bus, bus.subscribe("events.#", timeout=0.1) as events:
        await bus.publish(TICK, {"n": 1})
        await bus.publish_many(TICK, [{"n": 2}, {"n": 3}])
        await bus.flush()
        assert [event.json()["n"] async for event in events] == [1, 2, 3]


@in_a_loop
async def test_every_way_to_open_and_close_it(broker: Running) -> None:
    async with await operator(broker) as bus:
        events = await bus.subscribe(TICK)
        async with await bus.subscribe(TICK):
            assert len(await bus.subscriptions()) == 2
        await events.close()
        assert await bus.subscriptions() == ()
    other = await operator(broker)
    await other.close()
    assert not other.connected
    with pytest.raises(BusClosed, match=r"AsyncBusClient\.connect\(\)"):
        await bus.publish(TICK, b"")


@in_a_loop
async def test_no_thread_is_made(broker: Running) -> None:
    before = set(threading.enumerate())
    async with operator(broker) as bus, bus.subscribe(TICK) as events:
        for number in range(300):
            await bus.publish(TICK, b"%d" % number)
        await payloads(events, 300)
        assert set(threading.enumerate()) == before


# ---- tasks --------------------------------------------------------------------------------------


@in_a_loop
async def test_fifty_tasks_publish_and_iterate_at_once(broker: Running) -> None:
    async with operator(broker) as bus:
        heard: dict[int, list[bytes]] = {}

        async def listen(number: int, ready: asyncio.Event) -> None:
            async with bus.subscribe(f"events.demo.t{number}") as events:
                ready.set()
                heard[number] = await payloads(events, 100)

        async def publish(number: int) -> None:
            for each in range(100):
                await bus.publish(f"events.demo.t{number}", b"%d" % each)

        async with asyncio.TaskGroup() as tasks:
            listening = [asyncio.Event() for _ in range(50)]
            for number, ready in enumerate(listening):
                tasks.create_task(listen(number, ready))
            for ready in listening:
                await ready.wait()
            for number in range(50):
                tasks.create_task(publish(number))
        assert heard == {number: [b"%d" % each for each in range(100)] for number in range(50)}


@in_a_loop
async def test_fifty_tasks_share_one_subscription(broker: Running) -> None:
    async with operator(broker) as bus, bus.subscribe("events.#") as events:
        found: list[bytes] = []

        async def consume() -> None:
            async for event in events:
                found.append(bytes(event.payload))
                await asyncio.sleep(0)

        consumers = [asyncio.create_task(consume()) for _ in range(50)]
        sent = [b"%d" % number for number in range(3000)]
        for start in range(0, 3000, 500):
            await bus.publish_many(TICK, sent[start : start + 500])
            await until_true(lambda most=start: len(found) > most, "the tasks")  # type: ignore[misc]  # bound now
        await until_true(lambda: len(found) == 3000, "all events")
        await events.close()
        await asyncio.gather(*consumers)
        assert sorted(found, key=int) == sent


@in_a_loop
async def test_a_task_that_only_publishes_lets_the_others_go_on(broker: Running) -> None:
    async with operator(broker) as bus:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count())
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            await bus.publish(TICK, b"on and on")
        counting.cancel()
        assert turns > 20


# ---- cancelled ----------------------------------------------------------------------------------


@in_a_loop
async def test_cancelled_waits_lose_no_event_and_leave_the_client_good(broker: Running) -> None:
    async with operator(broker) as bus, bus.subscribe("events.#") as events:
        found: list[bytes] = []

        async def take() -> None:
            event = await events.get()
            assert event is not None
            found.append(bytes(event.payload))

        sent = [b"%d" % number for number in range(300)]
        for number, payload in enumerate(sent):
            taking = [asyncio.create_task(take()) for _ in range(3)]
            await bus.publish(TICK, payload)
            await asyncio.sleep(0.0003 * (number % 5))  # cancelled at every moment of its way
            for each in taking:
                each.cancel()
            await asyncio.wait(taking)
        while len(found) < 300:
            found += await payloads(events, 1)
        assert sorted(found, key=int) == sent
        assert await events.get(0) is None
        assert (await bus.publish_confirmed(TICK, b"")).subscribers == 1


@in_a_loop
async def test_what_is_cancelled_while_it_waits_for_room_is_not_published(tidy: Path) -> None:
    with broker_process(tidy) as process:
        async with AsyncBusClient.connect(run_dir=tidy) as bus, bus.subscribe(TICK) as events:
            process.signal(signal.SIGSTOP)
            began = 0
            try:
                while True:
                    async with asyncio.timeout(0.1):
                        await bus.publish(TICK, b"%d" % began + b"." * 50_000)
                    began += 1
            except TimeoutError:
                assert bus.connected
            finally:
                process.signal(signal.SIGCONT)
            await bus.publish(TICK, b"last")
            got = await payloads(events, began + 1)
            assert [each.rstrip(b".") for each in got] == [
                *(b"%d" % number for number in range(began)),
                b"last",
            ]


@in_a_loop
async def test_a_will_whose_leaving_is_cancelled_is_not_left(broker: Running) -> None:
    async with operator(broker) as bus:
        await bus.set_will("events.demo.gone", b"before")
        wills = broker.broker.router.directory.wills
        leaving = asyncio.create_task(bus.set_will("events.demo.gone", b"after"))
        link = bus._connection.link
        while not bus._connection.dialogue.pending:  # not yet said; its answer is not read so soon
            await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await bus.clients()  # behind all that was said before
        assert [each.payload for each in wills._set.values()] == [b"before"]
        assert link.will is not None
        assert link.will.payload == b"before"


@in_a_loop
async def test_closing_while_others_wait_ends_them_all(broker: Running) -> None:
    bus = await operator(broker)
    ended: list[object] = []

    async def iterate() -> None:
        async with bus.subscribe("events.#") as events:
            ended.append([event async for event in events])

    async def wait() -> None:
        async with bus.subscribe("events.#") as events:
            try:
                await events.get()
            except BusClosed as error:
                ended.append(type(error))

    tasks = [asyncio.create_task(each()) for each in (iterate, wait, iterate)]
    while len(await bus.subscriptions()) < 3:
        await asyncio.sleep(0.01)
    began = time.monotonic()
    await bus.close()
    await asyncio.gather(*tasks)
    assert time.monotonic() - began < 2.0
    assert sorted(map(str, ended)) == ["<class 'daemoneye.errors.BusClosed'>", "[]", "[]"]


# ---- where it does not belong -------------------------------------------------------------------


def test_another_loop_is_refused_and_the_client_stays_good(broker: Running) -> None:
    async def own() -> None:
        async with operator(broker) as bus, bus.subscribe(TICK) as events:
            await asyncio.to_thread(lambda: asyncio.run(elsewhere(bus, events)))
            await bus.publish(TICK, b"still here")
            assert await payloads(events, 1) == [b"still here"]

    async def elsewhere(bus: AsyncBusClient, events: AsyncSubscription) -> None:
        for use in (
            lambda: bus.publish(TICK, b""),
            lambda: bus.publish_many(TICK, [b""]),
            lambda: bus.publish_confirmed(TICK, b""),
            lambda: bus.subscribe(TICK),
            lambda: bus.clients(),
            lambda: bus.flush(),
            lambda: events.get(0),
            lambda: events.close(),
            lambda: bus.close(),
        ):
            with pytest.raises(LocalProtocolError, match="another event loop"):
                await use()
        assert bus.connected

    asyncio.run(own())


@in_a_loop
async def test_a_forked_process_makes_its_own_client_and_does_not_disturb_the_loop(
    broker: Running,
) -> None:
    def in_the_child(bus: AsyncBusClient) -> bool:
        try:
            bus.publish(TICK, b"").send(None)
        except BusClosed as error:
            asyncio.run(of_its_own())
            return "fork" in str(error)
        return False

    async def of_its_own() -> None:
        async with operator(broker) as bus:
            await bus.publish(TICK, b"from the child")

    async with operator(broker) as bus, bus.subscribe(TICK) as events:
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)  # a wait for ever ends the child, and not the test
            os._exit(0 if in_the_child(bus) else 1)
        assert await payloads(events, 1) == [b"from the child"]
        assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1]) == 0
        await bus.publish(TICK, b"still here")
        assert await payloads(events, 1) == [b"still here"]


def test_without_a_loop_there_is_no_client(tidy: Path) -> None:
    given = Passport("procmond", "collector", "process", 1, bytes(32), str(tidy / "bus"), str(tidy))
    with pytest.raises(LocalProtocolError, match=r"make the client within asyncio\.run"):
        AsyncBusClient.for_child(given)


@in_a_loop
async def test_a_program_that_ends_without_closing_ends(tidy: Path) -> None:
    given = Passport("procmond", "collector", "process", 1, bytes(32), str(tidy / "bus"), str(tidy))

    async def forgetful() -> None:
        bus = AsyncBusClient.for_child(given)
        await bus.publish("events.process.lifecycle", b"")
        with pytest.raises(BusBroken):
            await bus.publish_confirmed("events.process.lifecycle", b"")

    await asyncio.to_thread(lambda: asyncio.run(forgetful()))
    await settle()
