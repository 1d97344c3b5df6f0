"""A client's outbox while its connection is lost, and when there is another.  Pure.

What was written and has not come goes back to the front of its stream, as if it had never been
written, so everything that holds for what waits holds for it: its order, its rights, its place in
the accounts.  Each is asked once more whether the client may receive it.  What cannot be sent
again, because it went ahead of its frame, is lost and told.
"""

from __future__ import annotations

from collections.abc import Callable

from daemoneye.bus.broker.outbox import Outbox
from daemoneye.bus.broker.runs import Run
from daemoneye.bus.broker.shares import drop_large
from daemoneye.bus.broker.streams import Stream
from daemoneye.bus.broker.unreceived import Sent, Telling, part_of


def detach(outbox: Outbox) -> None:
    """The connection is lost, and the session waits for another; large payloads do not."""
    drop_large(outbox)
    outbox.detach()


def recover(outbox: Outbox, received: int, may_receive: Callable[[str], bool]) -> bool:
    """There is another connection, over which `received` messages of the session need not go.

    Whether all that has not come is sent again, or told as lost.
    """
    outbox.is_away = False
    recovery = outbox.sending.recover(received)
    begun = recovery.begun
    again: dict[Stream, list[Run]] = {}
    for sent, was_delivered in recovery.sent:
        stream = _stream_of(sent)
        came, begun = (begun, 0) if sent.run is not None else (0, begun)
        if stream is None or outbox.streams.get(stream.key) is not stream:
            continue  # nobody wants it any more
        runs = again.setdefault(stream, [])
        if isinstance(sent.data, Telling):
            stream.retell(sent.data.lost)
        elif sent.run is not None:
            left = _reclaimed(stream, sent.run, came, was_delivered, may_receive)
            if left is not None:
                runs.append(left)
    for stream, runs in again.items():
        outbox.put_first(stream, runs)
    return recovery.complete


def _stream_of(sent: Sent) -> Stream | None:
    return sent.data.stream if isinstance(sent.data, Telling) else sent.stream


def _reclaimed(
    stream: Stream, run: Run, came: int, was_delivered: bool, may_receive: Callable[[str], bool]
) -> Run | None:
    """What has to be sent again of one run, all of it being counted."""
    if was_delivered:
        stream.reclaim(run)
    if run.parcel is not None:
        stream.abandon(run)
        return None
    part = part_of(run, came, may_receive)
    stream.shorten(run, *part)
    return part.run
