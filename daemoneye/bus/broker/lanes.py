"""The lanes of one client: from which of its streams the next run may come.  Pure.

Looking for it costs as much as there are streams with something to write; those without credit are
put aside until there is more.
"""

from __future__ import annotations

from daemoneye.bus.broker.parcels import Holding
from daemoneye.bus.broker.streams import Stream

SHARE = 16
"""One pick in so many begins with the lowest lane."""


class Lanes:
    """The streams of one client that wait for something, lane by lane."""

    __slots__ = ("_blocked", "_holding", "_picks", "ready")

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self.ready: tuple[dict[Stream, None], dict[Stream, None]] = ({}, {})
        """Those that have something to write or to tell, by lane."""
        self._blocked: tuple[dict[Stream, None], dict[Stream, None]] = ({}, {})
        """Those that were found without credit: nobody looks at them until there is more."""
        self._picks = 0

    def add(self, stream: Stream) -> None:
        """It has something to write or to tell."""
        self.ready[stream.key.lane][stream] = None

    def remove(self, stream: Stream) -> bool:
        """It is no more; whether it had anything."""
        lane = self.ready[stream.key.lane]
        if stream not in lane:
            return False
        del lane[stream]
        return True

    def clear(self) -> None:
        """None is left."""
        for lane in (*self.ready, *self._blocked):
            lane.clear()

    def credited(self) -> None:
        """There may be credit where there was none: look at all streams again."""
        for lane, blocked in zip(self.ready, self._blocked, strict=True):
            lane.update(blocked)
            blocked.clear()

    def picks_from_below(self) -> bool:
        """Count one pick; whether it begins with the lowest lane."""
        self._picks += 1
        return self._picks % SHARE == 0

    @property
    def may_send(self) -> bool:
        """Whether any stream has something that may be written now."""
        return any(lane and self.oldest(lane) is not None for lane in self.ready)

    def oldest(self, lane: dict[Stream, None]) -> Stream | None:
        """The stream with the oldest run that may be sent, or with losses and nothing else."""
        oldest: Stream | None = None
        blocked: list[Stream] = []
        for stream in lane:
            if not stream.queue:
                oldest = stream
                break
            if oldest is None or stream.queue[0].number < oldest.queue[0].number:
                if stream.has_credit and not (self._holding.given and self._is_held_up(stream)):
                    oldest = stream
                else:
                    blocked.append(stream)
        for stream in blocked:
            del lane[stream]
            self._blocked[stream.key.lane][stream] = None
        return oldest

    def _is_held_up(self, stream: Stream) -> bool:
        """Whether what comes next is a descriptor, and the client has enough of those."""
        parcel = stream.queue[0].parcel
        return parcel is not None and self._holding.passes(parcel) and self._holding.is_sated
