"""mosquitto: MQTT over a Unix socket, clients by paho in a loop of their own; QoS 0 and QoS 1.

paho is driven by `loop_read` and `loop_write`, as its manual offers for programs with a loop: no
thread to hand over to.  With QoS 1 a publisher keeps a window of messages in flight.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.client import END_BYTES, Client
from benchmarks.peers import Peer, Relay, not_here, program, version_of, worker_of
from benchmarks.peers.redis import accepts
from benchmarks.processes import server

if find_spec("paho"):
    from paho.mqtt.client import Client as PahoClient
    from paho.mqtt.enums import CallbackAPIVersion

CONFIGURATION = """
listener 0 {path}
allow_anonymous true
persistence false
log_type error
log_timestamp false
user {user}
max_inflight_messages {window}
max_queued_messages {queued}
max_queued_bytes 0
"""

WINDOW = 1000  # messages in flight with QoS 1
USER = "root" if os.geteuid() == 0 else "mosquitto"
"""Started by root it would become somebody who may not write into our directory."""

QUEUED = 100_000  # messages the broker keeps for a subscriber that is behind; its default is 1000


class MosquittoClient(Client):
    """A connection; the address says with which QoS."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.qos, path = int(address[0]), address[2:]
        self.arrived: deque[bytes] = deque()
        self.answered = False
        self.client: Any = PahoClient(CallbackAPIVersion.VERSION2, transport="unix")
        self.client.max_inflight_messages_set(WINDOW)
        self.client.on_message = self._arrived
        self.client.on_connect = self.client.on_subscribe = self._told
        self.client.connect(path)
        self._until_told()

    def listen(self, topic: str) -> None:
        """Subscribe, and wait for the answer."""
        self.client.subscribe(topic, self.qos)
        self._until_told()

    def publish(self, topic: str, payload: bytes) -> None:
        """One message; written at once, unless the kernel or the window is full."""
        client = self.client
        client.publish(topic, payload, self.qos)
        while client.want_write() or len(client._out_messages) >= WINDOW:
            self._turn()

    def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """The same, in a loop."""
        for payload in payloads:
            self.publish(topic, payload)

    def flush(self) -> None:
        """Everything is acknowledged, or at least in the kernel."""
        while self.client.want_write() or self.client._out_messages:
            self._turn()

    def receive(self) -> bytes:
        """The next payload."""
        while not self.arrived:
            self._read()
        return self.arrived.popleft()

    def count_to_end(self) -> tuple[int, bytes]:
        """Count message by message."""
        count = 0
        while True:
            while self.arrived:
                payload = self.arrived.popleft()
                if len(payload) == END_BYTES:
                    return count, payload
                count += 1
            self._read()

    def _read(self) -> None:
        """Read what is there, and wait only when nothing was."""
        self.client.loop_read()
        if not self.arrived:
            self._turn()

    def _turn(self) -> None:
        """Wait for the socket, then read and write."""
        client = self.client
        sock = client.socket()
        writing = [sock] if client.want_write() else []
        readable, writable, _ = select.select([sock], writing, [], 1.0)
        if writable:
            client.loop_write()
        if readable:
            client.loop_read()
        client.loop_misc()

    def _arrived(self, _client: object, _data: object, message: Any) -> None:
        self.arrived.append(message.payload)

    def _told(self, *_: object) -> None:
        self.answered = True

    def _until_told(self) -> None:
        while not self.answered:
            self._turn()
        self.answered = False


connect = MosquittoClient


@contextmanager
def relay(qos: int, directory: Path) -> Iterator[Relay]:
    """Mosquitto on a socket in `directory`."""
    configuration, path = directory / "mosquitto.conf", directory / "mosquitto.sock"
    configuration.write_text(
        CONFIGURATION.format(path=path, user=USER, window=WINDOW, queued=QUEUED)
    )
    command = [program("mosquitto"), "-c", str(configuration)]
    with server(command, directory / "mosquitto.log", lambda: accepts(path)) as process:
        yield Relay(f"{qos}:{path}", process.pid)


def version() -> str:
    """Of the server and of the client."""
    command = [program("mosquitto"), "-h"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    first = (said.splitlines() or ["mosquitto ?"])[0]
    return f"{first.replace(' version', '')}, {version_of('paho-mqtt')}"


MISSING = not_here("paho", "paho-mqtt", "mosquitto")

PEERS = tuple(
    Peer(
        key=f"mosquitto-{qos}",
        name=f"mosquitto QoS {qos}",
        missing=MISSING,
        version=version,
        relay=partial(relay, qos),
        client=worker_of("mosquitto"),
    )
    for qos in (0, 1)
)
