"""Wishes for collectors that are not connected, on their way to the supervisor.  Pure.

A collector that is connected hears the wish itself and hands it on over its lifeline.  One that
is not (stopped, crashed) cannot, and "start" is a wish for just those.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemoneye.bus import hierarchy
from daemoneye.bus.frames import BadBody, Correlation, OuterFrame, envelopes
from daemoneye.errors import BackPressure, LocalProtocolError

WISH_TOPICS = (hierarchy.COLLECTOR_LIFECYCLE, hierarchy.COLLECTOR_CONFIG)


@dataclass(frozen=True, slots=True)
class HandedUp:
    """One wish."""

    topic: str
    """One of `WISH_TOPICS`."""
    target: str
    """The collector."""
    payload: bytes
    """The wish itself."""
    content_type: str
    """What the payload is."""
    publisher: str
    """The proven identity of who wishes."""
    correlation: Correlation | None
    """What an answer has to carry."""


def wishes_of(frame: OuterFrame, publisher: str, waiting: int, limit: int) -> list[HandedUp]:
    """The wishes of an admitted publish, when so many wait already of at most `limit`.

    Raises LocalProtocolError when its body is not what it claims, and BackPressure.
    """
    found = envelopes(frame)
    if isinstance(found, BadBody):
        raise LocalProtocolError(f"a wish for {frame.target} cannot be read: {found.reason}")
    if waiting + len(found) > limit:
        raise BackPressure(f"{waiting} wishes wait for the supervisor", hint="try again later")
    return [
        HandedUp(
            topic=each.topic,
            target=each.target,
            payload=bytes(each.payload),
            content_type=each.content_type,
            publisher=publisher,
            correlation=each.correlation,
        )
        for each in found
    ]
