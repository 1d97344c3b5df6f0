"""Listens to the running instance and says what it hears, and what it missed.

    python examples/subscriber.py                        all events
    python examples/subscriber.py 'events.process.#'     those of processes
    python examples/subscriber.py --count 10             the next ten

It goes on when the broker is restarted: the subscription comes back by itself, and the first event
afterwards tells what was lost meanwhile.  Ctrl-C ends it.
"""

import argparse
import os
import sys

from daemoneye import BusClient, BusError, NotRunning


def main() -> int:
    """Print one line for each event; the exit code is the command line's."""
    parser = argparse.ArgumentParser(description="print events of a running daemoneye")
    parser.add_argument("filters", nargs="*", default=["events.#"], metavar="FILTER")
    parser.add_argument("--run-dir", help="where the instance keeps its socket")
    parser.add_argument("--count", type=int, default=0, help="end after so many events")
    wanted = parser.parse_args()
    try:
        with BusClient.connect(run_dir=wanted.run_dir) as bus:
            listen(bus, wanted.filters, wanted.count)
    except NotRunning as error:
        print(error, file=sys.stderr)
        return 3
    except BusError as error:
        print(error, file=sys.stderr)
        return 69
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # who read us, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def listen(bus: BusClient, filters: list[str], count: int) -> None:
    """Print what matches one of the filters, `count` events or for ever."""
    with bus.subscribe(*filters) as events:
        for number, event in enumerate(events, 1):
            for reason, missed in event.lost.items():
                print(f"-- missed {missed} before this: {reason}")
            who = event.publisher
            print(f"{event.topic} #{event.sequence} {who.name}[{who.pid}] {len(event.payload)} B")
            sys.stdout.flush()
            if number == count:
                return


if __name__ == "__main__":
    sys.exit(main())
