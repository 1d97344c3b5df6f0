"""Where other threads leave orders for the broker's loop."""

from __future__ import annotations

import threading
from collections import deque

from daemoneye.bus.orders import Order
from daemoneye.system import socket_pair


class Mailbox:
    """What other threads want of the loop, and the byte that wakes it for them."""

    __slots__ = ("_closing", "_orders", "_read", "_write", "stop_asked")

    def __init__(self) -> None:
        self._closing = threading.Lock()
        self._orders: deque[Order] = deque()
        self.stop_asked = False
        self._read, self._write = socket_pair()  # no pipe: not everywhere can those be polled
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        """Readable when the loop was woken."""
        return self._read.fileno()

    def put(self, order: Order) -> None:
        """Leave an order, from any thread; they are obeyed one after another."""
        self._orders.append(order)
        self.wake()

    def ask_to_stop(self) -> None:
        """Begin to end, from any thread."""
        self.stop_asked = True
        self.wake()

    def take(self) -> Order | None:
        """The next order; None when there is none."""
        try:
            return self._orders.popleft()
        except IndexError:
            return None

    def clear(self) -> None:
        """Take the bytes that woke the loop; before looking, so that none is overlooked."""
        try:
            self._read.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Let go of the sockets; who comes later leaves an order that nobody obeys."""
        with self._closing:
            self._read.close()
            self._write.close()

    def wake(self) -> None:
        """Have the loop look, from any thread."""
        with self._closing:
            if self._write.fileno() < 0:
                return
            try:
                self._write.send(b"!")
            except BlockingIOError:
                pass  # it is full of bytes that will wake it
