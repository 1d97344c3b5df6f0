"""Who may be at a broker's place and who may come to it: real brokers, real other users (B26, B27).

Another user is a process of ours that gave up being root, after its imports, because it may not
read them afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemoneye.bus.client.bus_client import BusClient
from daemoneye.errors import AlreadyRunning, ConfigError
from tests.bus.brokers import TICK, Running, broker_in_thread, broker_process
from tests.support import scaled, tells_of_peers, wait_for, without

STRANGER = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
needs_peer_pidfd = pytest.mark.skipif(not tells_of_peers(), reason="peers have no descriptors here")


@pytest.fixture
def broker(tidy: Path) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        yield running


def assert_served(broker: Running) -> None:
    with broker.client("good") as bus:
        assert bus.publish_confirmed(TICK, b"").subscribers == 0


@contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process with this program; it has ended afterwards."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(code: str, *arguments: object) -> str:
    """What this program prints; it has to end by itself."""
    with running(code, *arguments) as process:
        return process.communicate(timeout=scaled(10))[0]


# ---- a second broker ----------------------------------------------------------------------------


def test_b26_a_second_broker_leaves_a_live_one_and_its_clients_alone(tidy: Path) -> None:
    with broker_in_thread(tidy) as first, first.client() as bus:
        with pytest.raises(AlreadyRunning, match="somebody listens"), broker_in_thread(tidy):
            pass
        assert bus.clients()
        assert_served(first)


def test_b26_a_broker_follows_a_killed_one_whose_socket_is_still_there(tidy: Path) -> None:
    with broker_process(tidy) as process:
        process.kill()
        assert process.run_dir.bus_path.is_socket()
        process.start()
        with process.client() as bus:
            assert bus.clients()


def test_b26_a_broker_that_ends_leaves_what_stands_in_its_place_by_then(tidy: Path) -> None:
    with broker_in_thread(tidy) as first:
        first.path.unlink()
        with broker_in_thread(tidy) as second:
            first.mailbox.ask_to_stop()
            wait_for(lambda: first.broker.finished, "the first to end")
            assert_served(second)


# ---- other users --------------------------------------------------------------------------------

CONNECT_AS_ANOTHER = """
import os, sys
from daemoneye import BusClient, DaemoneyeError
os.setuid(int(sys.argv[2]))
try:
    BusClient.connect(sys.argv[1], name="operator", key=bytes(32))
except DaemoneyeError as error:
    print(type(error).__name__, error)
"""


@as_root
def test_b27_a_client_of_another_user_does_not_get_past_the_directory(broker: Running) -> None:
    words = said(CONNECT_AS_ANOTHER, broker.path, STRANGER)
    assert words.startswith(f"ConfigError user {STRANGER} may not connect to {broker.path}")
    assert not broker.broker.door.counted


@as_root
def test_b27_a_client_of_another_user_is_refused_by_both_told_and_counted(
    broker: Running,
) -> None:
    broker.path.parent.chmod(0o755)
    broker.path.chmod(0o777)
    words = said(CONNECT_AS_ANOTHER, broker.path, STRANGER)
    assert words.startswith("ConfigError")
    assert f"process {os.getpid()} of user 0" in words
    counted = broker.broker.door.counted
    wait_for(lambda: counted["foreign-user"] == 1, "the broker to have looked")
    assert_served(broker)


SPEAK_AS_ANOTHER = """
import os, socket, sys
from daemoneye.bus.frames import Hello, encode
from daemoneye.framing import pack
os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
try:
    sock.sendall(pack(encode(Hello(1, "operator", 1, bytes(32)))))
    print(sock.recv(100))
except ConnectionError:
    print(b"")
"""


@as_root
def test_b27_a_stranger_that_speaks_first_is_not_heard_and_gets_no_byte(broker: Running) -> None:
    broker.admit("operator")
    broker.path.parent.chmod(0o755)
    broker.path.chmod(0o777)
    assert said(SPEAK_AS_ANOTHER, broker.path, STRANGER) == "b''\n"
    assert dict(broker.broker.door.counted) == {"foreign-user": 1}


SERVE_AS_ANOTHER = """
import os, sys
from pathlib import Path
from daemoneye.bus.access import AccessList
from daemoneye.bus.broker.broker import Broker
from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.limits import Limits
os.setuid(int(sys.argv[2]))
broker = Broker(Path(sys.argv[1]), Limits(), AccessList(()), Mailbox())
print("ready", flush=True)
while not broker.door.counted:
    broker.turn(broker.wait())
print(dict(broker.door.counted), flush=True)
"""


@as_root
def test_b27_a_broker_of_another_user_is_told_nothing_and_tells_nothing(short_dir: Path) -> None:
    os.chown(short_dir, STRANGER, -1)
    with running(SERVE_AS_ANOTHER, short_dir / "bus", STRANGER) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(ConfigError, match=f"process {process.pid} of user {STRANGER}"):
            BusClient.connect(short_dir / "bus", name="operator", key=bytes(32))
        assert process.stdout.readline() == "{'foreign-user': 1}\n"


# ---- other processes ----------------------------------------------------------------------------

HAND_ON = """
import os, sys, time
from pathlib import Path
from daemoneye.bus import endpoint
from daemoneye.bus.client import dialler
from daemoneye.bus.handshake import Claim
from daemoneye.errors import Refused
path, key, ends = Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3] == "ends"
sock = endpoint.dial(path, 5.0)
parent = os.getpid()
if os.fork():
    if ends:
        os._exit(0)
    os.wait()
    sys.exit()
while ends and os.getppid() == parent:
    time.sleep(0.01)
dialler.dial = lambda *_: sock
try:
    dialler.introduce(path, Claim("operator", 1, key), 5.0)
    print("welcome", flush=True)
except Refused as error:
    print(error.reason, flush=True)
"""


@needs_peer_pidfd
@pytest.mark.parametrize(
    ("parent", "lacking", "answer"),
    [
        ("ends", (), "wrong-process"),
        ("stays", (), "welcome"),
        ("ends", ("peer_pidfd",), "welcome"),
    ],
    ids=["ended", "lives", "nobody-can-tell"],
)
def test_b27_a_proof_counts_while_the_process_that_connected_lives(
    broker: Running, parent: str, lacking: tuple[str, ...], answer: str
) -> None:
    key = broker.admit("operator")
    with without(*lacking):
        assert said(HAND_ON, broker.path, key.hex(), parent) == f"{answer}\n"
    assert broker.broker.door.counted["wrong-process"] == (answer == "wrong-process")
    assert_served(broker)
