"""Dialogue: answers find their waiters, endings their owners; with waiters and owners by name."""

from __future__ import annotations

from typing import Any

import pytest

from daemoneye.bus.client.counters import Tally
from daemoneye.bus.client.dialogue import Dialogue, Outcome
from daemoneye.bus.client.interests import Options
from daemoneye.bus.client.link import Link, Received
from daemoneye.bus.client.notices import Remark
from daemoneye.bus.frames import Answer, BadBody, Choice, Notice, Pong, Publisher, Will
from daemoneye.errors import AccessDenied, BusBroken, DeadlineExceeded


class Told:
    """A dialogue of owners and waiters that are strings."""

    def __init__(self) -> None:
        self.link: Link[str] = Link()
        self.tally = Tally()
        self.dialogue: Dialogue[str, str] = Dialogue(self.link, self.tally)

    def want(self, owner: str, *filters: str) -> list[int]:
        """The numbers of what is wanted; each answer is waited for by a waiter of its filter."""
        waiters = [f"{owner} {each}" for each in filters]
        interests, said = self.dialogue.want(filters, Options(), owner, waiters)
        assert [each.subscription for each in said] == [each.number for each in interests]
        return [each.number for each in interests]


def test_an_answer_goes_to_who_waits_for_it_once() -> None:
    told = Told()
    told.dialogue.pending[9] = "waiter"
    answers = Answer(9), Answer(9), Answer(8)
    assert told.dialogue.consider(Received([], answers)) == Outcome(
        answers=[("waiter", answers[0])]
    )
    assert told.dialogue.pending == {}


def test_what_a_group_goes_by_is_known_from_each_answer() -> None:
    told = Told()
    (number,) = told.want("me", "events.a")
    for choice in (Choice.STANDBY, Choice.BY_KEY):  # the second one after a reconnect
        told.dialogue.consider(Received([], (Answer(number, choice=choice),)))
        assert told.link.interests[number].choice is choice


def test_each_filter_is_a_request_of_its_own() -> None:
    told = Told()
    one, two = told.want("me", "events.a", "events.b")
    answers = Answer(two), Answer(one)
    outcome = told.dialogue.consider(Received([], answers))
    assert outcome.answers == [("me events.b", answers[0]), ("me events.a", answers[1])]


def test_who_may_not_have_one_filter_has_none_and_the_broker_is_told_of_the_others() -> None:
    told = Told()
    one, two = told.want("me", "events.a", "events.b")
    (other,) = told.want("you", "events.a")
    refused = told.link.interests[one], Answer(one, "AccessDenied", "no", rule="deny")
    outcome = told.dialogue.consider(Received([], ended=(refused,)))
    assert [(owner, type(error)) for owner, error in outcome.ended] == [("me", AccessDenied)]
    assert [getattr(each, "subscription", 0) for each in outcome.say] == [two]
    assert set(told.link.interests) == {other}


def test_what_is_to_be_said_counted_and_remarked_on_comes_back_as_values() -> None:
    told = Told()
    body = BadBody("a", Publisher("x", "worker", 1, 1), 3, "rubbish")
    received: Received[str] = Received(
        [],
        notices=(Notice("denied", "a", "no"),) * 2,
        unreadable=(body,),
        replies=(Pong(1),),
        confirmed=5,
    )
    assert told.dialogue.consider(received) == Outcome(
        say=[Pong(1)],
        remarks=[
            Remark("broker: denied a: no"),
            Remark("3 messages of x on a are unreadable: rubbish"),
        ],
    )
    assert told.tally.confirmed == 5
    assert told.dialogue.notices.counts == {"denied": 2, "unreadable": 1, "unreadable of x": 1}


def test_a_lost_connection_ends_every_wait_once() -> None:
    told = Told()
    told.dialogue.pending.update({1: "one", 2: "two"})
    lost = told.dialogue.lost(EOFError("the broker hung up"))
    assert [waiter for waiter, _ in lost] == ["one", "two"]
    assert "before the answer came: the broker hung up" in str(lost[0][1])
    assert told.dialogue.lost(None) == []


# ---- wills --------------------------------------------------------------------------------------


def left(
    told: Told, will: Will, error: BaseException | None = None, request: int = 5
) -> list[Will]:
    """What else is told when this comes of leaving a will; request 0: before that is said."""
    said: list[Will] = []
    with told.dialogue.leaving(will, said.append) as under:
        if request:
            assert under(request) == Will(will.topic, will.payload, request=request)
        if error is not None:
            raise error
    return said


@pytest.mark.parametrize("before", [None, Will("a", b"before")])
def test_a_will_whose_leaving_is_interrupted_is_taken_back_at_the_broker(
    before: Will | None,
) -> None:
    told = Told()
    told.link.will = before
    said: list[Will] = []
    with pytest.raises(KeyboardInterrupt), told.dialogue.leaving(Will("b"), said.append) as under:
        under(5)
        raise KeyboardInterrupt
    assert (told.link.will, said) == (before, [before or Will()])


@pytest.mark.parametrize("said", [[AccessDenied("no", rule=""), 5], [DeadlineExceeded("room"), 0]])
@pytest.mark.parametrize("before", [None, Will("a", b"before")])
def test_a_will_that_is_refused_or_was_never_said_changes_nothing(
    before: Will | None, said: list[Any]
) -> None:
    told = Told()
    told.link.will = before
    with pytest.raises(type(said[0])):
        left(told, Will("b"), *said)
    assert told.link.will == before


@pytest.mark.parametrize("error", [None, BusBroken("gone"), DeadlineExceeded("no answer")])
def test_a_will_without_an_answer_is_for_the_next_connection(error: Exception | None) -> None:
    told = Told()
    told.link.will = Will("a")
    assert left(told, Will("b", b"new"), error) == []
    assert told.link.will == Will("b", b"new")
