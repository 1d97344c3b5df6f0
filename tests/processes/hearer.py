"""A subscriber in a process of its own: says of each payload how large it is, and its digest.

`python -m tests.processes.hearer RUN_DIR (memory|chunks) [keep]`: with `keep` it goes on to the
next only when a line comes on its standard input.
"""

from __future__ import annotations

import hashlib
import sys

from daemoneye.bus.client.bus_client import BusClient
from tests.bus.brokers import TICK


def main() -> None:
    run_dir, way, *keep = sys.argv[1:]
    with BusClient.connect(run_dir=run_dir, pass_memory=way == "memory") as bus:
        with bus.subscribe(TICK) as events:
            print("ready", flush=True)
            for event in events:
                digest = hashlib.sha256(event.payload).hexdigest()
                lost = sum(event.lost.values())
                print(len(event.payload), digest, lost, flush=True)
                if keep:
                    sys.stdin.readline()


if __name__ == "__main__":
    main()
