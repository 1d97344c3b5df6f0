"""The log of a client: where remarks go, as `notices` words them."""

from __future__ import annotations

import logging
from typing import Protocol

from daemoneye.bus.client.notices import Remark, never_sent

log = logging.getLogger("daemoneye.bus")


class Leaving(Protocol):
    """A writer whose process ends."""

    @property
    def waiting(self) -> int:
        """Messages that are not written."""

    def leave(self, timeout: float) -> None:
        """Write what it can in so many seconds."""


def remark(said: Remark | None) -> None:
    """Log it, if there is something to say."""
    if said is not None:
        log.log(said.weight.value, "%s", said.text)


def leave(writer: Leaving, timeout: float) -> None:
    """Write what waits, as far as that goes in so many seconds, and say what is left."""
    writer.leave(timeout)
    remark(never_sent(writer.waiting))
