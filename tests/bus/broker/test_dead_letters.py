"""What is told of a job that nobody handled."""

from __future__ import annotations

import pytest

from daemoneye.bus.broker.dead_letters import dead_letter
from daemoneye.bus.broker.group import Group
from daemoneye.bus.broker.groups import Ended
from daemoneye.bus.broker.jobs import REJECTED, Job, Letter
from daemoneye.bus.frames import Choice, Heading, encode_publish
from daemoneye.bus.topics import TopicFilter


@pytest.mark.parametrize(("room", "fits"), [(6, True), (5, False)])
def test_a_payload_is_told_up_to_a_size_and_its_size_always(room: int, fits: bool) -> None:
    raw = encode_publish(Heading("a.b", content_type="t"), [b"12345"], [77], 9)
    job = Job(1, raw, Letter("a.b", "who", "k"), None)
    job.count = 3
    group = Group("g", TopicFilter("a.#"), Choice.STANDBY, 0.0)
    told = dead_letter(Ended(group, job, REJECTED, "because"), room)
    assert (told.group, told.filter, told.topic, told.publisher) == ("g", "a.#", "a.b", "who")
    assert (told.sequence, told.time, told.content_type) == (9, 77, "t")
    assert (told.delivery_count, told.reason, told.payload_bytes) == (3, "rejected", 5)
    assert told.payload == (b"12345" if fits else b"")
    assert told.cause == ("because" if fits else "because (its payload of 5 bytes is left out)")
