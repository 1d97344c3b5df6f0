"""A thread that hears what the bus delivers, for as long as its process lives.  A shell.

It subscribes, and again when the bus takes the subscription away.  `wait_listening` is for whoever
is about to say that this process is ready: what is said to it from then on should be heard.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from daemoneye.collectors.sides import ChildSide, Subscription
from daemoneye.errors import AccessDenied, BusClosed, BusError

CONNECT_PATIENCE = 1.0
"""How long a broker is waited for; without one, life goes on."""

_LOOK_INTERVAL = 0.005
_RETRY_INTERVAL = 1.0


class Hearing:
    """A subscription and the thread that lives on it."""

    def __init__(
        self,
        child: ChildSide,
        filters: tuple[str, ...],
        hear: Callable[[Subscription], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """`hear` takes events from the subscription until it has had enough.

        What it raises that is no matter of the bus is a bug and goes to `failed`, so that the
        process ends by it: a thread that died alone would leave a collector that looks healthy
        and hears nothing.
        """
        self._child = child
        self._failed = failed
        self._filters = filters
        self._hear = hear
        self._listening = threading.Event()
        self._closing = threading.Event()

    def start(self, name: str) -> None:
        """Begin, in a thread of this name; without filters there is nothing to begin."""
        if not self._filters:
            self._listening.set()
            return
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def wait_listening(self) -> None:
        """Wait until the broker knows the subscription, or has been waited for long enough."""
        self._listening.wait(2 * CONNECT_PATIENCE)

    @property
    def closing(self) -> bool:
        """Whether it is time to end."""
        return self._closing.is_set()

    def close(self) -> None:
        """Have the thread end with its subscription, which ends with the bus client."""
        self._closing.set()

    def _run(self) -> None:
        self._await_broker()
        while not self.closing:
            try:
                subscription = self._child.bus.subscribe(*self._filters)
                self._listening.set()
                self._hear(subscription)
            except BusClosed:
                return
            except AccessDenied as error:
                self._child.log.error("listening on the bus is not allowed: %s", error)
                return
            except BusError as error:
                self._child.log.warning("listening on the bus ended: %s", error)
                self._closing.wait(_RETRY_INTERVAL)
            except Exception as error:  # whatever it is, it ends more than this thread
                self._failed(error)
                return
            finally:
                self._listening.set()

    def _await_broker(self) -> None:
        deadline = time.monotonic() + CONNECT_PATIENCE
        while not self._child.bus.connected and time.monotonic() < deadline:
            if self._closing.wait(_LOOK_INTERVAL):
                return
