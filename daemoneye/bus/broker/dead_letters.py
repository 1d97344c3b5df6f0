"""A job that nobody handled, as the bus is told of it.  Pure."""

from __future__ import annotations

from daemoneye.bus.broker.groups import Ended
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.bus.publishes import message_of


def dead_letter(ended: Ended, room: int) -> pb.DeadLetter:
    """What is told of it; a payload that is larger than `room` is left out, and its size is not."""
    job = ended.job
    message = message_of(job.frame)
    size = len(message.payload)
    fits = size <= room
    return pb.DeadLetter(
        group=ended.group.name,
        filter=ended.group.filter.text,
        topic=job.letter.topic,
        payload=message.payload if fits else b"",
        payload_bytes=size,
        content_type=message.content_type,
        publisher=job.letter.publisher,
        sequence=message.sequence,
        time=message.time,
        delivery_count=job.count,
        reason=ended.reason,
        cause=ended.cause if fits else f"{ended.cause} (its payload of {size} bytes is left out)",
    )
