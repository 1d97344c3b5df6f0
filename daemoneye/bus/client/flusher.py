"""The thread that writes the tail of a burst, which no publish behind it will write."""

from __future__ import annotations

import threading
from collections.abc import Callable

from daemoneye.bus.client.outgoing import FLUSH_INTERVAL


class Flusher:
    """It is there from the first burst on, and asleep until there is another."""

    __slots__ = ("_ended", "_flush_tail", "_go", "_thread", "asleep")

    def __init__(self, flush_tail: Callable[[], bool]) -> None:
        self._flush_tail = flush_tail
        self._go = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self.asleep = True

    def wake(self) -> None:
        """A burst has begun; called while it is asleep, in a turn."""
        self.asleep = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bus-flusher", daemon=True)
            self._thread.start()
        self._go.release()

    def stop(self, timeout: float) -> None:
        """End the thread, and wait for that."""
        self._ended.set()
        self._go.release()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._go.acquire()
            while not self._ended.wait(FLUSH_INTERVAL):
                if not self._flush_tail():
                    break
            if self._ended.is_set():
                return
