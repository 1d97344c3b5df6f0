"""A client's share of the room for large payloads: what has to go when more waits for it.  Pure.

Runs with large payloads are dropped apart from the others: an outbox with thousands of small events
does not lose them because of a few large ones, nor the other way round.
"""

from __future__ import annotations

from daemoneye.bus.broker.outbox import Outbox
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.streams import DISCONNECTED, OVERFLOW, OVERSIZE, Stream
from daemoneye.bus.frames import Overflow
from daemoneye.bus.limits import Limits


def offer_large(outbox: Outbox, stream: Stream, run: Run, limits: Limits) -> str:
    """Queue a run whose payload goes ahead of it; why the client has to go, or ""."""
    holding, parcel = outbox.holding, run.parcel
    assert parcel is not None
    # A stream takes no run that is past its bounds alone: then nobody would let go of the parcel.
    if outbox.is_away:
        outbox.refuse(stream, run, DISCONNECTED)
        return ""
    if parcel.size > holding.carriage.max_payload_bytes or len(run.data) > stream.max_bytes:
        outbox.refuse(stream, run, OVERSIZE)
        return ""
    holding.take(parcel)
    cause = outbox.offer(stream, run, limits)
    while not cause and holding.is_over:
        shed = shed_large(outbox)
        if shed is None:
            break
        cause = shed
    return cause


def shed_large(outbox: Outbox) -> str | None:
    """Drop a run with a large payload, events before control, as the policy of its stream says.

    Why the client has to go instead, or ""; None when none waits that is not begun.
    """
    outbox.credited()
    found = [
        (-stream.key.lane, run.number, stream, run)
        for stream in outbox.streams.values()
        for run in stream.queue
        if run.parcel is not None
    ]
    if not found:
        return None
    _, _, stream, run = min(found)
    if stream.policy is Overflow.DISCONNECT:
        return f"{len(outbox.holding.waiting)} large payloads wait for this client"
    if stream.policy is Overflow.DROP_NEWEST:
        run = max(each[3] for each in found if each[2] is stream)
    stream.lose(run, OVERFLOW)
    return ""


def drop_large(outbox: Outbox) -> None:
    """The client has to go: of what it holds only what is being written stays until then."""
    for stream in outbox.streams.values():
        for run in [each for each in stream.queue if each.parcel is not None]:
            stream.lose(run, DISCONNECTED)
    outbox.holding.leave()
