"""Wishes for collectors that are not connected, on their way to the supervisor.  Pure.

A collector that is connected hears the wish itself and hands it on over its lifeline.  One that
is not (stopped, crashed) cannot, and "start" is a wish for just those.
"""

from __future__ import annotations

from collections import deque
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


def hand_up(wishes: deque[HandedUp], frame: OuterFrame, publisher: str, limit: int) -> None:
    """Add the wishes of an admitted publish; at most `limit` may wait.

    Raises LocalProtocolError when its body is not what it claims, and BackPressure.
    """
    found = envelopes(frame)
    if isinstance(found, BadBody):
        raise LocalProtocolError(f"a wish for {frame.target} cannot be read: {found.reason}")
    if len(wishes) + len(found) > limit:
        raise BackPressure(f"{len(wishes)} wishes wait for the supervisor", hint="try again later")
    wishes.extend(
        HandedUp(
            topic=each.topic,
            target=each.target,
            payload=bytes(each.payload),
            content_type=each.content_type,
            publisher=publisher,
            correlation=each.correlation,
        )
        for each in found
    )
