"""A job that nobody handled, as the bus is told of it.  Pure."""

from __future__ import annotations

from daemoneye.bus.broker.groups import Ended
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.bus.publishes import message_of
from daemoneye.bus.topics import MAX_CHARACTERS


def dead_letter(ended: Ended, room: int | None) -> pb.DeadLetter:
    """What is told of it; a payload that is larger than `room` is left out, and its size is not.

    Nor is it told to who may not read its topic, for whom there is no `room` at all.
    """
    job = ended.job
    message = message_of(job.frame)
    size = len(message.payload)
    fits = room is not None and size + len(message.content_type) <= room
    left_out = f"its payload of {size} bytes is left out"
    if room is None:
        left_out = f"its payload is left out for who may not read {job.letter.topic}"
    return pb.DeadLetter(
        group=ended.group.name,
        filter=ended.group.filter.text,
        topic=job.letter.topic,
        payload=message.payload if fits else b"",
        payload_bytes=size,
        content_type=message.content_type[:MAX_CHARACTERS],
        publisher=job.letter.publisher,
        sequence=message.sequence,
        time=message.time,
        delivery_count=job.count,
        reason=ended.reason,
        cause=ended.cause if fits else f"{ended.cause} ({left_out})",
    )
