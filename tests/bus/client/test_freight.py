"""Which way large payloads go: as descriptors while the broker takes them, else in chunks."""

from __future__ import annotations

import pytest

from daemoneye.bus.arrivals import CHUNK_BYTES, Arrivals
from daemoneye.bus.client.freight import MOST_PASSED, Freight, in_chunks, owning
from daemoneye.bus.client.outgoing import Apart, Course, set_apart
from daemoneye.bus.frames import Carriage, Chunk, Heading, OuterFrame, control_value, parse
from daemoneye.framing import FrameCutter

NOW = 1_700_000_000_000_000_000
PASSING = Carriage(True, 1000, 100)


def apart(content: bytes | memoryview = b"0123456789", request: int = 0) -> Apart:
    return set_apart(Course(Heading("events.demo.x"), [7]), content, NOW, request)


def freight(carriage: Carriage = PASSING) -> Freight:
    found = Freight()
    found.connected(carriage)
    return found


def frames(data: bytes, limit: int = 1 << 20) -> list[OuterFrame]:
    return [parse(raw) for raw in FrameCutter(limit).feed(data)]


def test_a_publish_that_is_set_apart_takes_its_sequence_and_says_its_size() -> None:
    course = Course(Heading("events.demo.x"), [7])
    frame = parse(set_apart(course, b"0123456789", NOW, request=3).frame)
    assert (frame.topic, frame.count, frame.sequence) == ("events.demo.x", 1, 7)
    assert (frame.large_bytes, frame.request, course.cell) == (10, 3, [8])


def test_a_publish_owns_the_descriptor_that_goes_with_it() -> None:
    (frame,) = frames(owning(apart()))
    assert (frame.descriptors, frame.large_bytes) == (1, 10)


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES])
def test_chunks_make_the_payload_and_the_publish_claims_them(size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    found = frames(b"".join(in_chunks(apart(content), 5, 1 << 20)))
    arrivals: Arrivals[None] = Arrivals(size)
    for each in found[:-1]:
        chunk = control_value(each)
        assert isinstance(chunk, Chunk)
        arrivals.add(chunk)
    publish = found[-1]
    assert (publish.descriptors, publish.parcel) == (0, 5)
    assert bytes(arrivals.collect(5, size) or b"") == content


def test_no_chunk_is_larger_than_the_broker_takes_a_frame() -> None:
    data = b"".join(in_chunks(apart(bytes(5000)), 5, 1000))
    assert len(frames(data, limit=1000)) == 7


def test_descriptors_go_where_they_travel() -> None:
    assert freight().may_pass(500, confirmed=0)
    assert not freight(Carriage(False, 1000, 100)).may_pass(500, confirmed=0)


def test_a_broker_that_takes_nothing_is_passed_so_much_and_no_more() -> None:
    here = freight()
    here.passed(600, sent=1)
    assert here.may_pass(400, confirmed=0)
    assert not here.may_pass(401, confirmed=0)
    assert here.may_pass(1000, confirmed=1)


def test_a_broker_that_takes_nothing_is_passed_so_many_and_no_more() -> None:
    here = freight()
    for number in range(MOST_PASSED):
        assert here.may_pass(1, confirmed=0)
        here.passed(1, sent=number + 1)
    assert not here.may_pass(1, confirmed=0)
    assert here.may_pass(1, confirmed=1)


def test_a_new_connection_has_nothing_on_its_way() -> None:
    here = freight()
    here.passed(1000, sent=1)
    here.connected(PASSING)
    assert here.may_pass(1000, confirmed=0)


def test_what_this_broker_does_not_take_is_refused() -> None:
    assert not freight(Carriage(False, 10, 1)).refuses(apart())
    assert freight(Carriage(False, 9, 1)).refuses(apart())
    assert freight(Carriage()).refuses(apart())


def test_numbers_are_never_used_again() -> None:
    here = freight()
    first = here.number()
    here.connected(PASSING)
    assert here.number() != first
