"""Members of groups, what they are given, and the law of every group."""

from __future__ import annotations

from typing import Any

from daemoneye.bus.broker.statistics import Statistics
from daemoneye.bus.frames import Answer
from tests.bus.support import Bus, Client, Given

JOBS = "control.demo.jobs"
EVENTS = "events.demo.jobs"
SECOND = 1_000_000_000


def members(bus: Bus, count: int, **options: Any) -> list[Client]:
    """So many members of the group on JOBS."""
    found = [bus.client(f"member{number}") for number in range(count)]
    for each in found:
        assert not each.subscribe(JOBS, group="workers", **options).error
    return found


def law(bus: Bus) -> Statistics:
    """The law of every group, and what was counted."""
    for group in bus.router.directory.groups:
        work = group.work
        assert work.offered == (
            work.handled + work.lost.total() + group.waiting + group.in_flight
        ), group
        assert group.bytes >= 0
    found = bus.router.statistics()
    assert found.group_bytes == sum(group.bytes for group in bus.router.directory.groups)
    streams = [s for each in bus.router.directory for s in each.outbox.streams.values()]
    assert found.queued == sum(stream.messages for stream in streams)
    assert found.message(0.0).lost_total == sum(found.lost.values())  # it can be told
    return found


def error_of(client: Client) -> str:
    """The name of the error in the last answer."""
    answer = client.read()[-1]
    assert isinstance(answer, Answer)
    return answer.error


def payloads(given: list[Given]) -> list[bytes]:
    return [each.payload for each in given]
