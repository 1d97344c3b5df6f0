"""The door: who is silent, slow, lying, greedy or late costs only itself."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemoneye.bus.broker import door
from daemoneye.bus.client.dialler import introduce
from daemoneye.bus.endpoint import dial
from daemoneye.bus.frames import (
    Answer,
    Goodbye,
    Notice,
    Proof,
    Refusal,
    Subscribe,
    control_value,
    encode,
    parse,
)
from daemoneye.bus.handshake import Claim, Introduction
from daemoneye.bus.orders import Admit, Credential, Ended
from daemoneye.errors import Refused
from daemoneye.framing import FrameCutter, pack
from tests.bus.brokers import (
    Running,
    assert_well,
    broker_in_thread,
    broker_process,
    raw_session,
    read_all,
)
from tests.support import scaled, wait_for

TICK = "events.demo.tick"


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy, authentication_timeout=0.3) as running:
        yield running


def refused(broker: Running, reason: str) -> int:
    return broker.broker.door.counted[reason]


def test_a_proof_counts_for_nothing_while_its_process_cannot_be_looked_at(
    broker: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(sock: socket.socket) -> bool:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(door, "is_peer_alive", exhausted)
        with pytest.raises(Refused) as caught:
            broker.client()
    assert caught.value.reason == "busy"
    assert refused(broker, "busy") == 1
    assert_well(broker)


def test_a_silent_connection_is_told_and_closed_in_time(broker: Running) -> None:
    with dial(broker.path, 1.0) as silent:
        began = time.monotonic()
        (refusal,) = read_all(silent)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "timeout"
        assert 0.2 < time.monotonic() - began < scaled(1.0)


@pytest.mark.parametrize("said", [0, 10, 1000])
def test_who_hangs_up_before_it_is_let_in_is_counted(broker: Running, said: int) -> None:
    hello = pack(encode(Introduction(Claim("raw", 1, broker.admit("raw")), bytes(32)).hello()))
    with dial(broker.path, 1.0) as gone:
        gone.send(hello[:said])
    wait_for(lambda: refused(broker, "gone") == 1, "it to be missed")
    wait_for(lambda: not len(broker.broker.door.lobby), "its place to be free")


def test_a_byte_at_a_time_is_not_time_enough(broker: Running) -> None:
    with dial(broker.path, 1.0) as slow:
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            for byte in pack(bytes(2000)):
                slow.send(bytes((byte,)))
                time.sleep(0.02)
        assert refused(broker, "timeout") == 1


@pytest.mark.parametrize(
    "header",
    [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff" + (1 << 40).to_bytes(8, "big"), b"\xff\xff\xff\xfe"],
    ids=["2 GiB", "2^40", "negative"],
)
def test_a_header_that_promises_the_impossible_ends_it(broker: Running, header: bytes) -> None:
    with dial(broker.path, 1.0) as liar:
        liar.send(header)
        (refusal,) = read_all(liar)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "protocol"
    assert_well(broker)


@pytest.mark.parametrize(("size", "reason"), [(4096, "protocol"), (4097, "protocol")])
def test_before_a_proof_frames_are_small(broker: Running, size: int, reason: str) -> None:
    with dial(broker.path, 1.0) as guest:
        guest.send(pack(bytes(size)))
        (refusal,) = read_all(guest)
        assert isinstance(refusal, Refusal)
        assert ("past the limit of 4096" in refusal.detail) is (size == 4097)


def test_one_process_with_many_silent_connections_only_hurts_itself(broker: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(dial(broker.path, 1.0))
        wait_for(lambda: refused(broker, "busy") == 1, "the oldest to go")
        wait_for(lambda: refused(broker, "timeout") == 8, "the others to run out of time")
    assert_well(broker)


HOLD_CONNECTIONS = """
import socket, sys, time
held = []
for _ in range(200):
    sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1]); held.append(sock)
print("ready", flush=True)
sys.stdin.read()
"""


def test_two_hundred_silent_connections_of_another_process_cost_nothing(broker: Running) -> None:
    command = [sys.executable, "-c", HOLD_CONNECTIONS, str(broker.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as greedy:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == b"ready\n"
        assert_well(broker)
        greedy.communicate()


def test_all_places_taken_by_proven_clients_is_busy(tidy: Path) -> None:
    with broker_in_thread(tidy, connections=3) as broker, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(raw_session(broker))
        silent = stack.enter_context(dial(broker.path, 1.0))
        third = stack.enter_context(raw_session(broker))
        assert [type(each) for each in read_all(silent)] == [Refusal]
        with dial(broker.path, 1.0) as fourth:
            (refusal,) = read_all(fourth)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "busy"
        third.send(pack(encode(Goodbye())))
        wait_for(lambda: broker.broker.router.statistics().clients == 2, "one to leave")
        with raw_session(broker):
            pass


def test_one_identity_does_not_take_the_places_of_others(tidy: Path) -> None:
    with (
        broker_in_thread(tidy, identity_connections=2) as broker,
        contextlib.ExitStack() as stack,
    ):
        broker.admit("greedy", "worker")
        for _ in range(2):
            stack.enter_context(raw_session(broker, "greedy"))
        with pytest.raises(Refused, match="greedy has 2 connections already"):
            stack.enter_context(raw_session(broker, "greedy"))
        assert refused(broker, "busy") == 1
        assert_well(broker)
        stack.close()
        wait_for(lambda: not len(broker.broker.door.places), "its places to be free")
        with raw_session(broker, "greedy"):
            pass


def test_a_replayed_login_proves_nothing(broker: Running) -> None:
    key = broker.admit("raw")
    introduction = Introduction(Claim("raw", 1, key), bytes(32))
    recorded = pack(encode(introduction.hello()))
    with dial(broker.path, 1.0) as first:
        first.setblocking(True)
        first.send(recorded)
        challenge = control_value(parse(FrameCutter(4096).feed(first.recv(4096))[0]))
        proof = introduction.receive(challenge)
        assert isinstance(proof, Proof)
        recorded += pack(encode(proof))
        first.send(pack(encode(proof)))
        assert first.recv(4096)
    with dial(broker.path, 1.0) as second:
        second.send(recorded)
        _, refusal = read_all(second)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "bad-proof"


def test_frames_right_behind_the_proof_are_taken(broker: Running) -> None:
    key = broker.admit("raw")
    introduction = Introduction(Claim("raw", 1, key), bytes(32))
    with dial(broker.path, 1.0) as sock:
        sock.setblocking(True)
        sock.send(pack(encode(introduction.hello())))
        challenge = control_value(parse(FrameCutter(4096).feed(sock.recv(4096))[0]))
        proof = introduction.receive(challenge)
        said = [proof, Subscribe(1, "events.#", request=7), Goodbye()]
        sock.send(b"".join(pack(encode(each)) for each in said))
        welcome, answer = read_all(sock)
        assert introduction.receive(welcome) is welcome
        assert answer == Answer(7, rule=answer.rule)  # type: ignore[union-attr]  # it is one


# ---- descriptors --------------------------------------------------------------------------------


def test_without_descriptors_sessions_live_and_the_loop_does_not_spin(short_dir: Path) -> None:
    with broker_process(short_dir) as process, process.client() as bus:
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (12, hard))
        with bus.subscribe("events.#") as events, contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(dial(process.run_dir.bus_path, 1.0))
            before = cpu_seconds(process.pid)
            time.sleep(0.5)
            assert cpu_seconds(process.pid) - before < 0.25
            bus.publish(TICK, b"alive")
            assert events.get(scaled(5)) is not None
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))

        def comes_in() -> bool:
            with (
                contextlib.suppress(OSError, Exception),
                process.client(),
            ):  # refused until it resumes
                return True
            return False

        wait_for(comes_in, "accepting to resume")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_idle_broker_with_clients_sleeps(short_dir: Path) -> None:
    with broker_process(short_dir) as process, process.client() as bus, bus.subscribe("#"):
        before = cpu_seconds(process.pid)
        time.sleep(0.4)
        assert cpu_seconds(process.pid) - before <= 0.02


# ---- keys ---------------------------------------------------------------------------------------

RIGHT, WRONG = bytes(range(32)), bytes(32)


@pytest.mark.parametrize(
    ("identity", "incarnation", "key", "reason"),
    [
        ("procmond", 3, WRONG, "bad-proof"),
        ("procmond", 2, RIGHT, "unknown-identity"),  # it has ended
        ("procmond", 4, RIGHT, "unknown-identity"),  # it is not born
        ("procmond", 0, RIGHT, "protocol"),  # there is no such incarnation
        ("perfmond", 3, RIGHT, "unknown-identity"),
        ("operator", 3, RIGHT, "bad-proof"),  # a child is not the operator
    ],
)
def test_b27_a_key_opens_for_one_incarnation_of_one_identity(
    broker: Running, identity: str, incarnation: int, key: bytes, reason: str
) -> None:
    broker.admit("operator")
    for number in (2, 3):
        broker.obey(Admit(Credential("procmond", "collector", RIGHT, "process", number)))
    broker.obey(Ended("procmond", 2, "exit:1"))
    with pytest.raises(Refused) as caught:
        introduce(broker.path, Claim(identity, incarnation, key), scaled(5))
    assert caught.value.reason == reason
    assert broker.broker.door.counted == {reason: 1}
    assert broker.broker.statistics().counters()["turned_away_total"] == 1
    introduce(broker.path, Claim("procmond", 3, RIGHT), scaled(5)).sock.close()


def test_b27_what_an_ended_incarnation_had_is_released_at_once(broker: Running) -> None:
    for number in (2, 3):
        broker.obey(Admit(Credential("procmond", "collector", RIGHT, "process", number)))
    wish = Subscribe(1, "control.collector.lifecycle", request=1)
    with (
        introduce(broker.path, Claim("procmond", 2, RIGHT), scaled(5)).sock as old,
        introduce(broker.path, Claim("procmond", 3, RIGHT), scaled(5)).sock as new,
        broker.client() as bus,
    ):
        for sock in (old, new):
            sock.setblocking(True)
            sock.send(pack(encode(wish)))
        wait_for(lambda: len(bus.subscriptions()) == 2, "both to listen")
        broker.obey(Ended("procmond", 2, "signal:9"))
        *_, notice = read_all(old)
        assert isinstance(notice, Notice)
        assert (notice.code, notice.detail) == ("cut-off", "ended: incarnation 2 ended: signal:9")
        assert broker.broker.statistics().cut_off == {"ended": 1}
        rows = [row for row in bus.clients() if row.identity == "procmond"]
        assert [row.incarnation for row in rows] == [3]
        assert bus.publish_confirmed("control.collector.lifecycle", b"").subscribers == 1
