"""What both writers keep: where it waits, what it counts, and what a new connection changes."""

from __future__ import annotations

from dataclasses import replace

from daemoneye.bus.client.notices import Notices
from daemoneye.bus.client.outbound import Outbound
from daemoneye.bus.client.outgoing import Apart, seal
from daemoneye.bus.frames import Carriage, Notice, Ping, Will, encode
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.framing import pack

TICK = "events.demo.tick"
LIMITS = Limits(subscription_messages=2)
LARGE = Apart(b"publish", bytes(2000))


def test_what_is_in_the_draft_and_in_the_box_waits_and_what_falls_out_is_dropped() -> None:
    outbound = Outbound(LIMITS)
    course = outbound._courses.find(TICK, "", "")
    for number in range(3):
        outbound._box.put(seal(course, [b"%d" % number], [0]))
    outbound._draft.add(course, b"1", 1 << 62)
    outbound._draft.add(course, b"2", (1 << 62) + 1)
    outbound._draft.add(course, b"3", (1 << 62) + 2)
    assert (outbound.waiting, outbound.dropped) == (4, 1)


def test_counters_are_its_own_with_what_the_broker_told() -> None:
    outbound, notices = Outbound(LIMITS), Notices()
    outbound.tally.sent = 5
    outbound.retaining.forgotten = 2
    notices.take(Notice("denied", TICK, "no"))
    notices.pass_over(TICK)
    counters = outbound.counters(notices)
    assert (counters.published, counters.denied, counters.forgotten) == (5, 1, 2)
    assert (counters.overdue, counters.waiting, counters.dropped) == (1, 0, 0)


def test_a_connection_begins_with_all_that_is_said_first_in_one_piece() -> None:
    outbound = Outbound(LIMITS)
    first = [Ping(1), Ping(2)]
    said = outbound._begin(first, 5000, NO_CARRIAGE)
    assert said == b"".join(pack(encode(each)) for each in first)
    assert outbound.frame_limit == 5000


def test_a_will_may_have_taken_the_next_number_of_its_topic() -> None:
    outbound = Outbound(LIMITS)
    course = outbound._courses.find(TICK, "", "")
    before = course.cell[0]
    outbound._begin([Will(TICK, b"gone"), Will()], 5000, NO_CARRIAGE)
    assert course.cell[0] == before + 1


def test_what_this_broker_never_takes_is_dropped_and_counted() -> None:
    outbound = Outbound(replace(LIMITS, large_from_bytes=1000))
    outbound._begin([], 5000, Carriage(False, 4000, 1000))
    assert not outbound._refuses(LARGE)
    assert outbound.dropped == 0
    outbound._begin([], 5000, NO_CARRIAGE)
    assert outbound._refuses(LARGE)
    assert outbound.dropped == 1
