"""Answers: the errors they ask for, the receipts they give, and why subscriptions end."""

from __future__ import annotations

import pytest

from daemoneye.bus.client.answers import (
    Receipt,
    Status,
    checked,
    connection_lost,
    ending_of,
    error_of,
    no_answer,
    no_receipt,
    receipt_of,
)
from daemoneye.bus.client.interests import Interest, Options
from daemoneye.bus.frames import Answer, Heading, Notice
from daemoneye.errors import AccessDenied, BackPressure, BusError, NoResponder, TooLarge


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("AccessDenied", AccessDenied),
        ("TooLarge", TooLarge),
        ("BackPressure", BackPressure),
        ("SomethingNew", BusError),
    ],
)
def test_an_answer_becomes_the_error_it_names(name: str, kind: type[BusError]) -> None:
    error = error_of(Answer(1, name, "what", "next", "rule"))
    assert type(error) is kind
    assert str(error) == "what (next)"
    assert getattr(error, "rule", "rule") == "rule"


def test_an_answer_without_an_error_is_as_it_came() -> None:
    answer = Answer(1)
    assert checked(answer) is answer
    with pytest.raises(NoResponder):
        checked(Answer(1, "NoResponder", "nobody"))


def test_a_receipt_says_whether_anybody_took_it() -> None:
    assert receipt_of(Answer(1)) == Receipt(Status.NO_SUBSCRIBERS, 0)
    assert receipt_of(Answer(1, subscribers=2)) == Receipt(Status.ACCEPTED, 2)


def test_a_publish_without_a_receipt_says_what_it_waited_for() -> None:
    plain, patient = Heading("a.b"), Heading("a.b", until_handled=True)
    assert str(no_receipt(plain, 2.0)) == str(no_answer(2.0))
    late = no_receipt(patient, 0.25)
    assert late.args == ("no word within 0.25 s that what was published on a.b is handled",)
    assert "it is not taken back" in late.hint


def test_a_subscription_ends_with_the_words_of_the_broker() -> None:
    interest = Interest(1, "events.#", Options(), "owner")
    assert type(ending_of(interest, Answer(1, "TooLarge", "no"))) is TooLarge
    taken_away = ending_of(interest, Notice("unsubscribed", detail="changed", rule="deny"))
    assert isinstance(taken_away, AccessDenied)
    assert taken_away.rule == "deny"
    assert str(taken_away) == "the subscription to events.# was ended: changed"


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (None, "it broke while"),
        (EOFError("hung up"), "hung up"),
        (OSError(), "OSError"),
        (KeyboardInterrupt(), "KeyboardInterrupt fell into a read"),
    ],
)
def test_a_lost_connection_always_has_a_reason(cause: BaseException | None, words: str) -> None:
    assert f"before the answer came: {words}" in str(connection_lost(cause))
