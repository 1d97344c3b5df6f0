"""Wills: what clients want said when they end without a word of their own."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule
from daemoneye.bus.broker import wills
from daemoneye.bus.broker.deliveries import Ending
from daemoneye.bus.frames import (
    LAST_SEQUENCE,
    Answer,
    Choice,
    Correlation,
    Envelope,
    Goodbye,
    Notice,
    Subscribe,
    Unsubscribe,
    Will,
)
from daemoneye.bus.limits import MAX_WILL_BYTES, Limits
from tests.bus.support import NOW, Bus, Client

GONE = "events.process.lifecycle"
WILL = Will(GONE, b"gone", "text/plain", request=7)


def later(bus: Bus, seconds: float = 0.0) -> None:
    """So much later the clock is looked at."""
    bus.router.clock.pass_time(seconds)
    if bus.router.clock.rings:
        bus.router.keep_time(NOW)


def heard(client: Client) -> list[Envelope]:
    return [each for each in client.read() if isinstance(each, Envelope)]


def causes(client: Client) -> list[str]:
    """Of the wills that came."""
    found = []
    for event in heard(client):
        assert event.correlation is not None
        assert event.correlation.stage == "will"
        found.append(dict(event.correlation.tags)["cause"])
    return found


def scene(**limits: float) -> tuple[Bus, Client, Client]:
    """Who listens, and who has left a will."""
    bus = Bus(**limits)
    watching, procmond = bus.client("watching"), bus.procmond()
    watching.subscribe("events.#")
    procmond.say(WILL)
    assert procmond.read() == [Answer(7)]
    return bus, watching, procmond


def test_b22_a_killed_client_has_its_will_said_with_the_true_cause() -> None:
    bus, watching, procmond = scene()
    procmond.publish(GONE, b"alive")
    bus.router.close(procmond.session)
    bus.router.end("procmond", 1, "signal:9")
    later(bus)
    alive, will = heard(watching)
    assert (will.topic, will.payload, will.content_type) == (GONE, b"gone", "text/plain")
    assert (will.publisher, will.sequence, will.time_ns) == (alive.publisher, 2, NOW)
    assert will.correlation == Correlation(stage="will", tags=(("cause", "signal:9"),))
    assert not will.retained
    later(bus, 10)
    assert heard(watching) == []
    statistics = bus.router.statistics()
    assert (statistics.published, len(bus.router.directory.wills)) == (2, 0)


def test_the_word_of_the_supervisor_may_come_before_the_connection_is_lost() -> None:
    bus, watching, _ = scene()
    bus.router.end("procmond", 1, "exit:1")
    later(bus)
    assert causes(watching) == ["exit:1"]


def test_b22_a_clean_end_says_nothing() -> None:
    bus, watching, procmond = scene()
    procmond.say(Goodbye())
    bus.router.end("procmond", 1, "exit:0")
    later(bus, 10)
    assert causes(watching) == []


def test_b22_who_comes_back_in_time_has_not_ended() -> None:
    bus, watching, procmond = scene()
    bus.router.close(procmond.session)
    later(bus, 1.9)
    back = bus.procmond()
    later(bus, 10)
    assert causes(watching) == []
    bus.router.close(back.session)  # it has not said its will again
    later(bus, 10)
    assert causes(watching) == []


def test_another_incarnation_is_not_the_same_client() -> None:
    bus, watching, procmond = scene()
    bus.router.close(procmond.session)
    bus.client("procmond", "collector", "process", incarnation=2)
    bus.client("watching")
    later(bus, 2)
    assert causes(watching) == ["disconnected"]


def test_a_will_waits_for_its_client_up_to_the_limit_and_no_longer() -> None:
    bus, watching, procmond = scene(will_timeout=0.5)
    bus.router.close(procmond.session)
    later(bus, 0.4)
    assert causes(watching) == []
    later(bus, 0.1)
    assert causes(watching) == ["disconnected"]


def test_of_a_process_that_has_ended_nothing_is_waited_for() -> None:
    bus, watching, procmond = scene()
    bus.router.close(procmond.session)
    assert bus.router.missing == [procmond.session]
    bus.router.bury(procmond.session, is_explained=False)
    later(bus, 0)
    assert causes(watching) == ["disconnected"]
    assert bus.router.missing == []
    bus.router.bury(procmond.session, is_explained=False)
    later(bus, 10)
    assert causes(watching) == []


def test_why_a_child_has_ended_is_waited_for() -> None:
    bus, watching, procmond = scene()
    bus.router.close(procmond.session)
    bus.router.bury(procmond.session, is_explained=True)
    later(bus, 0.1)
    assert causes(watching) == []
    bus.router.end("procmond", 1, "signal:9")
    later(bus, 0)
    assert causes(watching) == ["signal:9"]


def test_who_is_cut_off_has_its_will_said_with_the_reason() -> None:
    bus, watching, procmond = scene()
    bus.router.cut_off(procmond.session, Ending("heartbeat", "nothing came"))
    later(bus, 2)
    assert causes(watching) == ["heartbeat"]


def test_a_session_has_one_will_and_may_take_it_back() -> None:
    bus, watching, procmond = scene()
    procmond.say(Will("events.process.tree", b"other", request=8))
    bus.router.close(procmond.session)
    later(bus, 2)
    assert [each.topic for each in heard(watching)] == ["events.process.tree"]
    other = bus.procmond()
    other.say(WILL, Will(request=9), Will())
    assert other.read() == [Answer(7), Answer(9)]
    bus.router.close(other.session)
    later(bus, 2)
    assert heard(watching) == []


def test_a_will_may_be_retained() -> None:
    bus = Bus()
    source = bus.client("source")
    source.say(Will("events.demo.state", b"down", retain=True))
    source.publish("events.demo.state", b"up", retain=True)
    bus.router.end("source", 1, "signal:11")
    later(bus)
    watching = bus.client("watching")
    watching.say(Subscribe(1, "events.demo.#"))
    (event,) = heard(watching)
    assert (event.payload, event.retained, event.sequence) == (b"down", True, 2)


@pytest.mark.parametrize(
    ("will", "error"),
    [
        (Will("control.collector.lifecycle", b"", request=1), "AccessDenied"),
        (Will("events.network.lifecycle", b"", retain=True, request=1), "AccessDenied"),
        (Will("no topic", b"", request=1), "InvalidTopic"),
        (Will(GONE, bytes(MAX_WILL_BYTES + 1), request=1), "TooLarge"),
    ],
)
def test_b7_a_will_that_may_not_be_said_is_refused_and_the_one_before_stays(
    will: Will, error: str
) -> None:
    bus, watching, procmond = scene()
    procmond.say(will)
    (answer,) = procmond.read()
    assert isinstance(answer, Answer)
    assert answer.error == error
    bus.router.close(procmond.session)
    later(bus, 2)
    assert [each.payload for each in heard(watching)] == [b"gone"]


def test_a_refused_will_that_nobody_waits_for_is_told_by_a_notice() -> None:
    bus = Bus()
    procmond = bus.procmond()
    procmond.say(Will("control.admin.x", b""))
    (notice,) = (each for each in procmond.read() if isinstance(each, Notice))
    assert (notice.code, notice.topic) == ("denied", "control.admin.x")


def test_b8_a_will_whose_right_was_taken_away_is_not_said_and_counted() -> None:
    bus, watching, procmond = scene()
    deny = AccessRule("identity:procmond", "write-only", GONE, deny=True)
    bus.router.set_rules(Limits(), AccessList((deny,)))
    bus.router.close(procmond.session)
    later(bus, 2)
    assert heard(watching) == []
    assert bus.router.statistics().refused == {"denied": 1}


@pytest.mark.parametrize("topic", [GONE, "control.demo.gone"])
def test_a_will_has_no_key_and_is_lost_to_a_group_by_key_alone(topic: str) -> None:
    bus = Bus()
    watching, keyed, plain, last = (bus.client(name) for name in ("w", "keyed", "plain", "last"))
    assert not watching.subscribe(topic).error
    assert not keyed.subscribe(topic, group="keyed", choice=Choice.BY_KEY).error
    assert not plain.subscribe(topic, group="plain").error
    last.say(Will(topic, b"gone"))
    bus.router.end("last", 0, "signal:9")
    later(bus)
    assert causes(watching) == ["signal:9"]
    assert [each.payload for each in plain.jobs()] == [b"gone"]
    assert keyed.jobs() == []
    counted = bus.router.statistics()
    assert (counted.lost, counted.refused) == ({"no-key": 1}, {})


def test_a_will_below_control_waits_for_a_member_and_one_below_events_does_not() -> None:
    bus = Bus()
    worker = bus.client("worker")
    for number, topic in enumerate((GONE, "control.demo.gone"), 1):
        assert not worker.subscribe(topic, number, group="g").error
        worker.say(Unsubscribe(number))
        bus.client(f"last{number}").say(Will(topic, topic.encode()))
        bus.router.end(f"last{number}", 0, "signal:9")
    later(bus)
    worker.say(Subscribe(3, GONE, group="g"), Subscribe(4, "control.demo.gone", group="g"))
    assert [each.payload for each in worker.jobs()] == [b"control.demo.gone"]


def test_a_will_of_the_largest_size_is_kept() -> None:
    bus, watching, procmond = scene()
    procmond.say(Will(GONE, bytes(MAX_WILL_BYTES), request=1))
    assert procmond.read() == [Answer(1)]
    bus.router.close(procmond.session)
    later(bus, 2)
    assert [len(each.payload) for each in heard(watching)] == [MAX_WILL_BYTES]


@pytest.mark.parametrize("more", [0, 1])
def test_the_content_type_of_a_will_counts_with_its_payload(more: int) -> None:
    _, _, procmond = scene()
    half = MAX_WILL_BYTES // 2
    procmond.say(Will(GONE, bytes(half), "t" * (half + more), request=3))
    assert [each.error for each in procmond.read() if isinstance(each, Answer)] == (
        ["TooLarge"] if more else [""]
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_bad_input_there_is_no_number_for_a_will_behind_the_last_one(count: int) -> None:
    bus, watching, procmond = scene()
    procmond.publish(GONE, b"first")  # what comes next here is not looked at closely
    procmond.sequences[GONE] = LAST_SEQUENCE - 1
    procmond.publish(GONE, *[b"last"] * count)
    assert len(heard(watching)) == 1 + count
    bus.router.close(procmond.session)
    later(bus, 3)
    assert heard(watching) == []
    assert bus.router.statistics().refused == {"senseless": 1}


def test_when_very_many_wait_the_oldest_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wills, "WAITING_AT_MOST", 2)
    bus = Bus()
    watching = bus.client("watching")
    watching.subscribe("events.#")
    for name in ("a", "b", "c"):
        client = bus.client(name)
        client.say(Will("events.demo.gone", name.encode()))
        bus.router.close(client.session)
    later(bus)
    assert [each.payload for each in heard(watching)] == [b"a"]
    later(bus, 2)
    assert [each.payload for each in heard(watching)] == [b"b", b"c"]


def test_of_one_identity_its_own_oldest_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wills, "WAITING_AT_MOST", 3)
    monkeypatch.setattr(wills, "WAITING_OF_ONE", 2)
    bus = Bus()
    watching = bus.client("watching")
    watching.subscribe("events.#")
    for incarnation, name in enumerate(("innocent", "many", "many", "many", "many"), 1):
        client = bus.client(name, incarnation=incarnation)
        client.say(Will("events.demo.gone", f"{name} {incarnation}".encode()))
        bus.router.close(client.session)
    later(bus)
    assert [each.payload for each in heard(watching)] == [b"many 2", b"many 3"]
    later(bus, 2)
    assert [each.payload for each in heard(watching)] == [b"innocent 1", b"many 4", b"many 5"]


def test_of_many_that_are_due_some_are_sent_in_the_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wills, "SENT_AT_ONCE", 2)
    bus = Bus()
    watching = bus.client("watching")
    watching.subscribe("events.#")
    for name in ("a", "b", "c"):
        client = bus.client(name)
        client.say(Will("events.demo.gone", name.encode()))
        bus.router.close(client.session)
    later(bus, 2)
    assert [each.payload for each in heard(watching)] == [b"a", b"b"]
    later(bus)
    assert [each.payload for each in heard(watching)] == [b"c"]
    assert not bus.router.clock.rings
