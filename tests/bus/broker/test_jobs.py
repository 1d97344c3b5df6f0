"""A job and what its publisher was promised."""

from __future__ import annotations

from daemoneye.bus.broker.jobs import Job, Letter, Opened, Pledge
from daemoneye.bus.frames import Answer
from tests.bus.support import Bus


def test_a_publish_is_as_large_as_its_messages_one_by_one() -> None:
    letter = Letter("a.b", "p")
    assert Opened(letter, (b"12", b"345"), 2).bytes == 5
    assert Job(1, b"345", letter, None).size == 3


def test_a_pledge_is_answered_with_how_many_took_it() -> None:
    pledge = Pledge(Bus().client("a").session, 7)
    pledge.subscribers = 2
    assert pledge.answer() == Answer(7, subscribers=2)
