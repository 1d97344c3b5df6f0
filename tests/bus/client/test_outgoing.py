"""From publishes to frames: what joins, when it is time to write, sequences, and the outage box."""

from __future__ import annotations

import pytest

from daemoneye.bus.client import outgoing
from daemoneye.bus.client.outgoing import (
    FRAME_TARGET_BYTES,
    FRAME_TARGET_MESSAGES,
    JOIN_WITHIN_NS,
    Apart,
    Course,
    Courses,
    Draft,
    OutageBox,
    Sealed,
    in_frames,
    seal,
    set_apart,
)
from daemoneye.bus.frames import Carriage, Envelope, Heading, decode
from daemoneye.errors import InvalidTopic, TooLarge
from daemoneye.framing import FrameCutter

NOW = 1_700_000_000_000_000_000
TICK = "events.demo.tick"


def course(courses: Courses | None = None, topic: str = TICK, target: str = "") -> Course:
    return (courses or Courses()).find(topic, "", target)


def envelopes_of(sealed: Sealed | None) -> list[Envelope]:
    assert sealed is not None
    (raw,) = FrameCutter(1 << 20).feed(sealed.data)
    found = decode(raw)
    assert isinstance(found, list)
    return found


def test_a_publish_that_comes_alone_is_written_at_once() -> None:
    draft = Draft(1 << 20)
    assert draft.add(course(), b"1", NOW)


def test_publishes_that_follow_closely_wait_for_company() -> None:
    draft, way = Draft(1 << 20), course()
    draft.add(way, b"1", NOW)
    assert not draft.add(way, b"2", NOW + JOIN_WITHIN_NS)
    assert not draft.add(way, b"3", NOW + 2 * JOIN_WITHIN_NS)
    sealed = draft.add(way, b"4", NOW + 3 * JOIN_WITHIN_NS + 1)
    assert [(e.payload, e.sequence) for e in envelopes_of(sealed)] == [
        (b"2", 2),
        (b"3", 3),
        (b"4", 4),
    ]
    assert len(draft) == 0


def test_a_frame_is_full_at_its_messages() -> None:
    draft, way = Draft(1 << 20), course()
    draft.add(way, b"alone", NOW)
    sealed = [draft.add(way, b"", NOW) for _ in range(FRAME_TARGET_MESSAGES)]
    assert sealed[:-1] == [None] * (FRAME_TARGET_MESSAGES - 1)
    assert len(envelopes_of(sealed[-1])) == FRAME_TARGET_MESSAGES


def test_a_frame_is_full_at_its_bytes() -> None:
    draft, way = Draft(1 << 20), course()
    draft.add(way, b"", NOW)
    assert not draft.add(way, bytes(FRAME_TARGET_BYTES // 2), NOW)
    assert len(envelopes_of(draft.add(way, bytes(FRAME_TARGET_BYTES // 2), NOW))) == 2


def test_only_what_goes_the_same_way_joins() -> None:
    courses, draft = Courses(), Draft(1 << 20)
    ways = [courses.find(TICK, "", ""), courses.find(TICK, "", "a"), courses.find(TICK, "t", "")]
    assert draft.fits(ways[0])
    draft.add(ways[0], b"", NOW)
    draft.add(ways[0], b"", NOW)
    assert [draft.fits(way) for way in ways] == [True, False, False]


def test_sequences_belong_to_the_topic_whatever_else_differs() -> None:
    courses = Courses()
    ways = [
        courses.find(TICK, "", ""),
        courses.find(TICK, "", "a"),
        courses.make(Heading(TICK, expires_at=NOW)),
        courses.find("events.other", "", ""),
    ]
    found = [envelopes_of(seal(way, [b"x", b"y"], [NOW, NOW]))[0].sequence for way in ways]
    assert found == [1, 3, 5, 1]


def test_a_topic_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(InvalidTopic):
        Courses().find("events.*", "", "")


def test_the_largest_payload_makes_the_largest_frame_and_one_more_is_too_large() -> None:
    draft, way = Draft(10_000), course()
    largest = 10_000 - way.room
    assert draft.takes(way, largest)
    sealed = draft.add(way, bytes(largest), NOW)
    assert sealed is not None
    assert len(sealed.data) - 4 <= 10_000
    with pytest.raises(TooLarge, match=f"the broker takes {largest}"):
        draft.takes(way, largest + 1)


def test_many_courses_are_forgotten_and_sequences_still_rise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing, "COURSES", 4)
    monkeypatch.setattr(outgoing, "SEQUENCES", 8)
    courses = Courses()
    last: dict[str, int] = {}
    for turn in range(100):
        topic = f"events.t{turn % 11}"
        (event,) = envelopes_of(seal(courses.find(topic, "", ""), [b""], [NOW]))
        assert event.sequence > last.get(topic, 0)
        last[topic] = event.sequence
    assert len(courses._found) <= 4
    assert len(courses._cells) <= 8


@pytest.mark.parametrize(("size", "messages"), [(0, 256), (256, 188), (50 << 10, 1), (1 << 20, 1)])
def test_full_frames_of_many(size: int, messages: int) -> None:
    payloads = [bytes(size)] * 600
    parts = list(in_frames(payloads))
    assert [payload for part in parts for payload in part] == payloads
    assert {len(part) for part in parts[:-1]} == {messages}


def test_nothing_is_in_no_frame() -> None:
    assert list(in_frames([])) == []


# ---- the outage box -----------------------------------------------------------------------------


def test_the_box_gives_back_in_order() -> None:
    box = OutageBox(10, 1000)
    for text in (b"1", b"2"):
        box.put(Sealed(text, 1))
    first = box.take()
    box.put_back(first)
    assert [box.take() for _ in range(2)] == [Sealed(b"1", 1), Sealed(b"2", 1)]
    assert (len(box), box.dropped) == (0, 0)


def test_the_oldest_goes_when_there_are_too_many() -> None:
    box = OutageBox(3, 1000)
    for number in range(5):
        box.put(Sealed(b"%d" % number, 1))
    assert (len(box), box.dropped, box.take()) == (3, 2, Sealed(b"2", 1))


def test_the_oldest_goes_when_they_are_too_large() -> None:
    box = OutageBox(100, 10)
    for _ in range(3):
        box.put(Sealed(b"12345", 2))
    assert (len(box), box.dropped) == (4, 2)


def test_what_would_not_fit_alone_costs_nothing_but_itself() -> None:
    box = OutageBox(10, 100)
    box.put(Sealed(b"1", 1))
    box.put(Apart(b"frame", bytes(96)))
    assert (len(box), box.dropped) == (1, 1)
    box.put(Apart(b"frame", bytes(94)))
    assert (len(box), box.dropped) == (2, 1)
    box.put(Sealed(b"2", 1))
    assert (len(box), box.dropped) == (2, 2)


def test_what_somebody_waits_for_is_not_kept() -> None:
    box = OutageBox(10, 100)
    course = Courses().make(Heading("events.demo.tick"))
    for asked in (seal(course, [b"1"], [1], request=7), set_apart(course, b"2", 1, request=8)):
        box.put(asked)
        box.put_back(asked)
    assert (len(box), box.dropped) == (0, 0)
    box.put(seal(course, [b"3"], [1]))
    box.put_back(set_apart(course, b"4", 1))
    assert (len(box), box.dropped) == (2, 0)


def test_what_is_kept_is_what_it_was() -> None:
    box, content = OutageBox(10, 100), bytearray(b"before")
    box.put(Apart(b"frame", memoryview(content)))
    content[:] = b"after!"
    kept = box.take()
    assert isinstance(kept, Apart)
    assert kept.content == b"before"


# ---- large payloads -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "in_frame"), [(0, True), (999, True), (1000, False), (1001, False), (5000, False)]
)
def test_what_is_large_goes_apart_from_its_frame(size: int, in_frame: bool) -> None:
    draft = Draft(10_000, Carriage(False, 5000, 1000))
    assert draft.takes(course(), size) is in_frame


def test_what_is_small_for_a_payload_and_large_for_a_frame_goes_apart() -> None:
    way = course()
    draft = Draft(500, Carriage(False, 5000, 1000))
    assert draft.takes(way, 500 - way.room)
    assert not draft.takes(way, 501 - way.room)


def test_a_payload_at_the_limit_is_taken_and_one_past_it_is_too_large() -> None:
    draft = Draft(10_000, Carriage(False, 5000, 1000))
    assert not draft.takes(course(), 5000)
    with pytest.raises(TooLarge, match="the broker takes 5000"):
        draft.takes(course(), 5001)


def test_a_heading_that_fits_into_no_frame_is_too_large() -> None:
    way = course()
    with pytest.raises(TooLarge):
        Draft(way.room - 1, Carriage(False, 5000, 1000)).takes(way, 10)


def test_many_are_made_ready_in_order_and_only_the_large_ones_go_apart() -> None:
    draft, courses = Draft(1 << 20, Carriage(True, 100_000, 1000)), Courses()
    sizes = [10, 10, 2000, 3000, *[10] * 300, 1000]
    ready = list(draft.ready(course(courses), [bytes(size) for size in sizes], NOW))
    shapes = [(type(each), each.messages) for each in ready]
    assert shapes == [(Sealed, 2), (Apart, 1), (Apart, 1), (Sealed, 256), (Sealed, 44), (Apart, 1)]
    (following,) = envelopes_of(seal(course(courses), [b""], [NOW]))
    assert following.sequence == len(sizes) + 1


def test_what_is_made_ready_takes_its_sequences_when_it_is_asked_for() -> None:
    draft, courses = Draft(1 << 20), Courses()
    ready = draft.ready(course(courses), [b""] * 300, NOW)
    first = next(ready)
    (between,) = envelopes_of(seal(course(courses), [b""], [NOW]))
    second = next(ready)
    assert isinstance(first, Sealed)
    assert isinstance(second, Sealed)
    assert envelopes_of(first)[-1].sequence + 1 == between.sequence
    assert envelopes_of(second)[0].sequence == between.sequence + 1
    assert list(ready) == []
