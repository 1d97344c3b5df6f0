"""A publisher in a process of its own: publishes payloads of a size, on and on.

`python -m tests.processes.shouter RUN_DIR (memory|chunks) BYTES`
"""

from __future__ import annotations

import sys

from daemoneye.bus.client.bus_client import BusClient
from tests.bus.brokers import TICK


def main() -> None:
    run_dir, way, size = sys.argv[1:]
    payload = bytes(int(size))
    with BusClient.connect(run_dir=run_dir, pass_memory=way == "memory") as bus:
        print("ready", flush=True)
        while True:
            bus.publish(TICK, payload)


if __name__ == "__main__":
    main()
