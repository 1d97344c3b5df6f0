"""Where what a client publishes is until the kernel has it: what both writers keep.  Pure.

courses ──▶ draft ──▶ frame or freight ──▶ written: counted, and kept when it is retained
└──▶ box, while there is no connection
"""

from __future__ import annotations

from collections.abc import Sequence

from daemoneye.bus.client.counters import Counters, Tally, counters
from daemoneye.bus.client.freight import Freight
from daemoneye.bus.client.notices import Notices
from daemoneye.bus.client.outgoing import Apart, Courses, Draft, OutageBox
from daemoneye.bus.client.retaining import Retaining
from daemoneye.bus.frames import Carriage, Value, Will, encode
from daemoneye.bus.limits import Limits
from daemoneye.framing import pack


class Outbound:
    """What is published and not written yet, and what is known of what was."""

    __slots__ = ("_box", "_courses", "_draft", "_freight", "retaining", "tally")

    def __init__(self, limits: Limits) -> None:
        carriage = Carriage(False, limits.payload_bytes, limits.large_from_bytes)
        self._draft = Draft(limits.frame_bytes, carriage)
        self._freight = Freight()
        self._courses = Courses()
        self._box = OutageBox(limits.subscription_messages, limits.subscription_bytes)
        self.tally = Tally()
        self.retaining = Retaining()
        """What a broker that was started anew has to be told."""

    @property
    def frame_limit(self) -> int:
        """How many bytes a frame may have."""
        return self._draft.frame_limit

    @property
    def waiting(self) -> int:
        """Messages that are not written yet: they wait for company, or for a connection."""
        return len(self._box) + len(self._draft)

    @property
    def dropped(self) -> int:
        """Messages that found no room while there was no connection, in all."""
        return self._box.dropped

    def counters(self, notices: Notices) -> Counters:
        """What has been counted so far, together with what the broker told."""
        return counters(
            self.tally,
            notices.counts,
            self.waiting,
            self.dropped,
            self.retaining.forgotten,
            notices.overdue,
        )

    def _begin(self, first: Sequence[Value], frame_limit: int, carriage: Carriage) -> bytes:
        """There is a new connection, on which all goes this way: what to write before all else.

        It goes in one write: what the broker passes on between two, one owner would miss.
        """
        self._draft.agree(frame_limit, carriage)
        self._freight.connected(carriage)
        for value in first:
            if type(value) is Will:  # the broker may have sent it, under our next number
                self._courses.pass_over(value.topic)
        return b"".join(pack(encode(value)) for value in first)

    def _refuses(self, apart: Apart) -> bool:
        """Whether this is another broker than it was meant for, and never takes it."""
        if not self._freight.refuses(apart):
            return False
        self._box.dropped += apart.messages
        return True
