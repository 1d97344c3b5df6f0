"""One client as the broker knows it: subscriptions, credit, lanes, outbox, losses.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from daemoneye.bus.frames import Value


class Session:
    """One connected client.

    The shell reads `identity`, writes what `take` gives and tells `written`; everything else
    is between the session and the router.
    """

    def take(self, max_bytes: int, now_ns: int, max_buffers: int = 64) -> Sequence[bytes | memoryview]:
        """Buffers for one gathered write, in order; empty when nothing may be sent now.

        What is taken belongs to the connection: call `written` with what the kernel took, then
        `take` again, which begins with the rest.
        """
        raise NotImplementedError

    def written(self, count: int) -> None:
        """The kernel took the first `count` bytes of what `take` gave last."""
        raise NotImplementedError

    @property
    def pending(self) -> bool:
        """Whether `take` would give something (credit and all considered)."""
        raise NotImplementedError

    def tell(self, value: Value) -> None:
        """Queue one of the broker's own frames, in the urgent lane."""
        raise NotImplementedError
