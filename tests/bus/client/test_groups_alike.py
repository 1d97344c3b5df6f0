"""Groups as members and publishers use them, with both kinds of client, against a real broker."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from daemoneye.bus.client.answers import Receipt, Status
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.subscriber import Jobs
from daemoneye.bus.proto import events_pb2
from daemoneye.errors import (
    BackPressure,
    BusBroken,
    DeadlineExceeded,
    LocalProtocolError,
    NoResponder,
    Rejected,
)
from tests.bus.brokers import BrokerProcess, Running, broker_in_thread
from tests.bus.client.alike import Tasks, Threads
from tests.support import scaled, wait_for

JOBS = "control.demo.jobs"


def given(jobs: Jobs, count: int) -> list[Any]:
    """The next so many jobs."""
    found = []
    while len(found) < count:
        job = jobs.get(scaled(5))
        assert job is not None, f"only {len(found)} of {count} came"
        found.append(job)
    return found


def payloads(jobs: list[Any]) -> list[bytes]:
    return [bytes(each.payload) for each in jobs]


def handled(broker: Running) -> int:
    return broker.broker.router.statistics().handled


def test_members_share_and_acknowledge(broker: Running) -> None:
    with (
        broker.client("boss") as boss,
        broker.client("one") as one,
        broker.client("two") as two,
        one.subscribe(JOBS, group="workers") as first,
        two.subscribe(JOBS, group="workers") as second,
    ):
        boss.publish_many(JOBS, [b"%d" % n for n in range(10)])
        mine, others = given(first, 5), given(second, 5)
        assert sorted(payloads(mine) + payloads(others)) == [b"%d" % n for n in range(10)]
        assert {each.delivery_count for each in mine} == {1}
        assert mine[0].publisher.name == "boss"
        assert mine[0].lost == {}
        for each in mine + others:
            each.ack()
        wait_for(lambda: handled(broker) == 10, "all to be handled")
        assert one.counters().late == 0


def test_iterating_gives_jobs(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(JOBS, group="g", timeout=scaled(0.3)) as jobs:
        bus.publish_many(JOBS, [b"a", b"b"])
        for job in jobs:
            job.ack(timeout=scaled(5))
        assert handled(broker) == 2


def test_another_try_comes_with_its_count_and_a_rejection_is_told(broker: Running) -> None:
    with (
        broker.client() as bus,
        bus.subscribe("$bus.dead.+") as dead,
        bus.subscribe(JOBS, group="g") as jobs,
    ):
        bus.publish(JOBS, {"n": 1})
        (job,) = given(jobs, 1)
        job.retry()
        (again,) = given(jobs, 1)
        assert (again.json(), again.delivery_count) == ({"n": 1}, 2)
        again.extend(60)
        again.reject("no such n")
        letter = dead.get(scaled(5))
        assert letter is not None
        told = letter.unpack(events_pb2.DeadLetter)
        assert (told.group, told.reason, told.cause) == ("g", "rejected", "no such n")
        assert (told.payload, told.delivery_count) == (b'{"n":1}', 2)


def test_bad_input_a_job_is_settled_once_and_in_its_subscription(broker: Running) -> None:
    with broker.client() as bus:
        with bus.subscribe(JOBS, group="g") as jobs:
            bus.publish_many(JOBS, [b"a", b"b"])
            first, second = given(jobs, 2)
            first.ack(timeout=scaled(5))
            with pytest.raises(LocalProtocolError, match="it was acknowledged already"):
                first.ack()
            with pytest.raises(LocalProtocolError, match="it was acknowledged already"):
                first.extend(1)
        with pytest.raises(LocalProtocolError, match="its subscription is over"):
            second.ack()
        assert handled(broker) == 1
        assert bus.counters().late == 0


def test_what_the_broker_refuses_is_raised_or_counted(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe(JOBS, group="g") as jobs:
        bus.publish_many(JOBS, [b"a", b"b"])
        first, second = given(jobs, 2)
        for seconds, job in ((1e6, first), (1e6, second)):
            with pytest.raises(LocalProtocolError, match="are more than 600"):
                job.extend(seconds, timeout=scaled(5))
        first.extend(1e6)
        wait_for(lambda: bus.counters().refused == 1, "the notice")


def test_after_a_word_that_was_refused_comes_the_right_one(broker: Running) -> None:
    with (
        broker.client() as bus,
        bus.subscribe("$bus.dead.+") as dead,
        bus.subscribe(JOBS, group="g") as jobs,
    ):
        bus.publish_many(JOBS, [b"a", b"b"])
        first, second = given(jobs, 2)
        with pytest.raises(LocalProtocolError, match="are more than 600"):
            first.retry(1e6, timeout=scaled(5))
        first.ack(timeout=scaled(5))
        with pytest.raises(LocalProtocolError, match="is no number of seconds"):
            second.extend(10**400)
        second.reject("no such file: \udcff", timeout=scaled(5))
        letter = dead.get(scaled(5))
        assert letter is not None
        assert letter.unpack(events_pb2.DeadLetter).cause == "no such file: \\udcff"
        assert (handled(broker), bus.counters().late) == (1, 0)


def test_what_came_too_late_is_told(tidy: Path, kind: Threads | Tasks) -> None:
    with broker_in_thread(tidy, acknowledge_timeout=scaled(0.2)) as broker:
        broker.connect = kind.connect
        with broker.client() as bus, bus.subscribe(JOBS, group="g") as jobs:
            bus.publish(JOBS, b"a")
            (first,) = given(jobs, 1)
            (again,) = given(jobs, 1)  # after its time, as there is nobody else
            assert again.delivery_count == 2
            # By our clock or by the broker's, which began before it came to us.
            with pytest.raises(LocalProtocolError, match=r"its time (is|was) up"):
                first.ack(timeout=scaled(5))
            again.ack(timeout=scaled(5))
            assert handled(broker) == 1


def test_what_a_slow_member_has_not_begun_goes_to_who_is_free(broker: Running) -> None:
    with (
        broker.client("boss") as boss,
        broker.client("slow") as slow,
        broker.client("free") as free,
        slow.subscribe(JOBS, group="g") as waiting,
        free.subscribe(JOBS, group="g") as jobs,
    ):
        boss.publish_many(JOBS, [b"%d" % n for n in range(20)])
        (kept,) = given(waiting, 1)
        for _ in range(19):
            (job,) = given(jobs, 1)
            job.ack(timeout=scaled(5))
        kept.ack(timeout=scaled(5))
        assert handled(broker) == 20


def test_what_is_anothers_before_its_turn_is_not_handed_out(
    tidy: Path, kind: Threads | Tasks
) -> None:
    with broker_in_thread(tidy, acknowledge_timeout=scaled(0.5)) as broker:
        broker.connect = kind.connect
        with broker.client() as bus, bus.subscribe(JOBS, group="g", max_messages=64) as jobs:
            bus.publish_many(JOBS, [b"%d" % n for n in range(5)])
            (slow,) = given(jobs, 1)
            wait_for(lambda: not slow.hold.is_ours(time.monotonic()), "its time to be up")
            for job in given(jobs, 5):
                job.ack(timeout=scaled(5))
                assert job.delivery_count == 2
            assert handled(broker) == 5
            assert bus.counters().overdue == 4


def test_what_waits_here_when_a_member_ends_goes_to_another(broker: Running) -> None:
    with broker.client("one") as one, broker.client("two") as two:
        with one.subscribe(JOBS, group="g", max_messages=64) as first:
            one.publish_many(JOBS, [b"%d" % n for n in range(5)])
            given(first, 1)
            second = two.subscribe(JOBS, group="g")
        with second as jobs:
            found = given(jobs, 5)
            assert payloads(found) == [b"%d" % n for n in range(5)]
            for each in found:
                each.ack()
            wait_for(lambda: handled(broker) == 5, "all to be handled")


def test_a_member_knows_what_its_group_goes_by(broker: Running) -> None:
    with (
        broker.client() as bus,
        bus.subscribe(JOBS, group="g", choice="standby") as first,
        bus.subscribe(JOBS, group="g") as second,
        bus.subscribe(JOBS, group="h") as other,
    ):
        assert [each.choice for each in (first, second, other)] == [
            "standby",
            "standby",
            "least-in-flight",
        ]
        with pytest.raises(LocalProtocolError, match="goes by standby, not by by-key"):
            bus.subscribe(JOBS, group="g", choice="by-key")


def test_max_messages_is_how_much_is_in_hand(broker: Running) -> None:
    with (
        broker.client("one") as one,
        broker.client("two") as two,
        one.subscribe(JOBS, group="g", choice="standby", max_messages=1) as jobs,
        two.subscribe(JOBS, group="g") as idle,
    ):
        one.publish_many(JOBS, [b"%d" % n for n in range(5)])
        for number in range(5):
            (job,) = given(jobs, 1)
            assert bytes(job.payload) == b"%d" % number
            job.ack()
        assert idle.get(0) is None


def test_equal_keys_are_handled_in_their_order(broker: Running) -> None:
    with (
        broker.client("boss") as boss,
        broker.client("one") as one,
        one.subscribe(JOBS, group="g", choice="by-key") as jobs,
    ):
        for key in "abc":
            boss.publish_many(JOBS, [b"%s%d" % (key.encode(), n) for n in range(4)], key=key)
        seen: list[bytes] = []
        for _ in range(12):
            (job,) = given(jobs, 1)
            seen.append(bytes(job.payload))
            job.ack()
        for first in (b"a", b"b", b"c"):
            mine = [each for each in seen if each.startswith(first)]
            assert mine == [first + b"%d" % n for n in range(4)]
        with pytest.raises(LocalProtocolError, match="goes by a key"):
            boss.publish_confirmed(JOBS, b"x")


def test_at_least_once_waits_for_a_member(broker: Running) -> None:
    topic = "events.demo.jobs"
    with broker.client() as bus:
        with bus.subscribe(topic, group="g"):
            pass
        assert bus.publish_confirmed(topic, b"not").status is Status.NO_SUBSCRIBERS
        receipt = bus.publish_confirmed(topic, b"kept", guarantee="at-least-once")
        assert receipt == Receipt(Status.ACCEPTED, 1)
        bus.publish_many(topic, [b"more", b"of it"], guarantee="at-least-once")
        bus.publish(topic, b"last", guarantee="at-least-once")
        with bus.subscribe(topic, group="g") as jobs:
            found = given(jobs, 4)
            assert payloads(found) == [b"kept", b"more", b"of it", b"last"]


def test_a_receipt_waits_until_it_is_handled(broker: Running) -> None:
    with broker.client("boss") as boss, broker.client("worker") as worker:
        with pytest.raises(NoResponder):
            boss.publish_confirmed(JOBS, b"", until="handled")
        with worker.subscribe(JOBS, group="g") as jobs:
            outcome: list[object] = []

            def ask(payload: bytes) -> None:
                try:
                    outcome.append(boss.publish_confirmed(JOBS, payload, until="handled"))
                except Rejected as error:
                    outcome.append(error)

            for payload, settle in ((b"good", "ack"), (b"bad", "reject")):
                thread = threading.Thread(target=ask, args=(payload,))
                thread.start()
                (job,) = given(jobs, 1)
                assert len(outcome) == (payload == b"bad")
                getattr(job, settle)()
                thread.join(scaled(5))
            assert outcome[0] == Receipt(Status.HANDLED, 1)
            assert isinstance(outcome[1], Rejected)
            assert "the group g of control.demo.jobs" in str(outcome[1])


def test_a_wait_for_a_slow_group_says_that_the_message_goes_on(broker: Running) -> None:
    with broker.client("boss") as boss, broker.client("worker") as worker:
        with worker.subscribe(JOBS, group="g") as jobs:
            with pytest.raises(
                DeadlineExceeded, match=r"no word within 0\.2 s .* is handled"
            ) as late:
                boss.publish_confirmed(JOBS, b"slow", until="handled", timeout=0.2)
            assert "not taken back" in late.value.hint
            (job,) = given(jobs, 1)
            job.ack(timeout=scaled(5))
            assert (payloads([job]), handled(broker)) == ([b"slow"], 1)


def test_a_full_group_is_back_pressure_after_a_second(tidy: Path, kind: Threads | Tasks) -> None:
    with broker_in_thread(tidy, group_messages=2) as broker:
        broker.connect = kind.connect
        with broker.client() as bus:
            with bus.subscribe(JOBS, group="g"):
                pass
            for _ in range(2):
                bus.publish_confirmed(JOBS, b"x")
            began = time.monotonic()
            with pytest.raises(BackPressure, match="the group g of control"):
                bus.publish_confirmed(JOBS, b"x")
            assert time.monotonic() - began > 0.9


@pytest.mark.parametrize(
    ("filters", "options", "said"),
    [
        ((JOBS, "control.demo.more"), {"group": "g"}, "cannot share 2 filters"),
        ((JOBS,), {"group": "a.b"}, "cannot be the name of a group"),
        ((JOBS,), {"group": "g", "choice": "random"}, "'random' is no choice"),
        ((JOBS,), {"choice": "standby"}, 'a choice is for groups.*as in group="workers"'),
        ((JOBS,), {"group": "g", "overflow": "latest"}, "has no overflow of its own"),
        ((JOBS,), {"group": "g", "stage": "s"}, "has no selection of its own"),
    ],
)
def test_bad_input_what_a_group_cannot_be(
    broker: Running, filters: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    with broker.client() as bus:
        with pytest.raises(LocalProtocolError, match=said):
            bus.subscribe(*filters, **options)
        assert not bus.subscriptions()


def test_bad_input_what_a_publish_cannot_say(broker: Running) -> None:
    with broker.client() as bus:
        bad: list[dict[str, Any]] = [{"guarantee": "twice"}, {"key": "k" * 256}]
        for each in bad:
            with pytest.raises(LocalProtocolError):
                bus.publish(JOBS, b"", **each)
            with pytest.raises(LocalProtocolError):
                bus.publish_many(JOBS, [b""], **each)
            with pytest.raises(LocalProtocolError):
                bus.publish_confirmed(JOBS, b"", **each)
        with pytest.raises(LocalProtocolError, match="a receipt does not come"):
            bus.publish_confirmed(JOBS, b"", until="done")


def test_a_job_of_an_earlier_connection_is_not_acknowledged_on_a_new_one(
    process: BrokerProcess,
) -> None:
    with process.client() as bus, bus.subscribe(JOBS, group="g") as jobs:
        bus.publish_confirmed(JOBS, b"a")
        (job,) = given(jobs, 1)
        process.kill()
        process.start()
        wait_for(lambda: publishes(bus), "the connection to be back", within=10)
        with pytest.raises(LocalProtocolError, match="the connection it came on is lost"):
            job.ack()
        (other,) = given(jobs, 1)
        other.ack(timeout=scaled(5))
        assert other.lost == {}


def publishes(bus: BusClient) -> bool:
    """Whether there is a connection, and a member at its other end."""
    try:
        return bus.publish_confirmed(JOBS, b"b").subscribers == 1
    except BusBroken:
        return False
