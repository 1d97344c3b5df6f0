"""The programs on the bus: `python -m tests.crash.players ROLE RUN_DIR RECORD`, each of `ROLES`.

Each ends in order by SIGTERM.  By SIGUSR1 it cuts its own sockets, as a kernel would.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from daemoneye import BusClient
from daemoneye.errors import BusError
from tests.crash.account import LAST, record

TOPIC = "events.crash.message"
JOBS = "control.crash.jobs"
PAUSE = 0.0005
_over = threading.Event()
_sockets_to_cut = threading.Event()


def _cut_sockets() -> None:
    """Shut every socket of this process, again and again when asked."""
    while _sockets_to_cut.wait():
        _sockets_to_cut.clear()
        for name in os.listdir("/proc/self/fd"):
            try:
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    with socket.socket(fileno=os.dup(int(name))) as mine:
                        mine.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def publish(run_dir: str, path: Path) -> None:
    """Publish numbers until it is time to end, each written down before."""
    life, number = str(os.getpid()), 0
    with path.open("ab", buffering=0) as out, BusClient.connect(run_dir=run_dir) as bus:
        while not _over.is_set():
            number += 1
            out.write(b"%d\n" % number)
            bus.publish(TOPIC, f"{life} {number}".encode())
            if number % 20 == 0:
                time.sleep(PAUSE * 20)
        # What was written into a connection that is lost is lost with it: to be sure, ask.
        while True:
            number += 1
            out.write(b"%d\n" % number)
            try:
                bus.publish_confirmed(TOPIC, f"{life} {number}".encode(), timeout=1.0)
                break
            except BusError:
                time.sleep(0.05)
        out.write(f"{LAST}\n".encode())


def hear(run_dir: str, path: Path, dawdle: float = 0.0) -> None:
    """Write down what is heard until it is time to end."""
    with (
        path.open("ab", buffering=0) as out,
        BusClient.connect(run_dir=run_dir) as bus,
        bus.subscribe(TOPIC, max_messages=256, timeout=0.2) as events,
    ):
        heard = True
        while heard or not _over.is_set():  # what waits when it is time to end is read first
            heard = False
            for event in events:
                heard = True
                life, number = bytes(event.payload).decode().split()
                out.write(record(life, int(number), event.lost).encode())
                if dawdle and not _over.is_set():
                    time.sleep(dawdle)
        out.write(f"{LAST}\n".encode())


def order(run_dir: str, path: Path) -> None:
    """Ask for one piece of work after the other, each again until it is handled."""
    life, number = str(os.getpid()), 0
    with path.open("ab", buffering=0) as out, BusClient.connect(run_dir=run_dir) as bus:
        while not _over.is_set():
            number += 1
            payload = f"{life} {number}".encode()
            while not _over.is_set():
                try:
                    bus.publish_confirmed(JOBS, payload, until="handled", timeout=2.0)
                except BusError:
                    time.sleep(0.02)
                else:
                    out.write(b"%d\n" % number)
                    break
        out.write(f"{LAST}\n".encode())


def work(run_dir: str, path: Path) -> None:
    """Do what comes, write it down, and only then say so."""
    with (
        path.open("ab", buffering=0) as out,
        BusClient.connect(run_dir=run_dir) as bus,
        bus.subscribe(JOBS, group="crew", timeout=0.2) as jobs,
    ):
        while not _over.is_set():
            for job in jobs:
                out.write(bytes(job.payload) + b"\n")
                try:
                    job.ack()
                except BusError:
                    continue  # another has it by now
                if _over.is_set():
                    break
        out.write(f"{LAST}\n".encode())


ROLES: dict[str, Callable[[str, Path], None]] = {
    "publish": publish,
    "hear": hear,
    "dawdle": lambda run_dir, path: hear(run_dir, path, dawdle=0.002),
    "order": order,
    "work": work,
}


def main() -> None:
    role, run_dir, path = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: _over.set())
    signal.signal(signal.SIGUSR1, lambda *_: _sockets_to_cut.set())
    threading.Thread(target=_cut_sockets, daemon=True).start()
    ROLES[role](run_dir, Path(path))


if __name__ == "__main__":
    main()
