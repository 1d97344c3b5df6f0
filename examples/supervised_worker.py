"""A function of yours as a supervised process: started, watched, restarted, stopped in order.

Run it with `python examples/supervised_worker.py`; `daemoneye status` shows it, and
`kill -9` on its pid shows what a supervisor is for.  Ctrl-C ends it.
"""

import sys

from daemoneye import ChildSpec, DaemoneyeError, Supervisor


def worker(child, greeting):
    """Greets once a second until it is asked to stop."""
    child.log.info("%s from incarnation %d", greeting, child.passport.incarnation)
    child.ready()
    while not child.stopping.wait(1.0):
        child.bus.publish("events.demo.greeting", {"greeting": greeting})
        child.beat()


if __name__ == "__main__":
    spec = ChildSpec(
        "worker",
        worker,
        args=("hello",),
        restart="permanent",
        publishes=("events.demo.greeting",),
    )
    try:
        sys.exit(Supervisor([spec]).run())
    except DaemoneyeError as error:
        sys.exit(f"supervised_worker: {error}")
