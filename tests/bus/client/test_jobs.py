"""A job is an envelope, with words that are passed on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemoneye.bus.client.jobs import AsyncJob, Job, in_time
from daemoneye.bus.client.work import Hold
from daemoneye.bus.envelope import NO_LOSS, Envelope, Header, Publisher
from daemoneye.bus.frames import Settling

HEADER = Header("a.b", Publisher("me", "agent", 1, 1), "", "", None, 0, 0)
EVENT = Envelope((b"payload", 5, 3, HEADER, NO_LOSS))

SAID: list[tuple[str, dict[str, Any], tuple[object, ...]]] = [
    ("ack", {}, (Settling.ACK, 0.0, "", None)),
    ("retry", {"delay": 2.0}, (Settling.RETRY, 2.0, "", None)),
    ("reject", {"reason": "no", "timeout": 1.0}, (Settling.REJECT, 0.0, "no", 1.0)),
    ("extend", {"seconds": 9.0}, (Settling.EXTEND, 9.0, "", None)),
]


class Place:
    connection = 1

    def wants(self, subscription: int) -> bool:
        return True


HOLD = Hold(7, 2, Place(), 1)


@pytest.mark.parametrize(("word", "given", "passed"), SAID)
def test_each_word_is_passed_on(
    word: str, given: dict[str, Any], passed: tuple[object, ...]
) -> None:
    heard: list[tuple[object, ...]] = []
    job = Job.of(EVENT, HOLD, lambda *said: heard.append(said))
    getattr(job, word)(**given)
    assert heard == [(HOLD, *passed)]


@pytest.mark.parametrize(("word", "given", "passed"), SAID)
def test_so_it_is_for_tasks(word: str, given: dict[str, Any], passed: tuple[object, ...]) -> None:
    heard: list[tuple[object, ...]] = []

    async def tell(*said: object) -> None:
        heard.append(said)

    asyncio.run(getattr(AsyncJob.of(EVENT, HOLD, tell), word)(**given))
    assert heard == [(HOLD, *passed)]


@pytest.mark.parametrize("kind", [Job, AsyncJob])
def test_it_is_an_envelope_and_stays_a_job(kind: type[Job] | type[AsyncJob]) -> None:
    job = kind.of(EVENT, HOLD, None)
    assert (job.payload, job.topic, job.sequence, job.delivery_count) == (b"payload", "a.b", 3, 2)
    other = job.carrying(b"other").after({"overflow": 1})
    assert (type(other), other.payload, other.lost) == (kind, b"other", {"overflow": 1})
    assert (other.hold, other.delivery_count) == (HOLD, 2)
    assert repr(other) == f"<{kind.__name__} a.b #3 from me, try 2>"


def test_what_is_anothers_by_now_is_passed_over() -> None:
    jobs = [Job.of(EVENT, Hold(number, 1, Place(), 1, 30.0), None) for number in (1, 2, 3)]
    for job, came_at in zip(jobs, (100.0, 90.0, 110.0), strict=True):
        job.hold.begin(came_at)
    passed_over: list[Job] = []
    assert [*in_time(jobs, 125.0, passed_over.append)] == [jobs[0], jobs[2]]
    assert passed_over == [jobs[1]]
