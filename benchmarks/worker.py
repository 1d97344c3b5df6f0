"""A client of a contest, in a process of its own.

    python -m benchmarks.worker PEER ADDRESS ROLE …

    echo
        sends back what comes
    ping COUNT SECONDS BYTES
        round trips; prints their times in ns, on one line
    publish|publish_many SECONDS BYTES MOST NUMBER
        floods; prints when it began and how many it published
    subscribe PUBLISHERS BYTES
        counts; prints when all publishers had ended and how many messages came
    tick SECONDS
        control messages, evenly; prints how many
    hear_control MILLISECONDS
        prints how long each took to come, in ns; takes the flood beside it, and as many
        milliseconds with each event (0: not at all)

Each prints `ready`, waits for a line on stdin, prints its figures and stays until it is ended.
"""

from __future__ import annotations

import select
import struct
import sys
import time
from collections.abc import Callable
from importlib import import_module
from threading import Thread

from benchmarks.client import (
    CONTROL,
    END_BYTES,
    FLOOD,
    PING,
    PONG,
    CannotCarry,
    Client,
    end_of,
)

END_EVERY = 0.005  # s between two words of the end; best effort may lose one
TICK = 0.005  # s between two control messages
STAMP = struct.Struct("<q")


def wait_for_go() -> None:
    """Say that all is prepared, and wait for the others."""
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(0)


def stay() -> None:
    """Keep the connection until we are ended."""
    sys.stdin.read()


def echo(client: Client) -> None:
    """Send back what comes."""
    client.listen(PING)
    print("ready", flush=True)
    client.echo()


def ping(client: Client, count: str, seconds: str, size: str) -> None:
    """Measure round trips."""
    client.listen(PONG)
    wait_for_go()
    took = client.round_trips(bytes(int(size)), int(count), float(seconds))
    print(*took, flush=True)
    stay()


def publish(
    client: Client, seconds: str, size: str, most: str, number: str, many: bool = False
) -> None:
    """Publish, then tell the subscribers that it is over until stdin is closed."""
    client.only_publish()
    wait_for_go()
    start = time.monotonic_ns()
    sent = client.publish_for(float(seconds), b"x" * int(size), int(most), many)
    print(start, sent, flush=True)
    end = end_of(int(number))
    while not select.select([sys.stdin], [], [], END_EVERY)[0]:
        client.say(FLOOD, end)


def publish_many(client: Client, seconds: str, size: str, most: str, number: str) -> None:
    """The same, many with each call."""
    publish(client, seconds, size, most, number, many=True)


def subscribe(client: Client, publishers: str, _size: str) -> None:
    """Count what comes until each publisher has said that it is over."""
    client.listen(FLOOD)
    wait_for_go()
    received, ended = 0, set[bytes]()
    while len(ended) < int(publishers):
        count, end = client.count_to_end()
        received += count
        ended.add(end)
    print(time.monotonic_ns(), received, flush=True)
    stay()


def tick(client: Client, seconds: str) -> None:
    """Send the time as a control message, again and again; the last one is no time."""
    client.only_publish()
    wait_for_go()
    sent, due = 0, time.monotonic()
    end = due + float(seconds)
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        client.say(CONTROL, STAMP.pack(time.monotonic_ns()))
        sent, due = sent + 1, due + TICK
    print(sent, flush=True)
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        client.say(CONTROL, end_of(0))


def hear_control(client: Client, slow_ms: str) -> None:
    """Hear control messages, perhaps beside a flood that is more than this process can do."""
    if float(slow_ms):
        flood = client.beside()
        flood.listen(FLOOD)
        Thread(target=dawdle, args=[flood, float(slow_ms) / 1000], daemon=True).start()
    client.listen(CONTROL)
    wait_for_go()
    took = []
    while len(payload := client.receive()) != END_BYTES:
        took.append(time.monotonic_ns() - STAMP.unpack(payload)[0])
    print(*took, flush=True)
    stay()


def dawdle(client: Client, seconds: float) -> None:
    """Take events, slowly."""
    while True:
        client.receive()
        time.sleep(seconds)


ROLES: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (echo, ping, publish, publish_many, subscribe, tick, hear_control)
}


def main() -> None:
    """Connect and play the role."""
    peer, address, role, *arguments = sys.argv[1:]
    client: Client = import_module(f"benchmarks.peers.{peer}").connect(address)
    try:
        ROLES[role](client, *arguments)
    except CannotCarry as reason:
        print(f"cannot {reason}", flush=True)
        stay()


if __name__ == "__main__":
    main()
