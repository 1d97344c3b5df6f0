"""A job that nobody handled, as the bus is told of it.  Pure."""

from __future__ import annotations

from daemoneye.bus.broker.groups import Ended
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.bus.publishes import message_of
from daemoneye.bus.topics import MAX_CHARACTERS


def dead_letter(ended: Ended, room: int | None) -> pb.DeadLetter:
    """What is told of it; a payload that is larger than `room` is left out, and its size is not.

    Nor is it told to who may not read its topic, for whom there is no `room` at all, nor what else
    may quote it: its content type, and the cause, which is in a member's words.
    """
    job = ended.job
    message = message_of(job.frame)
    size = len(message.payload)
    fits = room is not None and size + len(message.content_type) <= room
    left_out = f"its payload of {size} bytes is left out"
    letter = pb.DeadLetter(
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
    if room is None:
        letter.content_type = ""
        letter.cause = f"it is told to who may read {job.letter.topic}"
    return letter
