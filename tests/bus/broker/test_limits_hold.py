"""Every limit of the bus, at its edge and one past it, on a real broker.

`HELD` says which test holds which limit; a limit without one fails here.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.endpoint import dial
from daemoneye.bus.frames import (
    Answer,
    Heading,
    Notice,
    Query,
    Refusal,
    Subscribe,
    SubscriptionRow,
    Value,
    encode,
    encode_publish,
)
from daemoneye.bus.handshake import Claim
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Rules
from daemoneye.errors import BusError, Refused, TooLarge
from daemoneye.framing import pack
from tests.bus.broker.test_heartbeat import read_until
from tests.bus.brokers import (
    TICK,
    Running,
    assert_well,
    broker_in_thread,
    broker_process,
    raw_session,
    read_all,
)
from tests.hostile.support import Caller
from tests.support import document, scaled, wait_for

HERE = "tests/bus/broker/test_limits_hold.py"
AWAY = "tests/bus/broker/test_away.py"
DOOR = "tests/bus/broker/test_door.py"
CALLS = "tests/bus/broker/test_calls.py"
PARCELS = "tests/bus/broker/test_parcels.py"
DISPATCH = "tests/bus/broker/test_dispatch.py"
ROOM = "tests/bus/broker/test_dispatch_room.py"
REFUSALS = "tests/bus/broker/test_dispatch_refusals.py"
RETAINED = "tests/bus/broker/test_retained.py"

HELD = {
    "frame_bytes": (HERE, "test_frame_bytes_at_the_limit_and_one_past_it"),
    "early_frame_bytes": (DOOR, "test_before_a_proof_frames_are_small"),
    "turn_bytes": ("tests/bus/broker/test_clients.py", "test_a_flood_holds_nobody_up"),
    "authentication_timeout": (HERE, "test_authentication_timeout_before_and_after"),
    "unauthenticated_connections": (HERE, "test_unauthenticated_connections_full_and_one_more"),
    "unauthenticated_per_process": (
        DOOR,
        "test_one_process_with_many_silent_connections_only_hurts_itself",
    ),
    "connections": (DOOR, "test_all_places_taken_by_proven_clients_is_busy"),
    "identity_connections": (DOOR, "test_one_identity_does_not_take_the_places_of_others"),
    "agent_connections": (HERE, "test_agent_connections_full_and_one_more"),
    "backlog": (HERE, "test_backlog_full_and_one_more"),
    "subscriptions": (HERE, "test_subscriptions_full_and_one_more"),
    "subscription_messages": (HERE, "test_subscription_messages_full_and_one_more"),
    "subscription_bytes": (HERE, "test_subscription_bytes_full_and_one_more"),
    "subscription_messages_at_most": (HERE, "test_subscription_messages_at_most_is_all_one_gets"),
    "client_bytes": (HERE, "test_client_bytes_are_all_that_waits_for_one"),
    "outbound_bytes": (HERE, "test_outbound_bytes_are_all_that_waits_for_all"),
    "urgent_bytes": (HERE, "test_urgent_bytes_unread_and_one_answer_more"),
    "payload_bytes": (HERE, "test_payload_bytes_at_the_limit_and_one_past_it"),
    "large_from_bytes": (HERE, "test_large_from_bytes_one_before_and_at_it"),
    "large_bytes": (PARCELS, "test_there_is_room_up_to_the_limits_and_none_past_them"),
    "large_descriptors": (PARCELS, "test_there_is_room_up_to_the_limits_and_none_past_them"),
    "calls": (CALLS, "test_calls_full_and_one_more"),
    "routes": (
        "tests/bus/broker/test_router.py",
        "test_publishing_on_very_many_topics_does_not_grow_the_table_of_routes",
    ),
    "retained_topics": (RETAINED, "test_topics_of_an_identity_at_the_limit_and_one_past_it"),
    "retained_bytes": (RETAINED, "test_bytes_of_all_at_the_limit_and_one_past_it"),
    "listed_rows": (
        "tests/bus/broker/test_answers.py",
        "test_a_list_at_the_limit_is_whole_and_one_past_it_says_so",
    ),
    "acknowledge_timeout": (
        DISPATCH,
        "test_b18_who_never_acknowledges_is_tried_no_more_than_five_times",
    ),
    "deliveries": (DISPATCH, "test_b18_who_never_acknowledges_is_tried_no_more_than_five_times"),
    "in_flight": (DISPATCH, "test_a_member_is_given_no_more_than_its_credit_and_the_limit"),
    "groups": (REFUSALS, "test_a_full_house_of_groups_takes_no_more_until_one_is_idle"),
    "group_messages": (ROOM, "test_a_confirmed_publish_without_room_is_refused_whole"),
    "group_bytes": (ROOM, "test_group_bytes_bound_what_a_group_has_in_all"),
    "group_timeout": (ROOM, "test_what_waits_for_too_long_for_a_member_is_abandoned"),
    "wishes": (
        "tests/bus/broker/test_wishes.py",
        "test_wishes_wait_up_to_a_bound_and_the_next_is_refused",
    ),
    "heartbeat_interval": (
        "tests/bus/broker/test_heartbeat.py",
        "test_who_says_nothing_is_asked_told_why_and_released",
    ),
    "missed_heartbeats": (
        "tests/bus/broker/test_heartbeat.py",
        "test_who_says_nothing_is_asked_told_why_and_released",
    ),
    "will_timeout": (
        "tests/bus/broker/test_wills.py",
        "test_a_will_waits_for_its_client_up_to_the_limit_and_no_longer",
    ),
    "statistics_interval": (
        "tests/bus/broker/test_broker.py",
        "test_statistics_are_told_again_and_again_while_somebody_listens",
    ),
    "resume_timeout": (AWAY, "test_it_is_waited_for_so_long_and_no_longer"),
    "resume_messages": (AWAY, "test_resume_messages_at_the_limit_and_one_past_it"),
    "resume_bytes": (AWAY, "test_resume_bytes_at_the_limit_and_one_past_it"),
    "write_timeout": (HERE, "test_write_timeout_before_and_after"),
    "drain_timeout": (HERE, "test_drain_timeout_for_who_reads_and_who_does_not"),
}


@pytest.mark.parametrize("name", Limits.names())
def test_each_limit_is_held_by_a_test(name: str) -> None:
    file, test = HELD[name]
    assert f"def {test}(" in document(file)


def ask(sock: socket.socket, *values: Value) -> Answer:
    """Say this, and wait for the answer to the last of it."""
    sock.send(b"".join(pack(encode(value)) for value in values))
    answer = read_until(sock, Answer)
    assert isinstance(answer, Answer)
    return answer


def frame_of(size: int, request: int = 1) -> bytes:
    """A publish that is exactly so long."""
    empty = len(encode_publish(Heading(TICK), [b""], [1], 1, request))
    for overhead in range(empty, empty + 12):  # lengths are numbers, and grow with their digits
        raw = encode_publish(Heading(TICK), [bytes(size - overhead)], [1], 1, request)
        if len(raw) == size:
            return raw
    raise AssertionError(size)


# ---- frames -------------------------------------------------------------------------------------


def test_frame_bytes_at_the_limit_and_one_past_it(tidy: Path) -> None:
    limit = Limits().frame_bytes
    with broker_in_thread(tidy) as broker, broker.client() as bus, bus.subscribe(TICK) as events:
        with raw_session(broker) as sock:
            sock.setblocking(True)
            sock.sendall(pack(frame_of(limit)))
            assert read_until(sock, Answer) == Answer(1, subscribers=1)
            event = events.get(scaled(5))
            assert event is not None
            assert len(event.payload) > limit - 100
            sock.sendall(pack(frame_of(limit + 1))[:1000])  # the header is enough
            notice = read_all(sock)[-1]
        assert isinstance(notice, Notice)
        assert notice.code == "protocol"
        assert f"past the limit of {limit}" in notice.detail
        assert broker.broker.cut_off == {"oversize": 1}


def test_frame_bytes_hold_a_list_of_long_filters(tidy: Path) -> None:
    with broker_in_thread(tidy, frame_bytes=1 << 14) as broker, broker.client() as bus:
        long = ".".join(["a" * 60] * 3)
        with broker.client("other") as other, other.subscribe(*(f"{long}.{n}" for n in range(99))):
            rows = bus.subscriptions()
            assert 0 < len(rows) < 99
            assert [row.subscription for row in rows] == list(range(1, len(rows) + 1))
        assert bus.subscriptions() == ()


def test_payload_bytes_at_the_limit_and_one_past_it(tidy: Path) -> None:
    limit = 300_000
    with (
        broker_in_thread(tidy, payload_bytes=limit) as broker,
        broker.client() as bus,
        bus.subscribe(TICK) as events,
    ):
        with pytest.raises(TooLarge):
            bus.publish(TICK, bytes(limit + 1))
        sent = bytes(range(250)) * (limit // 250)
        bus.publish(TICK, sent)
        event = events.get(scaled(10))
        assert event is not None
        assert bytes(event.payload) == sent


def test_large_from_bytes_one_before_and_at_it(tidy: Path) -> None:
    limit = 50_000
    with (
        broker_in_thread(tidy, large_from_bytes=limit) as broker,
        broker.client() as bus,
        bus.subscribe(TICK) as events,
    ):
        for size, apart in ((limit - 1, False), (limit, True)):
            bus.publish(TICK, bytes(size))
            event = events.get(scaled(10))
            assert event is not None
            assert len(event.payload) == size
            assert isinstance(event.payload, memoryview) is apart


# ---- connections --------------------------------------------------------------------------------


def test_authentication_timeout_before_and_after(tidy: Path) -> None:
    timeout = scaled(0.5)
    with broker_in_thread(tidy, authentication_timeout=timeout) as broker:
        claim = Claim("a", 1, broker.admit("a"))
        with Caller(broker.path) as in_time:
            time.sleep(0.5 * timeout)
            assert in_time.prove(claim).role == "agent"
        with dial(broker.path, timeout) as late:
            (refusal,) = read_all(late)
            assert isinstance(refusal, Refusal)
            assert refusal.reason == "timeout"
        assert broker.broker.door.counted == {"timeout": 1}


ONE_MORE = """
import socket, sys
sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


def test_unauthenticated_connections_full_and_one_more(tidy: Path) -> None:
    limits = {"unauthenticated_connections": 4, "unauthenticated_per_process": 100}
    with broker_in_thread(tidy, **limits) as broker, ExitStack() as stack:
        ours = [stack.enter_context(dial(broker.path, 1.0)) for _ in range(4)]
        lobby = broker.broker.door.lobby
        wait_for(lambda: len(lobby) == 4, "all of them to wait")
        assert broker.broker.door.counted == {}
        command = [sys.executable, "-c", ONE_MORE, str(broker.path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as another:
            assert another.stdout is not None
            assert another.stdout.readline() == b"ready\n"
            (refusal,) = read_all(ours[0])  # the oldest of the process that holds most
            assert isinstance(refusal, Refusal)
            assert refusal.reason == "busy"
            assert len(lobby) == 4
            assert broker.broker.door.counted == {"busy": 1}
            another.communicate()


def test_agent_connections_full_and_one_more(tidy: Path) -> None:
    with broker_in_thread(tidy, agent_connections=2) as broker, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(raw_session(broker, "operator"))
        with pytest.raises(Refused, match="operator has 2 connections already") as caught:
            stack.enter_context(raw_session(broker, "operator"))
        assert caught.value.reason == "busy"


@pytest.mark.skipif(sys.platform != "linux", reason="each system rounds a backlog in its own way")
def test_backlog_full_and_one_more(tidy: Path) -> None:
    with broker_process(tidy, backlog=4) as process, ExitStack() as stack:
        process.signal(signal.SIGSTOP)
        for _ in range(4 + 1):  # Linux takes one more than it was told
            knock(process.run_dir.bus_path, stack)
        with pytest.raises(BlockingIOError):
            knock(process.run_dir.bus_path, stack)
        process.signal(signal.SIGCONT)
        with process.client() as bus:
            assert len(bus.clients()) == 1


def knock(path: Path, stack: ExitStack) -> None:
    """Connect without waiting for room."""
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.setblocking(False)
    sock.connect(str(path))


# ---- subscriptions and what waits for them ------------------------------------------------------


def test_subscriptions_full_and_one_more(tidy: Path) -> None:
    limit = Limits().subscriptions
    with broker_in_thread(tidy) as broker, broker.client() as bus, ExitStack() as stack:
        for number in range(limit):
            stack.enter_context(bus.subscribe(f"events.t{number}"))
        with pytest.raises(BusError, match=f"has {limit} subscriptions already"):
            bus.subscribe("events.more")
        assert len(bus.subscriptions()) == limit
        assert broker.broker.statistics().refused == {"refused": 1}


class Stuck:
    """Subscribers with credit for one message only, and somebody who publishes one by one."""

    def __init__(self, broker: Running, bus: BusClient, stack: ExitStack) -> None:
        self.broker = broker
        self.bus = bus
        self._stack = stack

    def subscribe(self, name: str, max_messages: int = 0) -> None:
        """One more subscriber, that has had the one message."""
        sock = self._stack.enter_context(raw_session(self.broker, name))
        wish = Subscribe(
            1, f"events.{name}", max_messages=max_messages, credit_messages=1, request=1
        )
        assert not ask(sock, wish).error
        self.publish(1, name)
        wait_for(lambda: self.row(name).delivered == 1, "the first message to be written")

    def publish(self, count: int, name: str) -> None:
        for _ in range(count):
            assert self.bus.publish_confirmed(f"events.{name}", bytes(500)).subscribers == 1

    def row(self, name: str) -> SubscriptionRow:
        return next(each for each in self.bus.subscriptions() if each.identity == name)

    def waiting(self, name: str) -> tuple[int, int]:
        """How many messages wait for it, and how many were lost."""
        row = self.row(name)
        return row.queued, row.lost

    def size_of_a_run(self) -> int:
        """In bytes, as they wait; without what each costs besides."""
        self.subscribe("probe")
        self.publish(1, "probe")
        return self.broker.broker.statistics().queued_bytes - RUN_OVERHEAD_BYTES


@contextmanager
def stuck(directory: Path, **limits: float) -> Iterator[Stuck]:
    with (
        broker_in_thread(directory, turn_bytes=1024, **limits) as broker,
        broker.client() as bus,
        ExitStack() as stack,
    ):
        yield Stuck(broker, bus, stack)


def test_subscription_messages_full_and_one_more(tidy: Path) -> None:
    with stuck(tidy, subscription_messages=10) as scene:
        scene.subscribe("slow")
        scene.publish(10, "slow")
        assert scene.waiting("slow") == (10, 0)
        scene.publish(1, "slow")
        assert scene.waiting("slow") == (10, 1)


def test_subscription_messages_at_most_is_all_one_gets(tidy: Path) -> None:
    with stuck(tidy, subscription_messages=5, subscription_messages_at_most=10) as scene:
        scene.subscribe("slow", max_messages=10**6)
        scene.publish(10, "slow")
        assert scene.waiting("slow") == (10, 0)
        scene.publish(1, "slow")
        assert scene.waiting("slow") == (10, 1)


def test_subscription_bytes_full_and_one_more(tidy: Path) -> None:
    with stuck(tidy) as scene:
        size = scene.size_of_a_run()
        scene.broker.obey(Rules((), {"turn_bytes": 1024, "subscription_bytes": 10 * size}))
        scene.subscribe("slow")
        scene.publish(10, "slow")
        assert scene.waiting("slow") == (10, 0)
        scene.publish(1, "slow")
        assert scene.waiting("slow") == (10, 1)


def test_client_bytes_are_all_that_waits_for_one(tidy: Path) -> None:
    with stuck(tidy) as scene:
        size = scene.size_of_a_run() + RUN_OVERHEAD_BYTES
        scene.broker.obey(Rules((), {"turn_bytes": 1024, "client_bytes": 10 * size}))
        scene.subscribe("slow")
        scene.publish(10, "slow")
        assert scene.waiting("slow") == (10, 0)
        scene.publish(1, "slow")
        assert scene.waiting("slow") == (10, 1)


def test_outbound_bytes_are_all_that_waits_for_all(tidy: Path) -> None:
    with stuck(tidy) as scene:
        size = scene.size_of_a_run() + RUN_OVERHEAD_BYTES  # one of them waits for the probe
        for name in ("slow", "lame"):
            scene.subscribe(name)
        scene.broker.obey(Rules((), {"outbound_bytes": 10 * size + size // 4}))
        scene.publish(6, "slow")
        scene.publish(3, "lame")
        assert (scene.waiting("slow"), scene.waiting("lame")) == ((6, 0), (3, 0))
        scene.publish(1, "lame")  # the greediest pays
        assert (scene.waiting("slow"), scene.waiting("lame")) == ((5, 1), (4, 0))
        assert scene.broker.broker.statistics().queued_bytes < 11 * size


def test_urgent_bytes_unread_and_one_answer_more(tidy: Path) -> None:
    question = pack(encode(Query("access", "", "publish", TICK, 1)))
    with broker_in_thread(tidy, urgent_bytes=50_000) as broker, raw_session(broker) as sock:
        (session,) = broker.broker.router.directory.named("raw")
        most = 0
        deadline = time.monotonic() + scaled(20)
        while not broker.broker.cut_off and time.monotonic() < deadline:
            with suppress(BlockingIOError, BrokenPipeError):
                sock.send(question)
            most = max(most, session.outbox.urgent_bytes)
        assert broker.broker.cut_off == {"unread": 1}
        assert 40_000 < most <= 50_000 + 1000
        assert_well(broker)


# ---- time ---------------------------------------------------------------------------------------

PLENTY = Subscribe(1, "events.#", credit_messages=10**6, credit_bytes=10**9, request=1)


def test_write_timeout_before_and_after(tidy: Path) -> None:
    timeout = scaled(0.6)
    with (
        broker_in_thread(tidy, write_timeout=timeout) as broker,
        raw_session(broker, "deaf") as deaf,
        raw_session(broker, "slow") as slow,
        broker.client() as bus,
    ):
        for sock in (deaf, slow):
            ask(sock, PLENTY)
        bus.publish_many(TICK, [bytes(10_000)] * 100)
        bus.publish_confirmed(TICK, b"")
        until = time.monotonic() + 2.5 * timeout
        assert len(bus.clients()) == 3
        while time.monotonic() < until:
            time.sleep(0.3 * timeout)
            slow.recv(20_000)  # a little now and then is enough
        assert {row.identity for row in bus.clients()} == {"slow", "operator"}
        assert broker.broker.cut_off == {"stuck": 1}


@pytest.mark.parametrize("reads", [True, False])
def test_drain_timeout_for_who_reads_and_who_does_not(tidy: Path, reads: bool) -> None:
    timeout = scaled(1.0)
    with (
        broker_in_thread(tidy, drain_timeout=timeout) as broker,
        raw_session(broker) as sock,
        raw_session(broker, "witness") as witness,
    ):
        ask(sock, PLENTY)
        with broker.client() as bus:
            bus.publish_many(TICK, [bytes(10_000)] * 100)
            bus.publish_confirmed(TICK, b"")
        began = time.monotonic()
        broker.mailbox.ask_to_stop()
        taken = drained(sock) if reads else 0
        drained(witness)
        took = time.monotonic() - began
    assert (took < timeout) is reads
    assert took < 2 * timeout
    assert (taken > 100 * 10_000) is reads


def drained(sock: socket.socket) -> int:
    """How many bytes come until the broker hangs up."""
    sock.setblocking(True)
    sock.settimeout(scaled(10))
    taken = 0
    while data := sock.recv(1 << 16):
        taken += len(data)
    return taken
