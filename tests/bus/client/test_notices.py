"""Notices: all are counted, each topic and code is remarked on once."""

from __future__ import annotations

import logging

from daemoneye.bus.client.notices import LOGGED, Notices, Remark, Weight
from daemoneye.bus.envelope import BadBody, Publisher
from daemoneye.bus.frames import Notice

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
    assert notices.counts == {"unreadable": 2}


def test_an_orderly_end_is_no_warning() -> None:
    remark = Notices().take(Notice("going-down"))
    assert remark is not None
    assert remark.weight is Weight.INFO


def test_the_weights_are_those_of_the_log() -> None:
    assert {each.name: each.value for each in Weight} == {
        "INFO": logging.INFO,
        "WARNING": logging.WARNING,
    }


def test_the_log_has_an_end() -> None:
    notices = Notices()
    said = [notices.take(Notice("denied", f"t{number}")) for number in range(1000)]
    assert len([each for each in said if each]) == LOGGED
    assert notices.counts == {"denied": 1000}
