"""What a platform lacks is taken away, from broker and clients alike, and the bus still works.

Where there are no AF_UNIX sockets there are named pipes, and for those a stand-in (`fake_pipes`).
Each world is tried with the same story.  The broker is a process of its own where it is killed, a
thread of this one where the test looks into it; both live in the same world as the test.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from daemoneye import system, waiting
from daemoneye.bus.client.async_bus_client import AsyncBusClient
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Subscription
from daemoneye.bus.orders import Admit, Credential
from daemoneye.errors import AccessDenied, AlreadyRunning, BusClosed, Refused
from daemoneye.rundir import RunDir, RunLock
from tests.bus.brokers import BrokerProcess, Running, broker_in_thread, broker_process
from tests.bus.client.loops import in_a_loop
from tests.bus.fake_pipes import living_without
from tests.support import lacking, scaled, wait_for

TICK = "events.demo.tick"


def missing_on(platform: str) -> tuple[str, ...]:
    """What there is here and not on that platform, sockets apart."""
    there = asdict(system.Features.of(platform))
    return tuple(name for name, here in there.items() if not here and name != "local_sockets")


WORLDS = {
    "everything": (),
    "no-peer-credentials": ("peer_user", "peer_pid", "peer_pidfd"),
    "no-peer-pid": ("peer_pid", "peer_pidfd"),
    "no-peer-pidfd": ("peer_pidfd",),
    "no-pidfd": ("pidfd", "peer_pidfd"),
    "no-memfd": ("memfd",),
    "no-descriptor-passing": ("passed_descriptors",),
    "poll": ("epoll",),
    "select": ("epoll", "poll"),
    "no-file-locks": ("file_locks",),
    "no-gathered-writes": ("gathered_writes",),
    "macos": missing_on("darwin"),
    "freebsd": missing_on("freebsd14"),
    "another-unix": missing_on("sunos5"),
    "windows-with-sockets": missing_on("win32"),
    "windows": (*missing_on("win32"), "local_sockets"),
}


@pytest.fixture(params=list(WORLDS.values()), ids=list(WORLDS))
def world(request: pytest.FixtureRequest, tidy: Path) -> Iterator[tuple[str, ...]]:
    """The features that broker and clients do without."""
    taken: tuple[str, ...] = request.param
    with living_without(taken, tidy):
        yield taken


@pytest.fixture
def broker(world: tuple[str, ...], tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


@pytest.fixture
def process(world: tuple[str, ...], tidy: Path) -> Iterator[BrokerProcess]:
    with broker_process(tidy) as running:
        yield running


def payloads(events: Subscription, count: int) -> list[bytes]:
    """The next so many payloads."""
    found = []
    while len(found) < count:
        event = events.get(scaled(10))
        assert event is not None, f"only {len(found)} of {count} came"
        found.append(bytes(event.payload))
    return found


def test_every_feature_of_a_bus_is_taken_away_in_some_world() -> None:
    of_a_supervisor = {"process_groups", "kernel_switch", "subreaper", "process_files"}
    bus = set(system._TABLE) - of_a_supervisor - {"named_pipes"}
    for name in bus:
        assert any(name in taken for taken in WORLDS.values()), name


def test_what_is_published_arrives_in_order_and_says_who_said_it(
    process: BrokerProcess, world: tuple[str, ...]
) -> None:
    assert process.lacking == lacking()
    assert set(world) <= set(lacking())
    with process.client() as source, process.client() as bus, bus.subscribe("events.#") as events:
        source.publish(TICK, b"first")
        event = events.get(scaled(10))
        assert event is not None
        assert (event.payload, event.publisher.name) == (b"first", "operator")
        assert event.publisher.pid == (os.getpid() if system.FEATURES.peer_pid else 0)
        source.publish_many(TICK, [b"%d" % number for number in range(1000)])
        for number in range(1000, 1020):
            source.publish(TICK, b"%d" % number)
        assert payloads(events, 1020) == [b"%d" % number for number in range(1020)]
        assert source.publish_confirmed(TICK, b"", timeout=scaled(5)).subscribers == 1
        assert len(bus.clients()) == 2


def test_more_than_a_socket_or_a_frame_holds_arrives_whole(broker: Running) -> None:
    texts = [bytes([number]) * (700 << 10) for number in range(8)] + [b"large" * (1 << 20)]
    with broker.client() as source, broker.client() as bus, bus.subscribe("events.#") as events:
        for text in texts:
            source.publish(TICK, text)
        assert payloads(events, len(texts)) == texts


@in_a_loop
async def test_tasks_hear_what_threads_say(broker: Running) -> None:
    key = broker.admit("tasks")
    async with (
        AsyncBusClient.connect(broker.path, name="tasks", key=key) as bus,
        bus.subscribe("events.#") as events,
    ):
        await asyncio.to_thread(speak_as_thread, broker)
        await bus.publish(TICK, b"task")
        await bus.publish(TICK, bytes(700 << 10))
        heard = [await events.get(scaled(10)) for _ in range(3)]
        assert [len(each.payload) if each else 0 for each in heard] == [6, 4, 700 << 10]


def speak_as_thread(broker: Running) -> None:
    with broker.client() as bus:
        bus.publish(TICK, b"thread")


def test_a_broker_that_waits_by_select_takes_in_no_more_than_that_can(
    tidy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SELECTED_AT_MOST", 5)
    with living_without(("epoll", "poll"), tidy), broker_in_thread(tidy) as broker:
        clients = [broker.client() for _ in range(3)]
        with pytest.raises(Refused, match="3 are connected already"):
            broker.client()
        for each in clients:
            each.close()
        wait_for(lambda: broker.broker.router.statistics().clients == 0, "them to be gone")
        with broker.client() as bus:
            assert len(bus.clients()) == 1


def test_threads_share_a_connection(broker: Running) -> None:
    found: list[bytes] = []
    with broker.client() as bus, bus.subscribe("events.#") as events:

        def listen() -> None:
            found.extend(bytes(event.payload) for event in events)

        def speak(number: int) -> None:
            for _ in range(50):
                bus.publish(TICK, b"%d" % number)
                bus.publish_confirmed("events.demo.other", b"-")

        threads = [threading.Thread(target=listen) for _ in range(2)]
        threads += [threading.Thread(target=speak, args=(number,)) for number in range(3)]
        for each in threads:
            each.start()
        for each in threads[2:]:
            each.join()
        wait_for(lambda: len(found) == 300, "all of it")
        events.close()
        for each in threads[:2]:
            each.join(scaled(5))
            assert not each.is_alive()
    assert sorted(found) == sorted([b"0", b"1", b"2"] * 50 + [b"-"] * 150)


def test_a_killed_broker_is_followed_by_another_and_everything_goes_on(
    process: BrokerProcess,
) -> None:
    with process.client() as source, process.client() as bus, bus.subscribe("events.#") as events:
        source.publish(TICK, b"1")
        assert payloads(events, 1) == [b"1"]
        process.kill()
        wait_for(lambda: not source.connected and not bus.connected, "both to notice")
        process.start()
        wait_for(lambda: bus.connected and bus.subscriptions(), "the subscription", within=15)
        wait_for(lambda: source.connected, "the publisher", within=15)
        source.publish(TICK, b"2")
        assert payloads(events, 1) == [b"2"]


def test_closing_frees_who_waits(broker: Running) -> None:
    ended: list[BaseException] = []
    bus = broker.client()
    events = bus.subscribe("events.#")

    def wait() -> None:
        try:
            events.get()
        except BusClosed as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_for(lambda: bus.subscriptions(), "the subscription")
    bus.close()
    waiting.join(scaled(5))
    assert len(ended) == 1


def test_refusals_stay_refusals(broker: Running) -> None:
    broker.admit("operator")
    with pytest.raises(Refused, match="not the key"):
        BusClient.connect(broker.path, name="operator", key=bytes(32))
    with pytest.raises(Refused, match="no key is known"):
        BusClient.connect(broker.path, name="stranger", key=bytes(32))
    with broker.collector() as bus, pytest.raises(AccessDenied):
        bus.publish_confirmed("control.collector.lifecycle", b"")
    counted = broker.broker.door.counted
    assert (counted["bad-proof"], counted["unknown-identity"]) == (1, 1)


def test_a_child_s_key_is_bound_to_its_process_where_the_platform_tells(broker: Running) -> None:
    key = os.urandom(32)
    broker.obey(Admit(Credential("worker", "agent", key, pid=os.getpid() + 1)))
    if system.FEATURES.peer_pid:
        with pytest.raises(Refused, match="not the one this key was given to"):
            BusClient.connect(broker.path, name="worker", key=key)
    else:  # the key alone decides
        with BusClient.connect(broker.path, name="worker", key=key) as bus:
            assert bus.clients()[0].pid == 0


def test_a_second_broker_is_kept_out(broker: Running) -> None:
    with pytest.raises(AlreadyRunning), broker_in_thread(broker.path.parent):
        pass
    with broker.client() as bus:
        assert bus.clients()


def test_a_second_supervisor_is_kept_out_by_the_lock_or_by_the_broker(
    world: tuple[str, ...], tidy: Path
) -> None:
    run_dir = RunDir(tidy)
    lock = RunLock.acquire(run_dir)
    try:
        with broker_in_thread(tidy):
            if system.FEATURES.file_locks:
                with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
                    RunLock.acquire(run_dir)
            else:
                RunLock.acquire(run_dir).release()
            with pytest.raises(AlreadyRunning, match="somebody listens"), broker_in_thread(tidy):
                pass
    finally:
        lock.release()
