"""Deliveries: runs joined for equal recipients, and who has to go for what it leaves unread."""

from __future__ import annotations

from daemoneye.bus.access import AccessList, Declared, Identity
from daemoneye.bus.broker.deliveries import GOODBYE, Deliveries, Ending, Joining
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.routes import Route
from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import Notice, Overflow, Pong, Subscribe, decode
from daemoneye.bus.limits import Limits
from daemoneye.framing import FrameCutter

NOW = 1


class Scene:
    """A directory with readers of `events.#`, and a publisher."""

    def __init__(self, **limits: float) -> None:
        self.directory = Directory(Limits.of(limits), AccessList())
        self.deliveries = Deliveries(self.directory)
        self.publisher = self.enter("publisher")

    def enter(self, name: str) -> Session:
        return self.directory.enter(Identity(name, "agent"), Declared(), NOW)

    def reader(
        self, name: str, overflow: Overflow = Overflow.DEFAULT, messages: int = 0
    ) -> Session:
        session = self.enter(name)
        self.directory.subscribe(session, Subscribe(1, "events.#", overflow, messages))
        return session

    def route(self, topic: str = "events.a") -> Route:
        route = Route()
        self.directory.find(route, self.publisher, topic)
        return route

    def deliver(self, size: int = 10, topic: str = "events.a") -> None:
        recipients = self.route(topic).recipients
        self.deliveries.deliver(recipients, b"x" * size, 1, ("publisher", topic))


def waiting(session: Session) -> list[bytes]:
    return [run.data for stream in session.outbox.streams.values() for run in stream.queue]


def last_words(session: Session) -> list[object]:
    data = b"".join(bytes(each) for each in session.take(1 << 16, NOW))
    return [decode(raw) for raw in FrameCutter(1 << 20).feed(data)]


def test_frames_are_joined_with_header_and_stamp() -> None:
    scene = Scene()
    reader = scene.reader("reader")
    joining = Joining(scene.deliveries, "publisher", b"!!")
    joining.add(scene.route(), b"abc", 1, "events.a")
    joining.add(scene.route("events.b"), b"de", 1, "events.b")
    joining.flush()
    joining.flush()
    assert waiting(reader) == [b"\0\0\0\x05abc!!\0\0\0\x04de!!"]
    assert scene.deliveries.dirty == {reader}


def test_a_run_is_closed_at_its_bound() -> None:
    scene = Scene()
    reader = scene.reader("reader", messages=8)
    joining = Joining(scene.deliveries, "publisher", b"")
    for _ in range(5):
        joining.add(scene.route(), b"x", 1, "events.a")
    joining.flush()
    assert [len(data) for data in waiting(reader)] == [10, 10, 5]


def test_frames_for_nobody_are_not_kept() -> None:
    scene = Scene()
    joining = Joining(scene.deliveries, "publisher", b"")
    joining.add(scene.route(), b"x", 1, "events.a")
    joining.flush()
    assert scene.deliveries.dirty == set()


def test_who_has_a_full_outbox_of_what_may_not_be_missed_is_cut_off_at_the_end() -> None:
    scene = Scene()
    strict = scene.reader("strict", Overflow.DISCONNECT, messages=1)
    patient = scene.reader("patient")
    for _ in range(3):
        scene.deliver()
    assert scene.deliveries.doomed == {}
    scene.deliveries.settle()
    assert list(scene.deliveries.doomed) == [strict]
    assert scene.deliveries.past.lost == {"disconnected": 3}
    (notice,) = last_words(strict)
    assert isinstance(notice, Notice)
    assert (notice.code, "events.#" in notice.detail) == ("cut-off", True)
    assert len(waiting(patient)) == 3


def test_the_greediest_pays_when_too_much_waits_for_all_together() -> None:
    run = 100 + RUN_OVERHEAD_BYTES
    scene = Scene(outbound_bytes=10 * run)
    greedy = scene.reader("greedy")
    for _ in range(9):
        scene.deliver(100)
    modest = scene.reader("modest")
    assert scene.directory.backlog.bytes == 9 * run
    scene.deliver(100)
    assert scene.directory.backlog.bytes == 9 * run
    scene.deliver(100)
    assert scene.directory.backlog.bytes == 9 * run  # a bit more than is needed
    assert (len(waiting(greedy)), len(waiting(modest))) == (7, 2)


def test_who_does_not_read_answers_is_cut_off() -> None:
    scene = Scene(urgent_bytes=20)
    session = scene.enter("silent")
    for number in range(10):
        scene.deliveries.tell(session, Pong(number))
    scene.deliveries.settle()
    assert "not read" in scene.deliveries.doomed[session].detail
    assert session not in scene.directory


def test_who_says_goodbye_gets_no_last_word() -> None:
    scene = Scene()
    session = scene.enter("polite")
    scene.deliveries.condemn(session, GOODBYE)
    scene.deliveries.settle()
    assert scene.deliveries.doomed == {session: GOODBYE}
    assert last_words(session) == []


def test_who_is_gone_already_is_not_cut_off() -> None:
    scene = Scene()
    session = scene.enter("gone")
    scene.deliveries.condemn(session, Ending("overflow", "some cause"))
    scene.deliveries.release(session, "gone")
    scene.deliveries.settle()
    assert scene.deliveries.doomed == {}


def test_who_has_too_many_streams_is_cut_off_and_told_why() -> None:
    scene = Scene()
    reader = scene.reader("greedy")
    scene.directory.overgrown[reader] = None
    scene.deliveries.settle()
    assert "overlapping filters" in scene.deliveries.doomed[reader].detail
    assert not scene.directory.overgrown
