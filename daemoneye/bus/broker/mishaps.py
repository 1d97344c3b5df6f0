"""What goes wrong with connections: all of it counted, and little of it logged."""

from __future__ import annotations

import logging
from collections import Counter

log = logging.getLogger("daemoneye.broker")


class Mishaps(Counter[str]):
    """How often, by reason.

    Whoever can connect can fail to, thousands of times a second, and no log may grow with that.
    """

    def note(self, reason: str, text: str, level: int = logging.INFO) -> None:
        """Count one more; the first, second, fourth, eighth … of a reason is logged."""
        self[reason] += 1
        count = self[reason]
        if count & (count - 1) == 0:
            log.log(level, "%s (%s: %d so far)", text, reason, count)
