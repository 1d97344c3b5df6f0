"""Notices: all are counted, each topic and code is remarked on once."""

from __future__ import annotations

import logging

from daemoneye.bus.client.notices import (
    KNOWN,
    OTHERS,
    REFUSALS_UNTIL_TOLD,
    Notices,
    Refusals,
    Remark,
    Weight,
)
from daemoneye.bus.envelope import BadBody, Publisher
from daemoneye.bus.frames import Notice
from daemoneye.errors import Refused

PUBLISHER = Publisher("x", "worker", 1, 1)


def test_all_are_counted_and_each_topic_is_remarked_on_once() -> None:
    notices = Notices()
    said = [notices.take(Notice("denied", topic, "no", "the rule")) for topic in ("a", "a", "b")]
    assert said == [
        Remark("broker: denied a: no (the rule)"),
        None,
        Remark("broker: denied b: no (the rule)"),
    ]
    assert notices.counts == {"denied": 3}


def test_a_body_that_cannot_be_read_is_remarked_on_with_its_publisher() -> None:
    notices = Notices()
    body = BadBody("a", PUBLISHER, 3, "rubbish")
    assert notices.take_unreadable(body) == Remark("3 messages of x on a are unreadable: rubbish")
    assert notices.take_unreadable(body) is None
    assert notices.counts == {"unreadable": 2, "unreadable of x": 2}


def test_each_publisher_of_rubbish_is_named() -> None:
    notices = Notices()
    publishers = [Publisher(name, "worker", 1, 1) for name in ("x", "y", "x")]
    said = [notices.take_unreadable(BadBody("a", each, 3, "rubbish")) for each in publishers]
    assert [each is not None for each in said] == [True, True, False]
    assert notices.counts == {"unreadable": 3, "unreadable of x": 2, "unreadable of y": 1}


def test_jobs_that_are_passed_over_are_counted_and_told_once_for_each_topic() -> None:
    notices = Notices()
    said = [notices.pass_over(topic) for topic in ("a", "a", "b")]
    assert [each is not None for each in said] == [True, False, True]
    assert notices.overdue == 3


def test_nothing_a_broker_says_speaks_to_the_terminal() -> None:
    evil = "a\x1b[2J\r\n\u202e"
    notices = Notices()
    said = [
        notices.take(Notice(evil, evil, evil * 1000, evil)),
        notices.take_unreadable(BadBody(evil, Publisher(evil * 1000, evil, 1, 1), 3, "rubbish")),
    ]
    for each in said:
        assert each is not None
        assert each.text.isprintable()
        assert len(each.text) < 4000


def test_codes_without_end_are_counted_in_a_table_with_one() -> None:
    notices = Notices()
    for number in range(1000):
        notices.take(Notice(f"c{number}", "a"))
    assert sum(notices.counts.values()) == 1000
    assert notices.counts[OTHERS] == 1000 - KNOWN


def test_an_orderly_end_is_no_warning() -> None:
    remark = Notices().take(Notice("going-down"))
    assert remark is not None
    assert remark.weight is Weight.INFO


def test_the_weights_are_those_of_the_log() -> None:
    assert {each.name: each.value for each in Weight} == {
        "INFO": logging.INFO,
        "WARNING": logging.WARNING,
        "ERROR": logging.ERROR,
    }


def test_the_log_has_an_end() -> None:
    notices = Notices()
    said = [notices.take(Notice("denied", f"t{number}")) for number in range(1000)]
    assert len([each for each in said if each]) == KNOWN
    assert notices.counts == {"denied": 1000}


def test_what_is_about_no_topic_has_no_gap_for_one() -> None:
    assert Notices().take(Notice("cut-off", detail="heartbeat: silent")) == Remark(
        "broker: cut-off: heartbeat: silent"
    )


def test_who_is_refused_again_and_again_is_told_why_once() -> None:
    refusals, refused = Refusals(), Refused("it knows no such client", reason="unknown-identity")
    for _ in range(REFUSALS_UNTIL_TOLD - 1):
        assert refusals.heard(refused) is None
    assert refusals.heard(OSError("nobody there")) is None
    told = [refusals.heard(refused) for _ in range(2 * REFUSALS_UNTIL_TOLD)]
    (remark,) = (each for each in told if each is not None)
    assert "it knows no such client" in remark.text
